"""Files are opened, or refused in one sentence."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from pictures import RNG, animation, picture_of
from PIL import Image

from saidcodec import images
from saidcodec.errors import ImageError, LimitError


def test_what_is_no_image() -> None:
    with pytest.raises(ImageError, match="holiday is not an image"):
        images.open_image(io.BytesIO(b"no image"), "holiday")


def test_too_many_pixels_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    header = b"P5 16385 16384 255\n"
    with pytest.raises(LimitError, match=r"it has more pixels.*16385×16384"):
        images.open_image(io.BytesIO(header), "it")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    image = Image.open(io.BytesIO(header))
    with pytest.raises(LimitError, match="16385×16384"):
        images.from_pillow(image)
    with pytest.raises(LimitError, match="it has more pixels"):
        images.open_image(io.BytesIO(b"P5 100000 100000 255\n"), "it")


def test_large_images_are_opened_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert images.open_image(io.BytesIO(b"P5 16384 16384 255\n"), "it").width == 16384


def test_an_image_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "it.png"
    Image.new("L", (3, 2)).save(path)
    assert images.open_image(path, "it").size == (3, 2)


def test_pillow_s_limit_is_left_alone() -> None:
    before = Image.MAX_IMAGE_PIXELS
    images.open_image(io.BytesIO(b"P5 16384 16384 255\n"), "it")
    assert before == Image.MAX_IMAGE_PIXELS


def test_files_without_a_name() -> None:
    with pytest.raises(ImageError, match=r"^The file is not an image that Pillow can open\.$"):
        images.from_any(io.BytesIO(b"noise"))
    file = io.BytesIO()
    animation().save(file, "GIF", save_all=True)
    file.seek(0)
    with pytest.raises(ImageError, match=r"^It has several frames"):
        images.from_any(file)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_truncated_images(name: str) -> None:
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (90, 90, 3)).astype(np.uint8)).save(file, name)
    data = file.getvalue()
    for length in range(0, len(data) - 20, len(data) // 40):
        with pytest.raises(ImageError):
            images.from_pillow(images.open_image(io.BytesIO(data[:length]), "it"))


def test_tiff_files_have_no_limit_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    file, pages = io.BytesIO(), [Image.new("CMYK", (40, 30), (1, 2, 3, 4)), Image.new("RGB", (50, 20))]
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    found = images.several_frames(images.ImageFile(file.getvalue(), None))
    assert found is not None
    assert [one.pixels.shape for one in found] == [(30, 40, 4), (20, 50, 3)]
    images.save_exactly(picture_of(np.zeros((30, 40, 3), np.uint8)), io.BytesIO(), "TIFF")
    with pytest.raises(Image.DecompressionBombError):
        Image.open(file)
