"""What the commands of ``saidcodec train`` learn from and measure on, by the name of a dataset."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from saidcodec.format import colour
from saidcodec.models import Model
from saidcodec.training import datasets, export, photos, reconstruct
from saidcodec.training.datasets import Dataset
from saidcodec.training.windows import Tiles

HELD_OUT = 200  # generated images to measure on
MEASURED_PHOTOGRAPHS = 40  # to measure on, at most
TILE = 64  # side of a photograph's tiles in the training of the residual network
POOL, FRESH = 4096, 256  # tiles that windows are drawn from, and how many of them a turn replaces

TURNS = 4  # of a pool for which its noise stays
STRENGTHS = (0.15, 0.5)  # of noise: deviation in medium grey, sample values
SLOPES = (-1.0, 0.3)  # how much stronger noise is in white than in medium grey, as a share
MEDIUM = 128.0
COLOURED = 0.25  # deviation of the noise that a component has for itself, as a share of what all have

Pool = Callable[[np.random.Generator], Iterator[Tiles]]


def multimnist(path: Path, n: int, seed: int) -> tuple[Dataset, Dataset]:
    train_digits, test_digits = (datasets.mnist_digits(path, split) for split in ("train", "test"))
    return datasets.multi_mnist(train_digits, n, seed), datasets.multi_mnist(test_digits, HELD_OUT, seed + 1)


def multidsprites(path: Path, n: int, seed: int) -> tuple[Dataset, Dataset]:
    return datasets.multi_dsprites(n, seed), datasets.multi_dsprites(HELD_OUT, seed + 1)


def sheets(path: Path, n: int, seed: int) -> tuple[Dataset, Dataset]:
    return datasets.sheets(path, "train"), datasets.sheets(path, "dev")


def scenes(path: Path, n: int, seed: int) -> tuple[Dataset, Dataset]:
    return split(datasets.scenes(path).images, seed)


def photographs(path: Path, n: int, seed: int) -> tuple[Dataset, Dataset]:
    images = datasets.open_folder(path)
    last = max(1, len(images) // 10)  # whole photographs are held out, not crops of those trained on
    return datasets.photographs(images[:-last] or images, n, seed), datasets.photographs(
        images[-last:], HELD_OUT, seed + 1
    )


def split(images: np.ndarray, seed: int) -> tuple[Dataset, Dataset]:
    """A tenth of the images, at most 200, held out; a single image serves both ends."""
    order = np.random.default_rng(seed).permutation(len(images))
    last = min(HELD_OUT, max(1, len(images) // 10))
    return Dataset(images[order[: len(images) - last or None]]), Dataset(images[order[-last:]])


SOURCES = {
    "multimnist": multimnist,
    "multidsprites": multidsprites,
    "sheets": sheets,
    "scenes": scenes,
    "photographs": photographs,
}
MIRRORED = ("sheets", "scenes", "photographs")  # a mirror image of these is as likely as they are


def endless(images: np.ndarray, size: int, mirror: bool, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Batches uint8 [size, 64, 64, 3] drawn with replacement."""
    while True:
        batch = images[rng.integers(len(images), size=size)]
        if mirror:
            batch = np.where(rng.random((size, 1, 1, 1)) < 0.5, batch, batch[:, :, ::-1])
        yield np.ascontiguousarray(batch)


def photograph_tiles(folder: Path) -> tuple[Pool, Tiles]:
    """Varied crops of all but the last images of a folder, and plain tiles of those: a tenth, at most 40."""
    images = datasets.open_folder(folder)
    last = min(MEASURED_PHOTOGRAPHS, max(1, len(images) // 10))
    learning = images[:-last] or images
    development = photos.whole_tiles(images[-last:], TILE)
    return lambda rng: photos.pools(learning, POOL, FRESH, TILE, rng), development


def scene_tiles(
    data: tuple[Dataset, Dataset], seen: Path, glimpses: int, whole: bool = True
) -> tuple[Pool, Tiles]:
    """Canvases with what a trained SAID layer makes of them, to learn from and to measure on.

    ``whole``: whether canvases are whole images.
    """
    model, settings = export.load_said(seen)
    learning, development = (
        reconstruct.tiles(model, part.images, settings, glimpses, seed) for seed, part in enumerate(data)
    )
    learning, development = (replace(part, whole=whole) for part in (learning, development))
    return lambda rng: itertools.repeat(learning), development


def file_tiles(data: tuple[Dataset, Dataset], model: Model) -> tuple[Pool, Tiles]:
    """Canvases with what a model's own files say of them, to learn from and to measure on."""
    learning, development = (
        reconstruct.tiles_of_files(model, part.images, seed) for seed, part in enumerate(data)
    )
    return lambda rng: itertools.repeat(learning), development


def with_noise(pool: Pool, share: float) -> Pool:
    """The tiles of a pool, a share of them with noise that is drawn anew every few turns.

    Scenes that were drawn or rendered without noise teach a network that every speck is an object.  x̂ stays
    that of the tile without noise.  Keen sampling draws from noisy tiles more often, as from all busy ones.
    """

    def noisy(rng: np.random.Generator) -> Iterator[Tiles]:
        for tiles in pool(rng):
            chosen = rng.random(len(tiles.planes)) < share
            planes = tiles.planes.copy()
            planes[chosen] = colour.forward(disturbed(colour.inverse(planes[chosen]), rng))
            planes[tiles.grey == 1, ..., 1:] = 0
            yield from itertools.repeat(replace(tiles, planes=planes), TURNS)

    return noisy


def noised(images: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Images uint8 [n, h, w, 3], a share of them with noise that stays the same; grey ones stay grey."""
    chosen = rng.random(len(images)) < share
    found = images.copy()
    found[chosen] = disturbed(images[chosen], rng)
    grey = chosen & (images == images[..., :1]).all((1, 2, 3))
    found[grey] = found[grey][..., :1]
    return found


def disturbed(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images [n, h, w, 3] of 0..255 with the faint noise of a renderer or a camera; uint8.

    Much of it is less than one step.  Before it comes, values are spread within their rounding, so that
    gradients are even, not stepped.
    """
    n, height, width = images.shape[:3]
    around = np.pad(images.astype(np.float32), ((0, 0), (1, 1), (1, 1), (0, 0)), "edge")
    mean = sum(around[:, y : y + height, x : x + width] for y in range(3) for x in range(3)) / 9.0
    even = np.clip(mean, images - 0.5, images + 0.5)
    strength, slope = (rng.uniform(*limits, (n, 1, 1, 1)) for limits in (STRENGTHS, SLOPES))
    deviation = strength * (1.0 + slope * (even / MEDIUM - 1.0))
    drawn = rng.normal(size=(n, height, width, 1)) + COLOURED * rng.normal(size=images.shape)
    return np.rint(np.clip(even + deviation * drawn, 0, 255)).astype(np.uint8)


def plain_tiles(data: tuple[Dataset, Dataset], mirror: bool) -> tuple[Pool, Tiles]:
    """Canvases without x̂, to learn from, with their mirror images if asked, and to measure on."""
    learning, development = (part.images for part in data)
    if mirror:
        learning = np.concatenate([learning, learning[:, :, ::-1]])
    pool = without_reconstruction(learning)
    return lambda rng: itertools.repeat(pool), without_reconstruction(development)


def without_reconstruction(images: np.ndarray) -> Tiles:
    planes = colour.forward(images)
    grey = (planes[..., 1:] == 0).all(axis=(1, 2, 3)).astype(np.uint8)
    return Tiles(planes, np.zeros_like(planes), np.zeros(len(planes), np.uint8), grey)
