"""Transforms of colours are chosen by what parts of a band take."""

from __future__ import annotations

import numpy as np
import pytest
from factory import random_model
from PIL import Image

import saidcodec
from saidcodec import models
from saidcodec.encoder import writing
from saidcodec.encoder.estimate import (
    COLUMNS,
    PARTS,
    ROWS,
    is_far_shorter,
    learns_by_parity,
    parts_of,
    shortest,
    words_of,
)
from saidcodec.format import container, planes
from saidcodec.format.colour import DIFFERENCES, Transform
from saidcodec.format.header import Header, Metadata, Mode, ResidualCoder
from saidcodec.format.presentation import Presentation
from saidcodec.format.tiling import Tiling
from saidcodec.residual.band import method_of


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (15, 70), (40, 63), (500, 200)])
def test_parts_lie_inside(shape: tuple[int, int]) -> None:
    y, x = np.indices(shape)
    parts = parts_of(np.stack([y // 256, y % 256, x % 256], -1).astype(np.uint8))
    rows, columns = min(ROWS, shape[0]), min(COLUMNS, shape[1])
    assert parts.shape[1:] == (columns, 3)
    assert len(parts) == rows * max(1, min(PARTS, shape[0] // rows))
    tops = parts[::rows, 0, 0].astype(int) * 256 + parts[::rows, 0, 1]
    assert tops[0] == 0
    assert len(set(tops)) == len(tops)
    if len(tops) > 1:
        assert tops[-1] == shape[0] - rows


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("max_error", [0, 3])
def test_the_shortest_is_found(pair: tuple[int, int], max_error: int) -> None:
    """Two channels are the same noise: one of them has to come first, and the other next to it."""
    rng = np.random.default_rng(5)
    rgb = rng.integers(0, 256, (60, 70, 3)).astype(np.uint8)
    rgb[..., pair[1]] = rgb[..., pair[0]]
    model = random_model(3)
    header = Header(70, 60, Mode.RGB, False, ResidualCoder.CONTEXT, max_error, model.id, 64, 1, True)
    found = shortest(method_of(header, model), model, rgb, DIFFERENCES, 2)
    assert found.order[0] in pair
    assert shortest(method_of(header, model), model, rgb, [Transform.RGB], 1) == Transform.RGB


@pytest.mark.parametrize("common", [False, True])
def test_no_stream_of_a_band_as_it_is_is_far_shorter_than_expected(common: bool) -> None:
    """Nor where channels share their noise, which adaptation learns and the network alone does not see."""
    rng = np.random.default_rng(6)
    y, x = np.mgrid[:160, :200, :3][:2]
    noise = rng.normal(0, 6, (160, 200, 1 if common else 3))
    pixels = (120 + 60 * np.sin(x / 31) + 40 * np.cos(y / 23) + noise).astype(np.uint8)
    pixels[..., 2] = 255 - pixels[..., 2]
    model = models.find("photo")
    header = writing.header_of(pixels, Presentation("RGB"), model, "context", 0, "normal")
    method, (band,) = method_of(header, model), Tiling.of(header).bands()
    stream = writing.code_band(header, model, method, band, pixels, None, None, True, 1).stream
    assert not is_far_shorter(stream, header, method, model, pixels)
    assert is_far_shorter(stream[: len(stream) // 2], header, method, model, pixels)
    assert not is_far_shorter(b"", header, method, models.find("clevr"), pixels)


def test_what_was_interpolated_learns_by_parity() -> None:
    """Noise on every second pixel of every second row, and means of neighbours between."""
    rng = np.random.default_rng(7)
    noise = rng.normal(0, 9, (121, 301, 3))
    y, x = np.mgrid[:121, :301]
    plain = 120 + (60 * np.sin(x / 31) + 40 * np.cos(y / 23))[..., None] + noise
    between = plain.copy()
    between[:, 1:-1:2] = (between[:, :-2:2] + between[:, 2::2]) / 2
    between[1:-1:2] = (between[:-2:2] + between[2::2]) / 2
    model = models.find("photo")
    for pixels, expected in ((plain, False), (between, True)):
        pixels = pixels.clip(0, 255).astype(np.uint8)
        header = writing.header_of(pixels, Presentation("RGB"), model, "context", 0, "normal")
        assert learns_by_parity(header, model, pixels, 2) == expected
        data = writing.write(header, model, pixels, Metadata(), None, None, False, 1, lambda share: None)
        assert container.unpack(data).header.by_parity == expected


def test_near_lossless_patches_are_left_alone() -> None:
    """Each way is tried on the same samples, however many threads try."""
    rng = np.random.default_rng(8)
    pixels = (128 + rng.normal(0, 20, (130, 260))).clip(0, 255).astype(np.uint8)
    model = models.find("photo")
    header = writing.header_of(pixels, Presentation("L"), model, "context", 3, "normal")
    channels = planes.channels_of(header, pixels)
    method, components = method_of(header, model), planes.colour_of(header, channels)
    before = components.copy()
    first = words_of(method, model, components)
    assert np.array_equal(components, before)
    assert words_of(method, model, components) == first


def test_bits_have_no_parities() -> None:
    bits = np.random.default_rng(9).random((200, 200)) < 0.5
    data = saidcodec.encode(Image.fromarray(bits), model="photo")
    assert not container.unpack(data).header.by_parity
