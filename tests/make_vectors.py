"""Write the test vectors and the specification's worked example anew: after a change of format or models.

python tests/make_vectors.py
"""

from __future__ import annotations

import hashlib
import json
import textwrap
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from factory import EVERY_KIND
from pictures import frame_of
from PIL import Image

import saidcodec
from saidcodec import models
from saidcodec.encoder import writing
from saidcodec.entropy.bank import bank
from saidcodec.entropy.rans import uniform
from saidcodec.format import container
from saidcodec.format.colour import Transform
from saidcodec.format.frames import FrameKind
from saidcodec.format.header import VERSION, Header, Metadata, Mode, ResidualCoder
from saidcodec.format.levels import levels_of
from saidcodec.format.maps import Layout, Mapped, Rounding, Siting
from saidcodec.format.palette import Palette
from saidcodec.format.presentation import Presentation
from saidcodec.format.tiling import Tiling
from saidcodec.picture import Picture
from saidcodec.residual import mixed
from saidcodec.residual.band import Outline, method_of
from saidcodec.sequences import encode_all
from saidcodec.training import datasets

ROOT = Path(__file__).parent.parent
VECTORS, SPEC = ROOT / "tests" / "vectors", ROOT / "bitstream_spec.md"
EXAMPLE = "photo"  # the worked example's model


