"""The first estimate of halved chroma: the samples whose upsampling comes nearest, in the least squares."""

from __future__ import annotations

import numpy as np

from saidcodec.format.maps import Layout, Siting

STEPS = 24  # of conjugate gradients


def estimate(target: np.ndarray, sure: np.ndarray, layout: Layout) -> np.ndarray:
    """The coded chroma int32 nearest to the target float32 [h, w, 2] where it is sure, in the least
    squares, rounded; smooth elsewhere."""
    height, width = sure.shape
    spread = Spread(layout, height, width)
    weight = sure.astype(np.float32)
    if layout.siting == Siting.FIRST:  # pixels on a sample show it as it is, others give a hint
        weight = weight * (spread.on_samples + np.float32(1e-3))
    weight = weight[..., None]
    total = spread.back(weight, nearest=True)
    x = filled(spread.back(weight * target, nearest=True), total)
    if layout.siting == Siting.CENTRED:
        x = least_squares(x, target, weight, spread)
    return np.clip(np.rint(x), 0, 255).astype(np.int32)


def least_squares(x: np.ndarray, target: np.ndarray, weight: np.ndarray, spread: Spread) -> np.ndarray:
    """The x of |weight · (upsampled x − target)|² → least, by conjugate gradients from a first x; a little
    held."""
    hold = np.float32(1e-4)
    residual = spread.back(weight * (target - spread.ahead(x)))
    direction, power = residual.copy(), float((residual**2).sum())
    for _ in range(STEPS):
        if power < 1e-4 * x.size:
            break
        image = spread.back(weight * spread.ahead(direction)) + hold * direction
        scale = power / max(float((direction * image).sum()), 1e-30)
        x = x + scale * direction
        residual -= scale * image
        fresh = float((residual**2).sum())
        direction = residual + fresh / power * direction
        power = fresh
    return x


def filled(sums: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """sums / weight, float32 [rows, columns, n] and [rows, columns, 1], and where the weight is nothing the
    mean of what lies about: halved again and again until every place knows something."""
    known = weight > 0
    value = np.where(known, sums / np.where(known, weight, 1), 0)
    if known.all() or not known.any():
        return np.where(known, value, 128).astype(np.float32)
    rows, columns = value.shape[:2]
    pad = ((0, rows & 1), (0, columns & 1), (0, 0))

    def halved(a: np.ndarray) -> np.ndarray:
        a = np.pad(a, pad)
        return a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2]

    coarse = filled(halved(value), halved(known.astype(np.float32)))
    fine = coarse.repeat(2, 0).repeat(2, 1)[:rows, :columns]
    return np.where(known, value, fine).astype(np.float32)


class Spread:
    """Upsampling without its rounding, as a linear map, and its transpose."""

    def __init__(self, layout: Layout, height: int, width: int):
        self.shape = layout.grid(height, width)
        self.near, self.far, self.part = [], [], []
        on = []
        for axis, size in ((0, height), (1, width)):
            places = np.arange(size)
            near, far = layout.cells(axis, size, places)
            share = 0.0
            if layout.halved[axis]:
                share = {Siting.FIRST: 0.5, Siting.CENTRED: 0.25}.get(layout.siting, 0.0)
            self.near.append(near)
            self.far.append(far)
            self.part.append(np.float32(share))
            on.append(1 - ((places + layout.phase[axis]) & 1) if layout.halved[axis] else np.ones(size, int))
        self.on_samples = (on[0][:, None] * on[1][None]).astype(np.float32)

    def ahead(self, grid: np.ndarray) -> np.ndarray:
        """[rows, columns, 2] → [h, w, 2]."""
        for axis in (0, 1):
            near, far, part = self.near[axis], self.far[axis], self.part[axis]
            grid = (1 - part) * grid.take(near, axis) + part * grid.take(far, axis)
        return grid

    def back(self, pixels: np.ndarray, nearest: bool = False) -> np.ndarray:
        """[h, w, 2] → [rows, columns, 2]; ``nearest``: to the nearer cell alone."""
        for axis in (0, 1):
            near, far = self.near[axis], self.far[axis]
            part = np.float32(0) if nearest else self.part[axis]
            moved = np.moveaxis(pixels, axis, 0)
            out = np.zeros((self.shape[axis], *moved.shape[1:]), np.float32)
            add_rows(out, near, (1 - part) * moved)
            if part:
                add_rows(out, far, part * moved)
            pixels = np.moveaxis(out, 0, axis)
        return pixels


def add_rows(out: np.ndarray, at: np.ndarray, rows: np.ndarray) -> None:
    """out[at[i]] += rows[i], where no row of ``out`` is named by more than two of every four that follow."""
    for start in range(4):
        part = at[start::4]
        if len(np.unique(part)) == len(part):
            out[part] += rows[start::4]
        else:
            np.add.at(out, part, rows[start::4])
