"""The coder of flat images in plain Python: the specification in Python, and the oracle of the C core.

It runs where no C compiler was at hand, at some thousand pixels a second.  ``_graphics.c`` gives the same
bytes.
Shifts to the right round down; a colour is one integer with channel k in bits 8 k to 8 k + 7.
"""

from __future__ import annotations

import numpy as np

from saidcodec.residual.decisions import Coder, Collector, Counter, Mixer, Taker, mixed

MARGIN, TOP = 8, 4  # columns repeated at both sides of a row; rows of zeros above the image
ORDERS = 7  # hashed contexts of exact neighbours
DELTA = 6  # the one of them whose colours are relative to the pixel above
CANDIDATES = 4  # colours that are asked about
SHORTEST, LONGEST, LIKELY = 16, 16, 224  # of runs: pixels, log2 of pixels, probability in 1/256
TRUSTED, FIRST = 16, 8  # lengths of a match
MATCH_BITS, MOST_LENGTH = 16, 65535
FIRST_WEIGHT = 7864  # of a mixer
COLOUR_RATES, BIT_RATES = (140, 24), (160, 48)
COLOUR_LIMIT, HASHED_LIMIT, GUESS_LIMIT, RUN_LIMIT = 255, 20, 255, 1023
LENGTH_STEPS = (*range(1, 9), 12, 16, 24, 32, 64, 128, 400)
FAR_STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 28, 36, 48, 64, 90, 128)
ENERGY_STEPS = (1, 3, 7, 13, 25, 50, 100)
MISS_STEPS = (1, 3, 9)
# Columns to the right and rows up of the pixels of contexts 0 ... 3; each context adds to the one before.
NEIGHBOURS = (
    ((-1, 0), (0, 1)),
    ((-1, 1), (1, 1)),
    ((-2, 0), (0, 2)),
    ((2, 1), (-2, 1), (1, 2), (-3, 0), (-1, 2), (0, 3), (-4, 0), (3, 1),
     (-2, 2), (2, 2), (-1, 3), (1, 3), (4, 1), (-3, 1), (-5, 0), (0, 4)),
)  # fmt: skip


def level_of(value: int, steps: tuple[int, ...]) -> int:
    """How many of the steps a value has reached."""
    return sum(value >= step for step in steps)


def hashed(h: int, *values: int) -> int:
    for v in values:
        h = ((h ^ v) * 0x9E3779B1) & 0xFFFFFFFF
        h ^= h >> 15
    return h


def plus(a: int, b: int) -> int:
    """Sum of two colours, byte by byte."""
    return sum(((a >> s) + (b >> s) & 255) << s for s in (0, 8, 16, 24))


def minus(a: int, b: int) -> int:
    """Difference of two colours, byte by byte."""
    return sum(((a >> s) - (b >> s) & 255) << s for s in (0, 8, 16, 24))


class Slot:
    """The two colours last seen in a context and their counts."""

    __slots__ = ("check", "colours", "counts")

    def __init__(self, check: int):
        self.check, self.colours, self.counts = check, [0, 0], [0, 0]

    def state(self, colour: int) -> int:
        a, b = self.counts
        if not a:
            return 0
        if colour == self.colours[0]:
            return 1 + min(a, 15) * 4 + min(b, 3)
        if b and colour == self.colours[1]:
            return 80 + min(b, 7) * 8 + min(a, 7)
        return 160 + min(a, 15) * 4 + min(b, 3)

    def remember(self, colour: int) -> None:
        colours, n = self.colours, self.counts
        if not n[0]:
            colours[0], n[0] = colour, 1
        elif colour == colours[0]:
            n[0] = min(n[0] + 1, 255)
            if n[1] > 2:
                n[1] = (n[1] + 1) // 2
        elif n[1] and colour == colours[1]:
            n[1] += 1
            if n[0] > 2:
                n[0] = (n[0] + 2) // 2
            if n[1] > n[0]:
                colours.reverse()
                n.reverse()
        else:
            if n[1] > 1:
                n[1] //= 2
            else:
                colours[1], n[1] = colour, 1
            if n[0] > 2:
                n[0] = (n[0] + 2) // 2
            elif n[0] == 1:
                colours[0], colours[1], n[1] = colour, colours[0], 1


class Bank:
    """Counters or mixers by their number, made where they are first needed."""

    def __init__(self) -> None:
        self.counters: dict[tuple[int, ...], Counter] = {}
        self.mixers: dict[tuple[int, ...], Mixer] = {}

    def counter(self, *key: int) -> Counter:
        found = self.counters.get(key)
        if found is None:
            found = self.counters[key] = Counter()
        return found

    def mixer(self, inputs: int, *key: int) -> Mixer:
        found = self.mixers.get(key)
        if found is None:
            found = self.mixers[key] = Mixer([FIRST_WEIGHT] * inputs)
        return found


