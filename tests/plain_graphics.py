"""Section 8.5 of bitstream_spec.md for plain_decoder.py, from the text alone: graphics."""

from __future__ import annotations

from collections import defaultdict

# 8.5.1 Decisions


def take_bit(stream, p):
    q = stream.state & 0xFFFFFF
    bit = int(q < p << 8)
    f, start = (p << 8, 0) if bit else (2**24 - (p << 8), p << 8)
    stream.state = (stream.state >> 24) * f + q - start
    if stream.state < 1 << 32 and stream.words:
        stream.state = stream.state << 32 | stream.words.pop()
    return bit


# 8.5.2 Logarithms of odds, counters, mixers


def squash_table():
    table, e = {}, 2**31
    for i in range(3072):
        table[i] = min(65535, 2**47 // (2**31 + e))
        if i:
            table[-i] = 65536 - table[i]
        e = e * 4278222805 >> 32
    table[-3072] = 1
    return table


def stretch_table():
    table, s = [], -3072
    for i in range(4096):
        while SQUASH[s] < 16 * i + 8:
            s += 1
        table.append(s)
    return table


SQUASH = squash_table()
STRETCH = stretch_table()


def squashed(s):
    return SQUASH[min(max(s, -3072), 3071)]


class Counter:
    def __init__(self):
        self.p, self.n = 2**21, 0

    def update(self, bit, limit):
        self.p += ((2**22 - 1 if bit else 0) - self.p) * (131072 // (2 * self.n + 3)) >> 16
        if self.n < limit:
            self.n += 1

    def input(self):
        return STRETCH[self.p >> 10]


class Mixer:
    def __init__(self, inputs):
        self.weights, self.seen = [7864] * inputs, 0

    def mix(self, x):
        return sum(weight * value >> 4 for weight, value in zip(self.weights, x)) >> 12

    def learn(self, x, p, bit, fast, slow):
        rate = fast - (self.seen >> 3)
        if rate <= slow:
            rate = slow
        else:
            self.seen += 1
        error = ((bit << 16) - p) * rate >> 4
        self.weights = [
            min(max(weight + (value * error + 2**15 >> 16), -(2**19)), 2**19 - 1)
            for weight, value in zip(self.weights, x)
        ]


def take_mixed(stream, counters, mixers, fast, slow):
    """``counters``: (counter, its limit) each."""
    x = [*(counter.input() for counter, _ in counters), 256]
    found = [mixer.mix(x) for mixer in mixers]
    bit = take_bit(stream, squashed(sum(found) >> 1))
    for mixer, s in zip(mixers, found):
        mixer.learn(x, squashed(s), bit, fast, slow)
    for counter, limit in counters:
        counter.update(bit, limit)
    return bit


def mixed_hash(h, *values):
    for v in values:
        h = (h ^ v) * 0x9E3779B1 & 0xFFFFFFFF
        h ^= h >> 15
    return h


def by_bytes(a, b, sign):
    """a ⊕ b (``sign`` 1) or a ⊖ b (−1)."""
    return sum(((a >> k & 255) + sign * (b >> k & 255) & 255) << k for k in (0, 8, 16, 24))


# 8.5.6 A pixel

FAR = [
    *[(2, 1), (-2, 1), (1, 2), (-3, 0), (-1, 2), (0, 3), (-4, 0), (3, 1)],
    *[(-2, 2), (2, 2), (-1, 3), (1, 3), (4, 1), (-3, 1), (-5, 0), (0, 4)],
]
LENGTHS = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 64, 128, 400)


class Slot:
    def __init__(self):
        self.check = 0
        self.clear()

    def clear(self):
        self.first = self.second = self.a = self.b = 0

    def state(self, v):
        a, b = self.a, self.b
        if a == 0:
            return 0
        if v == self.first:
            return 1 + 4 * min(a, 15) + min(b, 3)
        if b > 0 and v == self.second:
            return 80 + 8 * min(b, 7) + min(a, 7)
        return 160 + 4 * min(a, 15) + min(b, 3)

    def remember(self, v):
        if self.a == 0:
            self.first, self.a = v, 1
        elif v == self.first:
            self.a = min(self.a + 1, 255)
            if self.b > 2:
                self.b = (self.b + 1) // 2
        elif self.b > 0 and v == self.second:
            self.b += 1
            if self.a > 2:
                self.a = (self.a + 2) // 2
            if self.b > self.a:
                self.first, self.second, self.a, self.b = self.second, self.first, self.b, self.a
        else:
            if self.b > 1:
                self.b //= 2
            else:
                self.second, self.b = v, 1
            if self.a > 2:
                self.a = (self.a + 2) // 2
            elif self.a == 1:
                self.second, self.first, self.b = self.first, v, 1


# 8.5.7 A colour spelled out

ENERGIES = (1, 3, 7, 13, 25, 50, 100)
MISSES = (1, 3, 9)
LEVELS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 28, 36, 48, 64, 90, 128)


