"""Crops for the encoder: a box of a tile, averaged to a patch.  Not part of the format."""

from __future__ import annotations

import numpy as np

from saidcodec.said.description import CANVAS
from saidcodec.said.resampling import SIDE

SAMPLES = 2 * SIDE  # along one side of a box, before they are averaged by fours


def crop(tile: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Boxes [n, 4] of a tile, float32 [h, w, 3] → patches float32 [n, 8, 8, 3] in the tile's unit.

    Bilinear samples at 16×16 half-pixel centres of each box, averaged by fours.
    """
    height, width = tile.shape[:2]
    left, right, across = bilinear(boxes[:, 0], boxes[:, 2], width)
    top, bottom, down = bilinear(boxes[:, 1], boxes[:, 3], height)
    pixels = tile.reshape(height * width, -1)
    across, down = across[:, None, :, None], down[:, :, None, None]

    def row(index: np.ndarray) -> np.ndarray:
        start = (index * width)[:, :, None]
        found = pixels.take(start + left[:, None], 0)
        found += (pixels.take(start + right[:, None], 0) - found) * across
        return found

    samples = row(top)
    samples += (row(bottom) - samples) * down
    return samples.reshape(len(boxes), SIDE, 2, SIDE, 2, -1).mean((2, 4))


def bilinear(low: np.ndarray, high: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Box sides low .. high [n] in canvas units → for each sample the pixel before it, the pixel after it
    and the share of the latter; [n, 16] each."""
    centres = (np.arange(SAMPLES) + 0.5) / SAMPLES
    place = (low[:, None] + centres * (high - low)[:, None]) * (length / CANVAS) - 0.5
    place = np.clip(place, 0, length - 1)
    before = place.astype(np.intp)
    return before, np.minimum(before + 1, length - 1), (place - before).astype(np.float32)
