"""Which layouts the chroma of a picture may have had: halved or not, and where its samples lay."""

from __future__ import annotations

from itertools import product

import numpy as np

from saidcodec.encoder.preimage.chroma import chroma_of
from saidcodec.encoder.preimage.colours import Planes, fitting
from saidcodec.format.maps import ColourMap, Layout, Rounding, Siting

FITS = 0.97  # of chroma samples that agree with a siting, before it is tried in full
CROP = 192  # side of the part on which sitings are tried
SURELY, PERHAPS = 0.01, 0.2  # of its lively pixels that may fail: for a siting to be taken, or tried
FEW_TURNS = 2  # of repairing the chroma
USUAL = (Rounding.COLUMNS, Rounding.NEAREST, Rounding.ROWS, Rounding.COLUMNS_MIRRORED, Rounding.ROWS_MIRRORED)


def layouts(rgb: np.ndarray, known: ColourMap, planes: Planes) -> list[Layout]:
    """The layouts worth trying, the best first; the full one is the last."""
    full = [Layout()]
    if min(rgb.shape[:2]) < 8:
        return full
    agree = [sitings(np.moveaxis(planes.values[..., 1:], axis, 0), np.moveaxis(planes.sure, axis, 0))
             for axis in (0, 1)]  # fmt: skip
    best = max(score for scores in agree for score in scores.values())
    likely = [{key for key, score in scores.items() if score >= max(FITS, best - 0.01)} for scores in agree]
    lively = planes.sure.copy()
    lively[:, 1:] &= (planes.values[:, 1:, 1:] != planes.values[:, :-1, 1:]).any(-1)
    part, top, left = fullest(lively)
    guess = Planes(*(a[part] for a in (planes.values, planes.found, planes.sure)))
    cut, count = rgb[part], np.count_nonzero(lively[part])
    chosen: list[Layout] = []
    for rows, columns in ((True, True), (False, True), (True, False)):
        good: list[tuple[float, int, Layout]] = []
        for siting in (Siting.BOX, Siting.FIRST, Siting.CENTRED):
            phases = [[p for p in (0, 1) if (siting, p) in likely[a]] if on else [0]
                      for a, on in ((0, rows), (1, columns))]  # fmt: skip
            kinds = USUAL if siting == Siting.CENTRED else USUAL[1:2]
            for phase, kind in product(product(*phases), kinds):
                layout = Layout(siting, (rows, columns), phase, kind, siting != Siting.BOX)
                here = layout.moved(top, left)
                grid = chroma_of(cut, known, guess, here, FEW_TURNS)
                fits, _ = fitting(cut, known, here.upsample(grid, *cut.shape[:2]))
                failures = int(np.count_nonzero(~fits & guess.sure)) / max(1, int(count))
                if failures <= SURELY:
                    return [*chosen, layout, *full]
                good.append((failures, len(good), layout))
        chosen += [layout for failures, _, layout in sorted(good) if failures <= PERHAPS][:2]
    return chosen + full


def fullest(marks: np.ndarray) -> tuple[tuple[slice, slice], int, int]:
    """Of nine parts of at most CROP × CROP pixels the one with the most marks, and its top and left."""
    height, width = marks.shape
    tops, lefts = ({0, max(0, size - CROP) // 2, max(0, size - CROP)} for size in (height, width))
    top, left = max(
        product(sorted(tops), sorted(lefts)),
        key=lambda at: int(np.count_nonzero(marks[at[0] : at[0] + CROP, at[1] : at[1] + CROP])),
    )
    return (slice(top, top + CROP), slice(left, left + CROP)), top, left


def sitings(chroma: np.ndarray, sure: np.ndarray) -> dict[tuple[Siting, int], float]:
    """How well chroma [n, m, 2] agrees with each siting and phase along its first axis; a part of the
    lines."""
    step = max(1, chroma.shape[1] // 256)
    c, ok = chroma[:, ::step].astype(np.int32), sure[:, ::step]
    result = {}
    for phase in (0, 1):
        start = phase  # pixels phase, phase + 2, ... begin a cell
        one, two = c[start:-1:2], c[start + 1 :: 2]
        both = ok[start:-1:2] & ok[start + 1 :: 2]
        result[Siting.BOX, phase] = agreement((one == two).all(-1), both)
        n = (len(c) - 1 - start) // 2
        one, two, three = (c[start + i :: 2][:n] for i in range(3))
        known = ok[start::2][:n] & ok[start + 1 :: 2][:n] & ok[start + 2 :: 2][:n]
        result[Siting.FIRST, phase] = agreement((np.abs(2 * two - one - three) <= 1).all(-1), known)
        n = (len(c) - 3 - start) // 2 + 1 if len(c) - 3 - start > 0 else 0
        before = start + 1  # the second pixel of the cell before
        n = max(0, (len(c) - before - 4) // 2 + 1)
        w = [c[before + i :: 2][:n] for i in range(4)]
        known = (
            ok[before::2][:n] & ok[before + 1 :: 2][:n] & ok[before + 2 :: 2][:n] & ok[before + 3 :: 2][:n]
        )
        result[Siting.CENTRED, phase] = agreement(
            (np.abs(3 * w[1] - w[0] - 3 * w[2] + w[3]) <= 4).all(-1), known
        )
    return result


def agreement(good: np.ndarray, known: np.ndarray) -> float:
    """The share of the known that are good; 0 where too few are known."""
    count = np.count_nonzero(known)
    return float(np.count_nonzero(good & known) / count) if count >= 64 else 0.0
