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


def towards_zero(a, b):
    return abs(a) // b * (1 if a >= 0 else -1)


class Parity:
    """What a parity has taught about a component: w, A and b."""

    def __init__(self):
        self.w, self.a, self.b = np.zeros(32, np.int64), np.zeros((32, 32), np.int64), np.zeros(32, np.int64)

    def improve(self):
        w, a, b = self.w, self.a, self.b
        for k in range(32):
            rho = (a[k, k] >> 10) + 4096
            w[k] = clamp(w[k] + (2**14 * b[k] - rho * w[k] - a[k] @ w) // (a[k, k] + rho), -32767, 32767)
        a -= a >> 6
        b -= b >> 6


class Learner:
    """What a component has learnt."""

    def __init__(self, c, height, parities):
        self.parities = [Parity() for _ in range(parities)]
        self.v = np.zeros((height, 32), np.int64)
        self.q = [*range(9), 9 + c, 12 + c, 15 + c, 18, 19, 20, *range(23, 40)]
        self.shift, self.count = np.zeros((44, 8), np.int64), np.zeros((44, 8), np.int64)


class Adaptation:
    """All arguments ``x``, ``y``, ``mean`` … are arrays over the samples of a step that are coded."""

    def __init__(self, plane, by_parity):
        self.plane, self.by_parity = plane, by_parity
        parities = 4 if by_parity else 1
        self.taught = [0] * parities
        self.learners = [Learner(c, plane.height, parities) for c in range(plane.components)]
        # e, e', α_1 and α_2 with a margin of two above and at each side: 0 where no sample is decoded
        self.errors = np.zeros((plane.height + 2, plane.width + 4, 3), np.int64)
        self.own_errors, self.alpha1, self.alpha2 = (np.zeros_like(self.errors) for _ in range(3))
        self.step = []  # per component what is known of the step's samples

    def begin(self, number):
        """A step begins."""
        y = number // 2
        if number % 2 == 0 and 0 < y < self.plane.height:
            for learner in self.learners:
                learner.v[y] = learner.v[y - 1]

    def parity(self, x, y):
        return 2 * (x % 2) + y % 2 if self.by_parity else 0

    def value(self, x, y, dx, dy, d):
        """X, and whether it lies inside the band."""
        column, row = x + dx, y + dy
        inside = (column >= 0) & (column < self.plane.width) & (row >= 0)
        return self.plane.samples[np.maximum(row, 0), np.clip(column, 0, self.plane.width - 1), d], inside

    def features(self, x, y, c, mean):
        found = [self.errors[y + 2 + dy, x + 2 + dx, k] for dx, dy in SIX for k in range(3)]
        found += [self.errors[y + 2 + dy, x + 2 + dx, c] for dx, dy in FIVE]
        for dx, dy in SIX:
            value, inside = self.value(x, y, dx, dy, c)
            found.append(np.where(inside, np.clip(16 * value - mean, -2047, 2047), 0))
        found += [self.errors[y + 2, x + 2, k] * (k < c) for k in (0, 1)]
        found.append(np.full_like(x, 16))
        for d in range(3):
            if d == c:
                continue
            pairs = [((0, 0), place) for place in SIX[:4]]
            if d > c:
                pairs = [((-1, 0), (-1, -1)), ((0, -1), (-1, -1)), ((0, -1), (1, -1)), None]
            for pair in pairs:
                if pair is None or self.plane.components == 1:
                    found.append(np.zeros_like(x))
                    continue
                (one, there), (other, there_too) = (self.value(x, y, *place, d) for place in pair)
                found.append(np.where(there & there_too, np.clip(16 * (one - other), -2047, 2047), 0))
        return np.stack(found, 1)

    def adapt(self, x, y, c, mean, scale, tail):
        """The means and the scale indices that samples are coded with."""
        learner = self.learners[c]
        n = np.clip(in_widths(self.features(x, y, c, mean), scale[:, None]), -1023, 1023)

        def corrected(mean, sigma):
            t = np.clip(sigma + 2**8 >> 9, -32768, 32767)
            u = np.maximum(scale, 6)
            r = 17 - (u >> 2)
            change = np.clip(t * MEAN_FACTORS[u & 3] + (1 << r - 1) >> r, -1024, 1024)
            return np.clip(mean + change, 16 * COMPONENT_LOW[c], 16 * 255)

        w = [learner.parities[self.parity(*place)].w for place in zip(x, y)]
        m1 = corrected(mean, np.array([one @ row[:32] for one, row in zip(w, n)], np.int64))
        m2 = corrected(m1, (learner.v[y] * n[:, learner.q]).sum(1))
        a1 = a2 = 1
        for g, (dx, dy) in zip(SIX_WEIGHTS[:4], SIX):
            a1 = a1 + g * self.alpha1[y + 2 + dy, x + 2 + dx, c]
            a2 = a2 + g * self.alpha2[y + 2 + dy, x + 2 + dx, c]
        own_mean = (m1 * a2 + m2 * a1 + (a1 + a2 >> 1)) // (a1 + a2)
        e = sum(g * abs(self.own_errors[y + 2 + dy, x + 2 + dx, c]) for g, (dx, dy) in zip(SIX_WEIGHTS, SIX))
        if c:
            e = (5 * e >> 3) + 3 * abs(self.own_errors[y + 2, x + 2, c - 1])
        level = ((e * FACTORS[scale] >> 15)[:, None] >= EDGES).sum(1)
        own_scale = np.clip(scale + (learner.shift[scale, level] + 2**15 >> 16), 0, 43)
        self.step.append((mean, scale, tail, n, own_mean, own_scale, level, m1, m2))
        return own_mean, own_scale

    def decoded(self, x, y, c):
        mean, _, _, _, own_mean, _, _, m1, m2 = self.step[c]
        value = 16 * self.plane.samples[y, x, c]
        self.errors[y + 2, x + 2, c] = np.clip(value - mean, -2047, 2047)
        self.own_errors[y + 2, x + 2, c] = np.clip(value - own_mean, -2047, 2047)
        self.alpha1[y + 2, x + 2, c] = np.minimum(abs(value - m1), 2047)
        self.alpha2[y + 2, x + 2, c] = np.minimum(abs(value - m2), 2047)

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
        number = int(x[0] + 2 * y[0]) if len(x) else 1
        for c, learner in enumerate(self.learners):
            mean, scale, tail, n, own_mean, own_scale, level, _, m2 = self.step[c]
            value = self.plane.samples[y, x, c]
            for i in range(len(x)):
                about = int(value[i]), int(own_mean[i]), int(own_scale[i]), int(tail[i])
                self.learn_scale(learner, int(scale[i]), int(level[i]), *about)
                self.learn_row(learner, int(y[i]), 16 * int(value[i]) - int(m2[i]), int(scale[i]), n[i])
            if len(x):
                self.smooth(learner, number)
            d = np.clip(in_widths(16 * value - own_mean, scale), -96, 96)
            target = np.clip(in_widths(own_mean - mean, scale) + d, -1023, 1023)
            for i in range(len(x) if number % 3 == 0 else 0):
                parity = learner.parities[self.parity(x[i], y[i])]
                parity.a += np.outer(n[i, :32], n[i, :32])
                parity.b += target[i] * n[i, :32]
        self.step = []
        if number % 3 == 0:
            for place in zip(x, y):
                self.taught[self.parity(*place)] += 1
            for parity, taught in enumerate(self.taught):
                if taught >= 128:
                    self.taught[parity] = 0
                    for learner in self.learners:
                        learner.parities[parity].improve()

    def learn_row(self, learner, y, missed, scale, n):
        left = clamp(int(in_widths(missed, scale)), -96, 96)
        q = n[learner.q]
        p = clamp(towards_zero(2**24 * left, 2**14 + int(q @ q)), -32767, 32767)
        learner.v[y] = np.clip(learner.v[y] + (q * p + 2**9 >> 10), -32768, 32767)

    def smooth(self, learner, number):
        rows = [y for y in range(self.plane.height) if 0 <= number - 2 * y < self.plane.width]
        for d in (1, 2):
            old = learner.v.copy()
            for y in rows:
                above, below = old[max(y - d, rows[0])], old[min(y + d, rows[-1])]
                learner.v[y] = ((above + below >> 1) + old[y] + 1) >> 1

    def learn_scale(self, learner, scale, level, value, own_mean, own_scale, tail):
        own_mean, own_scale, _ = in_quanta(own_mean, own_scale, tail, self.plane.max_error)
        d = abs(self.missed(value, own_mean, own_scale, tail))
        g = self.slope(min(4 * d >> (own_scale >> 2), 127), own_scale, tail)
        seen, shift = learner.count[scale, level], learner.shift[scale, level]
        r = 0 if seen < 8 else 1 if seen < 256 else 2
        learner.shift[scale, level] = clamp(shift - (g >> r), -(2**19), 2**19)
        learner.count[scale, level] += 1
