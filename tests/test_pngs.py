"""PNG files of every kind come back as they were."""

import io
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from factory import random_model
from PIL import Image
from pngs import GREY, Kind, body_of, kinds, png, sample

import saidcodec
from saidcodec import images
from saidcodec.cli import main
from saidcodec.codec import decode_image, encode

MODEL = random_model()
KINDS = [*kinds()]
SHALLOW = [kind for kind in KINDS if kind.depth < 16]


def opened(data: bytes) -> Image.Image:
    """A file as Pillow shows it, with the key in the samples' own scale."""
    image = Image.open(io.BytesIO(data))
    image.load()
    depth, colour = data[24:26]
    if colour == GREY and depth in (2, 4) and "transparency" in image.info:
        image.info["transparency"] *= 255 // ((1 << depth) - 1)
    return image


def same(one: Image.Image, other: Image.Image) -> None:
    """Assert that mode, samples, palette and transparency are the same."""
    assert one.mode == other.mode
    np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    assert one.getpalette() == other.getpalette()
    assert one.info.get("transparency") == other.info.get("transparency")


@pytest.mark.parametrize("kind", SHALLOW, ids=str)
def test_there_and_back(kind: Kind) -> None:
    data = sample(kind)
    coded = encode(io.BytesIO(data), model=MODEL)
    picture = decode_image(coded, model=MODEL)
    same(images.to_pillow(picture), opened(data))
    file = io.BytesIO()
    images.save_exactly(picture, file, "PNG")
    same(opened(file.getvalue()), opened(data))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_same_greys_of_few_bits_are_transparent(depth: int, interlaced: bool) -> None:
    samples = np.random.default_rng(depth).integers(0, 1 << depth, (9, 11, 1))
    samples[1, 2] = key = (1 << depth) - 1  # which ``png`` takes for the key
    data = png(Kind(GREY, depth, "key", interlaced), samples)
    picture = decode_image(encode(io.BytesIO(data), model=MODEL), model=MODEL)
    np.testing.assert_array_equal(picture.smooth().pixels[..., 1] == 0, samples[..., 0] == key)
    file = io.BytesIO()
    images.save_exactly(picture, file, "PNG")
    assert body_of(file.getvalue(), b"tRNS") == (b"\0\1" if depth == 1 else b"\0\xff")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.depth == 16], ids=str)
def test_sixteen_bits_there_and_back(kind: Kind) -> None:
    picture = images.from_file(sample(kind), "it")
    assert picture.pixels.dtype == np.uint16
    found = decode_image(encode(io.BytesIO(sample(kind))))
    np.testing.assert_array_equal(found.pixels, picture.pixels)
    assert found.presentation == picture.presentation
    file = io.BytesIO()
    images.save_exactly(found, file, "PNG")
    back = images.from_file(file.getvalue(), "it")
    np.testing.assert_array_equal(back.pixels, picture.pixels)
    assert back.presentation == picture.presentation
    assert body_of(file.getvalue(), b"tRNS") == body_of(sample(kind), b"tRNS")


def test_arrays_have_colours_and_bits() -> None:
    indexed, bits = (Kind(3, 4, "index", False), Kind(0, 1, "", False))
    pixels = saidcodec.decode(encode(io.BytesIO(sample(indexed)), model=MODEL), model=MODEL)
    np.testing.assert_array_equal(pixels, np.asarray(opened(sample(indexed)).convert("RGBA")))
    pixels = saidcodec.decode(encode(io.BytesIO(sample(bits)), model=MODEL), model=MODEL)
    assert pixels.dtype == np.bool_
    np.testing.assert_array_equal(pixels, np.asarray(opened(sample(bits))))


