"""What a file tells before its residual is decoded: inspect, features, preview, the picture of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from saidcodec import arguments, codec, images, thumbnails
from saidcodec.arguments import Source
from saidcodec.codec import AnyModel, SaidSection
from saidcodec.entropy.rans import Decoder
from saidcodec.errors import ImageError, about
from saidcodec.format import container, planes
from saidcodec.format.container import Container
from saidcodec.format.frames import FrameKind, FrameTable
from saidcodec.format.header import VERSION, Header, Metadata, ResidualCoder, TileKind
from saidcodec.format.metadata import KINDS, values_of
from saidcodec.format.tiling import Place, Tiling
from saidcodec.models import Model
from saidcodec.objects import Objects, objects_of
from saidcodec.residual.band import method_of
from saidcodec.said import Description, account, render_band, render_steps
from saidcodec.said.description import LATENTS, box_pixels
from saidcodec.said.latent import dequantise, kl_bits
from saidcodec.said.section import kind_bits
from saidcodec.window import Bytes

if TYPE_CHECKING:
    from PIL.Image import Image

GRAIN = 1024  # bits are reported in 1024ths, so that sums of floats are exact
SMALLEST_SIDE = 512  # pixels of a picture; smaller images are enlarged by a whole factor
HUES = 7  # of the boxes
CHECK_BITS, CHECKSUM_BITS = 8 * container.HEAD_CHECK_BYTES, 32
NO_PREVIEW = (
    "A file of more than 8 bits a sample has no glimpses to show; a size gives a small picture of it."
)
MIDDLE_GREY, OPAQUE = 128, 255
EXPLAINED = 25.0  # variance, in squared sample values, that is taken as left to the residual


def read_head(data: Source, model: AnyModel | None) -> tuple[Container, Model, SaidSection] | Container:
    """What a file holds, as far as it goes on; its model; what stands before its residual.

    A file that needs no model has nothing of the kind, and is given alone.
    """
    with about(arguments.name_of(data)), arguments.opened(data) as contents:
        return head_in(contents, model)


def head_in(contents: Bytes, model: AnyModel | None) -> tuple[Container, Model, SaidSection] | Container:
    """``read_head`` of a file's bytes."""
    return head_of(container.unpack(contents, whole=False), model)


def head_of(file: Container, model: AnyModel | None) -> tuple[Container, Model, SaidSection] | Container:
    """``read_head`` of what has been unpacked."""
    if file.header.wide:
        from saidcodec import wide  # with coders that few files need

        with codec.damage():
            wide.check_head(file)
        return file
    found = codec.model_for(file, model)
    with codec.damage():
        return file, found, codec.read_said(file, found)


def inspect(data: Source, *, model: AnyModel | None = None) -> dict[str, Any]:
    """The account of a file (README, "Use it"), without decoding its residual.

    ``max_error`` is the largest error of a sample, 0 of a lossless file, None of one without a residual.
    ``bits`` adds up to 8 × the file's size.  A glimpse's ``bits`` are those of its box and latent;
    ``saved_bits`` estimates from the file alone what it spared the residual (see ``saving``).  An object's
    ``glimpses`` are the numbers, from 0 on, of those that show it: several where it lies in several tiles.
    Of a file of several frames ``bits``, ``kl_bits`` and ``max_error`` are those of all, what else is told of
    an image is that of the first, and ``frames`` says of each how it is coded, in how many bytes, and for how
    many milliseconds it is shown.
    ``data``: a bytes-like object, a path or an open binary file.
    Raises a kind of SaidError, or TypeError for other objects.
    """
    with about(arguments.name_of(data)), arguments.opened(data) as contents:
        several = container.split(contents, whole=False)
        if several is None:
            return inspect_image(container.unpack_image(contents, whole=False), model)
        return inspect_frames(*several, len(contents), model)


