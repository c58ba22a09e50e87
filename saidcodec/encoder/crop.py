"""Crops for the encoder: a box of a tile, averaged to a patch.  Not part of the format."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from saidcodec.integer import product
from saidcodec.said.description import CANVAS

SAMPLES = 16  # along one side of a box


def crop(tile: np.ndarray, boxes: np.ndarray, side: int) -> np.ndarray:
    """Boxes int [n, 4] of a tile, float32 [h, w, 3] → patches float32 [n, side, side, 3] in the tile's unit.

    Bilinear samples at 16×16 half-pixel centres of each box, averaged by fours for patches of 8×8: shares of
    rows and columns.
    """
    height, width, channels = tile.shape
    x0, y0, x1, y1 = boxes.T.tolist()
    down = np.concatenate([shares(*ends, height, side) for ends in zip(y0, y1, strict=True)])
    across = np.stack([shares(*ends, width, side) for ends in zip(x0, x1, strict=True)])
    rows = product(down, tile.reshape(height, -1)).reshape(len(boxes), side, width, channels)
    columns = across @ rows.transpose(0, 2, 1, 3).reshape(len(boxes), width, -1)
    return columns.reshape(len(boxes), side, side, channels).transpose(0, 2, 1, 3)


@lru_cache(maxsize=4096)
def shares(low: int, high: int, length: int, side: int) -> np.ndarray:
    """How much each of ``length`` pixels counts in the samples of a box side low .. high in canvas units;
    float32 [side, length], rows sum to 1."""
    place = (low + (np.arange(SAMPLES) + 0.5) / SAMPLES * (high - low)) * (length / CANVAS) - 0.5
    place = np.clip(place, 0, length - 1)
    before = place.astype(np.intp)
    share = (place - before).astype(np.float32)
    averaged = SAMPLES // side
    row = np.arange(SAMPLES) // averaged
    found = np.zeros((side, length), np.float32)
    np.add.at(found, (row, before), (1 - share) / averaged)
    np.add.at(found, (row, np.minimum(before + 1, length - 1)), share / averaged)
    return found
