"""Adaptation in plain NumPy: what a plane's own errors teach (bitstream_spec.md, section 6.9).

The network's mean is corrected by a linear prediction of its error, whose weights follow the plane, or each
parity of it, by least squares.  A second prediction starts from there; its weights follow their row and those
around it.  The two means are blended by what each missed close by.  The scale index is shifted by what would
have coded better so far.  Samples of one step see the same state; what they teach comes after the step.
_adapt.h is the same in C.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from saidcodec.entropy.bank import MEAN_STEPS, REACH, SCALES, TAILS, bank, in_quanta, look_up
from saidcodec.format.colour import HIGH, LOW
from saidcodec.residual.context import SKEW
from saidcodec.residual.lengths import lengths
from saidcodec.residual.network import COMPONENTS, Offsets
from saidcodec.residual.squares import Sums, sweep

CLOSE = ((-1, 0), (0, -1), (-1, -1), (1, -1), (-2, 0), (0, -2))  # errors of all components, and values
FAR = ((-2, -1), (1, -2), (-1, -2), (2, -2), (-2, -2))  # errors of the own component
FEATURES = COMPONENTS * len(CLOSE) + len(FAR) + len(CLOSE) + COMPONENTS - 1 + 1
CONSTANT = 16  # the last feature
OTHERS = 8  # differences of the other components' values
# The features of component c that the prediction uses which follows its row.
NEARBY = [
    [*range(9), 9 + c, 12 + c, 15 + c, 18, 19, 20, *range(23, FEATURES + OTHERS)] for c in range(COMPONENTS)
]
MISSED = ((-1, 0), (0, -1), (-1, -1), (1, -1))  # where the two means are compared
MISSED_WEIGHTS = np.array([2, 2, 1, 1], np.int64)
PARITIES = 4
ENERGY_WEIGHTS = np.array([2, 2, 1, 1, 1, 1], np.int32)  # of the errors close by
LEVEL_EDGES = np.array([6, 10, 16, 24, 34, 48, 72], np.int32)
MOST_ERROR = 2047  # sixteenths of a sample value
MOST_FEATURE = 1023  # 32nds of the core's width
MOST_LEFT = 96  # what counts of an error left over: three widths
MOST_CORRECTION = 1024  # sixteenths
TEACHING = 3  # every so many steps teach the weights of a parity,
PERIOD = 128  # which are solved for after so many samples
PACE, LEAST_SIZE = 1 << 24, 1 << 14
SMOOTHED = (1, 2)  # rows from which a row's weights take over, one after the other
RIDGE_BITS, RIDGE = 10, 4096
MOST_WEIGHT, FORGOTTEN_BITS = (1 << 15) - 1, 6
SHIFT_BITS, MOST_SHIFT = 16, 8 << 16
SLOPES = 128  # errors that a scale's slope is tabulated for
PARTS = 4
MOST_MISSED = 8000  # sixteenths; tables reach a little farther
PAD = 3  # zeros around the errors

# 2^15 times a quarter of what turns sixteenths of a sample value into 32nds of a scale's core width.
FEATURE_FACTORS = np.array(
    [
        32767, 32767, 32767, 32767, 32767, 32767, 32767, 27554, 23170, 19484, 16384, 13777, 11585, 9742, 8192,
        6889, 5793, 4871, 4096, 3444, 2896, 2435, 2048, 1722, 1448, 1218, 1024, 861, 724, 609, 512, 431,
        362, 304, 256, 215, 181, 152, 128, 108, 91, 76, 64, 54,
    ],
    np.int32,
)  # fmt: skip

NARROWEST = 6  # scale index below which widths are taken as equal
WIDTHS = np.array([181, 215, 256, 304], np.int64)  # 2^17 times the way back, of the scales 0 to 3


def in_widths(values: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Sixteenths of a sample value → 32nds of the core's width."""
    return (np.clip(8 * values, -(1 << 15), (1 << 15) - 1) * factor + (1 << 14)) >> 15


