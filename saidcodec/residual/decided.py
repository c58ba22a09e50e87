"""Decisions in plain Python: a plane's samples, each coded by questions about the values that are left
(bitstream_spec.md, section 6.10).

What the tables say of a question is mixed with what counters have learned.  A second prediction, by least
squares in segments of columns, goes along with that of adaptation.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from saidcodec.entropy.bank import MEAN_STEPS, REACH, SYMBOLS, bank, look_up
from saidcodec.entropy.rans import PRECISION, TOTAL
from saidcodec.residual.adaptation import (
    CLOSE,
    ENERGY_WEIGHTS,
    FAR,
    FEATURE_FACTORS,
    MISSED,
    MISSED_WEIGHTS,
    MOST_ERROR,
    MOST_FEATURE,
    MOST_WEIGHT,
    OTHERS,
    PAD,
    RIDGE,
    Adaptation,
    corrected_by,
    in_widths,
)
from saidcodec.residual.adaptation import FEATURES as ADAPTED_FEATURES
from saidcodec.residual.decisions import Counter, Decider, Mixer, mixed
from saidcodec.residual.engine import LENGTH_BITS
from saidcodec.residual.lengths import length_of
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
from saidcodec.residual.squares import Sums, sweep, together

FARTHER = ((-3, 0), (0, -3), (-1, -3), (1, -3), (-3, -1), (-3, -2))  # errors of the own component
VALUES = (*FAR, (-3, 0), (0, -3))
FEATURES = ADAPTED_FEATURES + OTHERS + len(FARTHER) + len(VALUES)
SEGMENT, LESSONS = 16, 16  # columns that share weights; samples after which they are improved
FORGOTTEN_BITS, RIDGE_BITS = 4, 14
MOST_GOAL = 120  # 32nds of the core's width

LEVELS, LARGE = 80, 28
RATES, LIMITS = (70, 8), (400, 250, 250, 250, 250, 250, 400, 250)
FIRST_WEIGHTS = [6000] * len(LIMITS) + [40000, 10000, 0]
LENGTHS = 9  # questions about a distance's length
FIRST_BIT, SECOND_BIT = 10, 11  # kinds of questions
BEYOND = SYMBOLS + 1  # a distance that no value has
LEAST, MOST = 32, 65504  # probabilities by a table alone
ODDS_FACTOR, MOST_ODDS = 45426, 2047  # 2**16 times ln 2; 1/256
SHARP = 8  # bits of a frequency that its logarithm counts

Key = tuple[int, ...]
Span = tuple[int, int]  # values from the first to the second, the latter excluded


@lru_cache(maxsize=1)
def fractions() -> list[int]:
    """2**16 times what lies behind the point of the logarithm to base 2 of the numbers from 256 to 511."""
    numbers = np.arange(1 << SHARP, 2 << SHARP)
    return (((PRECISION - SHARP) << LENGTH_BITS) - length_of(numbers)).tolist()


def logarithm(frequency: int) -> int:
    """The natural logarithm in 1/256; 0 for 0."""
    if not frequency:
        return 0
    whole = frequency.bit_length() - 1
    fraction = fractions()[(frequency << SHARP >> whole) - (1 << SHARP)]
    return ((whole << LENGTH_BITS) + fraction) * ODDS_FACTOR >> PRECISION


def odds(one: int, other: int) -> int:
    """The logarithm of the odds of two frequencies, in 1/256."""
    return clamp(logarithm(one) - logarithm(other), -MOST_ODDS, MOST_ODDS)


class Row(NamedTuple):
    """A row of the bank around a centre."""

    edges: list[int]
    centre: int
    sign: int

    def below(self, value: int) -> int:
        """The frequency of all values below one."""
        if self.sign == 1:
            return self.edges[clamp(value - self.centre + REACH, 0, SYMBOLS)]
        return TOTAL - self.edges[clamp(self.centre - value + REACH + 1, 0, SYMBOLS)]

    def within(self, span: Span) -> int:
        return self.below(span[1]) - self.below(span[0])


class Lane(NamedTuple):
    """What decides how one sample of a component is coded; means and errors in sixteenths.

    ``errors`` and ``around`` are those of the neighbours CLOSE.  ``before`` and ``beyond`` are the errors of
    the components before this one.
    """

    predicted: int
    local: int
    corrected: int
    mean: int
    scale: int
    tail: int
    energy: int
    errors: list[int]
    corner: int  # the error to the upper right
    around: tuple[int, ...]
    before: int
    beyond: int
    rows: tuple[Row, Row]


class Component:
    """What was learned of one component."""

    def __init__(self, number: int, width: int):
        segments = -(-width // SEGMENT)
        self.number = number
        self.weights = np.zeros((segments, FEATURES), np.int64)
        self.sums = [Sums.empty(FEATURES) for _ in range(segments)]
        self.lessons: list[list[tuple[np.ndarray, int]]] = [[] for _ in range(segments)]
        self.counters: defaultdict[Key, Counter] = defaultdict(Counter)
        self.mixers: defaultdict[Key, Mixer] = defaultdict(partial(Mixer, FIRST_WEIGHTS))

    def learn(self, segment: int, features: np.ndarray, goal: int) -> None:
        lessons = self.lessons[segment]
        lessons.append((features, goal))
        if len(lessons) == LESSONS:
            everything, goals = (np.array(part, np.int64) for part in zip(*lessons, strict=True))
            lessons.clear()
            self.sums[segment].learn(everything, goals, FORGOTTEN_BITS)
            near = together(self.sums[max(segment - 1, 0) : segment + 2])
            sweep(near, self.weights[segment], RIDGE_BITS, RIDGE, MOST_WEIGHT)


class Questions:
    """One sample of a component, coded by what is asked about it; ``value`` is it where it is known."""

    def __init__(self, coder: Decider, part: Component, lane: Lane, value: int | None):
        self.coder, self.part, self.lane = coder, part, lane
        self.whole = lane.predicted >> 4
        self.value = self.whole if value is None else value
        energy = lane.energy + 3 * abs(lane.before) >> 1 if part.number else lane.energy
        self.level = min(quarter_log(energy), LEVELS - 1)
        self.places: list[Key] = []

    def sample(self) -> int:
        lane, whole, level = self.lane, self.whole, self.level
        fraction, z = (lane.predicted & 15) >> 1, (lane.energy >> 3) + 2
        agree = side_level(lane.corrected - lane.local, z + 2)
        middle = side_level(lane.mean - lane.predicted, z + 2)
        was, light = size_level(lane.before, z), (quarter_log(abs(whole)), level // 3)
        shared = (lane.scale, level)
        self.places = [
            (level, fraction),
            (fraction, agree),
            (lane.before > 0, lane.beyond > 0, agree, middle),
            (side_of(lane.errors[0], z), side_of(lane.errors[1], z), was),
            (texture_of(lane.around, whole), fraction >> 1),
            light,
            (lane.scale, lane.tail, fraction),
            shared,
        ]
        above = self.ask(0, 0, (whole + 1, whole + BEYOND), (whole - BEYOND, whole + 1), self.value > whole)

        if above:
            agree, middle, fraction = 8 - agree, 8 - middle, 7 - fraction
        other = beside_level(lane.before, level) if self.part.number else 2 * size_level(lane.corner, z)
        self.places = [
            (level, fraction),
            (level, rough_level(gradient_of(lane.around), level)),
            (was, level > LARGE, agree, middle),
            (far_level(lane.errors[0]), far_level(lane.errors[1])),
            (level, other),
            light,
            (lane.scale, lane.tail, fraction),
            shared,
        ]
        distance = self.distance(bool(above))
        return whole + 1 + distance if above else whole - distance

    def distance(self, above: bool) -> int:
        """The distance by its bit length, its upper two bits after the first, and the others."""
        start = self.whole + 1
        known = max(self.value - start if above else self.whole - self.value, 0)

        def span(least: int, end: int) -> Span:
            return (start + least, start + end) if above else (start - end, start - least)

        length = 0
        while length < LENGTHS:
            edge = 1 << length
            longer, rest = span(edge, BEYOND), span(edge >> 1, edge)
            if not self.ask(1 + length, 1 + length, longer, rest, known >= edge):
                break
            length += 1
        found = 1 << length >> 1
        first = 0
        for turn in range(1, length):
            half = 1 << length - 1 - turn
            upper, lower = span(found + half, found + 2 * half), span(found, found + half)
            wanted = bool(known & half)
            if turn == 1:
                bit = first = self.ask(8 + length, FIRST_BIT, upper, lower, wanted)
            elif turn == 2:
                bit = self.ask(12 + 2 * length + first, SECOND_BIT, upper, lower, wanted)
            else:
                bit = self.coder.decide(self.share(upper, lower), wanted)
            found += half * bit
        return found

    def ask(self, number: int, kind: int, one: Span, other: Span, answer: bool) -> int:
        """A question whose answer 1 leaves the span ``one``."""
        lane, counters, mixers = self.lane, self.part.counters, self.part.mixers
        chosen = [counters[(number, i, *place)] for i, place in enumerate(self.places)]
        weighed = (
            mixers[0, number],
            mixers[1, self.level, kind],
            mixers[2, lane.scale, lane.tail, kind],
        )
        told = [odds(row.within(one), row.within(other)) for row in lane.rows]
        bit = mixed(self.coder, chosen, told, weighed, RATES, int(answer))
        for counter, limit in zip(chosen, LIMITS, strict=True):
            counter.update(bit, limit)
        return bit

    def share(self, one: Span, other: Span) -> int:
        """The probability, in 2**-16, of the span ``one`` by the second row."""
        wanted, rest = self.lane.rows[1].within(one), self.lane.rows[1].within(other)
        return clamp((wanted << 16) // (wanted + rest), LEAST, MOST) if wanted + rest else 1 << 15


class Decided(Adaptation):
    """The state of one lossless plane that is coded by decisions: each ``adapt`` is followed by ``code``."""

    def __init__(self, samples: np.ndarray, by_parity: bool, coder: Decider):
        """``samples`` int16 [h, w, components]: those of the plane, which hold what has been decoded."""
        super().__init__(samples, 0, by_parity)
        self.coder = coder
        self.parts = [Component(c, samples.shape[1]) for c in range(self.components)]
        self.local, self.last = np.zeros_like(self.network), np.zeros_like(self.network)
        self.lookups = [table.edges for table in bank().tables]

    def look(self, x: np.ndarray, y: np.ndarray) -> None:
        super().look(x, y)
        self.farther = self.errors_at(self.network, FARTHER)
        self.values = self.samples_at(VALUES)
        self.predictions = list[tuple[np.ndarray, np.ndarray, np.ndarray]]()

    def code(self, c: int, values: np.ndarray, truth: np.ndarray | None) -> np.ndarray:
        """Samples int64 [n] of component c.  ``values`` int [n, components]: the components before c;
        ``truth`` int [n]: the samples where they are known."""
        features = self.features(c)
        local = self.predict(c, features)
        predicted = self.blend(c, local)
        self.predictions.append((features, local, predicted))
        lanes = self.lanes(c, local, predicted, values)
        known = [None] * len(lanes) if truth is None else truth.tolist()
        asked = zip(lanes, known, strict=True)
        found = [Questions(self.coder, self.parts[c], lane, value).sample() for lane, value in asked]
        return np.array(found, np.int64)

    def features(self, c: int) -> np.ndarray:
        """All features of a step's samples in widths, int64 [n, FEATURES]."""
        choice = self.known[c]
        around, inside = self.values
        own = (MEAN_STEPS * around[..., c] - choice.mean[:, None]) * inside
        more = np.clip(np.concatenate([self.farther[..., c], own], 1), -MOST_ERROR, MOST_ERROR)
        more = np.clip(in_widths(more, FEATURE_FACTORS[choice.scale][:, None]), -MOST_FEATURE, MOST_FEATURE)
        return np.concatenate([choice.features, more], 1).astype(np.int64)

    def predict(self, c: int, features: np.ndarray) -> np.ndarray:
        """The mean as the weights of each sample's segment correct it, int64 [n]."""
        choice = self.known[c]
        sums = (features * self.parts[c].weights[self.x // SEGMENT]).sum(1)
        return corrected_by(sums, choice.mean, choice.scale, c)

    def blend(self, c: int, local: np.ndarray) -> np.ndarray:
        """Both predictions as one: each weighs as the other has erred around, int64 [n]."""
        missed = [
            (np.abs(self.errors_at(errors, MISSED)[..., c].astype(np.int64)) @ MISSED_WEIGHTS + 1) ** 2
            for errors in (self.local, self.corrected)
        ]
        total = local * missed[1] + self.known[c].corrected * missed[0]
        return total // (missed[0] + missed[1])

    def lanes(self, c: int, local: np.ndarray, predicted: np.ndarray, values: np.ndarray) -> list[Lane]:
        choice, whole = self.known[c], predicted >> 4
        errors = self.errors_at(self.last, CLOSE)[..., c]
        around = np.where(self.inside, self.beside[..., c], whole[:, None])
        none = np.zeros(len(values), np.int64)
        before = self.error(c - 1, values) if c > 0 else none
        beyond = self.error(c - 2, values) if c > 1 else none
        columns = (
            *(predicted, local, choice.corrected, choice.mean, choice.scale, choice.tail),
            *(np.abs(errors) @ ENERGY_WEIGHTS, errors, errors[:, 3], around, before, beyond),
        )
        rows = [self.rows(predicted, scale, choice.tail) for scale in (choice.scale, choice.adapted)]
        numbers = (column.tolist() for column in columns)
        return [Lane(*own) for own in zip(*numbers, zip(*rows, strict=True), strict=True)]

    def rows(self, mean: np.ndarray, scale: np.ndarray, tail: np.ndarray) -> list[Row]:
        found = (numbers.tolist() for numbers in look_up(mean, scale, tail))
        return [Row(self.lookups[row], centre, sign) for row, centre, sign in zip(*found, strict=True)]

    def error(self, d: int, values: np.ndarray) -> np.ndarray:
        """The errors of a component of the step's samples, int64 [n]."""
        return np.clip(
            MEAN_STEPS * values[:, d].astype(np.int64) - self.predictions[d][2], -MOST_ERROR, MOST_ERROR
        )

    def learn(self, values: np.ndarray) -> None:
        super().learn(values)
        segments = (self.x // SEGMENT).tolist()
        for c, (part, choice) in enumerate(zip(self.parts, self.known, strict=True)):
            features, local, _ = self.predictions[c]
            value, here = MEAN_STEPS * values[:, c].astype(np.int64), (self.y + PAD, self.x + PAD, c)
            self.local[here] = np.clip(value - local, -MOST_ERROR, MOST_ERROR)
            self.last[here] = self.error(c, values)
            goals = in_widths(value - choice.mean, FEATURE_FACTORS[choice.scale])
            goals = np.clip(goals, -MOST_GOAL, MOST_GOAL).tolist()
            for lesson in zip(segments, features, goals, strict=True):
                part.learn(*lesson)
