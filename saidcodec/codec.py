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

from saidcodec import images, models
from saidcodec.entropy.bank import bank
from saidcodec.errors import CorruptError, LimitError, ModelError
from saidcodec.format import container, planes
from saidcodec.format.container import Container
from saidcodec.format.header import MOST_PIXELS, MOST_SIDE, Header, Metadata, Mode, ResidualCoder, TileKind
from saidcodec.format.tiling import Tiling, choose_tiling
from saidcodec.models import Model
from saidcodec.residual import band
from saidcodec.residual.band import Band, Method, method_of
from saidcodec.said import Description, planes_of, read_section, render, write_section

CODERS = {coder.name.lower(): coder for coder in ResidualCoder}
FAST_PIXELS = 1 << 14  # from here on ONNX Runtime earns its start-up in decoding
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

    ``image``: a Pillow image or a uint8 array H×W (grey), H×W×2 (grey and alpha), ×3 (RGB) or ×4 (RGBA).
    ``model``: a name, a path or a Model; "auto" keeps the smallest file of the shipped models that apply.
    ``residual``: "context" (the residual network), "gaussian" (the paper's) or "none" (x̂(T) alone: lossy).
    ``glimpses``: force their number per tile instead of choosing it by bits.
    ``progress`` is told the share that is done after every band of tiles, about a megapixel each.
    Raises ImageError, LimitError or ModelError.
    """
    from saidcodec.encoder import auto  # decoding imports nothing of the encoder

    if residual not in CODERS:
        raise ValueError(f"residual must be one of {', '.join(CODERS)}")
    if not 0 <= max_error <= 255:
        raise ValueError("max_error must lie between 0 and 255")
    pixels, mode, found = images.from_any(image)
    height, width = pixels.shape[:2]
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        raise LimitError(f"The image has {width}×{height} pixels, more than the limit of {MOST_PIXELS}.")
    replicated = mode in ("RGB", "RGBA") and bool(
        (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all()
    )
    metadata = found if metadata is None else metadata

    def file_with(one: Model, number: int | None, progress: Progress) -> bytes:
        tiling = choose_tiling(width, height)
        header = Header(width, height, Mode(mode), replicated, CODERS[residual], max_error, one.id, *tiling)
        with threadpool_limits(1):  # NumPy's products are small: more threads only wait for each other
            return write(header, one, pixels, metadata, number, threads or cores(), progress)

    tried = auto.candidates(model, width * height)
    if len(tried) == 1 or residual != "context":
        return min((file_with(one, glimpses, progress or no_progress) for one in tried), key=len)
    return auto.shortest(tried, file_with, glimpses, progress or no_progress)


def decode(data: bytes, *, model: AnyModel | None = None, threads: int | None = None) -> np.ndarray:
    """The image of a .said file, uint8 H×W or H×W×C.

    ``model`` names the model where it is not installed.  Raises a kind of SaidError on any damage.
    """
    return decode_image(data, model=model, threads=threads)[0]


def decode_image(
    data: bytes,
    *,
    model: AnyModel | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[np.ndarray, str, Metadata]:
    """The image of a .said file, its mode (Pillow's name) and its metadata; ``progress`` as in ``encode``."""
    file = container.unpack(data)
    fast = file.header.width * file.header.height >= FAST_PIXELS
    found = model_of(file.header, model)
    try:
        with threadpool_limits(1):
            pixels = read(file, found, (threads or cores()) if fast else None, progress or no_progress)
    except CorruptError as error:  # a single band's length is not written, so that a cut shows only here
        raise CorruptError(f"The file is damaged or truncated. {error}") from None
    if zlib.crc32(pixels.tobytes()) != file.checksum:
        raise CorruptError("The file is damaged or truncated: the checksum of its pixels does not match.")
    return pixels, file.header.mode, file.metadata


def write(
    header: Header,
    model: Model,
    pixels: np.ndarray,
    metadata: Metadata,
    glimpses: int | None,
    threads: int,
    progress: Progress,
) -> bytes:
    """Encode with one model: tiles by bands, then the sections around them."""
    method = method_of(header, model, threads, ahead=not header.max_error)
    tiling = Tiling.of(header)
    channels = planes.channels_of(header, pixels)
    decoded = channels if header.exact else np.empty_like(channels)
    kinds: list[int] = []
    descriptions: list[Description | None] = []
    streams: list[bytes] = []
    for tiles in tiling.bands():
        band_kinds, band_descriptions, stream = write_band(
            header, model, method, channels, decoded, tiles, glimpses
        )
        kinds += band_kinds
        descriptions += band_descriptions
        streams.append(stream)
        progress(tiles.stop / tiling.count())
    checksum = zlib.crc32(planes.pixels_of(header, decoded).tobytes())
    said = write_section(kinds, descriptions, header.grey, model)
    return container.pack(header, metadata, said, streams, checksum)


def write_band(
    header: Header,
    model: Model,
    method: Method,
    channels: np.ndarray,
    decoded: np.ndarray,
    tiles: slice,
    glimpses: int | None,
) -> tuple[list[int], list[Description | None], bytes]:
    """Kinds, descriptions and residual stream of one band; what is not exact is written to ``decoded``."""
    from saidcodec.encoder import plan

    places = Tiling.of(header).tiles()[tiles]
    samples = [channels[place] for place in places]
    colours = [planes.colour_of(header, tile) for tile in samples]
    rgb = [planes.rgb_of(header, tile) for tile in samples]
    descriptions = plan.choose(header, model, method.network, rgb, colours, glimpses)
    kinds: list[int] = [TileKind.PLAIN if d is None else TileKind.SAID for d in descriptions]
    reconstructions = reconstructions_of(header, model, descriptions, tiles)
    if header.coder == ResidualCoder.NONE:
        for place, tile in zip(places, without_residual(header, reconstructions, tiles)):
            decoded[place] = tile
        return kinds, descriptions, b""
    stored = [False] * len(kinds)
    if method.network and not header.max_error and not glimpses:
        stored = plan.better_stored(header, method.network, samples, colours, reconstructions)
    written = write_tiles(header, method, tiles, channels, reconstructions, stored)
    if len(written[0]) > sum(tile.size for tile in samples):
        stored = [True] * len(kinds)
        written = write_tiles(header, method, tiles, channels, reconstructions, stored)
    kinds = [TileKind.STORED if as_is else kind for as_is, kind in zip(stored, kinds)]
    stream, colour_decoded, alpha_decoded = written
    if decoded is not channels:
        others = (planes.joined(header, *one) for one in zip_longest(colour_decoded, alpha_decoded))
        for place, tile, kind in zip(places, samples, kinds):
            decoded[place] = tile if kind == TileKind.STORED else next(others)
    descriptions = [None if kind == TileKind.STORED else d for kind, d in zip(kinds, descriptions)]
    return kinds, descriptions, stream


def write_tiles(
    header: Header,
    method: Method,
    tiles: slice,
    channels: np.ndarray,
    reconstructions: Sequence[np.ndarray | None],
    stored: Sequence[bool],
) -> tuple[bytes, list[np.ndarray], list[np.ndarray]]:
    """The stream of a band of which some tiles are ``stored``, and colour and alpha of the others as the
    decoder will see them."""
    samples = [channels[place] for place in Tiling.of(header).tiles()[tiles]]
    others = [tile for tile, as_is in zip(samples, stored) if not as_is]
    colours = [planes.colour_of(header, tile) for tile in others]
    alpha = [planes.alpha_of(tile) for tile in others] if header.has_alpha else []
    kept = [tile for tile, as_is in zip(samples, stored) if as_is]
    return band.write(band_of(header, tiles, stored, reconstructions), method, kept, colours, alpha)


def without_residual(
    header: Header, reconstructions: Sequence[np.ndarray | None], tiles: slice
) -> list[np.ndarray]:
    """What a decoder shows of tiles that have no residual: x̂(T), opaque; uint8 [h, w, channels]."""
    shown = []
    for reconstruction, (rows, columns) in zip(reconstructions, Tiling.of(header).tiles()[tiles]):
        shape = (rows.stop - rows.start, columns.stop - columns.start, 1)
        alpha = np.full(shape, 255, np.int16) if header.has_alpha else None
        whole = (
            planes.middle_of((*shape[:2], header.components)) if reconstruction is None else reconstruction
        )
        shown.append(planes.joined(header, whole[..., : header.components], alpha))
    return shown


def reconstructions_of(
    header: Header, model: Model, descriptions: Sequence[Description | None], tiles: slice
) -> list[np.ndarray | None]:
    """x̂(T) of each tile in Y, Co, Cg, int16 [h, w, 3], None where the SAID layer is off."""
    found: list[np.ndarray | None] = []
    for description, (rows, columns) in zip(descriptions, Tiling.of(header).tiles()[tiles]):
        if description is None:
            found.append(None)
        else:
            size = (columns.stop - columns.start, rows.stop - rows.start)
            found.append(planes_of(render(description, model, *size), header.grey))
    return found


def band_of(
    header: Header, tiles: slice, stored: Sequence[bool], reconstructions: Sequence[np.ndarray | None]
) -> Band:
    tiling = Tiling.of(header)
    shapes = [
        (rows.stop - rows.start, columns.stop - columns.start) for rows, columns in tiling.tiles()[tiles]
    ]
    size = (tiling.tile_width, tiling.tile_height)
    return Band(*size, shapes, stored, reconstructions, header.components, header.has_alpha)


def read(file: Container, model: Model, threads: int | None, progress: Progress) -> np.ndarray:
    """The image's pixels, uint8, by bands."""
    header, tiling = file.header, Tiling.of(file.header)
    method = method_of(header, model, threads)
    kinds, descriptions = read_section(file.said, tiling.count(), header.grey, model)
    bands = tiling.bands()
    if header.coder != ResidualCoder.NONE:
        check_lengths(header, method, file.bands or ())
    out = np.empty((header.height, header.width, header.channels), np.uint8)
    places = tiling.tiles()
    for tiles, stream in zip(bands, file.bands or [b""] * len(bands)):
        reconstructions = reconstructions_of(header, model, descriptions[tiles], tiles)
        if header.coder == ResidualCoder.NONE:
            decoded = without_residual(header, reconstructions, tiles)
        else:
            decoded = read_band(header, method, kinds[tiles], reconstructions, tiles, stream)
        for place, tile in zip(places[tiles], decoded):
            out[place] = tile
        progress(tiles.stop / len(places))
    return np.ascontiguousarray(planes.pixels_of(header, out))


def check_lengths(header: Header, method: Method, streams: Sequence[bytes]) -> None:
    """Refuse a band that has too few bits for its samples, before anything is allocated for them.

    Even where every sample has the likeliest symbol of the narrowest table, or is a copy of the surest
    kind, it costs a little.
    """
    cheapest = header.components * bank().cheapest
    if method.network and method.network.copies:
        cheapest = min(cheapest, min(float(table.bits.min()) for table in bank().copies))
    tiling = Tiling.of(header)
    places = tiling.tiles()
    for tiles, stream in zip(tiling.bands(), streams):
        pixels = sum(
            (rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in places[tiles]
        )
        if 8 * len(stream) + STREAM_SLACK < cheapest * pixels:
            raise CorruptError(f"{len(stream)} bytes cannot hold {pixels} pixels.")


def read_band(
    header: Header,
    method: Method,
    kinds: np.ndarray,
    reconstructions: Sequence[np.ndarray | None],
    tiles: slice,
    stream: bytes,
) -> list[np.ndarray]:
    """The band's tiles, uint8 [h, w, channels] each."""
    known = band_of(header, tiles, list(kinds == TileKind.STORED), reconstructions)
    stored, colours, alpha = (iter(part) for part in band.read(known, method, stream, header.channels))
    return [
        next(stored) if kind == TileKind.STORED else planes.joined(header, next(colours), next(alpha, None))
        for kind in kinds
    ]


def no_progress(share: float) -> None:
    """No-op."""


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def model_of(header: Header, named: AnyModel | None) -> Model:
    """The model that a file was written with.  Raises ModelError where it is not at hand."""
    if named is None:
        return models.find_id(header.model)
    found = named if isinstance(named, Model) else models.find(named)
    if found.id != header.model:
        raise ModelError(f"The file needs the model {header.model}, but {found.name} is {found.id}.")
    return found
