"""Objects of an image that is cut into tiles: glimpses of neighbouring tiles may show one thing.

A glimpse ends where its tile ends.  Two boxes that meet at the border of their tiles, along half of the
longer one at least, are taken for parts of one object.  Not part of the format: nothing that is decoded
depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from saidcodec.format.tiling import Tiling
from saidcodec.said.description import CANVAS

SHARED = 0.5  # share of the longer part along the border that both must have in common


@dataclass(frozen=True)
class Objects:
    """``boxes`` int [n, 4], (x0, y0, x1, y1) in image pixels; ``parts``: of each object the numbers of its
    glimpses.  Objects are in the order of their first glimpses."""

    boxes: np.ndarray
    parts: list[list[int]]


def objects_of(tiles: np.ndarray, boxes: np.ndarray, tiling: Tiling) -> Objects:
    """The objects of an image; of its glimpses the tiles int [n], and boxes int [n, 4] in image pixels."""
    first = np.arange(len(boxes))  # glimpse of the same object

    def root(one: int) -> int:
        while first[one] != one:
            one = first[one]
        return one

    for one, other in meetings(tiles, boxes, tiling):
        low, high = sorted((root(one), root(other)))
        first[high] = low
    parts: dict[int, list[int]] = {}
    for number in range(len(boxes)):
        parts.setdefault(root(number), []).append(number)
    found = [[*boxes[own, :2].min(0), *boxes[own, 2:].max(0)] for own in parts.values()]
    return Objects(np.array(found, int).reshape(-1, 4), [*parts.values()])


def meetings(tiles: np.ndarray, boxes: np.ndarray, tiling: Tiling) -> Iterator[tuple[int, int]]:
    """Pairs of glimpses that meet at the border of their tiles."""
    order = np.argsort(tiles, kind="stable")
    names, starts = np.unique(tiles[order], return_index=True)
    of_tile = dict(zip(names.tolist(), np.split(order, starts[1:]), strict=False))  # none: one empty part
    nothing = np.zeros(0, int)
    for tile, own in of_tile.items():
        rows, columns = tiling.tile(tile)
        if columns.stop < tiling.width:
            right = of_tile.get(tile + 1, nothing)
            yield from across(boxes, own, right, columns.stop, 0, tiling.tile_width)
        below = of_tile.get(tile + tiling.columns, nothing)
        yield from across(boxes, own, below, rows.stop, 1, tiling.tile_height)


def across(
    boxes: np.ndarray, before: np.ndarray, behind: np.ndarray, border: int, axis: int, side: int
) -> Iterator[tuple[int, int]]:
    """Pairs of boxes of which one ends and the other begins at a border, within a canvas unit; ``axis`` 0
    for a border between columns, ``side`` that of the tiles along the axis."""
    gap = -(-side // CANVAS)
    ending = before[border - boxes[before, axis + 2] <= gap]
    beginning = behind[boxes[behind, axis] - border <= gap]
    if not len(ending) or not len(beginning):
        return
    low, high = boxes[ending, 1 - axis, None], boxes[ending, 3 - axis, None]
    other_low, other_high = boxes[beginning, 1 - axis], boxes[beginning, 3 - axis]
    longer = np.maximum(high - low, other_high - other_low)
    shared = np.minimum(high, other_high) - np.maximum(low, other_low)
    for i, k in np.argwhere(shared >= SHARED * longer).tolist():
        yield int(ending[i]), int(beginning[k])
