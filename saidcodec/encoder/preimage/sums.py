"""Repair of halved chroma about colours that are not clamped: what upsampling must give there is known."""

from __future__ import annotations

from itertools import product

import numpy as np

from saidcodec.format.maps import Layout

ENOUGH = 1e-4  # of the pixels may stay wrong
RUN = 16  # samples that are chosen together


class Sums:
    """The sums of a CENTRED layout before their shift, minus 2**shift times what they should be: right
    where they lie in 0 .. 2**shift - 1.

    Laid out so that the coded sample (j, i) reaches ``weights`` of the rows and columns from (j, i) times the
    strides on: a halved axis has four pixels, 1, 3, 3, 1, two further on for the next sample.
    """

    def __init__(self, grid: np.ndarray, target: np.ndarray, sure: np.ndarray, layout: Layout):
        """``layout`` has its ring, so that no pixel reads past the ``grid``, which is changed in place."""
        self.grid, self.unit = grid, 16 if all(layout.halved) else 4
        shape, origin = [], []
        for axis, size in enumerate(sure.shape):
            on = layout.halved[axis]
            shape.append(2 * grid.shape[axis] + 2 if on else size)
            origin.append(layout.phase[axis] - 2 * layout.extent(axis, size)[0] + 1 if on else 0)
        self.strides = [1 + on for on in layout.halved]
        self.weights = [np.array([1, 3, 3, 1] if on else [1]) for on in layout.halved]
        height, width = sure.shape
        inner = (slice(origin[0], origin[0] + height), slice(origin[1], origin[1] + width))
        self.value = np.zeros((*shape, 2), np.int32)
        self.known = np.zeros((*shape, 2), np.int16)
        y, x = np.arange(height)[:, None], np.arange(width)[None]
        unrounded = grid
        for axis, places in ((0, y.ravel()), (1, x.ravel())):
            if layout.halved[axis]:
                near, far = layout.cells(axis, sure.shape[axis], places)
                unrounded = 3 * unrounded.take(near, axis) + unrounded.take(far, axis)
        self.value[inner] = unrounded + layout.bias(y, x)[..., None] - self.unit * target
        self.known[inner] = sure[..., None]

    def turned(self) -> Sums:
        """The same memory with rows and columns exchanged."""
        other = object.__new__(Sums)
        other.grid, other.unit = self.grid.swapaxes(0, 1), self.unit
        other.value, other.known = self.value.swapaxes(0, 1), self.known.swapaxes(0, 1)
        other.strides, other.weights = self.strides[::-1], self.weights[::-1]
        return other

    def wrong(self) -> np.ndarray:
        """Which sums are not as they should be, bool [rows, columns, 2]."""
        bad: np.ndarray = ((self.value < 0) | (self.value >= self.unit)) & (self.known > 0)
        return bad

    def suspects(self) -> np.ndarray:
        """Which coded samples a wrong sum depends on, bool [rows, columns, 2]."""
        bad = self.wrong()
        for axis in (0, 1):
            if self.strides[axis] == 2:
                n = self.grid.shape[axis]
                parts = [bad.take(np.arange(k, k + 2 * n, 2), axis) for k in range(4)]
                bad = parts[0] | parts[1] | parts[2] | parts[3]
        return bad

    def cost(self, value: np.ndarray) -> np.ndarray:
        """How wrong sums are: 4 and their distance, or 0 where they are right."""
        off = np.maximum(np.maximum(-value, value - (self.unit - 1)), 0)
        return off + 4 * (off > 0)

    def insist(self) -> None:
        """Let what is still wrong weigh more from now on, to leave choices that no single run can better."""
        self.known += self.wrong()

    def improve(self, offset: int) -> None:
        """Choose anew -1, 0 or +1 for the samples of whole runs of RUN in a row, the best choice of all for
        each run that holds a suspect, its surroundings kept; runs start at ``offset``.  The axis of columns
        is halved."""
        rows, columns = self.grid.shape[:2]
        suspects = self.suspects()
        starts = np.arange(offset, columns, RUN)
        held = np.add.reduceat(suspects, starts, axis=1) > 0
        reach = 2 if self.strides[0] == 2 else 1  # rows that share no pixel
        for odd_row, odd_run in product(range(reach), range(2)):
            chosen = held.copy()
            chosen[np.arange(rows) % reach != odd_row] = False
            chosen[:, np.arange(len(starts)) % 2 != odd_run] = False
            row, run, channel = np.nonzero(chosen)
            if len(row):
                self.improve_runs(row, starts[run], np.minimum(starts[run] + RUN, columns), channel)

    def improve_runs(self, row: np.ndarray, start: np.ndarray, end: np.ndarray, channel: np.ndarray) -> None:
        """``improve`` for runs int [n] that share no pixel: the cheapest path through the choices."""
        moves, n = np.array([-1, 0, 1]), len(row)
        lines = row[:, None] * self.strides[0] + np.arange(len(self.weights[0]))  # [n, lines]
        spread = self.weights[0][None, :, None, None]
        one = (3 * moves[:, None] + moves[None])[None, None] * spread  # [1, lines, this, next]
        two = (moves[:, None] + 3 * moves[None])[None, None] * spread
        columns, length = self.grid.shape[1], RUN + 1
        paid = np.full((n, 3), 1 << 20)
        paid[:, 1] = 0  # what is before the run stays
        back = np.zeros((length, n, 3), np.int8)
        for step in range(length):  # from sample start + step - 1 to the next
            before = np.minimum(start + step, end) - 1
            total = np.zeros((n, 3, 3), np.int64)
            for column, change in ((2 * before + 2, one), (2 * before + 3, two)):
                at = np.clip(column, 0, self.value.shape[1] - 1)
                value = self.value[lines, at[:, None], channel[:, None]]
                weight = self.known[lines, at[:, None], channel[:, None]]
                weight = weight * ((column >= 0) & (column < 2 * columns + 2))[:, None]
                total += (self.cost(value[..., None, None] + change) * weight[..., None, None]).sum(1)
            inside = (start + step < end)[:, None, None]
            total[~inside[:, 0, 0]] = np.where(moves[None, None] == 0, total[~inside[:, 0, 0]], 1 << 20)
            done = (start + step > end)[:, None, None]
            total = np.where(done, np.where(moves[:, None] == moves[None], 0, 1 << 20)[None], total)
            sums = paid[:, :, None] + total
            back[step] = sums.argmin(1)
            paid = sums.min(1)
        choice = np.ones(n, np.int64)  # what is after the run stays
        for step in reversed(range(length)):
            sample = start + step
            move = moves[choice] * (sample < end)
            some = np.flatnonzero(move)
            if len(some):
                self.add(row[some], sample[some], channel[some], move[some])
            choice = back[step, np.arange(n), choice].astype(np.int64)

    def add(self, row: np.ndarray, column: np.ndarray, channel: np.ndarray, move: np.ndarray) -> None:
        """Change samples of the grid, and the sums with them."""
        kept = (self.grid[row, column, channel] + move >= 0) & (self.grid[row, column, channel] + move < 256)
        row, column, channel, move = row[kept], column[kept], channel[kept], move[kept]
        self.grid[row, column, channel] += move.astype(np.int32)
        for dy, wy in enumerate(self.weights[0]):
            for dx, wx in enumerate(self.weights[1]):
                place = (row * self.strides[0] + dy, column * self.strides[1] + dx, channel)
                np.add.at(self.value, place, (move * wy * wx).astype(np.int32))


def repair_sure(grid: np.ndarray, target: np.ndarray, sure: np.ndarray, layout: Layout, turns: int) -> None:
    """Change samples of a CENTRED layout with its ring until the sure pixels are right, or nearly; in
    place."""
    sums = Sums(grid, target, sure, layout)
    for turn in range(turns):
        if np.count_nonzero(sums.wrong()) <= ENOUGH * sure.size:
            return
        if turn > 2:
            sums.insist()
        for axis in (1, 0):
            if layout.halved[axis]:
                (sums if axis else sums.turned()).improve((0, RUN // 2)[turn & 1])
