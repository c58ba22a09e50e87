"""The residual engine in plain NumPy: the specification in Python, and the oracle of the C core's tests.

It runs where no C compiler was at hand.  Everything is upright; a step's samples go through the network
together (bitstream_spec.md, sections 6 and 7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from saidcodec.entropy.bank import MEAN_STEPS, REACH, SCALES, TAILS, bank, in_quanta, look_up
from saidcodec.entropy.rans import AnsCoder, Table
from saidcodec.errors import CorruptError
from saidcodec.format.colour import HIGH, LOW
from saidcodec.format.planes import NO_RECONSTRUCTION
from saidcodec.integer import Layer
from saidcodec.residual.adaptation import Adaptation
from saidcodec.residual.context import REFERENCE, SKEW, WINDOW, neighbour
from saidcodec.residual.copies import chroma_start, logit_index, luma_inputs, questions
from saidcodec.residual.decided import Decided
from saidcodec.residual.decisions import Taker, push_shares, share_of
from saidcodec.residual.engine import DECISION, SYMBOL_BITS, Plane, check_comparison, check_styles
from saidcodec.residual.lengths import lengths
from saidcodec.residual.network import COMPONENTS, ResidualNetwork

TOGETHER = 1 << 12  # samples that go through the network at once where all are known
# 32 widths of a scale's core in sixteenths of a sample value, by the scale's part of an octave.
WIDTH_FACTORS = np.array([23, 19, 16, 13], np.int32)
MIDDLE = np.array([128, 0, 0], np.int16)  # the reference of a band's first sample

# Gets which samples a field is about, the field, their tables and, where known, symbols; returns symbols.
CodeOf = Callable[[np.ndarray, int, np.ndarray, "np.ndarray | None"], np.ndarray]


class ReferenceEngine:
    """See ``engine.Engine``."""

    name = "reference (NumPy)"

    def symbols(self, network: ResidualNetwork, plane: Plane) -> np.ndarray:
        if plane.decided:
            notes = Notes()
            walk_decided(network, plane, True, notes)
            return np.array(notes.words, np.uint32)
        state, record = adaptation_of(plane), Record()
        for x, y in batches(plane, 1 if state or plane.max_error else TOGETHER):
            record.step = x + SKEW * y
            walk(network, plane, x, y, True, record, state)
        return plane.calibrated(record.in_order())

    def push(self, words: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        if (symbols & DECISION).any():
            return push_shares(words, map(share_in_bank, reversed(symbols.tolist())))
        coder = AnsCoder(words)
        models = [table.model for table in (*bank().tables, *bank().copies)]
        table, symbol = symbols >> SYMBOL_BITS, (symbols & ((1 << SYMBOL_BITS) - 1)).astype(np.int32)
        for start, stop in reversed(list(runs(table))):
            coder.encode_reverse(symbol[start:stop], models[table[start]])
        return np.asarray(coder.get_compressed())

    def decode(self, network: ResidualNetwork, plane: Plane, words: np.ndarray) -> np.ndarray:
        if plane.decided:
            taker = SymbolTaker([int(word) for word in words])
            walk_decided(network, plane, False, taker)
            return np.array(taker.left(), np.uint32)
        coder = AnsCoder(words)
        mixtures = [bank().tables[row] for row in plane.rows] if plane.rows else bank().tables
        models = [table.model for table in (*mixtures, *bank().copies)]

        def take(active: np.ndarray, field: int, table: np.ndarray, symbol: np.ndarray | None) -> np.ndarray:
            found = [coder.decode(models[table[start]], stop - start) for start, stop in runs(table)]
            return np.concatenate([np.zeros(0, np.int32), *found])

        state = adaptation_of(plane)
        for x, y in batches(plane, 1):
            walk(network, plane, x, y, False, take, state)
        return np.asarray(coder.get_compressed())

    def measure(
        self,
        network: ResidualNetwork,
        plane: Plane,
        places: np.ndarray | None = None,
        styles: np.ndarray | None = None,
    ) -> np.ndarray:
        check_styles(places, styles)
        if styles is not None:
            assert places is not None
            total = np.zeros(len(places), np.uint32)
            for style in np.unique(styles):
                chosen = styles == style
                uniform = replace(plane, styles=np.full_like(plane.styles, style))
                total[chosen] = self.measure(network, uniform, places[chosen])
            return total
        height, width, _ = plane.samples.shape
        exact = replace(plane, max_error=0, adaptive=False, by_parity=False, decided=False)
        places = np.arange(height * width) if places is None else places
        total = np.zeros(len(places), np.uint32)
        for first in range(0, len(places), TOGETHER):
            part = places[first : first + TOGETHER]
            tally = Tally(total[first : first + TOGETHER])
            walk(network, exact, part % width, part // width, True, tally)
        return total

    def compare(
        self,
        network: ResidualNetwork,
        plane: Plane,
        lengths: np.ndarray,
        rectangles: np.ndarray,
        inside: np.ndarray,
    ) -> np.ndarray:
        check_comparison(plane, lengths, rectangles, inside)
        assert plane.reconstruction is not None
        height, width = lengths.shape
        y, x = np.indices((height, width))
        more, end = [], 0
        for top, left, bottom, right in rectangles.tolist():
            other = plane.reconstruction.copy()
            here = other[top:bottom, left:right]
            here[...] = inside[end : end + here.size // COMPONENTS].reshape(here.shape)
            end += here.size // COMPONENTS
            changed = np.asarray((other != plane.reconstruction).any(-1))
            sees = changed.copy()
            for dx, dy in network.around:
                sees |= changed[(y + dy).clip(0, height - 1), (x + dx).clip(0, width - 1)]
            places = np.flatnonzero(sees & (plane.coded > 0)).astype(np.int32)
            bits = self.measure(network, replace(plane, reconstruction=other), places)
            more.append(int(bits.sum(dtype=np.int64) - lengths.reshape(-1)[places].sum(dtype=np.int64)))
        return np.array(more, np.int64)


FIELDS = 64  # more than a step's questions and components


class Record:
    """Notes symbols and where they belong in the stream; ``step`` int [n] is that of each sample of the
    batch."""

    def __init__(self) -> None:
        self.step = np.zeros(0, np.int64)
        self.symbols, self.keys = [np.zeros(0, np.uint32)], [np.zeros(0, np.int64)]

    def __call__(
        self, active: np.ndarray, field: int, table: np.ndarray, symbol: np.ndarray | None
    ) -> np.ndarray:
        assert symbol is not None
        self.symbols.append((table << SYMBOL_BITS | symbol).astype(np.uint32))
        self.keys.append(self.step[active] * FIELDS + field)
        return symbol

    def in_order(self) -> np.ndarray:
        """All symbols by step, then field, then as they came."""
        return np.concatenate(self.symbols)[np.concatenate(self.keys).argsort(kind="stable")]


class Notes:
    """Notes symbols and decisions that come in the order of the stream."""

    def __init__(self) -> None:
        self.words: list[int] = []

    def __call__(
        self, active: np.ndarray, field: int, table: np.ndarray, symbol: np.ndarray | None
    ) -> np.ndarray:
        assert symbol is not None
        self.words += (table << SYMBOL_BITS | symbol).tolist()
        return symbol

    def decide(self, p: int, bit: int) -> int:
        self.words.append(DECISION | p << 1 | bit)
        return bit


class SymbolTaker(Taker):
    """Takes symbols and decisions from one stack of words."""

    def __call__(
        self, active: np.ndarray, field: int, table: np.ndarray, symbol: np.ndarray | None
    ) -> np.ndarray:
        return np.array([self.symbol(table_of(number).edges) for number in table.tolist()], np.int32)


def table_of(number: int) -> Table:
    """A table by its number in symbols."""
    mixtures, copies = bank().tables, bank().copies
    return mixtures[number] if number < len(mixtures) else copies[number - len(mixtures)]


def share_in_bank(word: int) -> tuple[int, int]:
    """Start and frequency, of 2**24, of what a symbol or a decision says."""
    if word & DECISION:
        return share_of(word ^ DECISION)
    edges, symbol = table_of(word >> SYMBOL_BITS).edges, word & ((1 << SYMBOL_BITS) - 1)
    return edges[symbol], edges[symbol + 1] - edges[symbol]


class Tally:
    """Adds code lengths to ``bits`` uint32 [n]."""

    def __init__(self, bits: np.ndarray):
        self.bits = bits

    def __call__(
        self, active: np.ndarray, field: int, table: np.ndarray, symbol: np.ndarray | None
    ) -> np.ndarray:
        assert symbol is not None
        self.bits[active] += lengths()[table, symbol]
        return symbol


def batches(plane: Plane, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(x, y) of the coded samples in the order of decoding: a step at a time, or several steps with about
    ``most`` samples in all."""
    y, x = np.nonzero(plane.coded)
    order = np.lexsort((y, x + SKEW * y))
    x, y = x[order], y[order]
    ends = np.flatnonzero(np.diff(x + SKEW * y, append=-1)) + 1
    start = 0
    for end in ends.tolist():
        if end - start >= most or end == len(x):
            yield x[start:end], y[start:end]
            start = end


