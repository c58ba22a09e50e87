"""Objects of an image that is cut into tiles: glimpses of neighbouring tiles may show one thing.

A glimpse ends where its tile ends.  Two boxes of neighbouring tiles are taken for parts of one object if both
reach the border between them, within a canvas unit, and share half of the longer one's side along it.  Of
several such boxes only those are joined that fit each other best, so that glimpses of one tile stay apart as
long as they do.  Not part of the format: nothing that is decoded depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from saidcodec.format.tiling import Tiling
from saidcodec.said.description import CANVAS

SHARED = 0.5  # of the longer side along the border, that both boxes must have in common


@dataclass(frozen=True)
class Objects:
    """``boxes`` int [n, 4], (x0, y0, x1, y1) in image pixels; ``glimpses``: the numbers of each object's,
    from 0 on.  Objects are in the order of their first glimpses."""

    boxes: np.ndarray
    glimpses: list[list[int]]


def objects_of(tiles: np.ndarray, boxes: np.ndarray, tiling: Tiling) -> Objects:
    """The objects of an image; of its glimpses the tiles int [n], and boxes int [n, 4] in image pixels."""
    first = [*range(len(boxes))]  # a glimpse of the same object, itself in the end

    def root(one: int) -> int:
        while first[one] != one:
            first[one] = first[first[one]]
            one = first[one]
        return one

    for one, other in meetings(tiles, boxes, tiling):
        low, high = sorted((root(one), root(other)))
        first[high] = low
    members: dict[int, list[int]] = {}
    for number in range(len(boxes)):
        members.setdefault(root(number), []).append(number)
    found = [[*boxes[own, :2].min(0), *boxes[own, 2:].max(0)] for own in members.values()]
    return Objects(np.array(found, int).reshape(-1, 4), [*members.values()])


def meetings(tiles: np.ndarray, boxes: np.ndarray, tiling: Tiling) -> Iterator[tuple[int, int]]:
    """Pairs of glimpses that are parts of one object."""
    order = np.argsort(tiles, kind="stable")
    names, starts = np.unique(tiles[order], return_index=True)
    of_tile = dict(zip(names.tolist(), np.split(order, starts[1:]), strict=False))  # none: one empty part
    columns, width, height = tiling.columns, tiling.tile_width, tiling.tile_height
    for tile, own in of_tile.items():
        row, column = divmod(tile, columns)
        if column + 1 < columns and tile + 1 in of_tile:
            yield from across(boxes, own, of_tile[tile + 1], (column + 1) * width, 0, width)
        if tile + columns in of_tile:
            yield from across(boxes, own, of_tile[tile + columns], (row + 1) * height, 1, height)


def across(
    boxes: np.ndarray, before: np.ndarray, behind: np.ndarray, border: int, axis: int, side: int
) -> Iterator[tuple[int, int]]:
    """Pairs of boxes, one before and one behind a border, that fit each other best; ``axis`` 0 for a border
    between columns, ``side`` that of the tiles along the axis."""
    gap = -(-side // CANVAS)  # pixels of a canvas unit
    ending = before[border - boxes[before, axis + 2] <= gap]
    beginning = behind[boxes[behind, axis] - border <= gap]
    if not len(ending) or not len(beginning):
        return
    low, high = boxes[ending, 1 - axis, None], boxes[ending, 3 - axis, None]
    other_low, other_high = boxes[beginning, 1 - axis], boxes[beginning, 3 - axis]
    shared = np.minimum(high, other_high) - np.maximum(low, other_low)
    fit = shared / np.maximum(high - low, other_high - other_low)
    best = fit.argmax(1)
    for i, k in enumerate(best.tolist()):
        if fit[i, k] >= SHARED and fit[:, k].argmax() == i:
            yield int(ending[i]), int(beginning[k])
