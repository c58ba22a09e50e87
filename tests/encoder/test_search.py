"""The encoder's glimpse loop: crops, and glimpses that pay."""

import numpy as np
import pytest
from factory import flat_colour_model

from saidcodec import models
from saidcodec.encoder import search
from saidcodec.encoder.crop import crop
from saidcodec.encoder.search import describe, neighbours, on_canvas, valid
from saidcodec.said import account, render
from saidcodec.said.description import iou

MODEL = flat_colour_model()


@pytest.fixture
def middle(monkeypatch):
    """A glimpse network that always proposes the same box in the middle."""
    box = np.array([24.0, 24.0, 40.0, 40.0])
    monkeypatch.setattr(search, "propose", lambda error, scope, model: np.tile(box, (len(error), 1)))


def scene(width=64, height=64):
    """Two rectangles on black that no 8×8 base can hold, 14 and 18 canvas units wide."""
    tile = np.zeros((height, width, 3), np.uint8)
    for low, high, colour in ((3, 17, (200, 100, 40)), (37, 55, (20, 240, 160))):
        tile[low * height // 64 : high * height // 64, low * width // 64 : high * width // 64] = colour
    return tile


def error(description, tile):
    shape = tile.shape[1], tile.shape[0]
    return float(((render(description, MODEL, *shape).astype(float) - tile) ** 2).mean())


@pytest.mark.parametrize("size", [(64, 64), (128, 96), (40, 150)])
def test_glimpses_find_the_rectangles(middle, size):
    tile = scene(*size)
    (options,) = describe([tile], False, MODEL, 8, (8,))
    (description,) = options
    assert len(description.boxes) >= 2
    errors = [error(description.first(n), tile) for n in range(3)]
    assert errors[2] < 0.4 * errors[0]
    spent = account(description, False, MODEL)
    for n in range(2):
        saved = 0.5 * tile.size * np.log2((errors[n] + 1) / (errors[n + 1] + 1))
        assert saved > spent.boxes[n] + spent.latents[n]


@pytest.mark.skipif("multimnist" not in map(models.stem, models.installed()), reason="the model is not there")
def test_the_shipped_model_finds_a_ring():
    """A digit-like zero on black, with the networks as they are."""
    y, x = np.indices((64, 64)) + 0.5
    radius = np.hypot((x - 24) / 6, (y - 38) / 7)
    ring = 255 * np.exp(-(((radius - 0.8) / 0.3) ** 2))
    tile = np.repeat(ring.astype(np.uint8)[..., None], 3, -1)
    model = models.find("multimnist")
    ((description,),) = describe([tile], True, model, 4, (8,))
    x0, y0, x1, y1 = description.boxes[0]
    assert x0 < 24 < x1
    assert y0 < 38 < y1
    before, after = (
        ((render(description.first(n), model, 64, 64).astype(float) - tile) ** 2).mean() for n in (0, 1)
    )
    assert after < 0.3 * before


def test_every_step_gets_its_own_base_and_the_same_glimpses(middle):
    (options,) = describe([scene()], False, MODEL, 4, (2, 5, 8))
    assert [option.step for option in options] == [2, 5, 8]
    assert all((option.boxes == options[0].boxes).all() for option in options)
    assert all((option.latents == options[0].latents).all() for option in options)
    assert account(options[2], False, MODEL).base < account(options[0], False, MODEL).base


def test_a_colour_counts_beside_a_restless_luma(middle):
    """One σ for all components would be that of luma, of which the glimpse explains nothing."""
    y, x = np.indices((64, 64))
    tile = np.repeat(np.where((x + y) % 2, 190, 70).astype(np.uint8)[..., None], 3, -1)
    tile[26:38, 26:38] += np.array([8, 0, 0], np.uint8)
    tile[26:38, 26:38] -= np.array([0, 0, 8], np.uint8)
    ((description,),) = describe([tile], False, MODEL, 1, (8,))
    overlap = iou(description.boxes, np.array([[26, 26, 38, 38]]))
    assert overlap.max() > 0.6


def test_tiles_do_not_depend_on_their_company(middle):
    tiles = [scene(64 + i, 64) for i in range(search.TOGETHER + 2)]
    together = describe(tiles, False, MODEL, 3, (5,))
    for i in (0, len(tiles) - 1):
        (alone,) = describe([tiles[i]], False, MODEL, 3, (5,))
        assert (alone[0].boxes == together[i][0].boxes).all()
        assert (alone[0].latents == together[i][0].latents).all()


def test_without_a_limit_above_zero_no_network_runs(monkeypatch):
    monkeypatch.setattr(search, "propose", None)
    (options,) = describe([scene()], True, MODEL, 0, (3, 6))
    assert all(len(option.boxes) == 0 for option in options)
    assert all((option.base[..., 1:] == 0).all() for option in options)
    assert describe([], False, MODEL, 4, (3,)) == []


def test_an_even_tile_gets_no_glimpse_unless_forced(middle):
    tile = np.full((64, 64, 3), 50, np.uint8)
    assert len(describe([tile], False, MODEL, 4, (0,))[0][0].boxes) == 0
    assert len(describe([tile], False, MODEL, 4, (0,), forced=True)[0][0].boxes) == 4


def test_boxes_to_try_are_valid():
    rng = np.random.default_rng(0)
    for box in (np.array([0, 0, 4, 4]), np.array([60, 60, 64, 64]), np.array([0, 0, 64, 64])):
        for options in (neighbours(box), valid(rng.normal(32, 40, (50, 4)))):
            assert (options[:, :2] >= 0).all()
            assert (options[:, 2:] <= 64).all()
            assert (options[:, 2:] - options[:, :2] >= search.SMALLEST_BOX).all()


def test_a_crop_of_one_colour_is_that_colour():
    tile = np.zeros((128, 64, 3), np.float32)
    tile[32:64, 16:32] = (0.25, 0.5, 1.0)
    found = crop(tile, np.array([[16, 16, 32, 32]]), 8)
    assert found.shape == (1, 8, 8, 3)
    assert found[0, 1:7, 1:7] == pytest.approx(np.broadcast_to((0.25, 0.5, 1.0), (6, 6, 3)))


def test_a_crop_of_16_pixels_is_their_average_by_fours_or_they():
    tile = np.random.default_rng(1).random((64, 64, 3), np.float32)
    box = np.array([[5, 30, 21, 46]])
    pixels = tile[30:46, 5:21]
    assert crop(tile, box, 8)[0] == pytest.approx(pixels.reshape(8, 2, 8, 2, 3).mean((1, 3)), abs=1e-6)
    assert crop(tile, box, 16)[0] == pytest.approx(pixels, abs=1e-6)


def test_a_crop_of_a_slope_is_the_slope_at_any_scale():
    for height, width in ((64, 64), (200, 90)):
        x = np.tile((np.arange(width) + 0.5) / width, (height, 1))
        tile = np.repeat(x[..., None], 3, -1).astype(np.float32)
        found = crop(tile, np.array([[8, 8, 40, 24]]), 8)
        assert found[0, 0, :, 0] == pytest.approx((8 + (np.arange(8) + 0.5) * 4) / 64, abs=1e-5)


def test_the_canvas_of_a_large_tile_is_its_average():
    error_map = np.random.default_rng(2).normal(size=(128, 192, 3)).astype(np.float32)
    expected = error_map.reshape(64, 2, 64, 3, 3).mean((1, 3))
    assert on_canvas(error_map) == pytest.approx(expected, abs=1e-5)
