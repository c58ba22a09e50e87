"""Crops for the encoder: a box of a tile, averaged to a patch.  Not part of the format."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from saidcodec.integer import product
from saidcodec.said.description import CANVAS
from saidcodec.said.resampling import SIDE

SAMPLES = 2 * SIDE  # along one side of a box, before they are averaged by fours


def crop(tile: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Boxes int [n, 4] of a tile, float32 [h, w, 3] → patches float32 [n, 8, 8, 3] in the tile's unit.

    Bilinear samples at 16×16 half-pixel centres of each box, averaged by fours: shares of rows and columns.
    """
    height, width, channels = tile.shape
    x0, y0, x1, y1 = boxes.T.tolist()
    down = np.concatenate([shares(*side, height) for side in zip(y0, y1, strict=True)])
    across = np.stack([shares(*side, width) for side in zip(x0, x1, strict=True)])
    rows = product(down, tile.reshape(height, -1)).reshape(len(boxes), SIDE, width, channels)
    columns = across @ rows.transpose(0, 2, 1, 3).reshape(len(boxes), width, -1)
    return columns.reshape(len(boxes), SIDE, SIDE, channels).transpose(0, 2, 1, 3)


@lru_cache(maxsize=4096)
def shares(low: int, high: int, length: int) -> np.ndarray:
    """How much each of ``length`` pixels counts in the 8 samples of a box side low .. high in canvas units;
    float32 [8, length], rows sum to 1."""
    place = (low + (np.arange(SAMPLES) + 0.5) / SAMPLES * (high - low)) * (length / CANVAS) - 0.5
    place = np.clip(place, 0, length - 1)
    before = place.astype(np.intp)
    share = (place - before).astype(np.float32)
    found = np.zeros((SIDE, length), np.float32)
    np.add.at(found, (np.arange(SAMPLES) // 2, before), (1 - share) / 2)
    np.add.at(found, (np.arange(SAMPLES) // 2, np.minimum(before + 1, length - 1)), share / 2)
    return found
