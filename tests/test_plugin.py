"""Pillow opens and saves .said files."""

import io
from pathlib import Path

import numpy as np
import pytest
from factory import random_tensors
from PIL import Image

import saidcodec
from saidcodec import models
from saidcodec.plugins import pillow

pillow.register()
RNG = np.random.default_rng(2)
SHAPES = {"L": (6, 9), "LA": (6, 9, 2), "RGB": (6, 9, 3), "RGBA": (6, 9, 4)}


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models.save(tmp_path / "random.safetensors", random_tensors(), {"name": "random"})
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path))


def noise(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(RNG.integers(0, 256, SHAPES[mode]).astype(np.uint8))


def saved(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "SAID", model="random", **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", SHAPES)
def test_round_trip(mode: str, tmp_path: Path) -> None:
    image = noise(mode)
    path = tmp_path / "it.said"
    image.save(path, model="random")
    with Image.open(path) as back:
        assert (back.format, back.mode, back.size) == ("SAID", mode, (9, 6))
        assert Image.MIME["SAID"] == back.get_format_mimetype() == "image/x-said"
        np.testing.assert_array_equal(np.asarray(back), np.asarray(image))


def test_pixels_are_decoded_when_they_are_needed() -> None:
    data = bytearray(saved(noise()))
    data[-1] ^= 1  # of the pixels' checksum
    image = Image.open(io.BytesIO(bytes(data)))
    assert image.size == (9, 6)
    with pytest.raises(OSError, match="checksum"):
        image.load()


def test_options_reach_the_encoder() -> None:
    image = noise()
    back = np.asarray(Image.open(io.BytesIO(saved(image, max_error=9, residual="gaussian"))))
    assert 0 < abs(back.astype(int) - np.asarray(image)).max() <= 9


def test_metadata() -> None:
    tags = Image.Exif()
    tags[0x010F] = "A camera"
    image = Image.open(io.BytesIO(saved(noise(), exif=tags, icc_profile=b"profile", xmp=b"<x/>")))
    again = Image.open(io.BytesIO(saved(image)))
    for one in (image, again):
        assert one.getexif()[0x010F] == "A camera"
        assert one.info["icc_profile"] == b"profile"
        assert one.info["xmp"] == b"<x/>"
    assert "xmp" not in Image.open(io.BytesIO(saved(again, xmp=b""))).info


def test_files_of_the_api_and_of_pillow_are_the_same() -> None:
    image = noise()
    assert saved(image) == saidcodec.encode(image, model="random")


def test_what_cannot_be_saved() -> None:
    with pytest.raises(OSError, match="CMYK"):
        Image.new("CMYK", (2, 2)).save(io.BytesIO(), "SAID")


@pytest.mark.parametrize("length", [4, 8, 12])
def test_damaged_files(length: int) -> None:
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(saved(noise())[:length]))


def test_other_files_are_left_to_others() -> None:
    file = io.BytesIO()
    noise().save(file, "PNG")
    assert Image.open(io.BytesIO(file.getvalue())).format == "PNG"
