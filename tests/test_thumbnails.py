"""Small pictures of images: every pixel is the mean of its square, and no side is longer than was asked."""

from pathlib import Path

import numpy as np
import pytest
from factory import banded_file, random_model
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import saidcodec
from saidcodec import codec, thumbnails, wide
from saidcodec.errors import CorruptError, TruncatedError
from saidcodec.format.header import Metadata
from saidcodec.format.presentation import Presentation

MODEL = random_model()
BANDS, PIXELS = banded_file(MODEL)


def squares(pixels: np.ndarray, factor: int) -> np.ndarray:
    """The mean of every square, pixel by pixel; colours weighted by alpha."""
    pixels = pixels.reshape(*pixels.shape[:2], -1).astype(float)
    height, width, channels = pixels.shape
    out = np.empty((-(-height // factor), -(-width // factor), channels))
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            square = pixels[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor].reshape(
                -1, channels
            )
            weight = square[:, -1:] if channels in (2, 4) else np.ones((len(square), 1))
            out[y, x] = (square * weight).sum(0) / max(1, weight.sum())
            if channels in (2, 4):
                out[y, x, -1] = weight.mean()
    return out


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 80), st.integers(1, 3))
def test_reduced_over_bands(factor: int, threads: int) -> None:
    found = thumbnails.decode(BANDS, factor, model=MODEL, threads=threads)
    assert found.dtype == np.uint8
    assert abs(found - squares(PIXELS, factor)).max() <= 0.5


@pytest.mark.parametrize("shape", [(9, 11), (9, 11, 2), (9, 11, 3), (9, 11, 4)])
def test_reduced_of_every_mode(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, shape).astype(np.uint8)
    if len(shape) == 3 and shape[2] != 3:
        pixels[:4, :4, -1] = 0
    data = codec.encode(pixels, model=MODEL, glimpses=0)
    for factor in (2, 4):
        found = thumbnails.decode(data, factor, model=MODEL)
        assert found.ndim == len(shape)
        wanted = squares(pixels, factor)
        assert abs(found.reshape(wanted.shape) - wanted).max() <= 0.5


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_of_16_bits(channels: int) -> None:
    y, x = np.mgrid[:30, :41]
    pixels = np.stack([700 * y + 900 * x + 5 * c for c in range(channels)], -1).astype(np.uint16)
    if channels in (2, 4):
        pixels[..., -1] = np.where(x < 9, 0, 65535 - y)
    header = wide.header_of(pixels, Presentation(wide_mode(channels)), 0)._replace(side=16, most_bands=2)
    data = wide.write(header, pixels if channels > 1 else pixels[..., 0], Metadata(), 1)
    for factor in (2, 7):
        wanted = squares(pixels, factor)
        found = thumbnails.decode(data, factor)
        assert found.dtype == np.uint16
        assert abs(found.reshape(wanted.shape) - wanted).max() <= 0.5
    small = saidcodec.preview(data, size=20).reshape(15, 20, channels)
    shown = pixels[7:-8, 15:-9].reshape(-1, channels)
    assert abs(small[4:-4, 8:-5].reshape(-1, channels).mean(0) - shown.mean(0)).max() < 600
    if channels in (2, 4):
        assert small[0, 0, -1] == 0
    with pytest.raises(TruncatedError):
        saidcodec.preview(data[:-40], size=20)


def wide_mode(channels: int) -> str:
    return ("I;16", "LA;16", "RGB;16", "RGBA;16")[channels - 1]


@pytest.mark.parametrize(
    ("size", "wanted"), [(1, (1, 1)), (7, (7, 5)), (30, (30, 23)), (70, (70, 53)), (99, (70, 53))]
)
def test_a_preview_has_the_size_that_is_asked_for(size: int, wanted: tuple[int, int]) -> None:
    found = saidcodec.preview(BANDS, size=size, model=MODEL)
    assert found.shape == (wanted[1], wanted[0], 4)
    fair = Image.fromarray(PIXELS).resize(wanted, Image.Resampling.BICUBIC)
    assert abs(found.astype(int) - np.asarray(fair)).mean() < 4


def test_narrow_images_keep_a_pixel() -> None:
    data = codec.encode(np.full((2, 150), 9, np.uint8), model=MODEL, glimpses=0)
    assert saidcodec.preview(data, size=10, model=MODEL).tolist() == [[9] * 10]


def test_a_preview_of_glimpses_alone_and_of_a_file_that_is_cut_off() -> None:
    data = (Path(__file__).parent / "vectors" / "clevr-glimpses.said").read_bytes()
    small = saidcodec.preview(data, size=16)
    glimpses = saidcodec.preview(data, 9, size=16)
    exact = Image.fromarray(saidcodec.decode(data)).resize((16, 16), Image.Resampling.BICUBIC)
    errors = [abs(one.astype(int) - np.asarray(exact)).mean() for one in (small, glimpses)]
    assert errors[0] < 1 < errors[1]
    cut = saidcodec.preview(BANDS[:-5], size=35, model=MODEL)  # the last band is grey
    assert abs(cut[:18].astype(int) - saidcodec.preview(BANDS, size=35, model=MODEL)[:18]).mean() < 2
    assert np.unique(cut[-3:]).tolist() == [128, 255]


def test_damage_is_noticed() -> None:
    with pytest.raises(CorruptError, match="damaged"):
        saidcodec.preview(BANDS[:-1] + bytes([BANDS[-1] ^ 1]), size=9, model=MODEL)


@pytest.mark.parametrize("size", [0, -1])
def test_sizes_that_are_none(size: int) -> None:
    with pytest.raises(ValueError, match="size must be a whole number from 1 on"):
        saidcodec.preview(BANDS, size=size, model=MODEL)