def pictures() -> Iterator[tuple[str, np.ndarray | Image.Image, dict[str, object]]]:
    """(name, image, options of ``encode``, ``encode_in_bands`` or ``encode_made_of``).

    A name begins with the model's.
    """
    scene = Image.open(ROOT / "examples" / "scene.png").convert("RGB")
    whole = np.asarray(scene)
    small = np.asarray(scene.resize((64, 64), Image.Resampling.LANCZOS))
    slope = np.linspace(0, 255, 53 * 70).reshape(53, 70, 1).astype(np.uint8)
    digits = np.asarray(Image.open(ROOT / "tests" / "digits.png").convert("RGB"))
    sprites = datasets.multi_dsprites(2, 12).images
    yield "photo-context", whole[100:180, 150:240], {}
    yield "photo-adaptation", whole[40:168, 60:188], {}
    yield "photo-adaptation-near-lossless", whole[40:168, 60:188], {"max_error": 3}
    yield "photo-adaptation-by-parity", interpolated(whole[40:169, 60:189]), {}
    yield "photo-bands", np.concatenate([whole[60:113, 90:160], slope], 2), {"side": 16, "bands": 4}
    yield "photo-rgba", np.concatenate([whole[:53, :70], slope], 2), {}
    yield "photo-near-lossless", whole[100:180, 150:240], {"max_error": 3}
    yield "photofine-context", whole[60:108, 90:138], {}
    yield "photofine-decisions", whole[40:168, 60:188], {"effort": "best"}
    yield "photo-decisions-grey", whole[90:218, 60:189, 1], {"effort": "best"}
    yield "clevr-context", small, {}
    yield "clevr-glimpses", small, {"glimpses": 5}
    yield "clevr-gaussian", small, {"residual": "gaussian"}
    yield "multimnist-context", digits, {}
    yield "multimnist-glimpses", digits, {"glimpses": 3}
    yield "multimnist-metadata", digits, {"metadata": EVERY_KIND}
    yield "multidsprites-context", sprites[0], {}
    yield "multidsprites-glimpses", sprites[1], {"glimpses": 3}
    yield "multidsprites-bands", sprites[0], {"side": 16, "bands": 2, "glimpses": 2}
    yield "multidsprites-near-lossless", small, {"max_error": 2}
    stretched = np.minimum(whole[100:150, 150:210] // 4 * 5, 255)
    yield "photo-levels", stretched, {"source": levels_of(stretched)}
    once = np.asarray(scene.convert("YCbCr"))[40:90, 60:121]
    for name, layout in (("photo-mapped", Layout()), ("photo-mapped-halved", HALVED)):
        source = made_of(once, layout)
        yield name, source.pixels(), {"source": source}
    yield "photo-differences", whole[60:110, 90:150], {"source": mixed.Differences(Transform.BRG)}
    yield "photo-graphics", drawing(), {"source": mixed.Graphics()}
    yield "photo-gradients", drawing(), {"source": mixed.Graphics(gradients=True)}
    part = scene.crop((100, 100, 190, 170))
    indexed = part.quantize(19)
    indexed.info["transparency"] = 4
    yield "photo-palette", indexed, {}
    yield "photo-bilevel", part.convert("1"), {}
    yield "photo-cmyk", part.crop((0, 0, 40, 30)).convert("CMYK"), {}
    keyed = part.crop((0, 0, 40, 30))
    keyed.info["transparency"] = (1, 2, 3)
    yield "photo-key", keyed, {}


def interpolated(pixels: np.ndarray) -> np.ndarray:
    """Noise on every second pixel of every second row, and the means of neighbours between."""
    found = pixels + np.random.default_rng(4).integers(-20, 21, pixels.shape)
    found[:, 1:-1:2] = (found[:, :-2:2] + found[:, 2::2]) // 2
    found[1:-1:2] = (found[:-2:2] + found[2::2]) // 2
    return found[:-1, :-1].clip(0, 255).astype(np.uint8)


def wide_pictures() -> Iterator[tuple[str, np.ndarray | Picture, dict[str, int]]]:
    """(name, image of uint16, options of ``encode``)."""
    y, x = np.mgrid[0:40, 0:75]
    rng = np.random.default_rng(2)
    light = 0.5 + 0.3 * np.sin(x / 9) * np.cos(y / 7) + 0.15 * (abs(x - y) < 9)
    planes = light[..., None] * (1, 0.8, 0.6, 0.9) + rng.normal(0, 0.004, (40, 75, 4))
    rgba = (planes.clip(0, 1) * 65535).astype(np.uint16)
    yield "wide-rgba", rgba, {}
    yield "wide-rgb-12-bits-shifted", rgba[:, :66, :3] >> 4 << 4, {}
    yield "wide-grey-10-bits", rgba[..., 0] >> 6, {}
    steps = np.sort(np.random.default_rng(3).choice(1024, 100, replace=False)).astype(np.uint16)
    yield "wide-grey-levels", steps[(planes[..., 0].clip(0, 1) * 99).astype(int)], {}
    yield "wide-near-lossless", rgba[..., :3], {"max_error": 90}
    yield "wide-alpha-near-lossless", rgba[..., 1:3] >> 5, {"max_error": 2}
    yield "wide-mask", ((x // 9 + y // 7) % 4 * 9001).astype(np.uint16), {}
    slope = np.where((x * y % 37 < 5) & (x % 40 < 20), 60_000, x * 800 + y).astype(np.uint16)
    yield "wide-packed", slope, {}
    yield "wide-stored", rng.integers(0, 4096, (9, 20, 2)).astype(np.uint16), {}
    yield "wide-replicated", np.repeat(rgba[:20, :20, :1], 3, 2), {}
    keyed = np.ascontiguousarray(rgba[:20, :30, :3])
    yield "wide-key", Picture(keyed, Presentation("RGB;16", key=(9, 65535, 257))), {}


HALVED = Layout(Siting.CENTRED, (True, True), (0, 1), Rounding.COLUMNS, ring=True)


def made_of(once: np.ndarray, layout: Layout) -> Mapped:
    """What has the luma of Y, Cb, Cr uint8 [h, w, 3], every second Cb and Cr along a halved axis, and a few
    exceptions."""
    height, width, _ = once.shape
    axes = zip(layout.halved, layout.grid(height, width), (height, width), strict=True)
    rows, columns = (np.minimum(np.arange(n) << half, last - 1) for half, n, last in axes)
    places = np.array([0, 1, 7 * width - 1, 7 * width, 900, height * width - 1])
    values = np.arange(18, dtype=np.uint8).reshape(6, 3) * 14
    relative = any(layout.halved)
    return Mapped(1, layout, once[..., 0], once[rows][:, columns, 1:], places, values, relative)


def drawing() -> np.ndarray:
    """Boxes, a pattern, a slope and a few odd pixels, RGBA."""
    y, x = np.mgrid[0:70, 0:160]
    pixels = np.full((70, 160, 4), (250, 248, 240, 255), np.uint8)
    pixels[8:30, 20:140] = (20, 60, 120, 255)
    pixels[12:26, 30:80][(x + y)[12:26, 30:80] % 5 == 0] = (240, 200, 40, 255)
    pixels[40:60, 90:110, 0] = (x * 7 + y * 3)[40:60, 90:110]
    pixels[44:50, 10:60, 3] = 128
    pixels[(x * 31 + y * 57) % 997 == 5] = (200, 0, 90, 60)
    return pixels


def encode_in_bands(
    pixels: np.ndarray, *, model: str, side: int, bands: int, glimpses: int | None = None
) -> bytes:
    """An adaptive file of RGB or RGBA with smaller tiles and more bands than ``encode`` would choose."""
    height, width, channels = pixels.shape
    mode, found = Mode("RGBA"[:channels]), models.find(model)
    header = Header(width, height, mode, False, ResidualCoder.CONTEXT, 0, found.id, side, bands, True)
    return writing.write(header, found, pixels, Metadata(), glimpses, None, False, 1, lambda share: None)


def encode_made_of(pixels: np.ndarray, *, model: str, source: mixed.Source) -> bytes:
    """An adaptive mixed file of RGB or RGBA with one band that was made of ``source``."""
    height, width, channels = pixels.shape
    mode, found = Mode("RGBA"[:channels]), models.find(model)
    header = Header(width, height, mode, False, ResidualCoder.MIXED, 0, found.id, 32, 1, True)
    (band,) = Tiling.of(header).bands()
    stream = mixed.write(header, method_of(header, found), Outline.plain(band), pixels, source)
    tiles = len(band.places)
    return writing.join(header, found, Metadata(), [0] * tiles, [None] * tiles, [stream])


def write_vectors() -> None:
    for path in VECTORS.glob("*.said"):
        path.unlink()
    listed = {}
    for name, pixels, options in pictures():
        encode = saidcodec.encode
        for option, other in (("bands", encode_in_bands), ("source", encode_made_of)):
            encode = other if option in options else encode
        data = encode(pixels, model=name.split("-")[0], **options)  # type: ignore[operator]
        seen = saidcodec.decode(data)
        (VECTORS / f"{name}.said").write_bytes(data)
        listed[name] = {"shape": list(seen.shape), "sha256": sha256(seen)}
    for name, pixels, bounds in wide_pictures():
        data = saidcodec.encode(pixels, **bounds)  # type: ignore[arg-type]
        seen = saidcodec.decode(data)
        (VECTORS / f"{name}.said").write_bytes(data)
        listed[name] = {"shape": list(seen.shape), "sha256": sha256(seen.astype("<u2"))}
    for name, frames in (("frames", frames_of_every_kind()), ("frames-palette", frames_of_one_palette())):
        listed[f"multimnist-{name}"] = write_frames(VECTORS / f"multimnist-{name}.said", frames)
    (VECTORS / "pixels.json").write_text(json.dumps(listed, indent=1) + "\n")


def frames_of_every_kind() -> list[Picture]:
    """Frames of two modes, and with metadata of their own."""
    digits = np.asarray(Image.open(ROOT / "tests" / "digits.png").convert("RGB"))
    moved = digits.copy()
    moved[20:30, 12:40] = digits[30:40, 12:40]
    y, x = np.mgrid[:32, :48]
    rough = np.dstack([(x * x * 37 + y * y * 91 + x * y * 53) // 7 % 256, 255 - y]).astype(np.uint8)
    marked = rough.copy()
    marked[:3, :3, 0] = marked[-3:, -3:, 1] = 200
    return [
        frame_of(digits, "RGB", EVERY_KIND, 40),
        frame_of(digits, "RGB", EVERY_KIND, 1000 / 30),
        frame_of(moved, "RGB", Metadata(comment=b"moved"), 1000 / 30),
        frame_of(rough, "LA", Metadata(), 0),
        frame_of(marked, "LA", EVERY_KIND, 40),
        frame_of(digits, "RGB", EVERY_KIND, 40),
    ]


def frames_of_one_palette() -> list[Picture]:
    """Frames of which some parts have the palette of the frame before, and some are masked."""
    y, x = np.mgrid[:40, :50]
    indices = ((x // 5 + y // 4) % 7).astype(np.uint8)
    colours = bytes((37 * i * i + 11 * i) % 256 for i in range(27))
    shown = Presentation("P", Palette(colours, transparency=2))
    moved, marked = indices.copy(), indices.copy()
    moved[9:15, 20:31] = 5
    marked[:3, :3] = marked[-3:, -3:] = 7
    frames = [indices, moved, moved, marked, indices]
    return [Picture(one, shown, Metadata(), 40) for one in frames]


def write_frames(path: Path, table: list[Picture]) -> dict[str, object]:
    """A file with frames of every kind."""

    def encode(picture: Picture) -> bytes:
        return saidcodec.encode(picture, model="multimnist")

    path.write_bytes(encode_all(table, 3, encode, exact=True))
    frames = saidcodec.Frames(path)
    assert {frame.kind for frame in frames.table.frames} == {*FrameKind}
    told = [
        {"shape": list(pixels.shape), "sha256": sha256(pixels), "duration": frame.duration}
        for pixels, frame in zip(frames, frames.table.frames, strict=True)
    ]
    first = {"shape": told[0]["shape"], "sha256": told[0]["sha256"]}
    return {**first, "plays": frames.plays, "ticks": frames.table.ticks, "frames": told}


class Stream:
    """Section 3's decoder, which shows its state."""

    def __init__(self, data: bytes):
        more = data[0] >> 6
        first = int.from_bytes(data[: 1 + more], "big") - (more << (6 + 8 * more))
        rest = [int.from_bytes(data[i : i + 4], "big") for i in range(1 + more, len(data), 4)]
        self.words = [*reversed(rest), *[first][: first > 0]]
        self.state = self.words.pop() if self.words else 0
        if self.words:
            self.state = self.state << 32 | self.words.pop()

    def take(self, frequency: np.ndarray) -> int:
        below = np.concatenate([[0], np.cumsum(frequency)])
        low = self.state & 0xFFFFFF
        symbol = int(np.searchsorted(below, low, "right")) - 1
        self.state = (self.state >> 24) * int(frequency[symbol]) + low - int(below[symbol])
        if self.state < 1 << 32 and self.words:
            self.state = self.state << 32 | self.words.pop()
        return symbol


def worked_example() -> str:
    y, x = np.mgrid[0:4, 0:8]
    pixels = (126 + (x + 2 * y) % 5).astype(np.uint8)
    data = saidcodec.encode(pixels, model=EXAMPLE, residual="gaussian", glimpses=0)
    file = container.unpack(data)
    (stream,) = file.streams
    major, minor = VERSION
    parts = [
        (3, f"signature, version {major}.{minor}"),
        (1, "layout: mode 0 (L), residual coder 1 (Gaussian)"),
        (1, "2·(width − 1) + 1, with width 8: the height follows"),
        (1, "height − 1 = 3"),
        (2, f"model {EXAMPLE}, {models.find(EXAMPLE).id}"),
        (len(stream), "the only band's stream"),
    ]
    rows, rest = [], data
    for count, meaning in parts:
        own, rest = rest[:count], rest[count:]
        for i in range(0, count, 12):
            rows.append(f"    {own[i : i + 12].hex(' ').upper():<38}{'' if i else meaning}".rstrip())
    assert not rest
    model = models.find(EXAMPLE)
    kinds = model.tensors["tile.kind.frequency"]
    residual = Stream(stream)
    begun = residual.state
    notes = [
        f"SAID section. The state starts as {begun:#018x}; `tile.kind.frequency` is {kinds.tolist()}, so its "
        f"lowest 24 bits, {begun & 0xFFFFFF:#x}, give symbol {residual.take(kinds)}: the only tile is plain.",
    ]
    check = [residual.take(uniform(256).frequency) for _ in range(2)]
    assert bytes(check) == container.head_check(file.head, model.id)
    notes.append(
        f"Head checksum. Two symbols of uniform(256): {check[0]:02X} {check[1]:02X}, the CRC-16 of "
        f"{bytes.fromhex(model.id).hex(' ').upper()} and the {len(file.head)} bytes before the stream."
    )
    begun = residual.state
    scale = residual.take(uniform(44).frequency)
    notes.append(
        f"Residual. The state is {begun:#018x}. The scale index is taken with uniform(44): "
        f"{scale}; the state becomes {residual.state:#018x}."
    )
    symbols, states = [], []
    for _ in range(3):
        symbols.append(residual.take(bank().gaussian[scale].frequency))
        states.append(f"{residual.state:#018x}")
    notes.append(
        f"With row {scale} of `gaussian` the first three symbols are {', '.join(map(str, symbols))}; the "
        f"states after them are {', '.join(states)}."
    )
    samples = [128 + symbol - 510 for symbol in symbols]
    assert samples == pixels.ravel()[:3].tolist()
    notes.append(
        f"The prediction is 128 everywhere, so the first three samples are {', '.join(map(str, samples))}."
    )
    for _ in range(pixels.size - len(symbols)):
        residual.take(bank().gaussian[scale].frequency)
    assert not residual.words
    assert residual.state == zlib.crc32(bytes.fromhex(model.id) + pixels.tobytes())
    notes.append(
        "The other samples follow in the same way; after the last no word is left and the state is "
        f"{residual.state:#010x}, the CRC-32 of the model's id and the 32 samples."
    )
    told = "\n".join(textwrap.fill("- " + note, 116, subsequent_indent="  ") for note in notes)
    table = "\n".join(rows)
    return (
        "A grey image of 8×4 pixels, whose sample at (x, y) is 126 + (x + 2y) mod 5, encoded with the model "
        f"`{EXAMPLE}`,\nthe Gaussian residual and no glimpses, is a file of {len(data)} bytes:\n\n"
        f"{table}\n\n{told}\n"
    )


def write_archive() -> None:
    """An archive of images with glimpses and without, in several modes, of graphics, and of a whole file."""
    digits = np.asarray(Image.open(ROOT / "tests" / "digits.png").convert("RGB"))
    y, x = np.mgrid[:16, :16]
    unfit = [((x * x + 3 * y + 17 * i) % 256).astype(np.uint8) for i in range(12)]
    flat = np.full((24, 40, 3), 200, np.uint8)
    flat[5:20, 3:9] = 17, 90, 30
    images = [digits, *unfit, np.dstack([unfit[0], unfit[1]]), flat, np.tile(flat, (8, 8, 1)), digits[:40]]
    names = [f"{i // 4}/{i:02}.png" for i in range(len(images))]
    labels = [str(image.ndim) for image in images]
    path = VECTORS / "archive.saids"
    saidcodec.pack(images, path, names=names, labels=labels, model="multimnist", effort="best", force=True)
    archive = saidcodec.Archive(path)
    head = archive.group(0).head
    assert head.rows
    assert {kind and kind.coder for kind in head.kinds} == {None, ResidualCoder.CONTEXT, ResidualCoder.MIXED}
    assert len(archive.features()[0].boxes)
    assert all(map(np.array_equal, archive, images))
    facts = [
        {"name": name, "label": label, "shape": image.shape, "sha256": sha256(image)}
        for name, label, image in zip(names, labels, images, strict=True)
    ]
    path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")


def sha256(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest()


def main() -> None:
    write_vectors()
    write_archive()
    spec = SPEC.read_text(encoding="utf-8")
    heading = "## 11. Worked example\n\n"
    SPEC.write_text(spec[: spec.index(heading)] + heading + worked_example(), encoding="utf-8")


if __name__ == "__main__":
    main()
