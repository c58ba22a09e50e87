"""Halved chroma samples: estimated, then repaired until they give nearly all pixels their colours."""

from __future__ import annotations

import numpy as np

from saidcodec.encoder.preimage.clamped import repair_clamped
from saidcodec.encoder.preimage.colours import Planes, fitting, inverse_matrix
from saidcodec.encoder.preimage.estimate import estimate
from saidcodec.encoder.preimage.sums import repair_sure
from saidcodec.format.maps import MAPS, ColourMap, Layout, Siting

SOME_CLAMPED = 0.002  # of all pixels, from where on several beginnings are tried
BEYOND = (0, 6, 16)  # how far beyond the range clamped channels are taken to be
START_BLOCK = 8  # coded samples a side
TURNS = 24  # of repairing the chroma


def chroma_of(
    rgb: np.ndarray, known: ColourMap, planes: Planes, layout: Layout, turns: int = TURNS
) -> np.ndarray:
    """The coded chroma int32 [rows, columns, 2] whose upsampling gives the most pixels their colours."""
    target, sure = planes.values[..., 1:], planes.sure
    grid = estimate(target.astype(np.float32), sure, layout)
    clamped = planes.found & ~sure
    if np.count_nonzero(clamped) > SOME_CLAMPED * clamped.size:
        grid = best_start(grid, rgb, known, planes, layout, clamped)
    if layout.siting == Siting.CENTRED:
        repair_sure(grid, target.astype(np.int32), sure, layout, turns)
    repair_clamped(grid, rgb, known, planes, layout, turns)
    return grid


def best_start(
    grid: np.ndarray, rgb: np.ndarray, known: ColourMap, planes: Planes, layout: Layout, clamped: np.ndarray
) -> np.ndarray:
    """For each block of samples the best of several first values about clamped colours: what lies about
    continued, or the chroma of the colours, had their clamped channels been so much beyond the range."""
    height, width = clamped.shape
    matrix, _ = inverse_matrix(MAPS.index(known))
    push = ((rgb == 255).astype(np.float32) - (rgb == 0)) @ matrix.T[:, 1:]
    grids = [grid]
    for beyond in BEYOND:
        target = planes.values[..., 1:] + beyond * push * clamped[..., None]
        grids.append(estimate(np.clip(target, 0, 255), planes.found, layout))
    counts = []
    rows, columns = (-(-size // START_BLOCK) for size in grid.shape[:2])
    near = [
        layout.cells(axis, size, np.arange(size))[0] // START_BLOCK
        for axis, size in enumerate((height, width))
    ]
    block = near[0][:, None] * columns + near[1]
    for one in grids:
        wrong = ~fitting(rgb, known, layout.upsample(one, height, width), planes)[0]
        counts.append(np.bincount(block[wrong], minlength=rows * columns))
    best = np.argmin(counts, 0).reshape(rows, columns)
    best = best.repeat(START_BLOCK, 0).repeat(START_BLOCK, 1)[: grid.shape[0], : grid.shape[1]]
    return np.choose(best[..., None], grids)
