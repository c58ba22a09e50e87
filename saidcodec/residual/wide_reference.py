"""The coder of wide samples in plain Python: the specification in Python, and the oracle of the C core.

It runs where no C compiler was at hand, at some thousand samples a second.  ``_wide.c`` gives the same bytes.
Shifts to the right round down.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from saidcodec.residual.decisions import Coder, Collector, Counter, Mixer, Taker, mixed
from saidcodec.residual.magnitudes import (
    beside_level,
    clamp,
    far_level,
    gradient_of,
    quarter_log,
    rough_level,
    side_level,
    side_of,
    size_level,
    texture_of,
)
from saidcodec.residual.squares import MOST_FEATURE, SEGMENT, WEIGHT_BITS, Sums, improve

MARGIN = 4  # cells repeated at both sides of a row, and rows above the first
FRACTION, UNIT = 4, 7  # bits of a prediction below the sample; log2 of a feature as large as the errors
LOCAL_SHIFT, WIDE_SHIFT = 3, 7
LEVELS, EXPONENTS = 80, 16
RATES, LIMITS = (140, 16), (400, 250, 250, 250, 250, 250)
FIRST_WEIGHTS = [19660] * 7
MOST_CHANGE = 1 << 20


def median(w: int, n: int, nw: int) -> int:
    return sorted((w, n, w + n - nw))[1]


@dataclass
class Around:
    """What is known around a sample; predictions in sixteenths."""

    w: int
    n: int
    nw: int
    ne: int
    ww: int
    nn: int
    median: int
    gradient: int
    energy: int
    predicted: int = 0
    local: int = 0
    wide: int = 0


class Component:
    """One component of the image, and all that was learned from it."""

    def __init__(self, shape: tuple[int, int], number: int, later: int, top: int):
        height, width = shape
        self.number, self.later, self.top, self.row = number, later, top, width + 2 * MARGIN
        self.cells = [0] * ((MARGIN + height) * self.row)
        self.errors = list(self.cells)
        self.missed = [0] * self.row, [0] * self.row
        n, segments = 14 + 7 * number + 3 * later, -(-width // SEGMENT)
        self.sums = [Sums.empty(n) for _ in range(segments)]
        self.wide_sums = Sums.empty(n)
        self.weights = np.zeros((segments, n), np.int64)
        self.wide_weights = np.zeros(n, np.int64)
        self.learned: list[tuple[list[int], int]] = []
        self.counters: defaultdict[tuple[int, ...], Counter] = defaultdict(Counter)
        self.mixers: defaultdict[tuple[int, ...], Mixer] = defaultdict(partial(Mixer, FIRST_WEIGHTS))

    def at(self, x: int, y: int) -> int:
        """The number of a sample's cell."""
        return (MARGIN + y) * self.row + MARGIN + x

    def begin_row(self, y: int) -> None:
        q = self.at(0, y)
        for plane in (self.cells, self.errors):
            plane[q - MARGIN : q] = [plane[q - self.row]] * MARGIN

    def end_row(self, y: int) -> None:
        q = self.at(self.row - 2 * MARGIN, y)
        for plane in (self.cells, self.errors):
            plane[q : q + MARGIN] = [plane[q - 1]] * MARGIN
            if y == 0:
                plane[: MARGIN * self.row] = plane[MARGIN * self.row : (MARGIN + 1) * self.row] * MARGIN

    def begin_segment(self, segment: int) -> None:
        improve(self.sums[max(segment - 1, 0) : segment + 2], self.weights[segment])
        improve([self.wide_sums], self.wide_weights)

    def end_segment(self, segment: int) -> None:
        if self.learned:
            features, goals = (np.array(part, np.int64) for part in zip(*self.learned, strict=True))
        else:
            features, goals = np.zeros((0, len(self.wide_weights)), np.int64), np.zeros(0, np.int64)
        self.sums[segment].learn(features, goals, LOCAL_SHIFT)
        self.wide_sums.learn(features, goals, WIDE_SHIFT)
        self.learned = []


