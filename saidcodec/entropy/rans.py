"""ANS coding with frozen integer tables: the one place that knows constriction.

The code is the integer rANS of bitstream_spec.md, section 3 (64-bit state, 32-bit words, 24-bit
precision).  A stream is a stack, so the encoder collects everything in the order in which the
decoder will take it and pushes it backwards at the end.  At the bottom of the stack lies a number of 32
bits, a checksum, which the decoder is left with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Any

import constriction
import numpy as np

from saidcodec.errors import CorruptError

AnsCoder = constriction.stream.stack.AnsCoder
Categorical = constriction.stream.model.Categorical

# Pushes symbols on a stack of words, uint32 [n], the state on top, and returns the stack.
Push = Callable[[np.ndarray], np.ndarray]

PRECISION = 24
TOTAL = 1 << PRECISION
WORD_BITS = 32
FIRST_BITS = 6  # of a stream's first number lie in its first byte
MOST_FIRST = 1 << (FIRST_BITS + 24)
UNWRITTEN = "A coded stream begins in a way in which no encoder writes it."


class Table:
    """One probability table: integer frequencies of the symbols 0 .. n-1, summing to 2**24."""

    def __init__(self, frequency: np.ndarray):
        self.frequency = frequency

    def __len__(self) -> int:
        return len(self.frequency)

    @cached_property
    def bits(self) -> np.ndarray:
        """Code length of each symbol in bits, float64 [n]; for accounts, never for coding."""
        return PRECISION - np.log2(self.frequency)

    @cached_property
    def edges(self) -> list[int]:
        """Where each symbol begins, and 2**24."""
        return [0, *np.cumsum(self.frequency, dtype=np.int64).tolist()]

    @cached_property
    def model(self) -> Any:
        # constriction gives every symbol of a "fast" categorical one unit on top of its share,
        # so freq - 1 comes out as exactly freq / 2**24 (the floats hold integers below 2**24).
        return Categorical((self.frequency - 1).astype(np.float64), perfect=False)


@cache
def uniform(n: int) -> Table:
    """The table of ``n`` symbols as equal as integers allow (spec section 3)."""
    edges = (np.arange(n + 1, dtype=np.int64) << PRECISION) // n
    return Table(np.diff(edges))


class Encoder:
    """Collects symbols in decoding order; ``finish`` returns the stream's bytes."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, Sequence[Table], Sequence[int]] | Push] = []

    def add(self, symbols: np.ndarray, table: Table) -> None:
        """Append integer symbols (any shape, taken in C order), each below ``len(table)``."""
        flat = np.ascontiguousarray(symbols, np.int32).reshape(-1)
        if len(table) > 1:  # a single symbol leaves the state as it is
            self._parts.append((flat, [table], [len(flat)]))

    def add_groups(self, symbols: np.ndarray, tables: Sequence[Table], counts: Sequence[int]) -> None:
        """Append int32 symbols [sum of counts] in runs, each run under its own table."""
        self._parts.append((symbols, tables, counts))

    def add_pushed(self, push: Push) -> None:
        """Append symbols that somebody else codes: ``push`` gets the words of all that follows."""
        self._parts.append(push)

    def add_stream(self, stream: bytes) -> None:
        """Let a finished stream follow, with what lies at its bottom; nothing may be added after it."""
        self._parts.append(lambda _: Decoder(stream).words())

    def add_encoder(self, other: Encoder) -> None:
        """Append all that another one has collected."""
        self._parts += other._parts

    def finish(self, bottom: int = 0) -> bytes:
        """The stream's bytes, with a number below 2**32 under all symbols."""
        stack = AnsCoder(np.array([bottom][: bottom > 0], np.uint32))
        for part in reversed(self._parts):
            if callable(part):
                stack = AnsCoder(part(stack.get_compressed()))
                continue
            symbols, tables, counts = part
            end = len(symbols)
            for table, count in zip(reversed(tables), reversed(counts), strict=True):
                if count:
                    stack.encode_reverse(symbols[end - count : end], table.model)
                    end -= count
        return bytes_of(stack.get_compressed())


def bytes_of(words: np.ndarray) -> bytes:
    """A stack of words uint32 [n], the state on top, as a stream: the top first, so that the front of a
    stream can be decoded.  The first word is written as short as it is."""
    first = int(words[-1]) if len(words) else 0
    rest = words[:-1]
    if first >= MOST_FIRST:
        first, rest = 0, words
    more = max(0, -(-(first.bit_length() - FIRST_BITS) // 8))
    head = (more << (FIRST_BITS + 8 * more) | first).to_bytes(1 + more, "big")
    return head + rest[::-1].astype(">u4").tobytes()


def words_of(stream: bytes, whole: bool) -> np.ndarray:
    """The stack that ``bytes_of`` wrote, uint32 [n]; unless it is ``whole`` its lower end may be missing.

    Raises CorruptError.
    """
    more = stream[0] >> FIRST_BITS if stream else 0
    if len(stream) < 1 + more or (whole and (len(stream) - 1 - more) % 4):
        raise CorruptError("A coded stream ends in the middle of a word.")
    first = int.from_bytes(stream[: 1 + more], "big") - (more << (FIRST_BITS + 8 * more))
    words = np.frombuffer(stream, ">u4", (len(stream) - 1 - more) // 4, 1 + more)[::-1].astype(np.uint32)
    if more and not first >> (FIRST_BITS + 8 * (more - 1)):
        raise CorruptError(UNWRITTEN)
    if first:
        return np.append(words, np.uint32(first))
    if len(words) and words[-1] < MOST_FIRST:
        raise CorruptError(UNWRITTEN)
    return words


class Decoder:
    """Takes symbols back out of the bytes of one stream; CorruptError if no encoder wrote them."""

    def __init__(self, stream: bytes, whole: bool = True):
        """``whole`` False: the stream may be cut off at its end, and what is taken beyond it is noise."""
        self._stack = AnsCoder(words_of(stream, whole))

    def take(self, table: Table, n: int) -> np.ndarray:
        """The next ``n`` symbols, int32 [n]."""
        if len(table) == 1:
            return np.zeros(n, np.int32)
        return self._stack.decode(table.model, n)

    def take_groups(self, tables: Sequence[Table], counts: Sequence[int]) -> np.ndarray:
        """The next runs of symbols, each run under its own table; int32 [sum of counts]."""
        decode = self._stack.decode
        return np.concatenate([*map(decode, [table.model for table in tables], counts)])

    def bits(self) -> int:
        """What is left, or up to 63 bits more."""
        return WORD_BITS * int(self._stack.num_words())

    def words(self) -> np.ndarray:
        """What is left of the stream, the state on top; uint32 [n].  For somebody else who takes symbols."""
        return np.asarray(self._stack.get_compressed())

    def resume(self, words: np.ndarray) -> None:
        """Go on with what is left after somebody else has taken symbols from ``words``."""
        self._stack = AnsCoder(words)

    def finish(self) -> int:
        """The number that lies under all symbols; CorruptError where more is left."""
        left = self.words()
        if len(left) > 1:
            raise CorruptError("A coded stream holds more than its symbols.")
        return int(left[0]) if len(left) else 0
