"""Binary decisions in plain Python: what the twins of the coders of graphics, of wide samples and of
planes share (bitstream_spec.md, sections 8.5.1 and 8.5.2).  ``_odds.h`` and ``_decisions.h`` are the same
in C."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

PRECISION = 24
MASK = 0xFFFFFFFF
LOW = (1 << PRECISION) - 1
REACH = 3072
HALF = 1 << 19  # largest weight of a mixer
PLAIN = 1 << 31  # marks bits that are all alike among decisions


def curves() -> tuple[list[int], list[int]]:
    """From a logarithm of odds in 1/256 to a probability in 2**-16, and from a probability in 2**-12 back."""
    squash = [1] * (2 * REACH)
    e = 1 << 31
    for i in range(REACH):
        p = min(65535, (1 << 47) // ((1 << 31) + e))
        squash[REACH + i] = p
        if i:
            squash[REACH - i] = 65536 - p
        e = e * 4278222805 >> 32
    stretch, s = [], 0
    for i in range(4096):
        while squash[s] < 16 * i + 8:
            s += 1
        stretch.append(s - REACH)
    return squash, stretch


SQUASH, STRETCH = curves()


def squashed(s: int) -> int:
    return SQUASH[REACH + min(max(s, -REACH), REACH - 1)]


class Decider(Protocol):
    """Where decisions go to or come from."""

    def decide(self, p: int, bit: int) -> int:
        """The bit, whose probability of being 1 is p / 2**16; ``bit`` counts where it is known."""
        ...


class Coder(Decider, Protocol):
    """The same, and of what is no decision."""

    decoding: bool

    def plain_bits(self, bits: int, value: int) -> int:
        """1 to 24 bits, each as likely 0 as 1."""
        ...


class Collector:
    """Collects decisions."""

    decoding = False

    def __init__(self) -> None:
        self.decisions: list[int] = []

    def decide(self, p: int, bit: int) -> int:
        self.decisions.append(p << 1 | bit)
        return bit

    def plain_bits(self, bits: int, value: int) -> int:
        self.decisions.append(PLAIN | bits << PRECISION | value)
        return value


class Taker:
    """Takes decisions from a stack of words."""

    decoding = True

    def __init__(self, words: list[int]):
        self.words = words
        self.state = 0
        for _ in range(min(2, len(words))):
            self.state = self.state << 32 | words.pop()

    def decide(self, p: int, bit: int) -> int:
        split, low = p << 8, self.state & LOW
        bit = int(low < split)
        self._advance(low, *((0, split) if bit else (split, (1 << PRECISION) - split)))
        return bit

    def plain_bits(self, bits: int, value: int) -> int:
        low, spare = self.state & LOW, PRECISION - bits
        self._advance(low, low >> spare << spare, 1 << spare)
        return low >> spare

    def symbol(self, edges: list[int]) -> int:
        """A symbol of a table, of which each begins at an edge."""
        symbol = bisect_right(edges, self.state & LOW) - 1
        self._advance(self.state & LOW, edges[symbol], edges[symbol + 1] - edges[symbol])
        return symbol

    def _advance(self, low: int, start: int, frequency: int) -> None:
        self.state = (self.state >> PRECISION) * frequency + low - start
        if self.state >> 32 == 0 and self.words:
            self.state = self.state << 32 | self.words.pop()

    def left(self) -> list[int]:
        words, state = list(self.words), self.state
        while state:
            words.append(state & MASK)
            state >>= 32
        return words


class Counter:
    """An adaptive probability in 2**-22 and how often it was updated."""

    __slots__ = ("n", "p")

    def __init__(self) -> None:
        self.p, self.n = 1 << 21, 0

    def update(self, bit: int, limit: int) -> None:
        target = (1 << 22) - 1 if bit else 0
        self.p += (target - self.p) * (131072 // (2 * self.n + 3)) >> 16
        if self.n < limit:
            self.n += 1

    def input(self) -> int:
        return STRETCH[self.p >> 10]


class Mixer:
    """Weights in 2**-16 of a sum of logarithms of odds."""

    __slots__ = ("seen", "weights")

    def __init__(self, weights: Iterable[int]):
        self.weights, self.seen = list(weights), 0

    def mix(self, inputs: list[int]) -> int:
        return sum(w * x >> 4 for w, x in zip(self.weights, inputs, strict=True)) >> 12

    def learn(self, inputs: list[int], p: int, bit: int, rates: tuple[int, int]) -> None:
        fast, slow = rates
        rate = fast - (self.seen >> 3)
        if rate <= slow:
            rate = slow
        else:
            self.seen += 1
        error = ((bit << 16) - p) * rate >> 4
        self.weights = [
            min(max(w + (x * error + (1 << 15) >> 16), -HALF), HALF - 1)
            for w, x in zip(self.weights, inputs, strict=True)
        ]


def mixed(
    coder: Decider,
    counters: Sequence[Counter],
    more: list[int],
    mixers: Sequence[Mixer],
    rates: tuple[int, int],
    bit: int,
) -> int:
    """A decision under the mean of mixers, which then learn; inputs are counters, ``more`` and 256."""
    inputs = [counter.input() for counter in counters] + more + [256]
    sums = [mixer.mix(inputs) for mixer in mixers]
    bit = coder.decide(squashed(sum(sums) // len(sums)), bit)
    for mixer, total in zip(mixers, sums, strict=True):
        mixer.learn(inputs, squashed(total), bit, rates)
    return bit


def share_of(decision: int) -> tuple[int, int]:
    """Start and frequency, of 2**24, of what a decision says.  Raises ValueError where it is none."""
    if decision & PLAIN:
        bits, value = decision >> PRECISION & 127, decision & LOW
        if bits <= PRECISION and value >> bits == 0:
            return value << (PRECISION - bits), 1 << (PRECISION - bits)
    elif 0 < decision >> 1 < 1 << 16:
        split = decision >> 1 << 8
        return (0, split) if decision & 1 else (split, (1 << PRECISION) - split)
    raise ValueError("There is no such decision.")


def push(words: np.ndarray, decisions: np.ndarray) -> np.ndarray:
    """Push decisions, the last one first, on a stack of words uint32 [k]; returns the new stack.

    Raises ValueError where a decision is none.
    """
    return push_shares(words, map(share_of, reversed(decisions.tolist())))


def push_shares(words: np.ndarray, shares: Iterable[tuple[int, int]]) -> np.ndarray:
    """Push starts and frequencies, of 2**24, one after another on a stack of words uint32 [k]."""
    stack = [int(word) for word in words]
    state = 0
    for _ in range(min(2, len(stack))):
        state = state << 32 | stack.pop()
    for start, frequency in shares:
        if state >> (64 - PRECISION) >= frequency:
            stack.append(state & MASK)
            state >>= 32
        state = (state // frequency << PRECISION) + start + state % frequency
    while state:
        stack.append(state & MASK)
        state >>= 32
    return np.array(stack, np.uint32)
