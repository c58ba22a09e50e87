"""Images out: the same pixels, or an error."""

import errno
import io
import warnings
from typing import Any

import numpy as np
import pytest
from pictures import RNG, SHAPES, exif, picture_of, pixels_of
from PIL import Image

from saidcodec import images
from saidcodec.errors import FileError, ImageError
from saidcodec.format.header import Metadata


@pytest.mark.parametrize("mode", SHAPES)
@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_lossless_formats_keep_every_sample(mode: str, name: str) -> None:
    pixels = pixels_of(mode)
    file = io.BytesIO()
    images.save(picture_of(pixels), file, name)
    back = Image.open(io.BytesIO(file.getvalue()))
    np.testing.assert_array_equal(np.array(back.convert(mode)), pixels)


def test_formats_by_suffix() -> None:
    names = {"a.png": "PNG", "b.JPG": "JPEG", "-": "PNG", "c.tif": "TIFF", "d.webp": "WEBP", "e.ppm": "PPM"}
    assert {target: images.format_of(target) for target in names} == names
    for target in ("a", "a.txt", "folder.png/a", ".png"):
        with pytest.raises(FileError, match="no image format"):
            images.format_of(target)


def test_modes_that_a_format_cannot_hold() -> None:
    with pytest.raises(ImageError, match="JPEG cannot hold an image of mode RGBA"):
        images.save(picture_of(pixels_of("RGBA")), io.BytesIO(), "JPEG")


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF", "JPEG2000", "TGA", "ICO", "GIF", "PPM", "BMP"])
@pytest.mark.parametrize("mode", SHAPES)
def test_saving_exactly_saves_the_same_or_refuses(mode: str, name: str) -> None:
    pixels = RNG.integers(0, 256, (40, 50, *SHAPES[mode][2:])).astype(np.uint8)
    file = io.BytesIO()
    exact = {"PNG", "WEBP", "TIFF", "ICO", "TGA", "JPEG2000"}
    exact |= {"PPM", "BMP"} if mode in ("L", "RGB") else set()
    exact |= {"GIF"} if mode == "L" else set()
    if name in exact:
        images.save_exactly(picture_of(pixels), file, name)
        back = Image.open(file)
        np.testing.assert_array_equal(
            np.asarray(back.convert("RGBA")), np.asarray(Image.fromarray(pixels).convert("RGBA"))
        )
    else:
        with pytest.raises(ImageError, match=f"{name}"):
            images.save_exactly(picture_of(pixels), file, name)


def test_colours_do_not_go_through_avif() -> None:
    pixels = RNG.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    with pytest.raises(ImageError, match=r"AVIF cannot hold this 50×40 RGB image exactly; .*--lossy"):
        images.save_exactly(picture_of(pixels), io.BytesIO(), "AVIF")


def test_an_opaque_alpha_may_go() -> None:
    pixels = pixels_of("RGBA")
    pixels[..., 3] = 255
    images.save_exactly(picture_of(pixels), io.BytesIO(), "PPM")


def test_icons_keep_their_size_or_are_refused() -> None:
    file = io.BytesIO()
    images.save_exactly(picture_of(np.zeros((100, 37, 3), np.uint8)), file, "ICO")
    assert Image.open(file).size == (37, 100)
    with pytest.raises(ImageError, match=r"ICO cannot hold an image of mode RGB: .*; \.png and \.tif can"):
        images.save_exactly(picture_of(np.zeros((300, 37, 3), np.uint8)), io.BytesIO(), "ICO")


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_a_turned_image_is_the_same_when_read_back(name: str) -> None:
    metadata = Metadata(exif=exif().removeprefix(images.EXIF_PREFIX))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images.save_exactly(picture_of(pixels_of("RGB"), metadata), io.BytesIO(), name)


class Full(io.BytesIO):
    """A file on a disk with room for 100 bytes."""

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "JPEG2000"])
def test_a_full_disk_is_not_the_fault_of_a_format(name: str) -> None:
    pixels = RNG.integers(0, 256, (20, 30)).astype(np.uint8)
    for frames in ([picture_of(pixels)], [picture_of(pixels), picture_of(pixels ^ 1)]):
        if len(frames) == 1 or name in ("PNG", "WEBP", "TIFF", "GIF"):
            with pytest.raises(OSError, match="No space left"):
                images.save_any(frames, 0, Full(), name, lossy=False)
