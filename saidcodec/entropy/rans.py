"""ANS coding with frozen integer tables: the one place that knows constriction.

The code is the integer rANS of bitstream_spec.md, section 3 (64-bit state, 32-bit words, 24-bit
precision).  A stream is a stack, so the encoder collects everything in the order in which the
decoder will take it and pushes it backwards at the end.
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

    def finish(self) -> bytes:
        stack = AnsCoder()
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
        # The last word holds the head of the state; its leading zero bytes say nothing.
        return stack.get_compressed().astype("<u4").tobytes().rstrip(b"\0")


class Decoder:
    """Takes symbols back out of the bytes of one stream; CorruptError if no encoder wrote them."""

    def __init__(self, data: bytes):
        if data.endswith(b"\0"):
            raise CorruptError("A coded stream ends in a zero byte, which no encoder writes.")
        padded = data + bytes(-len(data) % 4)
        self._stack = AnsCoder(np.frombuffer(padded, "<u4").astype(np.uint32))

    def take(self, table: Table, n: int) -> np.ndarray:
        """The next ``n`` symbols, int32 [n]."""
        if len(table) == 1:
            return np.zeros(n, np.int32)
        return self._stack.decode(table.model, n)

    def take_groups(self, tables: Sequence[Table], counts: Sequence[int]) -> np.ndarray:
        """The next runs of symbols, each run under its own table; int32 [sum of counts]."""
        decode = self._stack.decode
        return np.concatenate([*map(decode, [table.model for table in tables], counts)])

    def words(self) -> np.ndarray:
        """What is left of the stream, the state on top; uint32 [n].  For somebody else who takes symbols."""
        return np.asarray(self._stack.get_compressed())

    def resume(self, words: np.ndarray) -> None:
        """Go on with what is left after somebody else has taken symbols from ``words``."""
        self._stack = AnsCoder(words)

    def finish(self) -> None:
        """Check that every bit has been used; CorruptError otherwise."""
        if not self._stack.is_empty():
            raise CorruptError("A coded stream holds more than its symbols.")
