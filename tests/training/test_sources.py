"""What trainings learn from: tiles with noise."""

from itertools import islice, repeat
from pathlib import Path

import numpy as np

from saidcodec import models
from saidcodec.format import colour
from saidcodec.training import residual, shrink, sources
from saidcodec.training.commands.residual import first_weights
from saidcodec.training.windows import Tiles

SHIPPED = Path(__file__).parents[2] / "models"


def ramps(n):
    """Images of a slope so slight that it is mostly steps."""
    slope = np.linspace(100.0, 108.0, 64)[:, None, None] + np.zeros((n, 64, 64, 3))
    return np.rint(slope).astype(np.uint8)


def test_noise_is_faint_and_dissolves_steps():
    images = ramps(40)
    noisy = sources.disturbed(images, np.random.default_rng(0)).astype(float)
    even = np.linspace(100.0, 108.0, 64)[:, None, None]
    left = noisy - even
    assert 0.3 < left.std() < 0.7
    assert abs(left.mean()) < 0.02
    assert left.mean((0, 2, 3)).std() < 0.75 * (images - even).std()
    luma = left.mean(3)
    assert (luma[:, 1:] * luma[:, :-1]).mean() < 0.15 * luma.var()
    assert np.corrcoef(left.reshape(-1, 3).T)[0, 1] > 0.3


def test_a_share_of_the_tiles_gets_noise_and_keeps_it_for_some_turns():
    planes = colour.forward(ramps(200))
    grey = (np.arange(200) % 2).astype(np.uint8)
    tiles = Tiles(planes, planes + 1, np.ones(200, np.uint8), grey, whole=False)
    pool = sources.with_noise(lambda rng: repeat(tiles), 0.25)(np.random.default_rng(0))
    turns = [*islice(pool, sources.TURNS + 1)]
    assert all(turn is turns[0] for turn in turns[: sources.TURNS])
    first, second = ((turn.planes != planes).any((1, 2, 3)) for turn in turns[-2:])
    assert 30 < first.sum() < 70
    assert (first != second).any()
    assert not turns[0].planes[grey == 1, ..., 1:].any()
    assert turns[0].planes[grey == 0, ..., 1:].any()
    assert turns[0].reconstruction is tiles.reconstruction
    assert not turns[0].whole
    assert np.array_equal(tiles.planes, planes)


def test_a_model_of_the_same_shape_goes_on_as_integers():
    """Also one with copies, which cannot be cut; its weights and their steps are those of the file."""
    for path in (SHIPPED / "clevr.safetensors", SHIPPED / "multimnist.safetensors"):
        tensors = models.load(path).tensors
        shape = shrink.recounted(shrink.network_of(tensors)).shape
        network = first_weights(path, shape, Tiles(*[np.zeros(0)] * 4))
        assert network.qat
        found = residual.export(network)
        for name in (name for name in found if name.endswith(".weight") and "trunk0" not in name):
            for tensor in (name, name.replace("weight", "shift")):
                assert np.array_equal(found[tensor], tensors[tensor]), tensor


def test_a_share_of_the_images_gets_noise_for_good():
    images = np.full((40, 8, 8, 3), 120, np.uint8)
    found = sources.noised(images, 0.25, np.random.default_rng(0))
    changed = (found != images).any(axis=(1, 2, 3))
    assert 4 <= changed.sum() <= 16
    assert (images == 120).all()
    assert (found == found[..., :1]).all()
    coloured = sources.noised(images + np.array([0, 20, 40], np.uint8), 1.0, np.random.default_rng(0))
    assert (np.ptp(coloured.astype(int) - [0, 20, 40], axis=3) > 0).any()
    assert np.abs(found.astype(int) - images).max() < 16
