"""Section 8.6 of bitstream_spec.md for plain_decoder.py, from the text alone: samples of more than 8 bits."""

from __future__ import annotations

from collections import defaultdict

import plain_graphics
from plain_graphics import Counter, Mixer

SIZES, SIDES = (1, 3, 5, 8, 12, 18, 30), (1, 3, 8, 20)
LIMITS = (400, 250, 250, 250, 250, 250)


def clamp(v, low, high):
    return min(max(v, low), high)


def qlog(v):
    if v < 4:
        return (0, 1, 3, 5)[v]
    b = v.bit_length() - 1
    return 4 * b - 1 + (v >> b - 2 & 3)


def size(e, z):
    return sum(step * z <= 8 * abs(e) for step in SIZES)


def side(e, z):
    steps = sum(step * z <= 8 * abs(e) for step in SIDES)
    return 4 - steps if e < 0 else 4 + steps


def towards_zero(a, b):
    return abs(a) // b * (1 if a >= 0 else -1)


def median(a, b, c):
    return sorted((a, b, c))[1]


class Sums:
    """8.6.3: S and T."""

    def __init__(self, m):
        self.s, self.t = [[0] * m for _ in range(m)], [0] * m

    def learn(self, lessons, k):
        m = len(self.t)
        for i in range(m):
            for j in range(m):
                self.s[i][j] += sum(f[i] * f[j] for f, _ in lessons) - (self.s[i][j] >> k)
            self.t[i] += sum(f[i] * goal for f, goal in lessons) - (self.t[i] >> k)


