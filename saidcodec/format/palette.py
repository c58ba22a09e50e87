"""Palettes: the colours that the samples of an image are indices of (bitstream_spec.md, section 2.2)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from saidcodec.errors import CorruptError
from saidcodec.format.cursor import Cursor, inflated, varint

MOST_ENTRIES = 256
OPAQUE = 255
LUMA = (299, 587, 114)  # weights of red, green and blue in the order of ranks
# Flags, from the lowest bit: entries have alpha; what is transparent; how the body is packed.
HAS_ALPHA, HAS_INDEX, HAS_ALPHAS = 1 << 0, 1 << 1, 1 << 2
IS_COMPRESSED, IS_PLANAR, IS_DIFFERENCES = 1 << 3, 1 << 4, 1 << 5
ALL_FLAGS = (1 << 6) - 1
KNOWN = bytes([0, 1 << 6])  # of a palette that the frame before has


@dataclass(frozen=True)
class Palette:
    """``colours``: the bytes of all entries, red, green, blue and, if there are 4 ``channels``, alpha.
    ``transparency``: the index that is transparent, or the alphas of the first entries.  ``known``: it is
    that of the frame before, so that it is not written."""

    colours: bytes
    channels: int = 3
    transparency: int | bytes | None = None
    known: bool = field(default=False, compare=False)

    def __len__(self) -> int:
        return len(self.colours) // self.channels

    def repeated(self) -> Palette:
        """The same, known."""
        return replace(self, known=True)

    def entries(self) -> np.ndarray:
        """The entries, uint8 [n, channels]."""
        return np.frombuffer(self.colours, np.uint8).reshape(-1, self.channels)

    def shown(self) -> np.ndarray:
        """The colour of each index, uint8 [n, 3], or [n, 4] where something may be transparent."""
        entries = self.entries()
        if self.channels == 3 and self.transparency is None:
            return entries
        shown = np.full((len(entries), 4), OPAQUE, np.uint8)
        shown[:, : self.channels] = entries
        if isinstance(self.transparency, int):
            shown[self.transparency, 3] = 0
        elif self.transparency is not None:
            shown[: len(self.transparency), 3] = np.frombuffer(self.transparency, np.uint8)
        return shown

    def order(self) -> np.ndarray:
        """The indices ordered by the luma of their entries; among equals by themselves; intp [n]."""
        return np.argsort(self.entries()[:, :3].astype(np.int32) @ LUMA, kind="stable")

    def ranks(self, indices: np.ndarray) -> np.ndarray:
        """Where indices, uint8 of any shape, stand in ``order``."""
        ranks = np.zeros(MOST_ENTRIES, np.uint8)
        ranks[self.order()] = np.arange(len(self), dtype=np.uint8)
        return ranks[indices]

    def indices(self, ranks: np.ndarray) -> np.ndarray:
        """The inverse of ``ranks``."""
        indices = np.zeros(MOST_ENTRIES, np.uint8)
        indices[: len(self)] = self.order()
        return indices[ranks]


def pack_palette(palette: Palette) -> bytes:
    """The bytes of a palette, in the shortest of the ways to write them."""
    if palette.known:
        return KNOWN
    flags = HAS_ALPHA * (palette.channels == 4)
    alphas, more = b"", b""
    if isinstance(palette.transparency, int):
        flags, more = flags | HAS_INDEX, bytes([palette.transparency])
    elif palette.transparency is not None:
        flags, alphas = flags | HAS_ALPHAS, palette.transparency
        more = bytes([len(alphas) - 1])
    start = bytes([len(palette) - 1])
    found = [start + bytes([flags]) + more + palette.colours + alphas]
    for planar, differences in product((0, IS_PLANAR), (0, IS_DIFFERENCES)):
        entries = palette.entries()
        if differences:
            entries = np.diff(entries, axis=0, prepend=np.zeros_like(entries[:1]))
        body = zlib.compress((entries.T if planar else entries).tobytes() + alphas, 9)
        found.append(
            start + bytes([flags | IS_COMPRESSED | planar | differences]) + more + varint(len(body)) + body
        )
    return min(found, key=len)


def read_palette(cursor: Cursor, before: Palette | None = None) -> Palette:
    """The inverse of ``pack_palette``; ``before``: the palette of the frame before, where there may be one.

    Raises CorruptError, TruncatedError, LimitError.
    """
    start = cursor.take(2)
    if start == KNOWN and before is not None:
        return before
    count, flags = start[0] + 1, start[1]
    if flags > ALL_FLAGS or flags & (HAS_INDEX | HAS_ALPHAS) == HAS_INDEX | HAS_ALPHAS:
        raise CorruptError("The file's palette asks for something that does not exist.")
    if flags & (IS_PLANAR | IS_DIFFERENCES) and not flags & IS_COMPRESSED:
        raise CorruptError("The file's palette asks for something that does not exist.")
    channels = 4 if flags & HAS_ALPHA else 3
    index = cursor.take(1)[0] if flags & HAS_INDEX else None
    alphas = cursor.take(1)[0] + 1 if flags & HAS_ALPHAS else 0
    if max(alphas, 0 if index is None else index + 1) > count:
        raise CorruptError("The file's palette makes an entry transparent that there is not.")
    size = count * channels + alphas
    if flags & IS_COMPRESSED:
        body = inflated(cursor.take(cursor.varint()), "The file's palette", size + 1)
        if len(body) != size:
            raise CorruptError("The file's palette is damaged.")
    else:
        body = cursor.take(size)
    entries = np.frombuffer(body[: count * channels], np.uint8)
    entries = entries.reshape(channels, count).T if flags & IS_PLANAR else entries.reshape(count, channels)
    if flags & IS_DIFFERENCES:
        entries = np.add.accumulate(entries, axis=0, dtype=np.uint8)
    return Palette(entries.tobytes(), channels, body[count * channels :] if alphas else index)