class Walk:
    """One image: its components, coded in their order."""

    def __init__(self, coder: Coder, shape: tuple[int, ...], tops: Sequence[int], max_error: int):
        self.coder, self.step = coder, 2 * max_error + 1
        self.height, self.width, components = shape
        colours = components - 1 + components % 2
        self.parts = [
            Component((self.height, self.width), c, max(colours - 1 - c, 0), tops[c])
            for c in range(components)
        ]

    def walk(self) -> None:
        for y in range(self.height):
            for part in self.parts:
                part.begin_row(y)
            for segment, start in enumerate(range(0, self.width, SEGMENT)):
                if y:
                    for part in self.parts:
                        part.begin_segment(segment)
                for x in range(start, min(start + SEGMENT, self.width)):
                    for part in self.parts:
                        if part.top:
                            self.sample(part, x, y)
                if y:
                    for part in self.parts:
                        part.end_segment(segment)
            for part in self.parts:
                part.end_row(y)

    # ---- prediction ----

    def look(self, part: Component, q: int) -> Around:
        row, s = part.row, part.cells
        w, n, nw, ne, ww, nn = s[q - 1], s[q - row], s[q - row - 1], s[q - row + 1], s[q - 2], s[q - 2 * row]
        gradient = gradient_of((w, n, nw, ne, ww, nn))
        for other in self.parts[: part.number]:
            o = other.cells
            gradient += abs(o[q] - o[q - 1]) + abs(o[q] - o[q - row]) >> 1
        e = [abs(part.errors[q + d]) for d in (-1, -row, -row - 1, 1 - row, -2, -2 * row)]
        return Around(w, n, nw, ne, ww, nn, median(w, n, nw), gradient, 2 * (e[0] + e[1]) + sum(e[2:]))

    def features(self, part: Component, q: int, a: Around) -> tuple[list[int], int]:
        """The features of a sample, and log2 of their unit."""
        row, s, e = part.row, part.cells, part.errors
        differences = [
            a.w - a.median,
            a.n - a.median,
            a.w - a.nw,
            a.n - a.ne,
            a.w - a.ww,
            a.n - a.nn,
            a.ne - s[q + 1 - 2 * row],
            a.ne - s[q + 2 - row],
            a.nw - s[q - 2 - row],
            a.nw - s[q - 1 - 2 * row],
            a.ww - s[q - 3],
            a.nn - s[q - 3 * row],
        ]
        earlier = self.parts[: part.number]
        for other in earlier:
            o = other.cells
            v, w, n, nw = o[q], o[q - 1], o[q - row], o[q - row - 1]
            differences += [v - w, v - n, n - nw, n - o[q + 1 - row], v - median(w, n, nw), w - o[q - 2]]
        for other in self.parts[part.number + 1 :][: part.later]:
            o = other.cells
            n, nw = o[q - row], o[q - row - 1]
            differences += [o[q - 1] - nw, n - nw, n - o[q + 1 - row]]
        errors = [e[q - 1], e[q - row], *(other.errors[q] for other in earlier)]
        unit = ((a.gradient >> 4) + 2 * (a.energy >> 7)).bit_length()
        scaled = [d << UNIT >> unit for d in differences] + [d << UNIT - FRACTION >> unit for d in errors]
        return [clamp(v, -MOST_FEATURE, MOST_FEATURE) for v in scaled], unit

    def predict(self, part: Component, x: int, a: Around, features: list[int], unit: int) -> None:
        predictions = []
        for weights in (part.weights[x // SEGMENT], part.wide_weights):
            total = sum(w * f for w, f in zip(weights.tolist(), features, strict=True))
            change = (total >> 7) << unit >> WEIGHT_BITS + UNIT - FRACTION - 7
            change = clamp(change, -MOST_CHANGE, MOST_CHANGE)
            predictions.append(clamp(16 * a.median + change, 0, 16 * part.top))
        a.local, a.wide = predictions
        weights = []
        for missed in part.missed:
            m = missed[MARGIN + x - 1 : MARGIN + x + 3]
            weights.append((2 * (m[0] + m[1]) + m[2] + m[3] + 1) ** 2)
        shift = (max(weights) >> 20).bit_length()
        local, wide = (weight >> shift for weight in weights)
        a.predicted = (a.local * wide + a.wide * local) // (local + wide)

    # ---- a sample ----

    def ask(self, part: Component, place: Sequence[tuple[int, ...]], node: int, kind: int, bit: int) -> int:
        """One decision; ``place`` holds what its counters and mixers are numbered by."""
        *contexts, (level, side) = place
        counters = [part.counters[(i, *context, node)] for i, context in enumerate(contexts)]
        mixers = part.mixers[0, node, side], part.mixers[1, level, kind]
        bit = mixed(self.coder, counters, [], mixers, RATES, bit)
        for counter, limit in zip(counters, LIMITS, strict=True):
            counter.update(bit, limit)
        return bit

    def distance(self, part: Component, place: Sequence[tuple[int, ...]], spare: int, value: int) -> int:
        """A distance by its bit length, its upper bits and the rest, ``spare`` bits of which are not asked
        about."""
        upper, length = value >> spare, 0
        known = upper.bit_length()
        while length < EXPONENTS and self.ask(part, place, 1 + length, 1 + length, int(known > length)):
            length += 1
        found = int(length > 0)
        if length > 1:
            bit = self.ask(part, place, 15 + length, 17, upper >> max(known - 2, 0) & 1)
            found = 2 * found + bit
            if length > 2:
                node = 26 + 2 * min(length, 9) + bit
                found = 2 * found + self.ask(part, place, node, 18, upper >> max(known - 3, 0) & 1)
        plain = max(length - 3, 0) + spare
        if plain:
            found = found << plain | self.coder.plain_bits(plain, value & (1 << plain) - 1)
        return found

    def sample(self, part: Component, x: int, y: int) -> None:
        """Code a sample; while encoding its cell holds it."""
        q = part.at(x, y)
        value, e, row = part.cells[q], part.errors, part.row
        a = self.look(part, q)
        features, unit = list[int](), 0
        if y == 0:
            a.predicted = a.local = a.wide = 16 * a.w if x else 0
        else:
            features, unit = self.features(part, q, a)
            self.predict(part, x, a, features, unit)

        beside, beyond = ([other.errors[q] for other in self.parts[: part.number][::-1]] + [0, 0])[:2]
        energy = a.energy + 3 * abs(beside) >> 1 if part.number else a.energy
        level = min(quarter_log(energy // self.step), LEVELS - 1)
        spare = max((level + 1 >> 2) - 9, 0)
        fine = self.step == 1 and not spare
        whole, fraction = a.predicted >> 4, (a.predicted & 15) >> 1 if fine else 0
        narrow = (a.energy >> 3) + 2
        agree = side_level(a.wide - a.local, narrow + 2)
        middle = side_level(16 * a.median - a.predicted, narrow + 2)
        before, value_level = size_level(beside, narrow), quarter_log(whole)
        west, north = (side_of(e[q - d], narrow) for d in (1, row))
        texture = texture_of((a.w, a.n, a.nw, a.ne, a.ww, a.nn), whole)
        steps = (value - whole + self.step // 2) // self.step
        place: list[tuple[int, ...]] = [
            (level, fraction),
            (fraction, agree),
            (beside > 0, beyond > 0, agree, middle),
            (west, north, before),
            (texture, fraction >> 1),
            (value_level, level // 3),
            (level, 0),
        ]
        above = self.ask(part, place, 0, 0, int(steps > 0))

        if above:
            agree, middle, fraction = 8 - agree, 8 - middle, 7 - fraction if fine else 0
        side = above if self.step > 1 else 0
        if side:
            fraction = side
        other = 2 * size_level(e[q + 1 - row], narrow)
        if part.number:
            other = beside_level(beside, level)
        rough = rough_level(a.gradient, level)
        far = [far_level(e[q - d]) for d in (1, row)]
        place = [
            (level, fraction),
            (level, rough),
            (before, level > 28, agree, middle),
            tuple(far),
            (level, other),
            (value_level, level // 3),
            (level, side),
        ]
        found = self.distance(part, place, spare, steps - 1 if above else -steps)

        value = clamp(whole + self.step * (found + 1 if above else -found), 0, part.top)
        part.cells[q], part.errors[q] = value, 16 * value - a.predicted
        for missed, prediction in zip(part.missed, (a.local, a.wide), strict=True):
            missed[MARGIN + x] = abs(16 * value - prediction)
        if y:
            goal = (value - a.median) << UNIT >> unit
            part.learned.append((features, clamp(goal, -MOST_FEATURE, MOST_FEATURE)))

    def samples(self) -> np.ndarray:
        """uint16 [height, width, components]."""
        planes = [np.array(part.cells).reshape(-1, part.row) for part in self.parts]
        return np.stack([plane[MARGIN:, MARGIN:-MARGIN] for plane in planes], -1).astype(np.uint16)


def encode(samples: np.ndarray, tops: Sequence[int], max_error: int) -> tuple[np.ndarray, np.ndarray]:
    """See ``wide.encode``."""
    coder = Collector()
    walk = Walk(coder, samples.shape, tops, max_error)
    for part, plane in zip(walk.parts, np.moveaxis(samples, -1, 0), strict=True):
        padded = np.zeros((len(plane) + MARGIN, part.row), np.int64)
        padded[MARGIN:, MARGIN:-MARGIN] = plane
        part.cells = padded.reshape(-1).tolist()
    walk.walk()
    return np.array(coder.decisions, np.uint32), walk.samples()


def decode(
    words: np.ndarray, shape: tuple[int, ...], tops: Sequence[int], max_error: int
) -> tuple[np.ndarray, np.ndarray]:
    """See ``wide.decode``."""
    coder = Taker([int(word) for word in words])
    walk = Walk(coder, shape, tops, max_error)
    walk.walk()
    return walk.samples(), np.array(coder.left(), np.uint32)
