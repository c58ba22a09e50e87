"""Sections 7 and 6.9 of bitstream_spec.md for plain_decoder.py, from the text alone: rows and adaptation."""

from __future__ import annotations

from functools import cache

import numpy as np

COMPONENT_LOW = (0, -255, -255)


def clamp(value, low, high):
    return min(max(value, low), high)


# 7. Rows of the bank


@cache
def positions(scale):
    """P of section 7."""
    return next(p for last, p in ((13, 8), (17, 4), (21, 2), (43, 1)) if scale <= last)


def kept(scale):
    return positions(scale) // 2 + 1


@cache
def bank_row(scale, tail, position):
    rows = sum(tails(s) * kept(s) for s in range(scale))
    return rows + tail * tails(scale) // 4 * kept(scale) + position


def tails(scale):
    return 4 if scale < 10 else 2


def table_of(mean, scale, tail):
    """(bank row, centre, sign) of 7."""
    p = positions(scale)
    g = 16 // p
    place = ((mean & 15) + g // 2) // g
    if 2 * place > p:
        return bank_row(scale, tail, p - place), (mean >> 4) + 1, -1
    return bank_row(scale, tail, place), mean >> 4, 1


def in_quanta(mean, scale, tail, max_error):
    """7.1."""
    if not max_error:
        return mean, scale, tail
    q, whole = 2 * max_error + 1, 16 * ((mean + 8) // 16)
    left = abs(mean - whole) // q
    mean = whole + (left if mean > whole else -left)
    return mean, max(scale - ((q**4).bit_length() - 1), 0), tail


@cache
def length(frequency):
    """7.2."""
    n = frequency.bit_length() - 1
    z, fraction = frequency << 31 - n, 0
    for _ in range(16):
        z = z * z >> 31
        bit = z >= 1 << 32
        z, fraction = z >> bit, 2 * fraction + bit
    return (24 - n << 16) - fraction


# 6.9. Adaptation

SIX = ((-1, 0), (0, -1), (-1, -1), (1, -1), (-2, 0), (0, -2))
FIVE = ((-2, -1), (1, -2), (-1, -2), (2, -2), (-2, -2))
SIX_WEIGHTS = (2, 2, 1, 1, 1, 1)
EDGES = (6, 10, 16, 24, 34, 48, 72)
FACTORS = np.array(
    [
        *[32767] * 7,
        *[
            27554,
            23170,
            19484,
            16384,
            13777,
            11585,
            9742,
            8192,
            6889,
            5793,
            4871,
            4096,
            3444,
            2896,
            2435,
            2048,
        ],
        *[
            1722,
            1448,
            1218,
            1024,
            861,
            724,
            609,
            512,
            431,
            362,
            304,
            256,
            215,
            181,
            152,
            128,
            108,
            91,
            76,
            64,
        ],
        54,
    ]
)
MEAN_FACTORS = np.array((181, 215, 256, 304))


def in_widths(v, scale):
    """width(v, s)."""
    return np.clip(8 * v, -32768, 32767) * FACTORS[scale] + 2**14 >> 15


class Learner:
    """What a component has learnt."""

    def __init__(self):
        self.w, self.a, self.b = np.zeros(32, np.int64), np.zeros((32, 32), np.int64), np.zeros(32, np.int64)
        self.shift, self.count = np.zeros((44, 8), np.int64), np.zeros((44, 8), np.int64)

    def improve(self):
        w, a, b = self.w, self.a, self.b
        for k in range(32):
            rho = (a[k, k] >> 10) + 4096
            w[k] = clamp(w[k] + (2**14 * b[k] - rho * w[k] - a[k] @ w) // (a[k, k] + rho), -32767, 32767)
        a -= a >> 6
        b -= b >> 6


class Adaptation:
    """All arguments ``x``, ``y``, ``mean`` … are arrays over the samples of a step that are coded."""

    def __init__(self, plane):
        self.plane, self.waiting = plane, 0
        self.learners = [Learner() for _ in range(plane.components)]
        # e and e' with a margin of two above and at each side: 0 where no sample is decoded
        self.errors = np.zeros((plane.height + 2, plane.width + 4, 3), np.int64)
        self.own_errors = np.zeros_like(self.errors)
        self.step = []  # per component what is known of the step's samples

    def features(self, x, y, c, mean):
        found = [self.errors[y + 2 + dy, x + 2 + dx, k] for dx, dy in SIX for k in range(3)]
        found += [self.errors[y + 2 + dy, x + 2 + dx, c] for dx, dy in FIVE]
        for dx, dy in SIX:
            column, row = x + dx, y + dy
            inside = (column >= 0) & (column < self.plane.width) & (row >= 0)
            value = self.plane.samples[np.maximum(row, 0), np.clip(column, 0, self.plane.width - 1), c]
            found.append(np.where(inside, np.clip(16 * value - mean, -2047, 2047), 0))
        found += [self.errors[y + 2, x + 2, k] * (k < c) for k in (0, 1)]
        return np.stack([*found, np.full_like(x, 16)], 1)

    def adapt(self, x, y, c, mean, scale, tail):
        """The means and the scale indices that samples are coded with."""
        learner = self.learners[c]
        n = np.clip(in_widths(self.features(x, y, c, mean), scale[:, None]), -1023, 1023)
        t = np.clip(n @ learner.w + 2**8 >> 9, -32768, 32767)
        u = np.maximum(scale, 6)
        h = 17 - (u >> 2)
        change = np.clip(t * MEAN_FACTORS[u & 3] + (1 << h - 1) >> h, -1024, 1024)
        own_mean = np.clip(mean + change, 16 * COMPONENT_LOW[c], 16 * 255)
        e = sum(g * abs(self.own_errors[y + 2 + dy, x + 2 + dx, c]) for g, (dx, dy) in zip(SIX_WEIGHTS, SIX))
        if c:
            e = (5 * e >> 3) + 3 * abs(self.own_errors[y + 2, x + 2, c - 1])
        level = ((e * FACTORS[scale] >> 15)[:, None] >= EDGES).sum(1)
        own_scale = np.clip(scale + (learner.shift[scale, level] + 2**15 >> 16), 0, 43)
        self.step.append((mean, scale, tail, n, own_mean, own_scale, level))
        return own_mean, own_scale

    def decoded(self, x, y, c):
        mean, _, _, _, own_mean, _, _ = self.step[c]
        value = self.plane.samples[y, x, c]
        self.errors[y + 2, x + 2, c] = np.clip(16 * value - mean, -2047, 2047)
        self.own_errors[y + 2, x + 2, c] = np.clip(16 * value - own_mean, -2047, 2047)

    def length_at(self, mean, scale, tail):
        row, centre, sign = table_of(mean, clamp(scale, 0, 43), tail)
        table, symbol = self.plane.mixture[row], 510 - sign * centre
        return length(table[symbol + 1] - table[symbol])

    def slope(self, place, scale, tail):
        least, most = (place << (scale >> 2)) >> 2, ((place + 1 << (scale >> 2)) - 1) >> 2
        total = 0
        for part in range(4):
            d = min((least * (3 - part) + max(least, most) * part + 1) // 3, 8000)
            for mean in (-d, d):
                total += self.length_at(mean, scale + 1, tail) - self.length_at(mean, scale - 1, tail)
        return clamp(total >> 5, -(2**15), 2**15 - 1)

    def missed(self, value, mean, scale, tail):
        error = self.plane.max_error
        _, centre, _ = table_of(mean, scale, tail)
        return 16 * ((value - centre + error) // (2 * error + 1) + centre) - mean

    def learn(self, x, y):
        for c, learner in enumerate(self.learners):
            mean, scale, tail, n, own_mean, own_scale, level = self.step[c]
            value = self.plane.samples[y, x, c]
            for i in range(len(x)):
                about = int(value[i]), int(own_mean[i]), int(own_scale[i]), int(tail[i])
                self.learn_scale(learner, int(scale[i]), int(level[i]), *about)
            d = np.clip(in_widths(16 * value - own_mean, scale), -96, 96)
            target = np.clip(in_widths(own_mean - mean, scale) + d, -1023, 1023)
            learner.a += n.T @ n
            learner.b += target @ n
        self.step = []
        self.waiting += len(x)
        if self.waiting >= 512:
            self.waiting = 0
            for learner in self.learners:
                learner.improve()

    def learn_scale(self, learner, scale, level, value, own_mean, own_scale, tail):
        own_mean, own_scale, _ = in_quanta(own_mean, own_scale, tail, self.plane.max_error)
        d = abs(self.missed(value, own_mean, own_scale, tail))
        g = self.slope(min(4 * d >> (own_scale >> 2), 127), own_scale, tail)
        seen, shift = learner.count[scale, level], learner.shift[scale, level]
        r = 0 if seen < 8 else 1 if seen < 256 else 2
        learner.shift[scale, level] = clamp(shift - (g >> r), -(2**19), 2**19)
        learner.count[scale, level] += 1
