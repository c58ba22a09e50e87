"""The encoder's half of the known maps: which map made a picture, and from which luma and chroma.

Nothing here is part of the format: any luma, chroma and exceptions whose ``Mapped.pixels`` are the picture
will do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np

from saidcodec.format.maps import MAPS, ColourMap, Layout, Mapped, Rounding, Siting

MOST_EXCEPTIONS = 0.04  # of all pixels; with more the map is not used
FEWEST_WITHIN = 32  # colours that are not clamped, for a first look at them alone
FIRST_LOOK, SECOND_LOOK = 256, 4096  # pixels that are tried before all
LIKELY = 0.85  # of the pixels looked at; text drawn over is allowed for
FITS = 0.97  # of chroma samples that agree with a siting, before it is tried in full
CROP = 192  # side of the part on which sitings are tried
SURELY, PERHAPS = 0.01, 0.2  # of its lively pixels that may fail: for a siting to be taken, or tried
FARTHEST = 96  # how far beyond the range a clamped channel is looked for
MOST_SUSPECTS = 0.1  # samples that repairs about clamped colours may look at, of all pixels
SOME_CLAMPED = 0.002  # of all pixels, from where on several beginnings are tried
BEYOND = (0, 6, 16)  # how far beyond the range clamped channels are taken to be
START_BLOCK = 8  # coded samples a side
STEPS = 24  # of conjugate gradients
TURNS, FEW_TURNS = 24, 2  # of repairing the chroma
ENOUGH = 1e-4  # of the pixels may stay wrong
USUAL = (Rounding.COLUMNS, Rounding.NEAREST, Rounding.ROWS, Rounding.COLUMNS_MIRRORED, Rounding.ROWS_MIRRORED)
RUN = 16  # samples that are chosen together


def forward(rgb: np.ndarray) -> Mapped | None:
    """The picture or band uint8 [h, w, 3] as luma and chroma of a known map, or None where none fits."""
    number = recognised(rgb)
    return None if number is None else mapped(rgb, number)


def recognised(rgb: np.ndarray) -> int | None:
    """1 + the place in MAPS of the map that explains the most of a sample of the pixels, if that is nearly
    all; milliseconds, whatever the picture's size."""
    flat = rgb.reshape(-1, 3)
    some = flat[scattered(len(flat), FIRST_LOOK)]
    if not (np.ptp(some, axis=1) > 0).any():
        return None  # greys have preimages under every map
    numbers = [*range(1, len(MAPS) + 1)]
    within = some[((some > 0) & (some < 255)).all(1)]
    if (
        len(within) >= FEWEST_WITHIN
    ):  # most pictures have no map, which shows soonest in colours that are not clamped
        numbers = [n for n in numbers if share_within(MAPS[n - 1], within) >= LIKELY]
    numbers = [n for n in numbers if share(MAPS[n - 1], some) >= LIKELY]
    if not numbers:
        return None
    more = flat[scattered(len(flat), SECOND_LOOK)]
    shares = [share(MAPS[n - 1], more) for n in numbers]
    best = int(np.argmax(shares))
    return numbers[best] if shares[best] >= LIKELY else None


def scattered(size: int, most: int) -> np.ndarray:
    """At most so many of the numbers below ``size``, in no pattern that rows or columns could have."""
    if size <= most:
        return np.arange(size)
    return np.arange(most, dtype=np.int64) * 0x9E3779B1 % size


def share(known: ColourMap, colours: np.ndarray) -> float:
    """How many of the colours uint8 [n, 3] have a preimage near by."""
    return float((preimages(known, colours, 2)[:, 0] >= 0).mean())


def share_within(known: ColourMap, colours: np.ndarray) -> float:
    """The same of colours none of whose channels is clamped, in one look at all the places near by."""
    matrix, offset = inverse_matrix(MAPS.index(known))
    guess = np.rint(colours.astype(np.float32) @ matrix.T + offset)[:, None, 1:].astype(np.int64)
    u, v = np.moveaxis(guess + np.array(NEAR), -1, 0)
    inside = (u >= 0) & (u < 256) & (v >= 0) & (v < 256)
    every = colours.repeat(len(NEAR), 0)
    low, high = luma_range(known, every, u.clip(0, 255).reshape(-1), v.clip(0, 255).reshape(-1))
    return float(((low < high).reshape(inside.shape) & inside).any(1).mean())