def inspect_frames(
    table: FrameTable, files: list[Bytes], size: int, model: AnyModel | None
) -> dict[str, Any]:
    """The account of a file of so many bytes; frames that it lacks because it is cut off are left out."""
    accounts, frames, pixels, shown = list[dict[str, Any]](), list[dict[str, Any]](), 0, 0
    palette = None
    for frame, data, duration in zip(table.frames, files, table.durations(), strict=True):
        if len(data) < frame.length and accounts:
            break
        told = {"kind": frame.kind.name.lower(), "bytes": len(data), "duration": duration}
        if frame.kind != FrameKind.SAME:
            file = container.unpack_image(data, whole=False, before=palette)
            palette = file.header.palette
            account = inspect_image(file, model)
            accounts.append(account)
            told.update({key: account[key] for key in ("width", "height", "mode")}, x=frame.x, y=frame.y)
            pixels = account["width"] * account["height"] if frame.kind == FrameKind.WHOLE else pixels
        frames.append(told)
        shown += pixels
    total = 8.0 * size
    bits = {key: sum(account["bits"][key] for account in accounts) for key in accounts[0]["bits"]}
    errors = [account["max_error"] for account in accounts]
    bits["header"] += total - bits["total"]
    return {
        **accounts[0],
        "max_error": None if None in errors else max(errors),
        "bits": {**bits, "total": total},
        "kl_bits": sum(account["kl_bits"] for account in accounts),
        "bpp": total / shown,
        "plays": table.plays,
        "frames": frames,
    }


def inspect_image(image: Container, model: AnyModel | None) -> dict[str, Any]:
    """The account of a file of one image."""
    head = head_of(image, model)
    if isinstance(head, Container):
        return account_of_wide(head)
    file, found, said = head
    header = said.header
    base = boxes = latents = kl = 0.0
    glimpses = []
    for tile, description in enumerate(said.descriptions):
        if description is not None:
            spent = account(description, header.grey, found)
            base += spent.base
            boxes += spent.count[len(description.boxes)] + spent.boxes.sum()
            latents += spent.latents.sum()
            kl += kl_bits(description.latents, found).sum()
            glimpses += glimpses_of(header, found, tile, description, spent.boxes + spent.latents)
    bits = {"base": grain(base), "boxes": grain(boxes), "latents": grain(latents)}
    checks = CHECK_BITS + CHECKSUM_BITS * len(file.streams)
    residual = 8 * sum(map(len, file.streams)) - kind_bits(said.kinds, found) - checks
    bits["residual"] = max(0.0, grain(residual) - sum(bits.values()))
    bits["metadata"] = 8.0 * file.metadata_bytes
    named = {"name": found.name, "id": found.id}
    return {
        **facts_of(file, named, bits),
        "kl_bits": grain(kl),
        "glimpses": glimpses,
        "objects": objects_told(header, glimpses),
    }


def account_of_wide(file: Container) -> dict[str, Any]:
    """The account of a file that needs no model."""
    streams = 8.0 * sum(map(len, file.streams))
    residual = max(0.0, streams - CHECK_BITS - CHECKSUM_BITS * len(file.streams))
    parts = {"base": 0.0, "boxes": 0.0, "latents": 0.0, "residual": residual}
    facts = facts_of(file, None, {**parts, "metadata": 8.0 * file.metadata_bytes})
    return {**facts, "kl_bits": 0.0, "glimpses": [], "objects": []}


def facts_of(file: Container, model: dict[str, str] | None, bits: dict[str, float]) -> dict[str, Any]:
    """What an account says of the whole file; ``bits`` of everything but the header."""
    header, total = file.header, 8.0 * file.size
    return {
        "width": header.width,
        "height": header.height,
        "mode": header.presentation.mode,
        "depth": header.depth,
        "max_error": None if header.coder == ResidualCoder.NONE else header.max_error,
        **({"palette": len(header.palette)} if header.palette else {}),
        "version": ".".join(map(str, VERSION)),
        "model": model,
        "bits": {"header": total - sum(bits.values()), **bits, "total": total},
        "metadata": metadata_told(file.metadata),
        "bpp": total / (header.width * header.height),
    }


def metadata_told(metadata: Metadata) -> list[dict[str, Any]]:
    """The kinds of metadata in a file: their names, bytes before compression, and what short ones say."""
    about = {
        "resolution": "",
        "texts": ", ".join(images.printable(text.key) for text in metadata.texts),
        "chunks": ", ".join(kind.decode() for kind, _ in metadata.chunks),
    }
    if metadata.resolution:
        from saidcodec.images import resolution

        about["resolution"] = resolution.described(metadata.resolution)
    values = values_of(metadata)
    return [
        {"kind": name, "bytes": len(values[name]), "about": about.get(name, "")}
        for name in KINDS.values()
        if values[name]
    ]