def runs(table: np.ndarray) -> Iterator[tuple[int, int]]:
    """(start, stop) of the runs of equal numbers in int [n]."""
    edges = [0, *(np.flatnonzero(np.diff(table)) + 1).tolist(), len(table)]
    return pairwise(edges) if len(table) else iter(())


def walk(
    network: ResidualNetwork,
    plane: Plane,
    x: np.ndarray,
    y: np.ndarray,
    known: bool,
    code: CodeOf,
    state: Adaptation | None = None,
) -> None:
    """Code the samples at (x, y) int [n], all independent of each other or ``known``.

    ``code(active, field, table, symbol)`` gets which of them a field is about, bool [n], and for those the
    table and, where the samples are known, the symbol; it returns the symbol.
    """
    components = plane.samples.shape[2]
    inputs, near = contexts(network, plane, x, y)
    hidden = run(network.trunk, inputs)
    truth = plane.samples[y, x].astype(np.int32) if known else None
    values = near[:, 0, :components].astype(np.int32)
    active = np.ones(len(x), bool)
    if network.head_copy is not None:
        values, active = ask(network, near, hidden, truth, plane, code)
    if state:
        state.look(x[active], y[active])
    first = len(network.copies)
    start, extras = MEAN_STEPS * near[:, 0].astype(np.int32), [hidden]
    clues = np.zeros((len(x), COMPONENTS - 1, 0), np.uint8)  # those of a model with copies come with Y
    for c in range(components):
        if c:
            joined = np.concatenate([*extras, clues[:, c - 1]], 1)
            raw = network.head_chroma[c - 1].raw(run((network.hidden_chroma[c - 1],), joined))
        else:
            raw = network.head_y.raw(hidden)
        mean, scale, tail = choose(raw, start[:, c], c)
        shape, own = (mean[active], scale[active], tail[active]), None
        if truth is not None:
            own = truth[active, c]
            if c and plane.max_error:  # later components make up for the errors of the first
                own = own + truth[active, 0] - values[active, 0]
        if state:
            choice = state.adapt(c, shape, values[active])
            shape = choice.corrected, choice.adapted, choice.tail
        if isinstance(state, Decided):
            sample = state.code(c, values[active], own)
        else:
            if plane.max_error:
                shape = *in_quanta(shape[0], shape[1], plane.max_error), shape[2]
            table, centre, sign = look_up(*shape)
            quantum = 2 * plane.max_error + 1
            symbol = None
            if own is not None:
                symbol = sign * ((own - centre + plane.max_error) // quantum) + REACH
            sample = centre + quantum * sign * (code(active, first + c, table, symbol) - REACH)
        inside = np.clip(sample, LOW[c], HIGH)
        if not plane.max_error and (sample != inside).any():
            raise CorruptError("The residual section decodes to an impossible sample.")
        values[active, c] = inside
        told = surprise(values[:, c], mean, scale, near[:, 0, c].astype(np.int32))
        extras.append(told[:, : network.surprises])
        if network.head_copy is not None and not c and components > 1:
            start[:, 1:], told = chroma_start(near, values[:, 0])
            clues = (told + 128).astype(np.uint8)
    plane.samples[y, x] = values
    if state:
        state.learn(values[active])


def walk_decided(network: ResidualNetwork, plane: Plane, known: bool, code: Notes | SymbolTaker) -> None:
    """Code a plane by decisions, one step after another."""
    state = Decided(plane.samples, plane.by_parity, code)
    for x, y in batches(plane, 1):
        walk(network, plane, x, y, known, code, state)


def ask(
    network: ResidualNetwork,
    near: np.ndarray,
    hidden: np.ndarray,
    truth: np.ndarray | None,
    plane: Plane,
    code: CodeOf,
) -> tuple[np.ndarray, np.ndarray]:
    """The questions of section 6.7: values int32 [n, components] as far as they are copies, and where they
    are none, bool [n]."""
    assert network.head_copy is not None
    components = plane.samples.shape[2]
    offers = near[:, network.copies, :components].astype(np.int32)
    asked = questions(offers)
    table = len(bank().tables) + logit_index(network.head_copy.raw(hidden))
    values, left = near[:, 0, :components].astype(np.int32), np.ones(len(near), bool)
    for j in range(len(network.copies)):
        active = asked[:, j] & left
        symbol = None
        if truth is not None:
            distance = truth - offers[:, j]
            if plane.max_error:  # that of the channels, which are the first component and sums with it
                distance[:, 1:] += distance[:, :1]
            symbol = np.logical_and.reduce(np.abs(distance) <= plane.max_error, 1)[active].astype(np.int32)
        same = np.zeros(len(near), bool)
        same[active] = code(active, j, table[active, j], symbol) > 0
        values[same] = offers[same, j]
        left &= ~same
    return values, left


def run(layers: tuple[Layer, ...], x: np.ndarray) -> np.ndarray:
    """uint8 [n, in] through dense layers (spec section 5); uint8 [n, out]."""
    for layer in layers:
        x = layer.run(x)
    return x


def contexts(
    network: ResidualNetwork, plane: Plane, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of the network uint8 [n, inputs] (spec 6.4), and the reference and the window's samples
    int16 [n, 1 + window, 3] (spec 6.2, 6.3)."""
    height, width, components = plane.samples.shape
    dx, dy = np.array([REFERENCE, *WINDOW]).T
    column, row = neighbour(x[:, None], y[:, None], dx, dy, width)
    column[:, 0], row[:, 0] = np.where(x > 0, x - 1, 0), np.where(x > 0, y, y - 1)
    near = np.zeros((len(x), len(dx), COMPONENTS), np.int16)
    near[..., :components] = plane.samples[row.clip(min=0), column.clip(min=0)]
    near[row[:, 0] < 0, 0] = MIDDLE
    nowhere = column < 0
    near[nowhere] = np.broadcast_to(near[:, :1], near.shape)[nowhere]
    n = len(x)
    parts = [(near[:, 1:] - near[:, network.origins]).reshape(n, -1)]
    flag = np.zeros(n, np.int16)
    if plane.reconstruction is None:
        parts.append(np.zeros((n, COMPONENTS * len(network.around)), np.int16))
    else:
        ax, ay = np.array(network.around, np.int64).reshape(-1, 2).T
        across, down = (x[:, None] + ax).clip(0, width - 1), (y[:, None] + ay).clip(0, height - 1)
        seen = plane.reconstruction[down, across].astype(np.int32)
        difference = np.where(seen == NO_RECONSTRUCTION, 0, seen - near[:, :1])
        parts.append(difference.reshape(n, -1))
        flag[plane.reconstruction[y, x, 0] != NO_RECONSTRUCTION] = 127
    parts.append(np.stack([flag, network.positions * x // width, network.positions * y // height], 1))
    if network.head_copy is not None:
        parts.append(luma_inputs(near[..., 0]))
    parts.append(network.mark * (plane.styles[y, x][:, None] == np.arange(network.styles)))
    return (np.concatenate(parts, 1).clip(-128, 127) + 128).astype(np.uint8), near


def choose(raw: np.ndarray, start: np.ndarray, component: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A head's raw outputs [n, 3] → mean, scale index and tail index, int32 [n] (spec 6.6).

    Mean and ``start`` [n] are in sixteenths.
    """
    whole = np.rint(raw).astype(np.int32)
    mean = np.clip(start + whole[:, 0], MEAN_STEPS * LOW[component], MEAN_STEPS * HIGH)
    scale, tail = whole[:, 1].clip(0, SCALES - 1), whole[:, 2].clip(0, TAILS - 1)
    return mean, scale, tail


def adaptation_of(plane: Plane) -> Adaptation | None:
    """What learns along, where the plane is coded with adaptation."""
    return Adaptation(plane.samples, plane.max_error, plane.by_parity) if plane.adaptive else None


def surprise(sample: np.ndarray, mean: np.ndarray, scale: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """What a decoded component tells the heads after it, uint8 [n, 4] (spec section 6.5)."""
    rounded = (mean + 7 + (mean >> 4 & 1)) >> 4  # halves to even
    error = sample - rounded
    in_widths = (MEAN_STEPS * sample - mean) * WIDTH_FACTORS[scale & 3] >> (scale >> 2)
    told = np.stack([4 * error, error, sample - reference, in_widths], 1)
    return (told.clip(-128, 127) + 128).astype(np.uint8)
