"""Images in: no visible pixel changes, and what cannot be kept is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import RNG, SHAPES, pixels_of, reopened, seen, source_with_metadata
from PIL import Image

from saidcodec import images
from saidcodec.errors import ImageError, SaidWarning
from saidcodec.format.header import Metadata
from saidcodec.format.palette import Palette
from saidcodec.format.presentation import Presentation


def seen_after(image: Image.Image) -> np.ndarray:
    picture = images.from_pillow(image)
    back = images.to_pillow(picture)
    assert back.mode == picture.presentation.mode
    return seen(back)


@pytest.mark.parametrize("mode", SHAPES)
def test_the_four_modes_are_kept_exactly(mode: str) -> None:
    pixels = pixels_of(mode)
    picture = images.from_pillow(Image.fromarray(pixels))
    found = picture.pixels
    assert picture[1:] == (Presentation(mode), Metadata(), 0)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, pixels)
    back = images.to_pillow(picture)
    assert back.mode == mode
    np.testing.assert_array_equal(np.asarray(back), pixels)


def test_bilevel() -> None:
    bits = RNG.integers(0, 2, (9, 13)).astype(bool)
    pixels, presentation, _, _ = images.from_pillow(Image.fromarray(bits))
    assert presentation == Presentation("1")
    assert pixels.dtype == np.bool_
    np.testing.assert_array_equal(pixels, bits)


def test_palette() -> None:
    image = Image.fromarray(pixels_of("RGB")).quantize(11)
    picture = images.from_pillow(image)
    assert picture.presentation.palette == Palette(bytes(image.getpalette()))
    np.testing.assert_array_equal(picture.pixels, np.asarray(image))
    np.testing.assert_array_equal(picture.colours(), np.asarray(image.convert("RGB")))
    np.testing.assert_array_equal(seen_after(image), seen(image))


def test_an_index_beyond_the_palette_gets_the_colour_that_is_seen() -> None:
    image = Image.fromarray(pixels_of("RGB")).quantize(11)
    image.putpalette(image.getpalette()[:9], "RGB")
    picture = images.from_pillow(image)
    assert picture.presentation.palette
    assert len(picture.presentation.palette) == picture.pixels.max() + 1 > 3
    np.testing.assert_array_equal(picture.colours(), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("transparency", [3, bytes([0, 99, 255, 7])])
def test_palette_with_transparency(transparency: Any) -> None:
    image = reopened(Image.fromarray(pixels_of("RGB")).quantize(11), "PNG", transparency=transparency)
    assert image.mode == "P"
    picture = images.from_pillow(image)
    assert picture.presentation.palette
    assert picture.presentation.palette.transparency == transparency
    assert images.to_pillow(picture).info["transparency"] == transparency
    np.testing.assert_array_equal(picture.colours(), np.asarray(image.convert("RGBA")))
    np.testing.assert_array_equal(seen_after(image), seen(image))


def test_palette_of_colours_with_alpha() -> None:
    image = Image.new("P", (4, 1))
    image.putpalette(bytes(range(16)), "RGBA")
    image.putdata([0, 1, 2, 3])
    picture = images.from_pillow(image)
    assert picture.presentation.palette == Palette(bytes(range(16)), 4)
    np.testing.assert_array_equal(picture.colours().reshape(-1), np.arange(16))
    np.testing.assert_array_equal(seen_after(image), seen(image))


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (7, 8, 9)), ("1", 0)])
def test_a_colour_that_means_transparent(mode: str, key: Any) -> None:
    image = Image.new(mode, (6, 2), 1)
    image.putpixel((1, 1), key)
    opened = reopened(image, "PNG", transparency=key)
    assert "transparency" in opened.info
    picture = images.from_pillow(opened)
    assert picture.presentation == Presentation(mode, key=key if mode == "RGB" else (key,))
    assert images.to_pillow(picture).info["transparency"] == key
    shown = seen_after(opened)
    assert shown[1, 1, 3] == 0
    assert (shown[..., 3] == 255).sum() == 11
    np.testing.assert_array_equal(shown, seen(opened))


@pytest.mark.parametrize("key", ["red", (1, 2), (1, 2, -1), (1, 2, 1.5)])
def test_a_transparency_that_is_no_colour_is_named(key: Any) -> None:
    image = Image.new("RGB", (6, 2), 1)
    image.info["transparency"] = key
    with pytest.warns(SaidWarning, match="transparency cannot be kept: it is no colour"):
        assert images.from_pillow(image).presentation == Presentation("RGB")


@pytest.mark.filterwarnings("ignore:The image's palette is not kept")
@pytest.mark.parametrize("mode", ["PA", "RGBX", "YCbCr"])
def test_equivalent_modes(mode: str) -> None:
    source = Image.fromarray(pixels_of("RGB"))
    image = source.quantize(8).convert("PA") if mode == "PA" else source.convert(mode)
    np.testing.assert_array_equal(seen_after(image), seen(image))


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_alpha(mode: str) -> None:
    image = Image.fromarray(pixels_of(mode.upper())).convert(mode)
    pixels, found, _, _ = images.from_pillow(image)
    assert found.mode == mode.upper()
    np.testing.assert_array_equal(pixels, np.asarray(image.convert(mode.upper())))


@pytest.mark.parametrize("mode", ["LAB", "HSV", "I", "F"])
def test_modes_that_are_refused(mode: str) -> None:
    with pytest.raises(ImageError, match=f"mode {mode} "):
        images.from_pillow(Image.new(mode, (3, 3)))


def test_an_image_of_a_file_that_is_gone_is_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "it.png"
    Image.fromarray(pixels_of("RGB")).save(path)
    image = Image.open(path)
    image.load()
    path.unlink()
    assert images.from_any(image).presentation.mode == "RGB"
    path.write_bytes(b"something else")
    assert images.from_any(image).presentation.mode == "RGB"


def test_encoding_leaves_the_callers_image_alone() -> None:
    image = source_with_metadata("TIFF")
    image.load()
    before = dict(image.getexif())
    images.from_pillow(image)
    assert dict(image.getexif()) == before