# The first number of a counter's or a mixer's key.
ANSWER, NEAR, MATCHED, LINE, GUESS, RUN, PLACE, COLOUR_A, COLOUR_B, BIT_A, BIT_B = range(11)


class Walk:
    """One image: what is known of it, and all that was learned from it."""

    def __init__(self, coder: Coder, height: int, width: int, channels: int):
        self.coder, self.height, self.width, self.channels = coder, height, width, channels
        self.row = width + 2 * MARGIN
        self.cells = [0] * ((TOP + height) * self.row)
        self.missed = [[0] * self.row, [0] * self.row]  # this row's and that of the row above, in turns
        self.lasting = [0] * self.row
        self.level = [0] * width
        self.column = [(0, 0)] * self.row  # distance and length of a match
        self.match = (0, 0)
        self.last: list[dict[int, int]] = [{}, {}]
        size = (height * width).bit_length() - 1
        self.slot_bits, self.line_bits = min(max(size + 1, 10), 17), min(max(size, 9), 16)
        self.slots: list[dict[int, Slot]] = [{} for _ in range(ORDERS)]
        self.bank = Bank()
        self.stride = 4

    def at(self, x: int, y: int) -> int:
        """The number of a pixel's cell."""
        return (TOP + y) * self.row + MARGIN + x

    def walk(self) -> None:
        for y in range(self.height):
            self.begin_row(y)
            x = 0
            while x < self.width:
                length = self.run_length(x, y)
                covered = self.run(x, y, length) if length else 0
                x += covered
                if covered < length or not length:
                    self.pixel(x, y, length > 0)
                    x += 1
            self.end_row(y)

    def begin_row(self, y: int) -> None:
        q, above = self.at(0, y), self.at(0, y - 1)
        for i in range(1, MARGIN + 1):
            self.cells[q - i] = self.cells[above]
        flat = 0
        for x in reversed(range(self.width)):
            flat = flat + 1 if self.cells[above + x] == self.cells[above + x + 1] else 0
            self.level[x] = flat

    def end_row(self, y: int) -> None:
        q, above, last = self.at(0, y), self.at(0, y - 1), self.width - 1
        for i in range(1, MARGIN + 1):
            self.cells[q + last + i] = self.cells[q + last]
        for x in range(self.width):
            same = self.cells[q + x] == self.cells[above + x]
            self.lasting[MARGIN + x] = min(self.lasting[MARGIN + x] + 1, 255) if same else 0
        for i in range(1, MARGIN + 1):
            self.lasting[MARGIN - i] = self.lasting[MARGIN]
            self.lasting[MARGIN + last + i] = self.lasting[MARGIN + last]

    # ---- runs ----

    def run_counter(self, x: int, length: int) -> Counter:
        return self.bank.counter(RUN, length.bit_length() - 1, self.lasting[MARGIN + x])

    def objects(self, match: tuple[int, int], q: int, i: int) -> bool:
        """Whether a match expects another colour than that of the run from cell q on at its pixel i."""
        distance, length = match
        return length >= TRUSTED and i < distance and self.cells[q + i - distance] != self.cells[q - 1]

    def run_length(self, x: int, y: int) -> int:
        """Pixels from column x on that one decision covers, or 0."""
        q, row, cells = self.at(x, y), self.row, self.cells
        around = cells[q - 1], cells[q - row], cells[q - 2], cells[q - row - 1]
        if self.level[x] < SHORTEST or len(set(around)) > 1:
            return 0
        length = min(self.level[x], 1 << self.stride)
        counter = self.run_counter(x, length)
        if counter.p >> 14 < LIKELY:
            counter.update(1, RUN_LIMIT)
            return 0
        at = MARGIN + x
        for i in range(length):
            if (
                self.lasting[at + i] != self.lasting[at]
                or self.objects(self.match, q, i)
                or self.objects(self.column[at + i], q, i)
            ):
                return 0 if i < SHORTEST else i
        return length

    def run(self, x: int, y: int, length: int) -> int:
        """Code a run of at most ``length`` pixels of the colour to the left; returns how many there are."""
        q, decide, cells = self.at(x, y), self.coder.decide, self.cells
        colour, counter = cells[q - 1], self.run_counter(x, length)
        true_length = 0
        if not self.coder.decoding:
            while true_length < length and cells[q + true_length] == colour:
                true_length += 1
        whole = decide(max(counter.p >> 6, 1), int(true_length == length))
        counter.update(whole, RUN_LIMIT)
        low, high = 0, length
        if whole:
            low = length
            self.stride = min(self.stride + 1, LONGEST)
        else:
            while high - low > 1:
                side = self.bank.counter(PLACE, (high - low).bit_length() - 1)
                middle = low + (high - low) // 2
                later = decide(max(side.p >> 6, 1), int(true_length >= middle))
                side.update(later, RUN_LIMIT)
                if later:
                    low = middle
                else:
                    high = middle
            self.stride = self.stride - 2 if self.stride > 5 else 4
        for i in range(low):
            cells[q + i] = colour
            self.missed[y & 1][MARGIN + x + i] = 0
        return low

    # ---- a pixel ----

    def contexts(self, q: int, x: int) -> list[int]:
        """The hashes of the contexts of a pixel."""

        def cell(dx: int, dy: int) -> int:
            return self.cells[q + dx - dy * self.row]

        found, h = [], 1
        for more in NEIGHBOURS:
            h = hashed(h, *(cell(*place) for place in more))
            found.append(h)
        w, n, nw, ne = cell(-1, 0), cell(0, 1), cell(-1, 1), cell(1, 1)
        found.append(hashed(7, n, ne, cell(0, 2), cell(1, 2)))
        at = MARGIN + x
        found.append(hashed(9, w, n, self.lasting[at], self.lasting[at - 1], self.lasting[at + 1]))
        found.append(hashed(77, minus(w, nw), minus(n, nw), minus(ne, n)))
        return found

    def choose_match(self, q: int, x: int, contexts: list[int]) -> tuple[int, int, int]:
        """Distance (0: none), length and source of the match that predicts a pixel."""
        at = MARGIN + x
        wide = hashed(contexts[5], *self.lasting[at + 2 : at + 7], self.lasting[at - 2])
        keys = contexts[3] >> (32 - MATCH_BITS), wide >> (32 - MATCH_BITS)
        found = [table.get(key, 0) for table, key in zip(self.last, keys, strict=True)]
        for table, key in zip(self.last, keys, strict=True):
            table[key] = q
        distance, length, source = 0, 0, 0
        if self.match[1]:
            distance, length = self.match
        if self.column[at][1] > length:
            (distance, length), source = self.column[at], 1
        if not length:
            if found[0]:
                distance, source = q - found[0], 2
            elif found[1]:
                distance, source = q - found[1], 3
            elif self.match[0]:
                distance, source = self.match[0], 4
        return distance, length, source

    def pixel(self, x: int, y: int, known: bool) -> None:
        """Code one pixel; ``known``: it does not have the colour to its left."""
        cells, row, q, at, bank = self.cells, self.row, self.at(x, y), MARGIN + x, self.bank
        w, n, nw, ne = cells[q - 1], cells[q - row], cells[q - row - 1], cells[q - row + 1]
        ww, nn = cells[q - 2], cells[q - 2 * row]
        contexts = self.contexts(q, x)
        distance, length, source = self.choose_match(q, x, contexts)
        matched = cells[q - distance] if distance else 0
        level = level_of(length, LENGTH_STEPS) if distance else 0
        slots = [self.slot(order, hashed(h, order)) for order, h in enumerate(contexts)]

        offers: list[int] = []
        if distance and length >= FIRST:
            offers.append(matched)
        offers += [slots[o].colours[0] for o in (3, 2, 1, 0, 4) if slots[o].counts[0]]
        if distance and length < FIRST:
            offers.append(matched)
        if slots[DELTA].counts[0]:
            offers.append(plus(n, slots[DELTA].colours[0]))
        offers += [w, n, ne, nw]
        offers += [slots[o].colours[1] for o in (3, 2, 1, 0) if slots[o].counts[1]]
        candidates = [c for c in dict.fromkeys(offers) if not (known and c == w)][:CANDIDATES]

        filled = sum(slot.counts[0] > 0 for slot in slots[:DELTA])
        above = self.missed[~y & 1]
        around = self.missed[y & 1][at - 1] | above[at] << 1 | above[at + 1] << 2
        target = cells[q]
        found, colour = 0, 0
        for asked, v in enumerate(candidates):
            kind = min(asked, 2)
            same = sum((v == other) << i for i, other in enumerate((w, n, nw, ne, ww, nn)))
            by_match = 1 + (v == matched) if distance else 0
            counters = [
                bank.counter(ANSWER, o, slot.state(minus(v, n) if o == DELTA else v), kind)
                for o, slot in enumerate(slots)
            ]
            counters.append(bank.counter(NEAR, kind, same, around))
            counters.append(bank.counter(MATCHED, by_match, level, source, kind))
            trust = by_match + (by_match == 2 and length > 15)
            mixers = (
                bank.mixer(10, COLOUR_A, kind, filled, trust),
                bank.mixer(10, COLOUR_B, asked, around),
            )
            found = mixed(self.coder, counters, [], mixers, COLOUR_RATES, int(v == target))
            for counter in counters:
                counter.update(found, COLOUR_LIMIT)
            colour = v
            if found:
                break
        self.missed[y & 1][at] = int(not found or colour != candidates[0])
        if not found:
            colour = self.spell(q, target)
        cells[q] = colour
        for o, slot in enumerate(slots):
            slot.remember(minus(colour, n) if o == DELTA else colour)
        if distance:
            self.match = distance, min(length + 1, MOST_LENGTH) if matched == colour else 0
            self.column[at] = self.match

    def slot(self, order: int, h: int) -> Slot:
        index, check = h >> (32 - self.slot_bits), h & 0xFFFF | 1
        found = self.slots[order].get(index)
        if found is None or found.check != check:
            found = self.slots[order][index] = Slot(check)
        return found

    # ---- a colour spelled out ----

    def spell(self, q: int, colour: int) -> int:
        """Code a colour sample by sample and bit by bit, the highest first; returns it."""
        cells, row, bank = self.cells, self.row, self.bank
        places = (q - 1, q - row, q - row - 1, q - row + 1, q - 2 * row + 1)
        west, north, _, northeast, _ = (cells[place] for place in places)
        coded = result = before = error = 0
        off = [0] * 6
        order = (1, 0, 2, 3) if self.channels > 2 else (0, 1)
        for k, channel in enumerate(order[: self.channels]):
            shift = 8 * channel
            w, n, nw, ne, nne = (cells[place] >> shift & 255 for place in places)
            median = sorted((w, n, w + n - nw))[1]
            plain = [median, w, n, clamp(w + ne - n), (w + n + 1) >> 1, clamp(n + ne - nne)]
            guesses = [clamp(p + o) for p, o in zip(plain, off, strict=True)]
            energy = level_of(abs(w - nw) + abs(n - nw) + abs(n - ne), ENERGY_STEPS)
            miss = level_of(error, MISS_STEPS)
            exact = (
                hashed(k + 1, coded), hashed(k + 11, coded, west), hashed(k + 21, coded, north),
                hashed(k + 31, before, w, n), hashed(k + 41, coded, west, north, northeast),
            )  # fmt: skip
            true_sample, prefix, half = colour >> shift & 255, 1, 1
            for b in range(7, -1, -1):
                if b in (7, 3):
                    half = prefix
                node = prefix if b > 3 else prefix & ((8 >> b) - 1) | 8 >> b
                middle = ((prefix << 1 | 1) << b) & 255
                counters = [
                    bank.counter(LINE, hashed(context, half) >> (32 - self.line_bits), node)
                    for context in exact
                ]
                known = sum(counter.n > 0 for counter in counters)
                for j, guess in enumerate(guesses):
                    place = signed_level(guess - middle)
                    counters.append(bank.counter(GUESS, j, k, b, place, energy + 8 * (miss > 1)))
                mixers = bank.mixer(12, BIT_A, k, b, known), bank.mixer(12, BIT_B, k, miss)
                bit = mixed(self.coder, counters, [], mixers, BIT_RATES, true_sample >> b & 1)
                for j, counter in enumerate(counters):
                    counter.update(bit, HASHED_LIMIT if j < len(exact) else GUESS_LIMIT)
                prefix = prefix << 1 | bit
            sample = prefix & 255
            error += abs(sample - guesses[0])
            off = [sample - p for p in plain]
            before = sample
            coded = coded << 8 | sample
            result |= sample << shift
        return result


def clamp(v: int) -> int:
    return min(max(v, 0), 255)


def signed_level(d: int) -> int:
    """A distance's level, 0 ... 35."""
    return 17 - level_of(-d - 1, FAR_STEPS) if d < 0 else 18 + level_of(d, FAR_STEPS)


def encode(pixels: np.ndarray) -> np.ndarray:
    """See ``graphics.encode``."""
    height, width, channels = pixels.shape
    coder = Collector()
    walk = Walk(coder, height, width, channels)
    for y in range(height):
        for x in range(width):
            walk.cells[walk.at(x, y)] = sum(int(v) << 8 * k for k, v in enumerate(pixels[y, x]))
    walk.walk()
    return np.array(coder.decisions, np.uint32)


def decode(words: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """See ``graphics.decode``."""
    height, width, channels = shape
    coder = Taker([int(word) for word in words])
    walk = Walk(coder, height, width, channels)
    walk.walk()
    rows = np.array(walk.cells, np.uint32).reshape(TOP + height, walk.row)[TOP:, MARGIN : MARGIN + width]
    pixels = (rows[..., None] >> (8 * np.arange(channels, dtype=np.uint32)) & 255).astype(np.uint8)
    return pixels, np.array(coder.left(), np.uint32)