@lru_cache(maxsize=len(MAPS))
def inverse_matrix(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrix [3, 3] and offset [3] with which R, G, B give about Y, U, V."""
    known = MAPS[number]
    unit = 1 << known.shift

    def slope(table: np.ndarray) -> float:
        return float(table[255] - table[0]) / 255 / unit

    matrix = np.array([
        [slope(known.y), 0, slope(known.rv)],
        [slope(known.y), slope(known.gu), slope(known.gv)],
        [slope(known.y), slope(known.bu), 0],
    ])  # fmt: skip
    middle = np.array([128, *known.middle])
    y, u, v = middle
    at_middle = np.array([known.rv[v], known.gu[u] + known.gv[v], known.bu[u]]) + known.y[y]
    back = np.linalg.inv(matrix)
    return back.astype(np.float32), (middle - back @ (at_middle / unit - 0.5)).astype(np.float32)


def luma_range(
    known: ColourMap, colours: np.ndarray, u: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The Y that give each colour [n, 3] with its U, V: from the first up to but without the second, int64
    [n]."""
    low, high = np.zeros(len(colours), np.int64), np.full(len(colours), 256)
    for channel, offset in enumerate((known.rv[v], known.gu[u] + known.gv[v], known.bu[u])):
        value = colours[:, channel].astype(np.int64)
        above = np.where(value > 0, (value << known.shift) - offset, np.iinfo(np.int64).min)
        below = np.where(value < 255, ((value + 1) << known.shift) - offset, np.iinfo(np.int64).max)
        np.maximum(low, np.searchsorted(known.y, above), out=low)
        np.minimum(high, np.searchsorted(known.y, below), out=high)
    return low, high


NEAR = sorted(product((0, -1, 1), repeat=2), key=lambda d: d[0] ** 2 + d[1] ** 2)


def preimages(known: ColourMap, colours: np.ndarray, farthest: int = FARTHEST) -> np.ndarray:
    """Y, U, V of each colour uint8 [n, 3], int16 [n, 3]; -1 where there are none.

    Of several, the one that leaves the range the least in clamped channels, then the one nearest to what the
    inverse of the map says.
    """
    matrix, offset = inverse_matrix(MAPS.index(known))
    result = np.full((len(colours), 3), -1, np.int16)
    left = np.arange(len(colours))
    for beyond in (0, *beyond_steps(farthest)):
        if beyond:
            left = left[((colours[left] == 0) | (colours[left] == 255)).any(1)]
        if not len(left):
            break
        wanted = colours[left].astype(np.float32)
        wanted += np.where(wanted == 255, beyond, np.where(wanted == 0, -beyond, 0)).astype(np.float32)
        guess = np.rint(wanted @ matrix.T + offset)[:, 1:].astype(np.int64)
        found = np.zeros(len(left), bool)
        for du, dv in NEAR:
            todo = np.flatnonzero(~found)
            u, v = guess[todo, 0] + du, guess[todo, 1] + dv
            inside = (u >= 0) & (u < 256) & (v >= 0) & (v < 256)
            todo, u, v = todo[inside], u[inside], v[inside]
            low, high = luma_range(known, colours[left[todo]], u, v)
            fits = low < high
            todo, u, v, low, high = todo[fits], u[fits], v[fits], low[fits], high[fits]
            result[left[todo]] = np.stack([least_luma(colours[left[todo]], low, high), u, v], 1)
            found[todo] = True
            if found.all():
                break
        left = left[~found]
    return result


def beyond_steps(farthest: int) -> Iterator[int]:
    """Distances 2, 4, ... that grow with themselves."""
    step = 2
    while step <= farthest:
        yield step
        step += max(2, step // 4)


def least_luma(colours: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The Y of each range that goes the least beyond the range of the channels."""
    return np.where((colours == 255).any(1), low, high - 1)


@dataclass(frozen=True)
class Planes:
    """Y, U, V of every pixel, int16 [h, w, 3], and which are sure: those of colours that are not clamped."""

    values: np.ndarray
    found: np.ndarray
    sure: np.ndarray


def planes_of(rgb: np.ndarray, known: ColourMap) -> Planes:
    """The first guess of every pixel's luma and chroma, made once for each colour."""
    key = rgb[..., 0].astype(np.int32) << 16
    key |= rgb[..., 1].astype(np.int32) << 8
    key |= rgb[..., 2]
    seen = np.zeros(1 << 24, bool)
    seen[key] = True
    occurring = np.flatnonzero(seen)
    colours = np.stack([occurring >> 16, occurring >> 8 & 255, occurring & 255], 1).astype(np.uint8)
    rank = np.empty(1 << 24, np.int32)
    rank[occurring] = np.arange(len(occurring))
    index = rank[key]
    made = preimages(known, colours)
    clamped = ((colours == 0) | (colours == 255)).any(1)
    exists = made[:, 0] >= 0
    return Planes(made[index], exists[index], (exists & ~clamped)[index])


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


def fitting(
    rgb: np.ndarray, known: ColourMap, chroma: np.ndarray, planes: Planes | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels can have their colour with chroma [h, w, 2], bool [h, w], and their luma int16 [h, w].

    With ``planes``, pixels whose chroma is the first guess take its luma without another look.
    """
    height, width = rgb.shape[:2]
    good, luma = np.zeros((height, width), bool), np.zeros((height, width), np.int16)
    if planes is not None:
        good = planes.found & (planes.values[..., 1:] == chroma).all(-1)
        luma = planes.values[..., 0].copy()
    todo = np.flatnonzero(~good)
    flat, pairs = rgb.reshape(-1, 3), chroma.reshape(-1, 2)
    inside = ((pairs[todo] >= 0) & (pairs[todo] < 256)).all(1)
    todo = todo[inside]
    low, high = luma_range(known, flat[todo], pairs[todo, 0], pairs[todo, 1])
    fits = low < high
    good.reshape(-1)[todo] = fits
    luma.reshape(-1)[todo[fits]] = least_luma(flat[todo[fits]], low[fits], high[fits])
    return good, luma


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
