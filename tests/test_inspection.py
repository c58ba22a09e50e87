"""The account of a file, and its preview."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import saidcodec
from saidcodec import codec, container


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
    data = codec.encode(digit(), model="multimnist")
    file = container.unpack(data)
    assert len(data) - file.sizes["said"] - file.sizes["residual"] <= 24


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
    end = len(data) - container.unpack(data).sizes["residual"] - 4
    assert (saidcodec.preview(data[:end]) == saidcodec.preview(data[:end])[0, 0]).all()
