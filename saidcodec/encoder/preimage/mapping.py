"""A picture as luma and chroma of its map, and exceptions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from saidcodec.encoder.preimage.chroma import chroma_of
from saidcodec.encoder.preimage.colours import Planes, fitting, luma_range, planes_of
from saidcodec.encoder.preimage.sitings import layouts
from saidcodec.format.maps import MAPS, ColourMap, Layout, Mapped, Siting

MOST_EXCEPTIONS = 0.04  # of all pixels; with more the map is not used


def mapped(rgb: np.ndarray, number: int, halved: bool = True) -> Mapped | None:
    """The picture under one map, in the layout with the fewest chroma samples that fits; without ``halved``,
    which takes seconds a megapixel to find, with as many as it has pixels."""
    height, width = rgb.shape[:2]
    known = MAPS[number - 1]
    planes = planes_of(rgb, known)
    most = MOST_EXCEPTIONS * height * width
    if height * width - np.count_nonzero(planes.found) > most:
        return None
    for layout in layouts(rgb, known, planes) if halved else [Layout()]:
        result = in_layout(rgb, number, planes, layout)
        if len(result.places) <= most:
            return result
    return None


def in_layout(rgb: np.ndarray, number: int, planes: Planes, layout: Layout) -> Mapped:
    """The picture under a map in a layout; what does not fit are exceptions."""
    known = MAPS[number - 1]
    height, width = rgb.shape[:2]
    if layout.siting == Siting.FULL:
        luma, wrong = planes.values[..., 0].copy(), ~planes.found
        chroma = smooth(planes.values[..., 1:], wrong)
        grid = chroma
    else:
        grid = chroma_of(rgb, known, planes, layout)
        good, luma = fitting(rgb, known, layout.upsample(grid, height, width), planes)
        wrong = ~good
        bare = replace(layout, ring=False)
        rows, columns = bare.grid(height, width)
        top, left = -layout.extent(0, height)[0], -layout.extent(1, width)[0]
        inner = np.ascontiguousarray(grid[top : top + rows, left : left + columns])
        if layout.ring:
            same = fitting(rgb, known, bare.upsample(inner, height, width), planes)
            if np.count_nonzero(~same[0]) <= np.count_nonzero(wrong):
                layout, grid, wrong, luma = bare, inner, ~same[0], same[1]
    places = np.flatnonzero(wrong)
    plain = Mapped(
        number, layout, smooth(luma[..., None], wrong)[..., 0].astype(np.uint8), grid.astype(np.uint8),
        places, rgb.reshape(-1, 3)[places],
    )  # fmt: skip
    if not len(places):
        return plain
    chroma = layout.upsample(grid, height, width).reshape(-1, 2)[places]
    luma.reshape(-1)[places] = nearest_luma(known, plain.values, np.clip(chroma, 0, 255))
    close = replace(plain, luma=luma.astype(np.uint8), relative=True)
    return min(plain, close, key=lambda option: len(option.head()))


def nearest_luma(known: ColourMap, colours: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """About the Y with which colours uint8 [n, 3] are least missed, given U, V; int64 [n]."""
    low, high = luma_range(known, colours, chroma[:, 0], chroma[:, 1])
    return np.clip((low + high - 1) >> 1, 0, 255)


def smooth(values: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Integers [h, w, n] with the holes bool [h, w] filled from the left (then from the right) of their
    row, or from the row above: cheap to code."""
    if not holes.any():
        return values
    height, width = holes.shape
    at = np.where(holes, -1, np.arange(width))
    np.maximum.accumulate(at, axis=1, out=at)
    later = np.where(holes, width, np.arange(width))[:, ::-1]
    later = np.minimum.accumulate(later, axis=1)[:, ::-1]
    at = np.where(at < 0, later, at)
    empty = at[:, 0] == width
    result = np.take_along_axis(values, np.minimum(at, width - 1)[..., None], 1)
    rows = np.where(empty, -1, np.arange(height))
    np.maximum.accumulate(rows, out=rows)
    rows = np.where(rows < 0, np.flatnonzero(~empty)[0] if not empty.all() else 0, rows)
    filled: np.ndarray = result[rows]
    return filled