def reached(edges, d):
    return sum(edge <= d for edge in edges)


def byte(v):
    return min(max(v, 0), 255)


class Graphics:
    """Reads a plane of ``height`` × ``width`` colours of ``channels`` bytes from a stream."""

    def __init__(self, stream, height, width, channels):
        self.stream, self.height, self.width, self.channels = stream, height, width, channels
        self.row = width + 16
        self.cells = [0] * (self.row * (height + 4))
        self.lasting = [0] * (width + 16)  # of column x: place x + 8
        self.missed = defaultdict(int)
        b = (height * width).bit_length() - 1
        self.slot_bits, self.line_bits = min(max(b + 1, 10), 17), min(max(b, 9), 16)
        self.slots = [defaultdict(Slot) for _ in range(7)]
        self.lines = defaultdict(Counter)
        self.counters = defaultdict(Counter)
        self.mixers, self.spelling_mixers = defaultdict(lambda: Mixer(10)), defaultdict(lambda: Mixer(12))
        self.stride = 4
        self.matches = {}, {}
        self.current, self.column = (0, 0), [(0, 0)] * width

    def read(self):
        """Colours by row."""
        rows = []
        for y in range(self.height):
            self.y, begin = y, (y + 4) * self.row
            self.begin = begin + 8
            self.cells[begin : self.begin] = [self.cells[self.begin - self.row]] * 8
            above = self.cells[self.begin - self.row :]
            flat = [0] * (self.width + 1)
            for x in reversed(range(self.width)):
                flat[x] = 0 if above[x] != above[x + 1] else 1 + flat[x + 1]
            self.flat = flat
            x = 0
            while x < self.width:
                length = self.run_length(x)
                covered = self.run(x, length) if length > 0 else 0
                x += covered
                if covered < length or length == 0:
                    self.cells[self.begin + x] = self.pixel(x, length > 0)
                    x += 1
            end = self.begin + self.width
            self.cells[end : end + 8] = [self.cells[end - 1]] * 8
            rows.append(self.cells[self.begin : end])
            for x in range(self.width):
                same = self.cells[self.begin + x] == above[x]
                self.lasting[x + 8] = min(self.lasting[x + 8] + 1, 255) if same else 0
            self.lasting[:8] = [self.lasting[8]] * 8
            self.lasting[self.width + 8 :] = [self.lasting[self.width + 7]] * 8
        return rows

    def colour(self, x, dx, dy):
        return self.cells[self.begin + x + dx - dy * self.row]

    # 8.5.5 Runs

    def objects(self, match, x, i):
        d, length = match
        cell = self.begin + x
        return length >= 16 and i < d and self.cells[cell + i - d] != self.cells[cell - 1]

    def run_counter(self, x, length):
        return self.counters["run", length.bit_length(), self.lasting[x + 8]]

    def run_length(self, x):
        w, n, ww, nw = (self.colour(x, *place) for place in ((-1, 0), (0, 1), (-2, 0), (-1, 1)))
        if self.flat[x] < 16 or not w == n == ww == nw:
            return 0
        longest = min(self.flat[x], 2**self.stride)
        r = self.run_counter(x, longest)
        if r.p >> 14 < 224:
            r.update(1, 1023)
            return 0
        for i in range(longest):
            if (
                self.lasting[x + i + 8] != self.lasting[x + 8]
                or self.objects(self.current, x, i)
                or self.objects(self.column[x + i], x, i)
            ):
                return i if i >= 16 else 0
        return longest

    def run(self, x, length):
        r = self.run_counter(x, length)
        whole = take_bit(self.stream, max(r.p >> 6, 1))
        r.update(whole, 1023)
        low, high = 0, length
        if whole:
            self.stride = min(self.stride + 1, 16)
            low = length
        else:
            while high - low > 1:
                s = self.counters["place", (high - low).bit_length()]
                middle = low + (high - low) // 2
                later = take_bit(self.stream, max(s.p >> 6, 1))
                s.update(later, 1023)
                low, high = (middle, high) if later else (low, middle)
            self.stride = self.stride - 2 if self.stride > 5 else 4
        at = self.begin + x
        self.cells[at : at + low] = [self.cells[at - 1]] * low
        return low

    def pixel(self, x, known):
        cell, lasting = self.begin + x, self.lasting
        w, n, nw, ne, ww, nn = (
            self.colour(x, *place) for place in ((-1, 0), (0, 1), (-1, 1), (1, 1), (-2, 0), (0, 2))
        )
        hashes = [mixed_hash(1, w, n)]
        hashes.append(mixed_hash(hashes[0], nw, ne))
        hashes.append(mixed_hash(hashes[1], ww, nn))
        hashes.append(mixed_hash(hashes[2], *(self.colour(x, *place) for place in FAR)))
        hashes.append(mixed_hash(7, n, ne, nn, self.colour(x, 1, 2)))
        hashes.append(mixed_hash(9, w, n, lasting[x + 8], lasting[x + 7], lasting[x + 9]))
        hashes.append(mixed_hash(77, by_bytes(w, nw, -1), by_bytes(n, nw, -1), by_bytes(ne, n, -1)))

        # The match
        places = [*range(x + 10, x + 15), x + 6]
        keys = hashes[3] >> 16, mixed_hash(hashes[5], *(lasting[i] for i in places)) >> 16
        t1, t2 = (table.get(key, 0) for table, key in zip(self.matches, keys))
        for table, key in zip(self.matches, keys):
            table[key] = cell
        distance = length = source = 0
        if self.current[1] > 0:
            distance, length = self.current
        if self.column[x][1] > length:
            (distance, length), source = self.column[x], 1
        if length == 0:
            if t1:
                distance, source = cell - t1, 2
            elif t2:
                distance, source = cell - t2, 3
            elif self.current[0]:
                distance, source = self.current[0], 4
        matched = self.cells[cell - distance] if distance > 0 else None
        level = reached(LENGTHS, length) if distance else 0

        # Slots
        slots = []
        for o, h in enumerate(hashes):
            g = mixed_hash(h, o)
            slot = self.slots[o][g >> 32 - self.slot_bits]
            if slot.check != g & 0xFFFF | 1:
                slot.clear()
                slot.check = g & 0xFFFF | 1
            slots.append(slot)

        # Candidates
        offered = [matched] if distance > 0 and length >= 8 else []
        offered += [slots[o].first for o in (3, 2, 1, 0, 4) if slots[o].a > 0]
        offered += [matched] if distance > 0 and length < 8 else []
        offered += [by_bytes(n, slots[6].first, 1)] if slots[6].a > 0 else []
        offered += [w, n, ne, nw]
        offered += [slots[o].second for o in (3, 2, 1, 0) if slots[o].b > 0]
        candidates = [v for v in dict.fromkeys(offered) if not (known and v == w)][:4]

        # Questions
        filled = sum(slot.a > 0 for slot in slots[:6])
        beside = (x - 1, self.y), (x, self.y - 1), (x + 1, self.y - 1)
        around = sum(self.missed[place] << i for i, place in enumerate(beside))
        found = None
        for i, v in enumerate(candidates):
            kind = min(i, 2)
            by_match = 0 if distance == 0 else 2 if v == matched else 1
            trust = 3 if by_match == 2 and length > 15 else by_match
            same = sum((v == u) << k for k, u in enumerate((w, n, nw, ne, ww, nn)))
            values = [v] * 6 + [by_bytes(v, n, -1)]
            keys = [("slot", o, slots[o].state(value), kind) for o, value in enumerate(values)]
            keys += [("same", kind, same, around), ("match", by_match, level, source, kind)]
            mixers = self.mixers[0, kind, filled, trust], self.mixers[1, i, around]
            if take_mixed(self.stream, [(self.counters[key], 255) for key in keys], mixers, 140, 24):
                found = v
                break
        self.missed[x, self.y] = int(found is None or found != candidates[0])
        if found is None:
            found = self.spelled(x)

        # Afterwards
        for o, slot in enumerate(slots):
            slot.remember(by_bytes(found, n, -1) if o == 6 else found)
        if distance > 0:
            self.current = distance, min(length + 1, 65535) if matched == found else 0
            self.column[x] = self.current
        return found

    def spelled(self, x):
        around = [self.colour(x, *place) for place in ((-1, 0), (0, 1), (-1, 1), (1, 1), (1, 2))]
        whole = around[0], around[1], around[3]  # W, N, NE
        colour = coded = before = wrong = 0
        off = [0] * 6
        for k, channel in enumerate(((), (0,), (0, 1), (1, 0, 2), (1, 0, 2, 3))[self.channels]):
            w, n, nw, ne, nne = (v >> 8 * channel & 255 for v in around)
            plain = [
                sorted((w, n, w + n - nw))[1],
                w,
                n,
                byte(w + ne - n),
                w + n + 1 >> 1,
                byte(n + ne - nne),
            ]
            guesses = [byte(guess + change) for guess, change in zip(plain, off)]
            energy = reached(ENERGIES, abs(w - nw) + abs(n - nw) + abs(n - ne))
            miss = reached(MISSES, wrong)
            contexts = [
                mixed_hash(k + 1, coded),
                mixed_hash(k + 11, coded, whole[0]),
                mixed_hash(k + 21, coded, whole[1]),
                mixed_hash(k + 31, before, w, n),
                mixed_hash(k + 41, coded, *whole),
            ]
            prefix = 1
            for b in reversed(range(8)):
                if b in (7, 3):
                    half = prefix
                node = prefix if b > 3 else prefix & (8 >> b) - 1 | 8 >> b
                lines = [mixed_hash(g, half) >> 32 - self.line_bits for g in contexts]
                counters = [(self.lines[line, node], 20) for line in lines]
                seen = sum(counter.n > 0 for counter, _ in counters)
                for j, guess in enumerate(guesses):
                    d = guess - ((2 * prefix + 1 << b) & 255)
                    place = 18 + reached(LEVELS, d) if d >= 0 else 17 - reached(LEVELS, -d - 1)
                    key = "guess", j, k, b, place, energy + 8 * (miss > 1)
                    counters.append((self.counters[key], 255))
                mixers = self.spelling_mixers[0, k, b, seen], self.spelling_mixers[1, k, miss]
                prefix = 2 * prefix + take_mixed(self.stream, counters, mixers, 160, 48)
            before = prefix & 255
            off = [before - guess for guess in plain]
            wrong += abs(before - guesses[0])
            coded = coded * 256 + before
            colour |= before << 8 * channel
        return colour
