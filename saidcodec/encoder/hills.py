"""Where objects may be in pictures of real things: proposals for models of such.  Not part of the format.

The ground is the commonest value of each channel.  How far pixels are from it is a relief, and objects are
its hills: it is flooded from the tops down, and hills that meet stay apart if both rise high above where they
do.  A hill's foot is blurred, so that its box is taken at several heights; bits choose among them.
"""

from __future__ import annotations

import numpy as np

from saidcodec.encoder.regions import SMALLEST_AREA, components, distinct_boxes, extent

LEVELS = 24  # that the flood falls by, each in the same proportion
CLEAR = 6.0  # median differences of neighbours that a hill rises above the ground at least
LEAST = 6.0  # sample values more than that
DROP = 0.3  # of its height, that a hill must rise above where it meets another to be one of its own
CUTS = (0.3, 0.2, 0.45)  # parts of a hill's height at which its box is taken, the best first
NEIGHBOURS = ((0, 1), (0, -1), (1, 1), (1, -1))  # axis and direction


def hills(canvas: np.ndarray) -> np.ndarray:
    """Boxes where objects may be on a canvas, uint8 RGB [64, 64, 3]; int64 [n, 4], the best of each hill
    first, no two nearly the same."""
    relief = relief_of(canvas)
    labels = flooded(relief)
    return distinct_boxes(np.concatenate([boxes_at(labels, relief, cut) for cut in CUTS]))


def relief_of(canvas: np.ndarray) -> np.ndarray:
    """How far blurred pixels are from the ground, in the channel where they are farthest; float64 [64, 64].

    Blurred before signs are lost, since afterwards noise would have a mean.
    """
    channels = np.moveaxis(canvas.astype(np.float64), -1, 0)
    ground = [np.bincount(channel.ravel(), minlength=256).argmax() for channel in np.moveaxis(canvas, -1, 0)]
    padded = np.pad(channels - np.array(ground)[:, None, None], ((0, 0), (1, 1), (1, 1)), "edge")
    down = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    blurred = (down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]) / 16.0
    return np.asarray(np.abs(blurred).max(0))


def flooded(relief: np.ndarray) -> np.ndarray:
    """The hill of each place of a relief, -1 where there is none; int64 [64, 64]."""
    labels = np.full(relief.shape, -1)
    floor = CLEAR * np.median(np.abs(np.diff(relief, axis=1))) + LEAST
    if relief.max() <= floor:
        return labels
    heights: list[float] = []
    nothing = np.zeros((*relief.shape, 1), np.int16)  # between neighbours that are both above the water
    for level in np.geomspace(relief.max(), floor, LEVELS)[1:]:
        islands = components(nothing, relief >= level, 0)
        for name in np.unique(islands[islands >= 0]):
            island = islands == name
            known = np.unique(labels[island & (labels >= 0)])
            if len(known) > 1:
                joined(labels, known, heights, level)
                known = np.unique(labels[island & (labels >= 0)])
            if len(known) > 1:
                spread(labels, island)
            elif len(known):
                labels[island] = known[0]
            elif island.sum() >= SMALLEST_AREA:
                labels[island] = len(heights)
                heights.append(relief[island].max())
    return labels


def joined(labels: np.ndarray, known: np.ndarray, heights: list[float], level: float) -> None:
    """Give hills that hardly rise above the level where they meet to the highest of those that meet."""
    highest = max(known.tolist(), key=lambda hill: heights[hill])
    for hill in known.tolist():
        if hill != highest and heights[hill] - level < DROP * heights[hill]:
            labels[labels == hill] = highest


def spread(labels: np.ndarray, island: np.ndarray) -> None:
    """Give each place of an island that has no hill yet to the hill that is nearest within the island."""
    while (free := island & (labels < 0)).any():
        near = labels.copy()
        for axis, direction in NEIGHBOURS:
            beside = np.roll(labels, direction, axis)
            np.moveaxis(beside, axis, 0)[0 if direction > 0 else -1] = -1
            near = np.where(free & (near < 0), beside, near)
        labels[...] = near


def boxes_at(labels: np.ndarray, relief: np.ndarray, cut: float) -> np.ndarray:
    """The boxes of all hills at a part of their heights, without what is small; int64 [n, 4]."""
    hills = [labels == hill for hill in np.unique(labels[labels >= 0])]
    cores = [hill & (relief >= cut * relief[hill].max()) for hill in hills]
    found = [extent(core) for core in cores if core.sum() >= SMALLEST_AREA]
    return np.array(found, np.int64).reshape(-1, 4)
