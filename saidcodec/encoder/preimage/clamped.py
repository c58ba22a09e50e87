"""Repair of halved chroma about clamped colours, of which only a bound is known."""

from __future__ import annotations

from itertools import product

import numpy as np

from saidcodec.encoder.preimage.colours import Planes, fitting
from saidcodec.encoder.preimage.sums import ENOUGH
from saidcodec.format.maps import ColourMap, Layout

MOST_SUSPECTS = 0.1  # samples that repairs about clamped colours may look at, of all pixels


class Neighbourhood:
    """The pixels that a few coded samples reach: indices [n, k] with a mask of those inside."""

    def __init__(self, layout: Layout, height: int, width: int, cells: np.ndarray):
        """``cells`` int [n, 2]: rows and columns of the coded chroma."""
        spans = []
        for axis, size in ((0, height), (1, width)):
            if layout.halved[axis]:
                start = 2 * (cells[:, axis] + layout.extent(axis, size)[0]) - layout.phase[axis]
                spans.append(start[:, None] + np.arange(-1, 3)[None])
            else:
                spans.append(cells[:, axis][:, None])
        y, x = np.broadcast_arrays(spans[0][:, :, None], spans[1][:, None, :])
        y, x = y.reshape(len(cells), -1), x.reshape(len(cells), -1)
        self.inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        self.y, self.x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
        self.rows, self.columns = layout.cells(0, height, self.y), layout.cells(1, width, self.x)

    def of(self, layout: Layout, grid: np.ndarray) -> np.ndarray:
        """Chroma of the pixels, [n, k, 2]."""
        return layout.at(grid, self.rows, self.columns, self.y, self.x)


def touched(layout: Layout, wrong: np.ndarray) -> np.ndarray:
    """The coded samples that the wrong pixels [h, w] depend on, int [n, 2]."""
    height, width = wrong.shape
    y, x = np.nonzero(wrong)
    mark = np.zeros(layout.grid(height, width), bool)
    for row, column in product(layout.cells(0, height, y), layout.cells(1, width, x)):
        mark[row, column] = True
    return np.argwhere(mark)


class Shortfall:
    """How far colours are from having a luma, for given chroma: 0 where there is one."""

    def __init__(self, known: ColourMap):
        self.known = known
        self.slope = float(known.y[255] - known.y[0]) / 255
        self.tables = [t.astype(np.float32) for t in (known.rv, known.gu, known.gv, known.bu)]

    def of(self, colours: np.ndarray, chroma: np.ndarray) -> np.ndarray:
        """uint8 [..., 3] and int32 [..., 2] → int16 [...]: 4 and the luma's steps between what two channels
        want."""
        rv, gu, gv, bu = self.tables
        u, v = chroma[..., 0], chroma[..., 1]
        unit, first = np.float32(1 << self.known.shift), np.float32(self.known.y[0])
        scale = np.float32(1 / self.slope)
        low = np.zeros(u.shape, np.float32)
        high = np.full(u.shape, 256, np.float32)
        for channel, offset in enumerate((rv.take(v), gu.take(u) + gv.take(v), bu.take(u))):
            value = colours[..., channel]
            start = (value * unit - offset - first) * scale
            np.maximum(low, np.where(value > 0, start, 0), out=low)
            np.minimum(high, np.where(value < 255, start + unit * scale, 256), out=high)
        short = np.minimum(np.ceil(low) - np.ceil(high) + 1, 24)
        result: np.ndarray = np.where(short > 0, short + 4, 0).astype(np.int16)
        return result


def repair_clamped(
    grid: np.ndarray, rgb: np.ndarray, known: ColourMap, planes: Planes, layout: Layout, turns: int
) -> None:
    """Move single samples, U and V together, where that lets more pixels have their colours; in place."""
    height, width = rgb.shape[:2]
    shortfall = Shortfall(known)
    weight = np.ones((height, width), np.int16)
    left: list[int] = []
    for turn in range(turns):
        good, _luma = fitting(rgb, known, layout.upsample(grid, height, width), planes)
        wrong = ~good & planes.found
        cells = touched(layout, wrong)
        left.append(int(np.count_nonzero(wrong)))
        if len(cells) > MOST_SUSPECTS * good.size or left[-1] <= ENOUGH * good.size:
            return
        if turn > 5 and left[-1] > 0.9 * left[-4]:
            return
        if turn > 2:
            weight += wrong
        for row, column in product((0, 1), repeat=2):  # samples two apart share no pixel
            some = cells[(cells[:, 0] & 1 == row) & (cells[:, 1] & 1 == column)]
            if len(some):
                move_clamped(grid, some, rgb, shortfall, planes, layout, weight, turn)


def move_clamped(
    grid: np.ndarray,
    cells: np.ndarray,
    rgb: np.ndarray,
    shortfall: Shortfall,
    planes: Planes,
    layout: Layout,
    weight: np.ndarray,
    turn: int,
) -> None:
    """``repair_clamped`` for samples int [n, 2] that share no pixel."""
    near = Neighbourhood(layout, rgb.shape[0], rgb.shape[1], cells)
    colours, weighed = rgb[near.y, near.x], near.inside * weight[near.y, near.x]
    at = (cells[:, 0], cells[:, 1])
    first = grid[at].copy()

    def cost() -> np.ndarray:
        total: np.ndarray = (shortfall.of(colours, near.of(layout, grid)) * weighed).sum(1)
        return total

    best, least = first.copy(), cost()
    middle = near.y.shape[1] // 2
    guess = planes.values[near.y[:, middle], near.x[:, middle], 1:]
    far = (1, (2, 5, 12)[turn % 3])
    options = [np.where(guess < 0, first, guess)]
    options += [first + np.array(m) * k for k in far for m in product((-1, 0, 1), repeat=2) if m != (0, 0)]
    for option in options:
        grid[at] = np.clip(option, 0, 255)
        found = cost()
        better = found < least
        best[better] = grid[at][better]
        least = np.minimum(found, least)
    grid[at] = best
