"""encode() and decode(): from pixels to a .said file and back (bitstream_spec.md, section 1).

An image is cut into bands of whole tile rows.  Encoding (``encoder.writing``) plans each band, codes its
residual, puts what was planned before the first band's, and the streams of the bands into a file.  Decoding
goes the other way, here.  Bands are independent,
so that each thread takes one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np

from saidcodec import arguments, models
from saidcodec.entropy.rans import Decoder, uniform
from saidcodec.errors import CorruptError, ModelError, RegionError, SaidError, TruncatedError, about
from saidcodec.format import container, planes
from saidcodec.format.container import Container
from saidcodec.format.header import Header, Metadata, ResidualCoder, TileKind
from saidcodec.format.tiling import Band, Place, Tiling
from saidcodec.models import Model
from saidcodec.parallel import Progress, cores, in_threads, no_progress
from saidcodec.picture import Picture
from saidcodec.residual import band as residual
from saidcodec.residual.band import Method, Outline, method_of
from saidcodec.said import Description, read_section, render_band

DAMAGED = "The file is damaged or truncated, or has bytes too many at its end"
FIRST_BYTES, FIRST_GROWTH = 1 << 12, 4  # how much of the first stream is read for its SAID section

AnyModel = Model | models.AnyPath


def encode(
    image: Any,
    *,
    model: AnyModel = "auto",
    residual: str = "context",
    max_error: int = 0,
    glimpses: int | None = None,
    effort: str = "normal",
    metadata: Metadata | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> bytes:
    """The bytes of a .said file that decodes to exactly ``image``, or to within ``max_error`` of it.

    ``image``: a uint8 or uint16 array H×W (grey), H×W×2 (grey and alpha), ×3 (RGB) or ×4 (RGBA), a bool array
    H×W, a Pillow image, or the path or open binary file of an image.  Images of uint16 need no model, and are
    coded with ``residual`` "context" and no glimpses; ``max_error`` may be up to 32767 for them, else up to
    255.  Of several frames the file has all, unless ``seek`` has chosen another than the first of a Pillow
    image; ``encode_frames`` makes such a file of single images.
    ``model``: a name, a path or a Model; "auto" keeps the smallest file of the shipped models that apply.
    ``residual``: "context" (the residual network), "gaussian" (the paper's) or "none" (x̂(T) alone: lossy).
    ``glimpses``: force their number per tile instead of choosing it by bits.
    ``effort``: "fast" codes larger images without adaptation and without a look at what they were made of or
    at which transform of their colours suits them; "best" looks for chroma of half the resolution, tries two
    transforms, and codes larger images by decisions under a larger model, for seconds a megapixel.
    Images below 128×128 are tried as graphics with the model "auto" or the effort "best".
    ``progress`` is told the share that is done after every band, or after every one of several frames.
    Raises ImageError, LimitError, FileError or ModelError; TypeError or ValueError for arguments of another
    kind.  Metadata that cannot be kept is named by a SaidWarning.
    """
    from saidcodec import images
    from saidcodec.encoder import forms  # decoding imports nothing of the encoder

    max_error, glimpses, threads = arguments.check_encoding(
        residual, max_error, glimpses, metadata, threads, effort
    )
    arguments.check_model(model)
    image = images.taken(image)
    if frames := images.several_frames(image):
        from dataclasses import replace

        from saidcodec.sequences import encode_all  # which few images need

        def encode_one(picture: Picture) -> bytes:
            return encode(
                picture,
                model=model,
                residual=residual,
                max_error=max_error,
                glimpses=glimpses,
                effort=effort,
                threads=threads,
            )

        exact = not max_error and residual != "none"
        pictures = replace(frames, metadata=metadata).told(progress)
        return encode_all(pictures, frames.plays, encode_one, exact)
    picture = images.from_any(image)
    kept = picture.metadata if metadata is None else metadata
    whole = progress or no_progress

    def file_within(error: int, progress: Progress) -> bytes:
        return file_of(picture, kept, model, residual, error, glimpses, effort, threads or cores(), progress)

    if not (max_error and forms.exact_is_worth_a_try(picture, residual)):
        return file_within(max_error, whole)
    unchanged = file_within(0, lambda share: whole(share / 2))
    near = file_within(max_error, lambda share: whole((1 + share) / 2))
    return min(unchanged, near, key=len)


def file_of(
    picture: Picture,
    kept: Metadata,
    model: AnyModel,
    residual: str,
    max_error: int,
    glimpses: int | None,
    effort: str,
    threads: int,
    progress: Progress,
) -> bytes:
    """The file of one image with checked options, as ``encode`` has them; ``kept``: its metadata."""
    from saidcodec.encoder import auto, forms
    from saidcodec.encoder.writing import header_of, is_large, sources_of, write

    if residual == "none" or max_error:
        picture = picture.smooth()
    pixels, presentation = picture.pixels, picture.presentation
    if pixels.dtype == np.uint16:
        from saidcodec import wide  # with the coders that few files need

        wide.check_options(residual, glimpses)
        return wide.encode(pixels, presentation, kept, max_error, threads, progress)

    arguments.whole("max_error", max_error, 0, container.MOST_ERROR)
    height, width = pixels.shape[:2]
    tried = auto.candidates(model, width * height, effort == "best")

    def shortest_with(header: Header) -> bytes:
        # Looked for once, however many models are tried.
        looks, several = model == "auto", len(tried) > 1
        sources = None if glimpses else sources_of(header, pixels, effort, looks, several)

        def file_with(one: Model, number: int | None, suited: bool, progress: Progress) -> bytes:
            # Of small images one model of several is enough to try other methods beside.
            asked = not number and (effort == "best" or is_large(width, height) or one is tried[0])
            own = header._replace(model=one.id)
            made_of = sources if asked else None
            return write(own, one, pixels, kept, number, made_of, suited, threads, progress)

        suited = effort != "fast" and not header.grey
        if len(tried) == 1 or residual != "context":
            suited &= effort == "best" or is_large(width, height)
            return min((file_with(one, glimpses, suited, progress) for one in tried), key=len)
        return auto.shortest(tried, file_with, glimpses, suited, progress)

    header = header_of(pixels, presentation, tried[0], residual, max_error, effort)
    return min(map(shortest_with, forms.candidates(header, pixels, effort)), key=len)


def decode(
    data: arguments.Source,
    *,
    region: arguments.Region | None = None,
    frame: int = 0,
    model: AnyModel | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """The image of a .said file, uint8 H×W or H×W×C; uint16 where it has more than 8 bits a sample, bool
    where it has 1; of one with a palette its colours; of a file of several frames the one with this number,
    from 0.

    ``data``: a bytes-like object, a path or an open binary file, which is left where it was if it can seek.
    ``region``: x, y, width and height in pixels of the part that is wanted, of this frame.  Only the bands
    that it touches are decoded, and of a path or a file that can seek only their bytes are read; a frame
    after the first is decoded whole.
    ``model`` names the model where it is not installed.  Raises a kind of SaidError on any damage (of a
    region: docs/regions.md), RegionError where there is no such frame or the region is not inside the image,
    TypeError or ValueError for arguments of another kind.
    """
    if frame:
        return decode_frame(data, frame, region=region, model=model, threads=threads).colours()
    return decode_image(data, region=region, model=model, threads=threads).colours()


def decode_image(
    data: arguments.Source,
    *,
    region: arguments.Region | None = None,
    model: AnyModel | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Picture:
    """The image that ``decode`` gives, with its mode, palette and metadata; ``progress`` as in ``encode``."""
    threads = arguments.checked_threads(threads)
    with about(arguments.name_of(data)), arguments.opened(data) as contents:
        file = container.unpack(contents, whole=region is None)
        place = arguments.place_of(region, file.header.width, file.header.height)
        pixels = read_place(
            file, opened_model(file, model), place, threads or cores(), progress or no_progress
        )
    return Picture(pixels, file.header.presentation, file.metadata)


def opened_model(file: Container, named: AnyModel | None) -> Model | None:
    """``model_for``, or None of a file that needs no model."""
    return None if file.header.wide else model_for(file, named)


def read_place(
    file: Container, model: Model | None, place: Place, threads: int, progress: Progress = no_progress
) -> np.ndarray:
    """The pixels at a place of the image, uint8 or uint16; ``model`` as ``opened_model`` gives it.

    Raises CorruptError, TruncatedError.
    """
    with damage():
        if model is None:
            from saidcodec import wide  # as above

            return wide.read(file, place, threads, progress)
        return read(file, model, place, threads, progress)


def decode_frame(
    data: arguments.Source,
    frame: int,
    *,
    region: arguments.Region | None = None,
    model: AnyModel | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Picture:
    """``decode_image`` of the frame with this number."""
    from saidcodec.frames import Frames  # which few files have

    number = arguments.whole("frame", frame, 0)
    with Frames(data, model=model, threads=threads) as frames, about(arguments.name_of(data)):
        if number >= len(frames):
            raise RegionError(f"There is no frame {number} in the file, which has {len(frames)}, from 0.")
        return frames.part(number, region, progress or no_progress)


@contextmanager
def damage() -> Iterator[None]:
    """Say of what does not decode that it may be cut off: a single band's length is not written."""
    try:
        yield
    except CorruptError as error:
        raise CorruptError(f"{DAMAGED}. {error}") from None


def read(
    file: Container, model: Model, place: Place, threads: int, progress: Progress = no_progress
) -> np.ndarray:
    """The samples at a place of the image, in its own mode.  Raises CorruptError, TruncatedError."""
    rows, columns = place
    numbers = Tiling.of(file.header).bands_at(rows)
    said = read_said(file, model, whole=0 in numbers)
    top, pixels = read_bands(file, model, said, numbers, threads, progress)
    return np.ascontiguousarray(pixels[rows.start - top : rows.stop - top, columns])


def read_bands(
    file: Container,
    model: Model,
    said: SaidSection,
    numbers: range,
    threads: int,
    progress: Progress = no_progress,
) -> tuple[int, np.ndarray]:
    """The first row of some bands and their samples.  Raises CorruptError, TruncatedError.

    The first band can only be read once, and where ``said`` was read from its whole stream.
    """
    if numbers.stop > len(file.streams) - (not file.complete):
        raise TruncatedError(f"The file is truncated: it ends after {file.size} bytes, within the image.")
    header, tiling = said.header, Tiling.of(said.header)
    method, bands = method_of(header, model), [tiling.band(number) for number in numbers]
    decoders = [Decoder(bytes(file.streams[number])) if number else said.rest for number in numbers]
    # How few bits a mixed band may have depends on its method.
    if header.coder in (ResidualCoder.GAUSSIAN, ResidualCoder.CONTEXT):
        for band, decoder in zip(bands, decoders, strict=True):
            residual.check_length(method, header.components, band, decoder)
    top, bottom = bands[0].rows.start, bands[-1].rows.stop
    channels = np.empty((bottom - top, header.width, header.channels), np.uint8)

    def decode_band(job: tuple[Band, Decoder]) -> None:
        band, decoder = job
        own = said.kinds[band.tiles], said.descriptions[band.tiles]
        rows = slice(band.rows.start - top, band.rows.stop - top)
        channels[rows] = read_band(header, model, method, band, *own, decoder)

    for _ in in_threads(decode_band, [*zip(bands, decoders, strict=True)], threads, progress):
        pass
    return top, np.ascontiguousarray(planes.pixels_of(header, channels))


class SaidSection(NamedTuple):
    """What stands in a file before its residual: of each tile its kind, and its description or None.

    ``header``: the file's, with the whole id of the model.  ``rest`` of the first band's stream.
    """

    header: Header
    kinds: np.ndarray
    descriptions: list[Description | None]
    rest: Decoder


def read_said(file: Container, model: Model, *, whole: bool = False) -> SaidSection:
    """The SAID section of a file.

    Unless the first stream is to be read as a ``whole``, its end may be missing, and it is read only as far
    as is needed.  Raises CorruptError on a damaged head.
    """
    stream = file.streams[0]
    size = len(stream) if whole else min(FIRST_BYTES, len(stream))
    while True:
        last = size == len(stream)
        try:
            said = said_section(file, model, Decoder(bytes(stream[:size]), whole))
            if last or said.rest.bits() > residual.STREAM_SLACK:  # words are left, so that none was missing
                return said
        except CorruptError:
            if last:
                raise
        size = min(FIRST_GROWTH * size, len(stream))


def said_section(file: Container, model: Model, decoder: Decoder) -> SaidSection:
    """The section with which a stream begins.  Raises CorruptError."""
    header = file.header._replace(model=model.id)
    kinds, descriptions = read_section(Tiling.of(header).count(), header.grey, model, decoder)
    check = decoder.take(uniform(256), container.HEAD_CHECK_BYTES)
    if bytes(check.astype(np.uint8)) != container.head_check(file.head, model.id):
        raise CorruptError(
            "The checksum of its head does not match, unless another model whose id begins with "
            f"{file.header.model} wrote it."
        )
    return SaidSection(header, kinds, descriptions, decoder)


def read_band(
    header: Header,
    model: Model,
    method: Method,
    band: Band,
    kinds: np.ndarray,
    descriptions: Sequence[Description | None],
    decoder: Decoder,
) -> np.ndarray:
    """``take_band`` where nothing follows.  Raises CorruptError where it does not give what was encoded."""
    channels = take_band(header, model, method, band, kinds, descriptions, decoder)
    if decoder.finish() != planes.checksum(header, channels):
        raise CorruptError("The checksum of its pixels does not match.")
    return channels


def take_band(
    header: Header,
    model: Model,
    method: Method,
    band: Band,
    kinds: np.ndarray,
    descriptions: Sequence[Description | None],
    decoder: Decoder,
) -> np.ndarray:
    """The coded channels of one band, uint8 [h, w, channels], from its tiles' kinds and descriptions."""
    planes.check_kinds(header, kinds)
    reconstruction = render_band(descriptions, band, header, model)
    if header.coder == ResidualCoder.NONE:
        return planes.without_residual(header, reconstruction, (band.height, band.width))
    outline = Outline(band, kinds == TileKind.STORED, reconstruction)
    return taker_of(header)(header, method, outline, decoder)


def taker_of(header: Header) -> Callable[[Header, Method, Outline, Decoder], np.ndarray]:
    """What reads a band's coded channels from its stream."""
    if header.coder != ResidualCoder.MIXED:
        return residual.take
    from saidcodec.residual import mixed  # with the maps and the coder of graphics, which few files need

    return mixed.take


def model_for(file: Container, named: AnyModel | None) -> Model:
    """The model that a file was written with: of several whose ids begin alike the one with which its head
    is right.  Raises ModelError where it is not at hand."""
    alike = models.with_id(file.header.model) if named is None else []
    for model in alike if len(alike) > 1 else []:
        with suppress(SaidError):
            read_said(file, model)
            return model
    return model_of(file.header, named)


def model_of(header: Header, named: AnyModel | None) -> Model:
    """The model that a file was written with.  Raises ModelError where it is not at hand."""
    if named is None:
        return models.find_id(header.model)
    arguments.check_model(named)
    found = named if isinstance(named, Model) else models.find(named)
    if not found.id.startswith(header.model):
        raise ModelError(
            f"The file needs the model whose id begins with {header.model}, but {found.name} is {found.id}."
        )
    return found
