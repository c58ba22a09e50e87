"""Preimages of single colours under a known map, and which map a picture has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from saidcodec.format.maps import MAPS, ColourMap

FEWEST_WITHIN = 32  # colours that are not clamped, for a first look at them alone
FIRST_LOOK, SECOND_LOOK = 256, 4096  # pixels that are tried before all
LIKELY = 0.85  # of the pixels looked at; text drawn over is allowed for
FARTHEST = 96  # how far beyond the range a clamped channel is looked for
NEAR = sorted(product((0, -1, 1), repeat=2), key=lambda d: d[0] ** 2 + d[1] ** 2)


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