def in_sixteenths(predicted: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """A prediction in 32nds of the core's width, times 2^14 → sixteenths of a sample value."""
    width = np.maximum(scale, NARROWEST)
    bits = 17 - (width >> 2)
    fine = np.clip((predicted + (1 << 8)) >> 9, -(1 << 15), (1 << 15) - 1)
    return (fine * WIDTHS[width & 3] + (1 << bits - 1)) >> bits


def corrected_by(predicted: np.ndarray, mean: np.ndarray, scale: np.ndarray, c: int) -> np.ndarray:
    """Means int [n] of component c and predictions of their errors, as ``in_sixteenths`` has them → means."""
    correction = np.clip(in_sixteenths(predicted, scale), -MOST_CORRECTION, MOST_CORRECTION)
    return np.clip(mean + correction, MEAN_STEPS * LOW[c], MEAN_STEPS * HIGH)


@lru_cache(maxsize=1)
def slopes() -> np.ndarray:
    """What an error costs more under the next wider scale than under the next narrower, in 2**-14 bit; int64
    [scales, tails, errors], errors counted in 2**(scale // 4 - 2) sixteenths."""
    scale, tail, place = np.indices((SCALES, TAILS, SLOPES))
    least, most = (place << (scale >> 2)) >> 2, ((place + 1 << (scale >> 2)) - 1) >> 2
    look, total = bank(), np.zeros(scale.shape, np.int64)
    for part in range(PARTS):  # of the errors that share a place, with either sign
        missed = (least * (PARTS - 1 - part) + np.maximum(least, most) * part + 1) // (PARTS - 1)
        for mean in (-np.minimum(missed, MOST_MISSED), np.minimum(missed, MOST_MISSED)):
            for step in (1, -1):
                other = tail + TAILS * np.clip(scale + step, 0, SCALES - 1)
                position = (mean & (MEAN_STEPS - 1)) + MEAN_STEPS * other
                symbol = look.sign[position] * (-(mean >> 4) - look.carry[position]) + REACH
                total += step * lengths()[look.table[position], symbol].astype(np.int64)
    found = np.clip(total >> 5, -(1 << 15), (1 << 15) - 1)
    found.setflags(write=False)
    return found


class Choice(NamedTuple):
    """What a step's samples of one component are coded with, int [n] each but the last.

    ``mean`` and ``scale`` are those of the network, ``corrected`` and ``adapted`` stand in for them; means
    are in sixteenths.  ``wide`` and ``near``: the two means that are blended.  ``level``: that of the errors
    around; ``features`` int64 [n, FEATURES + OTHERS]: in widths.
    """

    mean: np.ndarray
    scale: np.ndarray
    tail: np.ndarray
    corrected: np.ndarray
    adapted: np.ndarray
    wide: np.ndarray
    near: np.ndarray
    level: np.ndarray
    features: np.ndarray


class Parity:
    """What the samples of one parity have taught, of each component."""

    def __init__(self, components: int):
        self.weights = np.zeros((components, FEATURES), np.int64)
        self.sums = [Sums.empty(FEATURES) for _ in range(components)]
        self.count = 0

    def improve(self) -> None:
        """Solve for the weights, and forget a part."""
        self.count = 0
        for weights, sums in zip(self.weights, self.sums, strict=True):
            sweep(sums, weights, RIDGE_BITS, RIDGE, MOST_WEIGHT)
            sums.products[:] -= sums.products >> FORGOTTEN_BITS
            sums.goals[:] -= sums.goals >> FORGOTTEN_BITS


class Adaptation:
    """The state of one plane of ``components``; one step after another goes through ``look``, for each
    component ``adapt``, and ``learn``."""

    def __init__(self, samples: np.ndarray, max_error: int, by_parity: bool):
        """``samples`` int16 [h, w, components]: those of the plane, which hold what has been decoded."""
        height, width, self.components = samples.shape
        self.samples, self.max_error, self.by_parity = samples, max_error, by_parity
        padded = (height + PAD, width + 2 * PAD, COMPONENTS)
        self.network, self.corrected = np.zeros(padded, np.int32), np.zeros(padded, np.int32)
        self.missed = np.zeros((2, *padded), np.int64)
        self.parities = [Parity(self.components) for _ in range(PARITIES if by_parity else 1)]
        # Of each row, the weights of the prediction that follows it.
        self.row_weights = np.zeros((self.components, height, len(NEARBY[0])), np.int64)
        self.begun = 0
        self.shifts = np.zeros((COMPONENTS, SCALES, len(LEVEL_EDGES) + 1), np.int64)
        self.seen = np.zeros_like(self.shifts)

    def look(self, x: np.ndarray, y: np.ndarray) -> None:
        """Read what is around the samples (x, y) int [n] of a step that are coded."""
        self.x, self.y, self.known = x, y, list[Choice]()
        self.parity_of = 2 * (x & 1) + (y & 1) if self.by_parity else np.zeros_like(x)
        self.close, self.far = self.errors_at(self.network, CLOSE), self.errors_at(self.network, FAR)
        self.energy = np.abs(self.errors_at(self.corrected, CLOSE)).transpose(0, 2, 1) @ ENERGY_WEIGHTS
        if len(x):
            self.step_rows = self.begin_rows()
        self.beside, self.inside = self.samples_at(CLOSE)

    def errors_at(self, padded: np.ndarray, offsets: Offsets) -> np.ndarray:
        """Errors [n, offsets, ...] around the samples of the step."""
        dx, dy = np.array(offsets).T
        found: np.ndarray = padded[self.y[:, None] + dy + PAD, self.x[:, None] + dx + PAD]
        return found

    def samples_at(self, offsets: Offsets) -> tuple[np.ndarray, np.ndarray]:
        """Samples int32 [n, offsets, components] around those of the step, and which of them lie inside the
        plane, bool [n, offsets]."""
        dx, dy = np.array(offsets).T
        column, row, width = self.x[:, None] + dx, self.y[:, None] + dy, self.samples.shape[1]
        inside = (column >= 0) & (column < width) & (row >= 0)
        return self.samples[row.clip(0), column.clip(0, width - 1)].astype(np.int32), inside

    def adapt(self, c: int, shape: tuple[np.ndarray, np.ndarray, np.ndarray], values: np.ndarray) -> Choice:
        """What component c is coded with, where the network names the ``shape``: mean in sixteenths, scale
        and tail index, int [n] each.  ``values`` int [n, components]: the components before c."""
        mean, scale, tail = shape
        own = np.clip(MEAN_STEPS * self.beside[..., c] - mean[:, None], -MOST_ERROR, MOST_ERROR) * self.inside
        earlier = np.zeros((len(mean), COMPONENTS - 1), np.int64)
        for d in range(c):
            earlier[:, d] = np.clip(MEAN_STEPS * values[:, d] - self.known[d].mean, -MOST_ERROR, MOST_ERROR)
        constant = np.full((len(mean), 1), CONSTANT)
        parts = [
            self.close.reshape(len(mean), COMPONENTS * len(CLOSE)),
            self.far[..., c],
            own,
            earlier,
            constant,
            self.others(c, values),
        ]
        features = np.concatenate(parts, 1)
        factor, energy = FEATURE_FACTORS[scale], self.energy[:, c]
        features = np.clip(in_widths(features, factor[:, None]), -MOST_FEATURE, MOST_FEATURE)
        weights = np.array([parity.weights[c] for parity in self.parities])[self.parity_of]
        wide = corrected_by((weights * features[:, :FEATURES]).sum(1), mean, scale, c)
        near = corrected_by((self.row_weights[c, self.y] * features[:, NEARBY[c]]).sum(1), wide, scale, c)
        by_wide, by_near = self.missed_around(c)
        total = by_wide + by_near
        corrected = (wide * by_near + near * by_wide + (total >> 1)) // total
        if c:
            left = np.clip(
                MEAN_STEPS * values[:, c - 1] - self.known[c - 1].corrected, -MOST_ERROR, MOST_ERROR
            )
            energy = (5 * energy >> 3) + 3 * np.abs(left)
        level = np.searchsorted(LEVEL_EDGES, energy * factor >> 15, "right")
        shift = (self.shifts[c, scale, level] + (1 << SHIFT_BITS - 1)) >> SHIFT_BITS
        adapted = np.clip(scale + shift, 0, SCALES - 1)
        self.known.append(Choice(mean, scale, tail, corrected, adapted, wide, near, level, features))
        return self.known[c]

    def others(self, c: int, values: np.ndarray) -> np.ndarray:
        """How the values of the other components differ, those of this place that are known and those around
        it, in sixteenths; int64 [n, OTHERS]."""
        found = np.zeros((len(self.x), OTHERS), np.int64)
        if self.components == 1:
            return found
        west, north, north_west, north_east = range(4)  # of CLOSE
        for i, d in enumerate(sorted({*range(COMPONENTS)} - {c})):
            own, inside = self.beside[..., d], self.inside
            if d < c:
                difference = values[:, d, None] - own[:, :4]
                there = inside[:, :4]
            else:
                pairs = [(west, north_west), (north, north_west), (north, north_east), (north, north)]
                one, other = np.array(pairs).T
                difference = own[:, one] - own[:, other]
                there = inside[:, one] & inside[:, other]
            found[:, 4 * i : 4 * i + 4] = np.clip(MEAN_STEPS * difference, -MOST_ERROR, MOST_ERROR) * there
        return found

    def missed_around(self, c: int) -> tuple[np.ndarray, np.ndarray]:
        """What the two means missed around the samples of the step; int64 [n] each."""
        wide, near = (self.errors_at(missed, MISSED)[..., c] @ MISSED_WEIGHTS + 1 for missed in self.missed)
        return wide, near

    def begin_rows(self) -> tuple[int, int]:
        """The first row of the step, and the one behind its last; rows that begin take over the weights of
        the one above."""
        height, width = self.samples.shape[:2]
        step = int(self.x[0] + SKEW * self.y[0])
        end = min(step // SKEW + 1, height)
        for row in range(max(self.begun, 1), end):
            self.row_weights[:, row] = self.row_weights[:, row - 1]
        self.begun = max(self.begun, end)
        return max(0, (step - width) // SKEW + 1), end

    def learn(self, values: np.ndarray) -> None:
        """Learn from a step's samples int [n, components]."""
        if not len(self.x):
            return
        here = self.y + PAD, self.x + PAD
        teaching = (self.x[0] + SKEW * self.y[0]) % TEACHING == 0
        for c, (mean, scale, tail, corrected, adapted, *means, level, features) in enumerate(self.known):
            value = MEAN_STEPS * values[:, c].astype(np.int64)
            for missed, one in zip(self.missed, means, strict=True):
                missed[(*here, c)] = np.abs(value - one).clip(max=MOST_ERROR)
            self.learn_nearby(c, value, means[1], scale, features[:, NEARBY[c]])
            left, factor = value - corrected, FEATURE_FACTORS[scale]
            self.network[(*here, c)] = np.clip(value - mean, -MOST_ERROR, MOST_ERROR)
            self.corrected[(*here, c)] = np.clip(left, -MOST_ERROR, MOST_ERROR)
            found = self._slopes(corrected, adapted, tail, values[:, c].astype(np.int64))
            for s, v, slope in zip(scale.tolist(), level.tolist(), found.tolist(), strict=True):
                seen = self.seen[c, s, v]
                slower = 0 if seen < 8 else 1 if seen < 256 else 2
                self.seen[c, s, v] += seen < 256
                self.shifts[c, s, v] = np.clip(
                    self.shifts[c, s, v] - (slope >> slower), -MOST_SHIFT, MOST_SHIFT
                )
            counted = np.clip(in_widths(left, factor), -MOST_LEFT, MOST_LEFT)
            goal = np.clip(in_widths(corrected - mean, factor) + counted, -MOST_FEATURE, MOST_FEATURE)
            for number, parity in enumerate(self.parities):
                own = (self.parity_of == number) & teaching
                parity.sums[c].products[:] += features[own, :FEATURES].T @ features[own, :FEATURES]
                parity.sums[c].goals[:] += features[own, :FEATURES].T @ goal[own]
        for number, parity in enumerate(self.parities):
            parity.count += int((self.parity_of == number).sum()) * teaching
            if parity.count >= PERIOD:
                parity.improve()

    def learn_nearby(
        self, c: int, value: np.ndarray, mean: np.ndarray, scale: np.ndarray, features: np.ndarray
    ) -> None:
        """Move the weights of the step's rows towards what would have predicted better, and towards those
        around."""
        left = np.clip(in_widths(value - mean, FEATURE_FACTORS[scale]), -MOST_LEFT, MOST_LEFT)
        size = LEAST_SIZE + np.square(features).sum(1)
        pace = (np.abs(PACE * left) // size).clip(max=MOST_WEIGHT) * np.sign(left)
        moved = (features * pace[:, None] + (1 << 9)) >> 10
        self.row_weights[c, self.y] = np.clip(
            self.row_weights[c, self.y] + moved, -MOST_WEIGHT - 1, MOST_WEIGHT
        )
        first, end = self.step_rows
        place = np.arange(first, end)
        for apart in SMOOTHED:
            own = self.row_weights[c, first:end]
            before, after = (self.row_weights[c, (place + d).clip(first, end - 1)] for d in (-apart, apart))
            self.row_weights[c, first:end] = ((before + after >> 1) + own + 1) >> 1

    def _slopes(self, mean: np.ndarray, scale: np.ndarray, tail: np.ndarray, value: np.ndarray) -> np.ndarray:
        """How many bits more samples take under the next wider scale than under the next narrower, in
        2**-14 bit."""
        missed = MEAN_STEPS * value - mean
        if self.max_error:  # counted in quanta
            mean, scale = in_quanta(mean, scale, self.max_error)
            _, centre, _ = look_up(mean, scale, tail)
            quanta = (value - centre + self.max_error) // (2 * self.max_error + 1)
            missed = MEAN_STEPS * (quanta + centre) - mean
        place = np.minimum(4 * np.abs(missed) >> (scale >> 2), SLOPES - 1)
        return slopes()[scale, tail, place]
