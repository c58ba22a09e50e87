"""The account of a file, its preview and features, and the picture of its boxes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import saidcodec
from saidcodec import codec, models
from saidcodec.errors import CorruptError
from saidcodec.format import container, planes
from saidcodec.format.tiling import Tiling
from saidcodec.inspection import SMALLEST_SIDE, draw_boxes
from saidcodec.residual import gaussian
from saidcodec.said import account, planes_of, render, section


def digit() -> np.ndarray:
    """A Multi-MNIST image of test digits, 64×64 RGB."""
    return np.asarray(Image.open(Path(__file__).with_name("digits.png")).convert("RGB"))


@pytest.mark.parametrize("options", [{}, {"residual": "gaussian", "glimpses": 4}])
def test_the_account_adds_up_and_latents_track_their_kl(options: dict[str, object]) -> None:
    data = codec.encode(digit(), model="multimnist", **options)
    account = saidcodec.inspect(data)
    bits = account["bits"]
    assert bits["total"] == 8 * len(data) == sum(v for k, v in bits.items() if k != "total")
    assert all(value >= 0 for value in bits.values())
    glimpses = account["glimpses"]
    assert len(glimpses) == options.get("glimpses", len(glimpses))
    assert abs(bits["latents"] - account["kl_bits"]) <= 0.5 * 10 * len(glimpses)
    for glimpse in glimpses:
        x0, y0, x1, y1 = glimpse["box"]
        assert 0 <= x0 < x1 <= 64
        assert 0 <= y0 < y1 <= 64
        assert glimpse["bits"] > 0


def test_overhead_of_a_small_file() -> None:
    """Beyond the information of its symbols a file of 64×64 takes 13.75 bytes on average."""
    rng, more = np.random.default_rng(1), []
    for glimpses in (0, 1, 3):
        for _ in range(8):
            pixels = np.clip(digit() + rng.integers(-2, 3), 0, 255).astype(np.uint8)
            data = codec.encode(pixels, model="multimnist", residual="gaussian", glimpses=glimpses)
            more.append(len(data) - information(data) / 8)
    assert min(more) > 12
    assert max(more) < 15
    assert np.mean(more) < 14


def information(data: bytes) -> float:
    """Bits of all symbols of a file with a Gaussian residual, by their frequencies."""
    file = container.unpack(data)
    model = models.find_id(file.header.model)
    said = codec.read_said(file, model)
    spent = section.kind_bits(said.kinds, model)
    samples = planes.colour_of(said.header, planes.channels_of(said.header, codec.decode(data)))
    shown = None
    for description in said.descriptions:
        if description is not None:
            spent += account(description, said.header.grey, model).bits(len(description.boxes))
            shown = planes_of(render(description, model, 64, 64), said.header)
    return spent + gaussian.residual_bits(samples, planes.or_middle(shown, samples.shape))


def test_glimpses_make_gaussian_files_smaller() -> None:
    with_glimpses = codec.encode(digit(), model="multimnist", residual="gaussian")
    assert len(with_glimpses) < len(
        codec.encode(digit(), model="multimnist", residual="gaussian", glimpses=0)
    )


def test_a_preview_with_more_glimpses_is_nearer() -> None:
    pixels = digit()
    data = codec.encode(pixels, model="multimnist", residual="gaussian", glimpses=3)
    errors = [np.square(saidcodec.preview(data, n).astype(float) - pixels).mean() for n in (0, 3)]
    assert errors[1] < errors[0]


def test_a_tile_without_glimpses_is_previewed_as_it_is() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    data = codec.encode(pixels, model="photo")
    assert np.array_equal(saidcodec.preview(data), pixels)
    for damaged in (data[:-4], data[:-1] + bytes([data[-1] ^ 1])):
        with pytest.raises(CorruptError, match="damaged or truncated"):
            saidcodec.preview(damaged)


def test_features_are_the_glimpses_without_the_pixels() -> None:
    data = codec.encode(digit(), model="multimnist", glimpses=3)
    account, found = saidcodec.inspect(data), saidcodec.features(data)
    assert found.boxes.tolist() == [glimpse["box"] for glimpse in account["glimpses"]]
    assert found.latents.shape == (3, 10)
    assert found.latents.dtype == np.float32
    assert 0 < np.abs(found.latents).max() < 8
    bits = account["bits"]
    needed = int((bits["total"] - bits["residual"]) / 8) + 8  # and what the coder's state may hold
    cut = saidcodec.features(data[:needed])
    assert np.array_equal(cut.latents, found.latents)
    with pytest.raises(CorruptError, match="truncated"):
        saidcodec.features(data[: needed - 16])


def test_bands_before_a_cut_are_previewed_as_they_are() -> None:
    pixels = np.tile(np.random.default_rng(2).integers(0, 9, (64, 8, 3)), (10, 64, 1)).astype(np.uint8)
    data = codec.encode(pixels, model="photo")
    first, second = Tiling.of(container.unpack(data).header).bands()
    seen = saidcodec.preview(data[:-9])
    assert np.array_equal(seen[first.rows], pixels[first.rows])
    assert (seen[second.rows] == seen[-1, -1]).all()


def test_features_of_a_file_without_glimpses() -> None:
    found = saidcodec.features(codec.encode(digit()[:9, :9], model="multimnist", glimpses=0))
    assert (found.tiles.shape, found.boxes.shape, found.latents.shape) == ((0,), (0, 4), (0, 10))


def test_features_of_several_tiles_lie_in_their_tiles() -> None:
    wide = np.tile(digit(), (2, 4, 1))
    found = saidcodec.features(codec.encode(wide, model="multimnist", glimpses=1))
    assert len(set(found.tiles.tolist())) == len(found.tiles) > 1
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
    assert found.boxes[:, 2].max() <= wide.shape[1]


def test_boxes_are_outlined_where_they_are() -> None:
    pixels = np.zeros((64, 128), np.uint8)
    drawn = np.asarray(draw_boxes(pixels, [{"box": [10, 20, 40, 60]}, {"box": [100, 0, 128, 64]}]))
    factor = SMALLEST_SIDE // 128
    assert drawn.shape == (64 * factor, 128 * factor, 3)
    marked = drawn.any(-1)
    assert marked[20 * factor : 60 * factor, 10 * factor].all()
    assert marked[60 * factor - 1, 10 * factor : 40 * factor].all()
    assert not marked[:, : 10 * factor].any()
    assert not marked[:, 40 * factor : 100 * factor].any()
    assert marked[64 * factor - 1, -1]


def test_large_images_keep_their_size_and_colours() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 700, 4)).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(draw_boxes(pixels, [])), pixels[..., :3])


def test_boxes_of_one_pixel() -> None:
    assert np.asarray(draw_boxes(np.zeros((1, 1, 3), np.uint8), [{"box": [0, 0, 1, 1]}])).any()


def test_labels_stay_inside() -> None:
    glimpses = [{"box": [511, 511, 512, 512]}] * 12
    drawn = np.asarray(draw_boxes(np.zeros((512, 512, 3), np.uint8), glimpses))
    assert drawn[:505].any()