def improve(parts, weights):
    m = len(weights)
    s = [[sum(part.s[i][j] for part in parts) for j in range(m)] for i in range(m)]
    t = [sum(part.t[i] for part in parts) for i in range(m)]
    for i in range(m):
        ridge = (s[i][i] >> 14) + 2**16
        left = 2**14 * t[i] - ridge * weights[i] - sum(s[i][j] * weights[j] for j in range(m))
        weights[i] = clamp(weights[i] + left // (s[i][i] + ridge), -(2**17 - 1), 2**17 - 1)


class Component:
    def __init__(self, width, number, later, top):
        self.width, self.number, self.later, self.top = width, number, later, top
        m, segments = 14 + 7 * number + 3 * later, -(-width // 32)
        self.values, self.errors = {}, {}
        self.sums, self.band_sums = [Sums(m) for _ in range(segments)], Sums(m)
        self.weights, self.band_weights = [[0] * m for _ in range(segments)], [0] * m
        self.alpha, self.beta = defaultdict(int), defaultdict(int)
        self.lessons = []
        self.counters, self.mixers = defaultdict(Counter), defaultdict(new_mixer)
        self.y = 0

    def at(self, plane, x, y):
        """8.6.2: what stands at a place, also beside and above the band."""
        if y < 0:
            if self.y == 0:
                return 0
            y = 0
        if x < 0:
            return self.at(plane, 0, y - 1) if y > 0 else 0
        return plane.get((min(x, self.width - 1), y), 0)

    def v(self, dx, dy):
        return self.at(self.values, self.x + dx, self.y + dy)

    def e(self, dx, dy):
        return self.at(self.errors, self.x + dx, self.y + dy)


def new_mixer():
    mixer = Mixer(7)
    mixer.weights = [19660] * 7
    return mixer


class Wide:
    """Reads ``height`` rows of ``width`` pixels from a stream; ``tops`` of the components."""

    def __init__(self, stream, height, width, tops, largest_error):
        self.stream, self.height, self.width, self.q = stream, height, width, 2 * largest_error + 1
        count = len(tops)
        colours = {1: 1, 2: 1, 3: 3, 4: 3}[count]
        self.parts = [Component(width, c, max(colours - 1 - c, 0), top) for c, top in enumerate(tops)]

    def read(self):
        """Rows of pixels of samples."""
        rows = []
        for y in range(self.height):
            row = []
            for x in range(self.width):
                for part in self.parts:
                    part.x, part.y = x, y
                if y and x % 32 == 0:
                    self.begin_segment(x // 32)
                for part in self.parts:
                    if part.top:
                        self.sample(part)
                    else:
                        part.values[x, y] = part.errors[x, y] = 0
                row.append([part.values[x, y] for part in self.parts])
                if y and (x % 32 == 31 or x == self.width - 1):
                    self.end_segment(x // 32)
            rows.append(row)
        return rows

    def begin_segment(self, number):
        for part in self.parts:
            improve(part.sums[max(number - 1, 0) : number + 2], part.weights[number])
            improve([part.band_sums], part.band_weights)

    def end_segment(self, number):
        for part in self.parts:
            part.sums[number].learn(part.lessons, 3)
            part.band_sums.learn(part.lessons, 7)
            part.lessons = []

    def features(self, part, unit, med):
        v, e = part.v, part.e
        w, n, nw, ne, ww, nn = v(-1, 0), v(0, -1), v(-1, -1), v(1, -1), v(-2, 0), v(0, -2)
        found = [w - med, n - med, w - nw, n - ne, w - ww, n - nn, ne - v(1, -2), ne - v(2, -1)]
        found += [nw - v(-2, -1), nw - v(-1, -2), ww - v(-3, 0), nn - v(0, -3)]
        for other in self.parts[: part.number]:
            v = other.v
            found += [v(0, 0) - v(-1, 0), v(0, 0) - v(0, -1), v(0, -1) - v(-1, -1), v(0, -1) - v(1, -1)]
            found.append(v(0, 0) - median(v(-1, 0), v(0, -1), v(-1, 0) + v(0, -1) - v(-1, -1)))
            found.append(v(-1, 0) - v(-2, 0))
        for other in self.parts[part.number + 1 : part.number + 1 + part.later]:
            v = other.v
            found += [v(-1, 0) - v(-1, -1), v(0, -1) - v(-1, -1), v(0, -1) - v(1, -1)]
        errors = [e(-1, 0), e(0, -1), *(other.e(0, 0) for other in self.parts[: part.number])]
        scaled = [d * 128 >> unit for d in found] + [d * 8 >> unit for d in errors]
        return [clamp(d, -4095, 4095) for d in scaled]

    def ask(self, part, k, kind, numbers, level, turn):
        counters = [(part.counters[k, i, number], LIMITS[i]) for i, number in enumerate(numbers)]
        mixers = [part.mixers["by node", k, turn], part.mixers["by level", level, kind]]
        return plain_graphics.take_mixed(self.stream, counters, mixers, 140, 16)

    def distance(self, spare, ask):
        length = 0
        while length < 16 and ask(1 + length, 1 + length):
            length += 1
        m = int(length > 0)
        if length > 1:
            r = ask(15 + length, 17)
            m = 2 * m + r
        if length > 2:
            m = 2 * m + ask(26 + 2 * min(length, 9) + r, 18)
        plain = max(length - 3, 0) + spare
        return m << plain | take_uniform(self.stream, plain)

    def sample(self, part):
        v, e, x, y, q = part.v, part.e, part.x, part.y, self.q
        w, n, nw, ne, ww, nn = v(-1, 0), v(0, -1), v(-1, -1), v(1, -1), v(-2, 0), v(0, -2)
        earlier = self.parts[: part.number]
        med = median(w, n, w + n - nw)
        gradient = abs(w - nw) + abs(n - nw) + abs(n - ne) + abs(w - ww) + abs(n - nn)
        for other in earlier:
            here = other.v(0, 0)
            gradient += abs(here - other.v(-1, 0)) + abs(here - other.v(0, -1)) >> 1
        energy = 2 * abs(e(-1, 0)) + 2 * abs(e(0, -1)) + abs(e(-1, -1)) + abs(e(1, -1))
        energy += abs(e(-2, 0)) + abs(e(0, -2))
        if y == 0:
            p = a = b = 16 * w if x else 0
        else:
            unit = ((gradient >> 4) + 2 * (energy >> 7)).bit_length()
            features = self.features(part, unit, med)
            a, b = (
                clamp(
                    16 * med
                    + clamp((sum(map(int.__mul__, u, features)) >> 7) * 2**unit >> 10, -(2**20), 2**20),
                    0,
                    16 * part.top,
                )
                for u in (part.weights[x // 32], part.band_weights)
            )
            big_a, big_b = (
                (2 * m[x - 1] + 2 * m[x] + m[x + 1] + m[x + 2] + 1) ** 2 for m in (part.alpha, part.beta)
            )
            s = (max(big_a, big_b) >> 20).bit_length()
            p = (a * (big_b >> s) + b * (big_a >> s)) // ((big_a >> s) + (big_b >> s))

        e_before = earlier[-1].e(0, 0) if earlier else 0
        e_beyond = earlier[-2].e(0, 0) if len(earlier) > 1 else 0
        level = min(qlog((energy + 3 * abs(e_before) >> 1 if earlier else energy) // q), 79)
        spare = max((level + 1 >> 2) - 9, 0)
        fine = q == 1 and spare == 0
        whole, fraction, z = p >> 4, (p & 15) >> 1 if fine else 0, (energy >> 3) + 2
        agree, middle, before = side(b - a, z + 2), side(16 * med - p, z + 2), size(e_before, z)
        west, north = (clamp(towards_zero(4 * d, z), -2, 2) for d in (e(-1, 0), e(0, -1)))
        tests = [w > n, n > nw, w > nw, ne > n, ww > w, nn > n, 2 * w - ww > whole, 2 * n - nn > whole]
        texture = sum(2**i for i, test in enumerate(tests) if test)
        light = qlog(whole), level // 3

        sign = [
            (level, fraction),
            (fraction, agree),
            (e_before > 0, e_beyond > 0, agree, middle),
            (west, north, before),
            (texture, fraction >> 1),
            light,
        ]
        above, turn = self.ask(part, 0, 0, sign, level, 0), 0
        if above:
            agree, middle = 8 - agree, 8 - middle
            if fine:
                fraction = 7 - fraction
        if q > 1:
            turn = fraction = above
        rough = clamp((qlog(gradient) - level + 28) // 2, 0, 11)
        far = [min(qlog(abs(d) >> 1) // 3, 23) for d in (e(-1, 0), e(0, -1))]
        other = 2 * size(e(1, -1), z)
        if earlier:
            other = clamp((qlog(abs(e_before)) - level + 40) // 3, 0, 15)
        numbers = [
            (level, fraction),
            (level, rough),
            (before, level > 28, agree, middle),
            tuple(far),
            (level, other),
            light,
        ]
        m = self.distance(spare, lambda k, kind: self.ask(part, k, kind, numbers, level, turn))
        value = clamp(whole + q * (m + 1 if above else -m), 0, part.top)
        part.values[x, y], part.errors[x, y] = value, 16 * value - p
        part.alpha[x], part.beta[x] = abs(16 * value - a), abs(16 * value - b)
        if y:
            part.lessons.append((features, clamp((value - med) * 128 >> unit, -4095, 4095)))


def take_uniform(stream, bits):
    """A symbol of uniform(2^bits)."""
    q, width = stream.state & 0xFFFFFF, 1 << 24 - bits
    symbol = q // width
    stream.state = (stream.state >> 24) * width + q - symbol * width
    if stream.state < 1 << 32 and stream.words:
        stream.state = stream.state << 32 | stream.words.pop()
    return symbol
