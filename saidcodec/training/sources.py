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
