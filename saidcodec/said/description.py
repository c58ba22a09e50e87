"""What the SAID layer says about one tile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

CANVAS = 64
MOST_GLIMPSES = 32
LATENTS = 10


@dataclass(frozen=True)
class Description:
    """A base and glimpses, all quantised (bitstream_spec.md, section 9).

    ``step``: the base is quantised in steps of 2**step.  ``base`` int [8, 8, 3]: Y, Co, Cg in those
    steps.  ``boxes`` int [n, 4]: (x0, y0, x1, y1) in canvas units.  ``latents`` int [n, 10], in steps.
    """

    step: int
    base: np.ndarray
    boxes: np.ndarray
    latents: np.ndarray

    def first(self, n: int) -> Description:
        """The same without the glimpses after the first ``n``."""
        return replace(self, boxes=self.boxes[:n], latents=self.latents[:n])

    def without(self, i: int) -> Description:
        """The same without the glimpse of index ``i``."""
        return replace(self, boxes=np.delete(self.boxes, i, 0), latents=np.delete(self.latents, i, 0))

    def added(self, box: np.ndarray, latent: np.ndarray) -> Description:
        """The same with one more glimpse, the last."""
        boxes, latents = np.vstack([self.boxes, box]), np.vstack([self.latents, latent])
        return replace(self, boxes=boxes.astype(np.int32), latents=latents.astype(np.int32))

    def over(self, other: Description) -> Description:
        """The same glimpses over the base of another."""
        return replace(self, step=other.step, base=other.base)


def box_pixels(box: Sequence[int] | np.ndarray, width: int, height: int) -> tuple[slice, slice]:
    """A box in canvas units → (rows, columns) of a tile; at least one pixel of each (spec 9.4)."""
    x0, y0, x1, y1 = map(int, box)
    rows = slice(y0 * height // CANVAS, -(-y1 * height // CANVAS))
    return rows, slice(x0 * width // CANVAS, -(-x1 * width // CANVAS))


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair of boxes, [n, 4] and [m, 4] → [n, m]."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)
