"""encode() and decode(): from pixels to a .said file and back (bitstream_spec.md, section 1).

An image is cut into bands of whole tile rows.  Encoding plans each band (``encoder.plan``), codes its
residual (``residual.band``), puts what was planned (``said.section``) before the first band's, and the
streams of the bands into a file (``format.container``).  Decoding goes the other way.  Bands are independent,
so that each thread takes one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saidcodec import arguments, images, models
from saidcodec.entropy.bank import bank
from saidcodec.entropy.rans import Decoder, Encoder, uniform
from saidcodec.errors import CorruptError, ModelError, about
from saidcodec.format import container, planes
from saidcodec.format.container import Container
from saidcodec.format.header import (
    ADAPTIVE_PIXELS,
    BandMethod,
    Header,
    Metadata,
    Mode,
    ResidualCoder,
    TileKind,
)
from saidcodec.format.tiling import Band, Tiling, choose_tiling
from saidcodec.models import Model
from saidcodec.parallel import Progress, cores, in_threads, no_progress
from saidcodec.residual import band as residual
from saidcodec.residual.band import Method, Outline, method_of
from saidcodec.said import Description, read_section, render_band, write_section

if TYPE_CHECKING:
    from saidcodec.encoder.plan import Plan
    from saidcodec.encoder.sources import Sources

CODERS = {name: ResidualCoder[name.upper()] for name in arguments.RESIDUALS}
DAMAGED = "The file is damaged or truncated, or has bytes too many at its end"
STREAM_SLACK = 64  # bits that the coder's state may hide
STORED_SLACK = 6  # bytes of a stream that are none of its samples

AnyModel = Model | str | Path


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

    ``image``: a uint8 array H×W (grey), H×W×2 (grey and alpha), ×3 (RGB) or ×4 (RGBA), a Pillow image, or
    the path or open binary file of an image.
    ``model``: a name, a path or a Model; "auto" keeps the smallest file of the shipped models that apply.
    ``residual``: "context" (the residual network), "gaussian" (the paper's) or "none" (x̂(T) alone: lossy).
    ``glimpses``: force their number per tile instead of choosing it by bits.
    ``effort``: "fast" codes larger images without adaptation and without a look at what they were made of;
    "best" looks for chroma of half the resolution and tries a larger model, too, for seconds a megapixel.
    Images below 128×128 are tried as graphics with the model "auto" or the effort "best".
    ``progress`` is told the share that is done after every band.
    Raises ImageError, LimitError, FileError or ModelError; TypeError or ValueError for arguments of another
    kind.  Metadata that cannot be kept is named by a SaidWarning.
    """
    # Decoding imports nothing of the encoder.
    from saidcodec.encoder import auto
    from saidcodec.encoder.sources import Sources

    max_error, glimpses, threads = arguments.check_encoding(
        residual, max_error, glimpses, metadata, threads, effort
    )
    arguments.check_model(model)
    pixels, mode, found = images.from_any(image)
    height, width = pixels.shape[:2]
    replicated = mode in ("RGB", "RGBA") and bool(
        (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all()
    )
    metadata = found if metadata is None else metadata

    def file_with(one: Model, number: int | None, progress: Progress) -> bytes:
        tiling = choose_tiling(width, height)
        coder = CODERS[residual]
        large = width * height >= ADAPTIVE_PIXELS
        adaptive = coder == ResidualCoder.CONTEXT and large and effort != "fast"
        header = Header(width, height, Mode(mode), replicated, coder, max_error, one.id, *tiling, adaptive)
        # Of small images one model of several is enough to try other methods beside.
        asked = effort == "best" or (effort == "normal" and (large or (model == "auto" and one is tried[0])))
        looks = asked and coder == ResidualCoder.CONTEXT and not max_error and not number
        sources = Sources(header, planes.channels_of(header, pixels), effort == "best") if looks else None
        return write(header, one, pixels, metadata, number, sources, threads or cores(), progress)

    tried = auto.candidates(model, width * height, effort == "best")
    if len(tried) == 1 or residual != "context":
        return min((file_with(one, glimpses, progress or no_progress) for one in tried), key=len)
    return auto.shortest(tried, file_with, glimpses, progress or no_progress)


def decode(
    data: arguments.Source, *, model: AnyModel | None = None, threads: int | None = None
) -> np.ndarray:
    """The image of a .said file, uint8 H×W or H×W×C.

    ``data``: a bytes-like object, a path or an open binary file.
    ``model`` names the model where it is not installed.  Raises a kind of SaidError on any damage,
    TypeError or ValueError for arguments of another kind.
    """
    with about(arguments.name_of(data)):
        return decode_image(data, model=model, threads=threads)[0]


def decode_image(
    data: arguments.Source,
    *,
    model: AnyModel | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[np.ndarray, str, Metadata]:
    """The image of a .said file, its mode (Pillow's name) and its metadata; ``progress`` as in ``encode``."""
    threads = arguments.checked_threads(threads)
    file = container.unpack(arguments.bytes_of(data))
    found = model_of(file.header, model)
    with damage():
        pixels = read(file, found, threads or cores(), progress or no_progress)
    return pixels, file.header.mode, file.metadata


@contextmanager
def damage() -> Iterator[None]:
    """Say of what does not decode that it may be cut off: a single band's length is not written."""
    try:
        yield
    except CorruptError as error:
        raise CorruptError(f"{DAMAGED}. {error}") from None


def write(
    header: Header,
    model: Model,
    pixels: np.ndarray,
    metadata: Metadata,
    glimpses: int | None,
    sources: Sources | None,
    threads: int,
    progress: Progress,
) -> bytes:
    """Encode with one model: bands, then the sections around them."""
    from saidcodec.residual import mixed

    method, bands = method_of(header, model), Tiling.of(header).bands()
    channels = planes.channels_of(header, pixels)
    within = threads if len(bands) == 1 else 1  # threads that share one band

    def coded(band: Band) -> tuple[Plan, bytes, bytes | None]:
        own = channels[band.rows]
        plan, stream = write_band(header, model, method, band, own, glimpses, within)
        shortest = None
        for source in sources.of(own) if sources else ():
            made = mixed.write(header, method, Outline.plain(band), own, source)
            if len(made) < len(shortest or stream):
                plan, shortest = plan.all_plain(), made
        return plan, stream, shortest

    written = [*in_threads(coded, bands, threads, progress)]
    if any(made is not None for *_, made in written):
        header = replace(header, coder=ResidualCoder.MIXED)
        written = [(plan, made or mixed.plain(stream), None) for plan, stream, made in written]
    kinds = [kind for plan, *_ in written for kind in plan.kinds.tolist()]
    descriptions = [description for plan, *_ in written for description in plan.descriptions]
    streams = [stream for _, stream, _ in written]
    return join(header, model, metadata, kinds, descriptions, streams)


def join(
    header: Header,
    model: Model,
    metadata: Metadata,
    kinds: Sequence[int],
    descriptions: Sequence[Description | None],
    streams: Sequence[bytes],
) -> bytes:
    """The file of the bands' streams: the SAID section and the head's checksum come before the first."""
    head = container.head_of(header, metadata)
    first = Encoder()
    write_section(kinds, descriptions, header.grey, model, first)
    first.add(np.frombuffer(container.head_check(head, model.id), np.uint8), uniform(256))
    first.add_stream(streams[0])
    return container.pack(header, head, [first.finish(), *streams[1:]])


def write_band(
    header: Header,
    model: Model,
    method: Method,
    band: Band,
    channels: np.ndarray,
    glimpses: int | None,
    threads: int,
) -> tuple[Plan, bytes]:
    """Code one band, uint8 [h, w, channels]: what was planned, and the residual stream."""
    from saidcodec.encoder.plan import plan_band  # decoding imports nothing of the encoder

    plan = plan_band(header, model, method.network, band, channels, glimpses, threads)
    if header.coder == ResidualCoder.NONE:
        size = (band.height, band.width)
        shown = planes.without_residual(header, plan.reconstruction, size)
        return plan, Encoder().finish(planes.checksum(header, shown))
    stream = residual.write(header, method, Outline(band, plan.stored, plan.reconstruction), channels)
    if len(stream) > channels.size + STORED_SLACK:
        plan = plan.all_stored()
        stream = residual.write(header, method, Outline(band, plan.stored, None), channels)
    return plan, stream


def read(file: Container, model: Model, threads: int, progress: Progress) -> np.ndarray:
    """The image's pixels, uint8."""
    said = read_said(file, model, whole=True)
    header = said.header
    method, bands = method_of(header, model), Tiling.of(header).bands()
    decoders = [said.rest, *map(Decoder, file.streams[1:])]
    if header.coder != ResidualCoder.NONE:
        check_lengths(header, method, decoders)
    channels = np.empty((header.height, header.width, header.channels), np.uint8)

    def decode_band(job: tuple[Band, Decoder]) -> None:
        band, decoder = job
        own = said.kinds[band.tiles], said.descriptions[band.tiles]
        channels[band.rows] = read_band(header, model, method, band, *own, decoder)

    for _ in in_threads(decode_band, [*zip(bands, decoders, strict=True)], threads, progress):
        pass
    return np.ascontiguousarray(planes.pixels_of(header, channels))


@dataclass(frozen=True)
class SaidSection:
    """What stands in a file before its residual: of each tile its kind, and its description or None.

    ``header``: the file's, with the whole id of the model.  ``rest`` of the first band's stream.
    """

    header: Header
    kinds: np.ndarray
    descriptions: list[Description | None]
    rest: Decoder


def read_said(file: Container, model: Model, *, whole: bool = False) -> SaidSection:
    """The SAID section of a file, of which the end may be missing unless it must be ``whole``.

    Raises CorruptError on a damaged head.
    """
    header = replace(file.header, model=model.id)
    decoder = Decoder(file.streams[0], whole)
    kinds, descriptions = read_section(Tiling.of(header).count(), header.grey, model, decoder)
    check = decoder.take(uniform(256), container.HEAD_CHECK_BYTES)
    if bytes(check.astype(np.uint8)) != container.head_check(file.head, model.id):
        raise CorruptError("The checksum of its head does not match.")
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
    """The coded channels of one band, uint8 [h, w, channels], from its tiles' kinds and descriptions.

    Raises CorruptError where they are not those that were encoded.
    """
    reconstruction = render_band(descriptions, band, header.grey, model)
    if header.coder == ResidualCoder.NONE:
        channels = planes.without_residual(header, reconstruction, (band.height, band.width))
    else:
        outline = Outline(band, kinds == TileKind.STORED, reconstruction)
        channels = taker_of(header)(header, method, outline, decoder)
    if decoder.finish() != planes.checksum(header, channels):
        raise CorruptError("The checksum of its pixels does not match.")
    return channels


def taker_of(header: Header) -> Callable[[Header, Method, Outline, Decoder], np.ndarray]:
    """What reads a band's coded channels from its stream."""
    if header.coder != ResidualCoder.MIXED:
        return residual.take
    from saidcodec.residual import mixed  # with the maps and the coder of graphics, which few files need

    return mixed.take


def check_lengths(header: Header, method: Method, decoders: Sequence[Decoder]) -> None:
    """Refuse a band that has too few bits for its samples, before anything is allocated for them.

    Even where every sample has the likeliest symbol of the narrowest table, or is a copy of the surest
    kind, it costs a little.  Only runs of graphics are all but free.
    """
    in_methods = header.coder == ResidualCoder.MIXED
    components = 1 if in_methods else header.components  # chroma may be fewer samples
    cheapest = components * bank().cheapest
    if method.network and len(method.network.copies):
        cheapest = min(cheapest, min(float(table.bits.min()) for table in bank().copies))
    for band, decoder in zip(Tiling.of(header).bands(), decoders, strict=True):
        pixels = band.height * band.width
        if decoder.bits() + STREAM_SLACK < cheapest * pixels:
            if in_methods and holds_graphics(decoder):
                continue
            raise CorruptError(f"{decoder.bits() // 8} bytes cannot hold {pixels} pixels.")


def holds_graphics(decoder: Decoder) -> bool:
    """Whether the band of a mixed file is coded as graphics."""
    from saidcodec.residual import mixed

    return mixed.take_method(decoder.copy()) == BandMethod.GRAPHICS


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
