"""Archives of tiny images for tests, of a model that is not installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from factory import random_model

import saidcodec

MODEL = random_model()
RNG = np.random.default_rng(7)


def picture(height: int = 6, width: int = 5, channels: int = 3, levels: int = 4) -> np.ndarray:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return RNG.integers(0, levels, shape).astype(np.uint8)


IMAGES = [picture() for _ in range(11)]
NAMES = [f"a/{i:02}.png" for i in range(11)]


def pack(images: Sequence[object], path: Path, **options: object) -> int:
    return saidcodec.pack(images, path, **{"model": MODEL, "threads": 1, **options})


def opened(path: Path, **options: object) -> saidcodec.Archive:
    return saidcodec.Archive(path, **{"model": MODEL, **options})


def same(found: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted):
        assert one.dtype == np.uint8
        np.testing.assert_array_equal(one, other)
