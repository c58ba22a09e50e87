"""encode() and decode(): from pixels to a .said file and back (bitstream_spec.md, section 1)."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from saidcodec import arguments, choice, container, images, models
from saidcodec.container import Container, Header, Metadata
from saidcodec.errors import CorruptError, LimitError, ModelError, about
from saidcodec.layout import CONTEXT, GAUSSIAN, NO_RESIDUAL, PLAIN, SAID, STORED, Layout
from saidcodec.models import Model
from saidcodec.residual import band
from saidcodec.residual.tables import bank
from saidcodec.residual.wavefront import middle_of
from saidcodec.said import Description
from saidcodec.tiling import choose_tiling

CODERS = {"none": NO_RESIDUAL, "gaussian": GAUSSIAN, "context": CONTEXT}
FAST_PIXELS = 1 << 14  # from here on ONNX Runtime earns its start-up in decoding
AUTO_PIXELS = 1 << 14  # up to here every shipped model is tried
WITHIN_REACH = 1.25  # of the shortest file without glimpses: what a model may take to be tried with them
DEFAULT_MODEL = "photo"
DAMAGED = "The file is damaged or truncated, or has bytes too many at its end"
STREAM_SLACK = 64  # bits that the coder's state may hide

AnyModel = Model | str | Path
Progress = Callable[[float], None]


def encode(
    image: Any,
    *,
    model: AnyModel = "auto",
    residual: str = "context",
    max_error: int = 0,
    glimpses: int | None = None,
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
    ``progress`` is told the share that is done after every band of tiles, about a megapixel each.
    Raises ImageError, LimitError, FileError or ModelError; TypeError or ValueError for arguments of another
    kind.  Metadata that cannot be kept is named by a SaidWarning.
    """
    max_error, glimpses, threads = arguments.check_encoding(residual, max_error, glimpses, metadata, threads)
    arguments.check_model(model)
    pixels, mode, found = images.from_any(image)
    height, width = pixels.shape[:2]
    if max(width, height) > container.MOST_SIDE or width * height > container.MOST_PIXELS:
        raise LimitError(
            f"The image has {width}×{height} pixels, more than the limit of {container.MOST_PIXELS}."
        )
    replicated = mode in ("RGB", "RGBA") and bool(
        (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all()
    )
    metadata = found if metadata is None else metadata

    def file_with(one: Model, number: int | None, progress: Progress) -> bytes:
        tiling = choose_tiling(width, height)
        header = Header(width, height, mode, replicated, CODERS[residual], max_error, one.id, *tiling)
        layout = Layout(header, one, threads or cores(), ahead=not max_error)
        with threadpool_limits(1):  # NumPy's products are small: more threads only wait for each other
            return write(layout, pixels, metadata, number, progress)

    tried = candidates(model, width * height)
    if len(tried) == 1 or residual != "context":
        return min((file_with(one, glimpses, progress or ignore) for one in tried), key=len)
    # No glimpses make up for a model of other images.
    plain = {one: file_with(one, 0, ignore) for one in tried}
    shortest = min(map(len, plain.values()))
    near = [one for one in tried if len(plain[one]) <= WITHIN_REACH * shortest]
    searched = [one for one in near if glimpses or (glimpses is None and one.sees_reconstruction)]
    files = [file_with(one, glimpses, ignore) if one in searched else plain[one] for one in near]
    (progress or ignore)(1.0)
    return min(files, key=len)


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
    fast = file.header.width * file.header.height >= FAST_PIXELS
    layout = Layout(file.header, model_of(file.header, model), (threads or cores()) if fast else None)
    try:
        with threadpool_limits(1):
            pixels = read(layout, file, progress or ignore)
    except CorruptError as error:  # a single band's length is not written, so that a cut shows only here
        raise CorruptError(f"{DAMAGED}. {error}") from None
    if zlib.crc32(pixels.tobytes()) != file.checksum:
        raise CorruptError(f"{DAMAGED}: the checksum of its pixels does not match.")
    return pixels, file.header.mode, file.metadata


def ignore(share: float) -> None:
    """Nobody watches."""


def write(
    layout: Layout, pixels: np.ndarray, metadata: Metadata, glimpses: int | None, progress: Progress
) -> bytes:
    """Encode with one model: tiles by bands, then the sections around them."""
    coded = layout.coded(pixels)
    exact = layout.header.coder != NO_RESIDUAL and not layout.header.max_error
    seen = coded if exact else np.empty_like(coded)
    kinds: list[int] = []
    descriptions: list[Description | None] = []
    streams: list[bytes] = []
    for tiles in layout.tiling.bands():
        band_kinds, band_descriptions, stream = write_band(layout, coded, seen, tiles, glimpses)
        kinds += band_kinds
        descriptions += band_descriptions
        streams.append(stream)
        progress(tiles.stop / len(layout.tiles))
    checksum = zlib.crc32(layout.image(seen).tobytes())
    return container.pack(layout.header, metadata, layout.write_said(kinds, descriptions), streams, checksum)


def write_band(
    layout: Layout, coded: np.ndarray, seen: np.ndarray, tiles: slice, glimpses: int | None
) -> tuple[list[int], list[Description | None], bytes]:
    """Kinds, descriptions and residual stream of one band; what is not exact is written to ``seen``."""
    places = layout.tiles[tiles]
    samples = [coded[place] for place in places]
    planes = [layout.planes(tile) for tile in samples]
    descriptions = choice.choose(layout, [layout.rgb(tile) for tile in samples], planes, glimpses)
    kinds = [PLAIN if description is None else SAID for description in descriptions]
    predictions = layout.predict(descriptions, tiles)
    if layout.header.coder == NO_RESIDUAL:
        for place, tile in zip(places, without_residual(layout, predictions, tiles)):
            seen[place] = tile
        return kinds, descriptions, b""
    stored = [False] * len(kinds)
    if layout.header.coder == CONTEXT and not layout.header.max_error and not glimpses:
        stored = choice.better_stored(layout, samples, planes, predictions)
    written = write_tiles(layout, tiles, coded, predictions, stored)
    if len(written[0]) > sum(tile.size for tile in samples):
        stored = [True] * len(kinds)
        written = write_tiles(layout, tiles, coded, predictions, stored)
    kinds = [STORED if as_is else kind for as_is, kind in zip(stored, kinds)]
    stream, colour_seen, alpha_seen = written
    if seen is not coded:
        decoded = (joined(layout, *one) for one in zip_longest(colour_seen, alpha_seen))
        for place, tile, kind in zip(places, samples, kinds):
            seen[place] = tile if kind == STORED else next(decoded)
    descriptions = [None if kind == STORED else d for kind, d in zip(kinds, descriptions)]
    return kinds, descriptions, stream


def write_tiles(
    layout: Layout,
    tiles: slice,
    coded: np.ndarray,
    predictions: Sequence[np.ndarray | None],
    stored: Sequence[bool],
) -> tuple[bytes, list[np.ndarray], list[np.ndarray]]:
    """The stream of a band of which some tiles are ``stored``, and colour and alpha of the others as the
    decoder will see them."""
    samples = [coded[place] for place in layout.tiles[tiles]]
    others = [tile for tile, as_is in zip(samples, stored) if not as_is]
    planes = [layout.planes(tile) for tile in others]
    alpha = [tile[..., -1:].astype(np.int16) for tile in others] if layout.has_alpha else []
    kept = [tile for tile, as_is in zip(samples, stored) if as_is]
    return band.write(layout.band(tiles, stored, predictions), layout.method, kept, planes, alpha)


def without_residual(
    layout: Layout, predictions: Sequence[np.ndarray | None], tiles: slice
) -> list[np.ndarray]:
    """What a decoder shows of tiles that have no residual: x̂(T), opaque; uint8 [h, w, channels]."""
    shown = []
    for prediction, (rows, columns) in zip(predictions, layout.tiles[tiles]):
        shape = (rows.stop - rows.start, columns.stop - columns.start, 1)
        alpha = np.full(shape, 255, np.int16) if layout.has_alpha else None
        planes = middle_of((*shape[:2], layout.components)) if prediction is None else prediction
        shown.append(joined(layout, planes[..., : layout.components], alpha))
    return shown


def joined(layout: Layout, planes: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Planes and alpha → coded channels, uint8 [h, w, channels].  CorruptError on impossible colours."""
    samples = layout.samples(planes)
    clipped = np.clip(samples, 0, 255)
    if not layout.header.max_error and layout.header.coder != NO_RESIDUAL and (samples != clipped).any():
        raise CorruptError("The residual section decodes to an impossible colour.")
    whole = clipped if alpha is None else np.concatenate([clipped, alpha], -1)
    return whole.astype(np.uint8)


def read(layout: Layout, file: Container, progress: Progress) -> np.ndarray:
    """The image's pixels, uint8, by bands."""
    kinds, descriptions = layout.read_said(file.said)
    bands = layout.tiling.bands()
    if layout.header.coder != NO_RESIDUAL:
        check_lengths(layout, file.bands or ())
    out = np.empty((layout.header.height, layout.header.width, layout.channels), np.uint8)
    for tiles, stream in zip(bands, file.bands or [b""] * len(bands)):
        predictions = layout.predict(descriptions[tiles], tiles)
        if layout.header.coder == NO_RESIDUAL:
            decoded = without_residual(layout, predictions, tiles)
        else:
            decoded = read_band(layout, kinds[tiles], predictions, tiles, stream)
        for place, tile in zip(layout.tiles[tiles], decoded):
            out[place] = tile
        progress(tiles.stop / len(layout.tiles))
    return np.ascontiguousarray(layout.image(out))


def check_lengths(layout: Layout, streams: Sequence[bytes]) -> None:
    """Refuse a band that has too few bits for its samples, before anything is allocated for them.

    Even where every sample has the likeliest symbol of the narrowest table, or is a copy of the surest
    kind, it costs a little.
    """
    cheapest = layout.components * bank().cheapest
    network = layout.method.network
    if network and network.copies:
        cheapest = min(cheapest, min(float(table.bits.min()) for table in bank().copies))
    for tiles, stream in zip(layout.tiling.bands(), streams):
        pixels = sum(
            (rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in layout.tiles[tiles]
        )
        if 8 * len(stream) + STREAM_SLACK < cheapest * pixels:
            raise CorruptError(f"{len(stream)} bytes cannot hold {pixels} pixels.")


def read_band(
    layout: Layout, kinds: np.ndarray, predictions: Sequence[np.ndarray | None], tiles: slice, stream: bytes
) -> list[np.ndarray]:
    """The band's tiles, uint8 [h, w, channels] each."""
    plan = layout.band(tiles, list(kinds == STORED), predictions)
    stored, planes, alpha = (iter(part) for part in band.read(plan, layout.method, stream, layout.channels))
    return [
        next(stored) if kind == STORED else joined(layout, next(planes), next(alpha, None)) for kind in kinds
    ]


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resolve(model: AnyModel) -> Model:
    return model if isinstance(model, Model) else models.find(model)


def candidates(model: AnyModel, pixels: int) -> list[Model]:
    """The models to encode with."""
    if model != "auto":
        return [resolve(model)]
    if pixels > AUTO_PIXELS:
        return [models.find(DEFAULT_MODEL)]
    found = [models.load(path) for path in models.installed()]
    if not found:
        raise ModelError("No model is installed.")
    return found


def model_of(header: Header, named: AnyModel | None) -> Model:
    """The model that a file was written with.  Raises ModelError where it is not at hand."""
    if named is None:
        return models.find_id(header.model)
    arguments.check_model(named)
    found = resolve(named)
    if found.id != header.model:
        raise ModelError(f"The file needs the model {header.model}, but {found.name} is {found.id}.")
    return found