@pytest.mark.parametrize("kind", [Kind(3, 4, "alphas", True), Kind(0, 1, "key", False)], ids=str)
def test_the_commands(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.png").write_bytes(sample(kind))

    def run(*words: str) -> str:
        result = CliRunner().invoke(main, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    run("encode", "a.png")
    run("verify", "a.said")
    run("decode", "a.said", "b.png")
    same(opened(Path("b.png").read_bytes()), opened(sample(kind)))
    assert run("compare", "a.said", "a.png").startswith(f"equal: 19×23 {'P' if kind.colour == 3 else '1'}")
    run("decode", "a.said", "part.png", "--region", "3,4,5,6")
    whole = opened(sample(kind))
    assert np.array_equal(np.asarray(opened(Path("part.png").read_bytes())), np.asarray(whole)[4:10, 3:8])
    mode = "P of 16 colours" if kind.colour == 3 else "1"
    assert f"19 x 23 {mode}, lossless, version" in run("inspect", "a.said")
    run("preview", "a.said", "small.png", "--size", "8")
    Path("folder").mkdir()
    Path("folder/a.png").write_bytes(sample(kind))
    run("pack", "folder", "all.saids")
    run("unpack", "all.saids", "out")
    same(opened(Path("out/a.png").read_bytes()), opened(sample(kind)))


def test_what_other_palettes_are_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    image = opened(sample(Kind(3, 4, "", False)))
    image.save("a.png")
    indices = np.asarray(image)
    colours = image.getpalette()
    other = Image.frombytes("P", image.size, (15 - indices).tobytes())
    other.putpalette([n for i in reversed(range(16)) for n in colours[3 * i : 3 * i + 3]])
    other.save("b.png")
    result = CliRunner().invoke(main, ["compare", "a.png", "b.png"])
    assert result.exit_code == 1
    assert result.output.splitlines() == ["equal pixels", "different palette, indices"]


@pytest.mark.parametrize(
    "kind", [Kind(3, 8, "index", False), Kind(0, 1, "", False), Kind(2, 8, "key", False)], ids=str
)
def test_pillow_opens_what_it_saved(kind: Kind) -> None:
    saidcodec.register()
    image = opened(sample(kind))
    file = io.BytesIO()
    image.save(file, "SAID")
    same(opened(file.getvalue()), image)
    reduced = Image.open(io.BytesIO(file.getvalue()))
    reduced.draft(None, (9, 9))
    mode = {"P": "RGBA", "1": "L"}.get(image.mode, image.mode)
    assert reduced.mode == (f"{mode}A" if image.mode != "P" and "transparency" in image.info else mode)
    assert np.asarray(reduced).shape[:2] == (12, 10)


def test_cmyk_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, 4)).astype(np.uint8)
    Image.frombytes("CMYK", (30, 20), pixels.tobytes()).save("a.tif")
    run = CliRunner()
    assert run.invoke(main, ["encode", "a.tif"]).exit_code == 0
    np.testing.assert_array_equal(saidcodec.decode("a.said"), pixels)
    assert run.invoke(main, ["decode", "a.said", "b.tif"]).exit_code == 0
    with Image.open("b.tif") as back:
        same(back, Image.frombytes("CMYK", (30, 20), pixels.tobytes()))
    assert run.invoke(main, ["decode", "a.said", "b.jpg", "--lossy"]).exit_code == 0
    for name in ("c.png", "c.webp"):
        result = run.invoke(main, ["decode", "a.said", name])
        assert result.exit_code == 1
        assert ".tif can" in result.stderr
        assert not Path(name).exists()


def test_formats_without_palettes_say_so() -> None:
    picture = images.from_pillow(opened(sample(Kind(3, 8, "", False))))
    with pytest.warns(saidcodec.SaidWarning, match="WEBP does not keep the image's palette"):
        images.save_exactly(picture, io.BytesIO(), "WEBP")


def test_lossy_files_have_no_palette() -> None:
    """Unless the exact file is the shorter one, as that of noise in sixteen colours."""
    picture = images.from_pillow(opened(sample(Kind(3, 4, "index", False))))
    assert decode_image(encode(picture, model=MODEL, max_error=2), model=MODEL).presentation.mode == "P"
    found = decode_image(encode(picture, model=MODEL, residual="none"), model=MODEL)
    assert found.presentation.mode == "RGBA"
    y, x = np.indices((64, 64))
    greys = np.clip(x + y + 60 + np.random.default_rng(0).normal(0, 6, x.shape), 0, 255).astype(np.uint8)
    smooth = Image.fromarray(greys, "P")
    smooth.putpalette(np.repeat(np.arange(256), 3).astype(np.uint8).tobytes())
    data = encode(images.from_pillow(smooth), model="photo", max_error=2)
    assert decode_image(data).presentation.mode == "RGB"
