"""Section 6.10 of bitstream_spec.md for plain_decoder.py, from the text alone: decisions about samples."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import numpy as np
from plain_adaptation import COMPONENT_LOW, MEAN_FACTORS, in_widths, length, table_of
from plain_graphics import Counter, Mixer, squashed, take_bit
from plain_wide import clamp, qlog, side, size, towards_zero

SIX = ((-1, 0), (0, -1), (-1, -1), (1, -1), (-2, 0), (0, -2))
ERRORS = ((-3, 0), (0, -3), (-1, -3), (1, -3), (-3, -1), (-3, -2))
VALUES = ((-2, -1), (1, -2), (-1, -2), (2, -2), (-2, -2), (-3, 0), (0, -3))
LIMITS = (400, 250, 250, 250, 250, 250, 400, 250)


@cache
def logarithm(f):
    """λ."""
    if f == 0:
        return 0
    n = f.bit_length() - 1
    fraction = (24 - 8 << 16) - length((f << 8) >> n)
    return ((n << 16) + fraction) * 45426 >> 24


def odds(u, o):
    return clamp(logarithm(u) - logarithm(o), -2047, 2047)


class Segment:
    def __init__(self):
        self.u, self.s, self.t = np.zeros(53, np.int64), np.zeros((53, 53), np.int64), np.zeros(53, np.int64)
        self.list = []


def new_mixer():
    mixer = Mixer(11)
    mixer.weights = [6000] * 8 + [40000, 10000, 0]
    return mixer


class Part:
    """What belongs to one component."""

    def __init__(self, width):
        self.segments = [Segment() for _ in range((width + 15) // 16)]
        self.alpha, self.last = defaultdict(int), defaultdict(int)  # α and ε by place; 0 where there is none
        self.counters, self.mixers = defaultdict(Counter), defaultdict(new_mixer)
        self.step = []  # features, mean, scale, m_a and P of the samples of the step


class Decisions:
    def __init__(self, plane, adaptation):
        self.plane, self.adaptation = plane, adaptation
        self.parts = [Part(plane.width) for _ in range(plane.components)]

    def inside(self, x, y):
        return 0 <= x < self.plane.width and y >= 0

    def value(self, x, y, d):
        """X."""
        return int(self.plane.samples[y, x, d])

    def error(self, plane, x, y, c):
        """e or e' of ``plane``, one of the adaptation's."""
        return int(plane[y + 2, x + 2, c]) if self.inside(x, y) else 0

    def features(self, x, y, c, mean):
        """Those from 40 on."""
        found = [self.error(self.adaptation.errors, x + dx, y + dy, c) for dx, dy in ERRORS]
        for dx, dy in VALUES:
            there = self.inside(x + dx, y + dy)
            found.append(clamp(16 * self.value(x + dx, y + dy, c) - mean, -2047, 2047) if there else 0)
        return found

    def predict(self, x, y, c, mean, scale, n):
        """m_a."""
        total = int(self.parts[c].segments[x // 16].u @ n)
        t = clamp(total + 2**8 >> 9, -32768, 32767)
        wide = max(scale, 6)
        r = 17 - (wide >> 2)
        change = clamp(t * int(MEAN_FACTORS[wide & 3]) + (1 << r - 1) >> r, -1024, 1024)
        return clamp(mean + change, 16 * COMPONENT_LOW[c], 16 * 255)

    def read(self, stream, x, y, c, k):
        """The sample, number ``k`` of those of the step."""
        part = self.parts[c]
        known = self.adaptation.step[c]
        mean, scale, tail, _, m_b, own_scale, *_ = (numbers[k] for numbers in known)
        mean, scale, tail, m_b, own_scale = (int(v) for v in (mean, scale, tail, m_b, own_scale))
        more = np.array(self.features(x, y, c, mean))
        n = np.concatenate([known[3][k], np.clip(in_widths(more, scale), -1023, 1023)])
        m_a = self.predict(x, y, c, mean, scale, n)
        beta = self.adaptation.own_errors
        a = b = 1
        for weight, (dx, dy) in zip((2, 2, 1, 1), SIX):
            a += weight * part.alpha[x + dx, y + dy]
            b += weight * abs(self.error(beta, x + dx, y + dy, c))
        p = (m_a * b**2 + m_b * a**2) // (a**2 + b**2)
        tables = [
            (self.plane.mixture[row], centre, sign)
            for row, centre, sign in (table_of(p, scale, tail), table_of(p, own_scale, tail))
        ]
        sample = Sample(self, x, y, c, p, m_a, m_b, mean, scale, tail, tables)
        value = sample.read(stream)
        part.step.append((n, mean, scale, m_a, p))
        # The components after this one look at ε; no other sample of the step does.
        part.last[x, y] = clamp(16 * value - p, -2047, 2047)
        return value

    def learn(self, x, y):
        for c, part in enumerate(self.parts):
            for column, row, (n, mean, scale, m_a, _) in zip(x, y, part.step):
                value = 16 * self.value(column, row, c)
                part.alpha[column, row] = clamp(abs(value - m_a), 0, 2047)
                goal = clamp(int(in_widths(value - mean, scale)), -120, 120)
                self.append(part, column // 16, n, goal)
            part.step = []

    def append(self, part, number, n, goal):
        segment = part.segments[number]
        segment.list.append((n, goal))
        if len(segment.list) < 16:
            return
        features, goals = (np.array(one) for one in zip(*segment.list))
        segment.list = []
        segment.s += features.T @ features - (segment.s >> 4)
        segment.t += features.T @ goals - (segment.t >> 4)
        around = part.segments[max(number - 1, 0) : number + 2]
        s, t, u = sum(one.s for one in around), sum(one.t for one in around), segment.u
        for k in range(53):
            rho = (s[k, k] >> 14) + 4096
            u[k] = clamp(u[k] + (2**14 * t[k] - rho * u[k] - s[k] @ u) // (s[k, k] + rho), -32767, 32767)


def below(table, v):
    """The frequency of all values below v."""
    edges, centre, sign = table
    if sign == 1:
        return edges[clamp(v - centre + 510, 0, 1021)]
    return 2**24 - edges[clamp(centre - v + 511, 0, 1021)]


class Sample:
    """One sample of component ``c`` at (x, y)."""

    def __init__(self, decisions, x, y, c, p, m_a, m_b, mean, scale, tail, tables):
        self.part, self.c, self.tables = decisions.parts[c], c, tables
        self.scale, self.tail, self.p, self.m_a, self.m_b, self.mean = scale, tail, p, m_a, m_b, mean
        self.whole = p >> 4

        def v(dx, dy):
            there = decisions.inside(x + dx, y + dy)
            return decisions.value(x + dx, y + dy, c) if there else self.whole

        self.v = v
        self.e = lambda dx, dy: self.part.last[x + dx, y + dy]
        earlier = [part.last[x, y] for part in decisions.parts[:c]]
        self.before, self.beyond = [*earlier[::-1], 0, 0][:2]
        e = [abs(self.e(*offset)) for offset in SIX]
        self.energy = 2 * e[0] + 2 * e[1] + sum(e[2:])
        self.level = min(qlog(self.energy + 3 * abs(self.before) >> 1 if c else self.energy), 79)

    def ask(self, stream, k, kind, numbers, sets):
        """``sets``: U and O by a table."""
        counters = [self.part.counters[k, place, number] for place, number in enumerate(numbers)]
        mixers = [
            self.part.mixers["number", k],
            self.part.mixers["level", self.level, kind],
            self.part.mixers["scale", self.scale, self.tail, kind],
        ]
        x = [counter.input() for counter in counters]
        x += [odds(*sets(table)) for table in self.tables] + [256]
        found = [mixer.mix(x) for mixer in mixers]
        bit = take_bit(stream, squashed(sum(found) // 3))
        for mixer, total in zip(mixers, found):
            mixer.learn(x, squashed(total), bit, 70, 8)
        for counter, limit in zip(counters, LIMITS):
            counter.update(bit, limit)
        return bit

    def read(self, stream):
        v, e, whole, level = self.v, self.e, self.whole, self.level
        fraction, z = (self.p & 15) >> 1, (self.energy >> 3) + 2
        agree, middle = side(self.m_b - self.m_a, z + 2), side(self.mean - self.p, z + 2)
        was = size(self.before, z)
        west, north = (clamp(towards_zero(4 * d, z), -2, 2) for d in (e(-1, 0), e(0, -1)))
        w, n, nw, ne, ww, nn = (v(*offset) for offset in SIX)
        gradient = abs(w - nw) + abs(n - nw) + abs(n - ne) + abs(w - ww) + abs(n - nn)
        tests = [w > n, n > nw, w > nw, ne > n, ww > w, nn > n, 2 * w - ww > whole, 2 * n - nn > whole]
        texture = sum(2**i for i, test in enumerate(tests) if test)
        light = qlog(abs(whole)), level // 3

        numbers = [
            (level, fraction),
            (fraction, agree),
            (self.before > 0, self.beyond > 0, agree, middle),
            (west, north, was),
            (texture, fraction >> 1),
            light,
            (self.scale, self.tail, fraction),
            (self.scale, level),
        ]
        above = self.ask(
            stream, 0, 0, numbers, lambda row: (2**24 - below(row, whole + 1), below(row, whole + 1))
        )
        if above:
            agree, middle, fraction = 8 - agree, 8 - middle, 7 - fraction
        rough = clamp((qlog(gradient) - level + 28) // 2, 0, 11)
        far = tuple(min(qlog(abs(d) >> 1) // 3, 23) for d in (e(-1, 0), e(0, -1)))
        other = 2 * size(e(1, -1), z)
        if self.c:
            other = clamp((qlog(abs(self.before)) - level + 40) // 3, 0, 15)
        numbers = [
            (level, fraction),
            (level, rough),
            (was, level > 28, agree, middle),
            far,
            (level, other),
            light,
            (self.scale, self.tail, fraction),
            (self.scale, level),
        ]
        d = self.distance(stream, above, numbers)
        return whole + 1 + d if above else whole - d

    def distance(self, stream, above, numbers):
        start = self.whole + 1

        def m(row, i, j):
            if above:
                return below(row, start + j) - below(row, start + i)
            return below(row, start - i) - below(row, start - j)

        length = 0
        while length < 9:
            i, j = 2**length // 2, 2**length
            if not self.ask(
                stream,
                1 + length,
                1 + length,
                numbers,
                lambda row, i=i, j=j: (m(row, j, 1022), m(row, i, j)),
            ):
                break
            length += 1
        d = h = 2**length // 2
        for g in range(1, length):
            h //= 2

            def sets(row, d=d, h=h):
                return m(row, d + h, d + 2 * h), m(row, d, d + h)

            if g == 1:
                bit = r = self.ask(stream, 8 + length, 10, numbers, sets)
            elif g == 2:
                bit = self.ask(stream, 12 + 2 * length + r, 11, numbers, sets)
            else:
                u, o = sets(self.tables[1])
                bit = take_bit(stream, clamp(2**16 * u // (u + o), 32, 65504) if u + o else 32768)
            if bit:
                d += h
        return d