@dataclass(frozen=True)
class Features:
    """What a file's glimpses say, in file order: ``tiles`` int [n], which tile each belongs to; ``boxes`` int
    [n, 4], (x0, y0, x1, y1) in image pixels; ``latents`` float32 [n, 10] in latent units, about N(0, 1).
    ``objects``: the same boxes, but one where glimpses of neighbouring tiles show one thing."""

    tiles: np.ndarray
    boxes: np.ndarray
    latents: np.ndarray
    objects: Objects


NO_BOXES = np.zeros((0, 4), int)
NO_FEATURES = Features(np.zeros(0, int), NO_BOXES, np.zeros((0, LATENTS), np.float32), Objects(NO_BOXES, []))


def features(data: Source, *, model: AnyModel | None = None) -> Features:
    """The glimpses of a file as arrays, without decoding a pixel (spec sections 9.4, 9.5).

    ``data`` as for ``inspect``.  Raises a kind of SaidError, TypeError.
    """
    return header_and_features(data, model=model)[1]


def header_and_features(data: Source, *, model: AnyModel | None = None) -> tuple[Header, Features]:
    """A file's header and its glimpses; as ``features``."""
    head = read_head(data, model)
    if isinstance(head, Container):
        return head.header, NO_FEATURES
    _, found, said = head
    return said.header, features_of(said.header, said.descriptions, found)


def features_of(header: Header, descriptions: Sequence[Description | None], model: Model) -> Features:
    """The glimpses of an image's tiles as arrays."""
    tiling = Tiling.of(header)
    tiles, boxes = [], []
    latents = [np.zeros((0, LATENTS), np.int32)]
    for tile, description in enumerate(descriptions):
        if description is not None and len(description.boxes):
            tiles += [tile] * len(description.boxes)
            place = tiling.tile(tile)
            boxes += [corners(place, box) for box in description.boxes.tolist()]
            latents.append(description.latents)
    units = dequantise(np.concatenate(latents), model)
    of_tiles, in_pixels = np.array(tiles, int), np.array(boxes, int).reshape(-1, 4)
    return Features(of_tiles, in_pixels, units, objects_of(of_tiles, in_pixels, tiling))


def corners(place: Place, box: Sequence[int] | np.ndarray) -> list[int]:
    """The box of the tile at ``place`` as (x0, y0, x1, y1) in image pixels."""
    rows, columns = place
    down, across = box_pixels(box, columns.stop - columns.start, rows.stop - rows.start)
    x, y = columns.start, rows.start
    return [x + across.start, y + down.start, x + across.stop, y + down.stop]


def grain(bits: float) -> float:
    return round(float(bits) * GRAIN) / GRAIN


def glimpses_of(
    header: Header, model: Model, tile: int, description: Description, bits: np.ndarray
) -> list[dict[str, Any]]:
    """The glimpses of one tile in the form that ``inspect`` gives them; boxes in image pixels."""
    at = Tiling.of(header).tile(tile)
    width, height = at[1].stop - at[1].start, at[0].stop - at[0].start
    steps = list(render_steps(description, model, width, height))
    found = []
    for t, box in enumerate(description.boxes):
        down, across = box_pixels(box, width, height)
        saved = saving(steps[t][down, across], steps[t + 1][down, across], header.components)
        corner = corners(at, box)
        found.append({"tile": tile, "box": corner, "bits": grain(bits[t]), "saved_bits": grain(saved)})
    return found


def objects_told(header: Header, glimpses: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The objects of an image in the form that ``inspect`` gives them, of its glimpses in that form."""
    tiles = np.array([glimpse["tile"] for glimpse in glimpses], int)
    boxes = np.array([glimpse["box"] for glimpse in glimpses], int).reshape(-1, 4)
    found = objects_of(tiles, boxes, Tiling.of(header))
    return [
        {"box": box, "glimpses": parts, "saved_bits": sum(glimpses[i]["saved_bits"] for i in parts)}
        for box, parts in zip(found.boxes.tolist(), found.glimpses, strict=True)
    ]


def saving(before: np.ndarray, after: np.ndarray, components: int) -> float:
    """Bits of n/2 log2(1 + d²/25) for a mean squared change d² over the n samples of a box."""
    change = float(((after.astype(float) - before) ** 2).mean())
    samples = before.shape[0] * before.shape[1] * components
    return 0.5 * samples * float(np.log2(1.0 + change / EXPLAINED))


def preview(
    data: Source,
    glimpses: int | None = None,
    *,
    size: int | None = None,
    model: AnyModel | None = None,
) -> np.ndarray:
    """The image as its SAID layer alone describes it, uint8 H×W or H×W×C, alpha opaque; bits as greys.
    Of an image of more than 8 bits a sample, which has none, there are thumbnails alone, in uint16.

    ``glimpses`` keeps only the first so many of each tile.  Tiles that have no SAID layer are decoded in
    full, and are grey in bands that a file of several bands lacks because it is cut off.
    ``size``: no side is longer than so many pixels; the image is reduced, but never enlarged.  Without
    ``glimpses`` it is the image itself that is decoded and reduced, if all of it is there.
    ``data`` as for ``inspect``.
    Raises a kind of SaidError; TypeError or ValueError for arguments of another kind.
    """
    if glimpses is not None:
        glimpses = arguments.whole("glimpses", glimpses, 0)
    if size is not None:
        size = arguments.whole("size", size, 1)
    with about(arguments.name_of(data)), arguments.opened(data) as contents:
        file = container.unpack(contents, whole=False)
        found = codec.opened_model(file, model)
        with codec.damage():
            if size is not None and glimpses is None and (file.complete or found is None):
                return thumbnails.thumbnail(file, found, size)
            if found is None:
                raise ImageError(NO_PREVIEW)
            if size is None:
                return described(file, found, glimpses)
            return thumbnails.fitted(described(file, found, glimpses), file.header, size)


def described(file: Container, model: Model, glimpses: int | None) -> np.ndarray:
    """``preview`` in the image's own size."""
    said = codec.read_said(file, model)
    header = said.header
    method = method_of(header, model)
    whole = len(file.streams) - (not file.complete)
    out = np.empty((header.height, header.width, header.channels), np.uint8)
    known = np.ones(header.height, bool)
    for number, band in enumerate(Tiling.of(header).bands()):
        own, kept = said.kinds[band.tiles], said.descriptions[band.tiles]
        planes.check_kinds(header, own)
        known[band.rows] = number < whole
        shown = out[band.rows]
        cut = [d if d is None or glimpses is None else d.first(glimpses) for d in kept]
        reconstruction = render_band(cut, band, header, model)
        shown[...] = planes.without_residual(header, reconstruction, (band.height, band.width))
        if number < whole and (own != TileKind.SAID).any():
            stream = bytes(file.streams[number])
            rest = Decoder(stream) if number else codec.read_said(file, model, whole=True).rest
            exact = codec.read_band(header, model, method, band, own, kept, rest)
            for place, kind in zip(band.places, own, strict=True):
                if kind != TileKind.SAID:
                    shown[place] = exact[place]
    return np.ascontiguousarray(smooth_pixels(header, out, known))


def smooth_pixels(header: Header, channels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Channels of which some may be described alone → the pixels of a preview.

    ``known`` bool [h]: which rows of an image with a palette are there; the others are grey.
    """
    presentation = header.presentation
    if header.palette:
        indices = np.minimum(channels, len(header.palette) - 1)
        pixels = presentation.smoothed(planes.pixels_of(header, indices))
        pixels[~known] = (MIDDLE_GREY, MIDDLE_GREY, MIDDLE_GREY, OPAQUE)[: pixels.shape[2]]
        return pixels
    return channels[..., 0] if header.depth == 1 else planes.pixels_of(header, channels)


def draw_boxes(pixels: np.ndarray, glimpses: list[dict[str, Any]]) -> Image:
    """``pixels`` uint8 H×W or H×W×C with the boxes of ``glimpses`` (as ``inspect`` lists them)."""
    from PIL import Image, ImageColor, ImageDraw, ImageFont

    image = Image.fromarray(pixels).convert("RGB")
    factor = max(1, -(-SMALLEST_SIDE // max(image.size)))
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=14)
    for number, glimpse in enumerate(glimpses, 1):
        colour = ImageColor.getrgb(f"hsl({360 * (number - 1) // HUES % 360}, 90%, 60%)")
        x0, y0, x1, y1 = (factor * v for v in glimpse["box"])
        draw.rectangle((x0, y0, x1 - 1, y1 - 1), outline=colour, width=2)
        label = str(number)
        left, top, right, bottom = draw.textbbox((0, 0), label, font=font)
        width, height = right - left + 5, bottom - top + 5
        x, y = max(0, min(x0, image.width - 1 - width)), max(0, min(y0, image.height - 1 - height))
        draw.rectangle((x, y, x + width, y + height), fill=colour)
        draw.text((x + 3 - left, y + 2 - top), label, fill="black", font=font)
    return image
