"""Levels: channels in which only some values occur are coded as their ranks (bitstream_spec.md, "Levels").

A histogram that was stretched has gaps.  The list of the values that occur costs at most 32 bytes a
channel; the picture is then coded as the ranks of its values, in whatever way a picture is coded.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from saidcodec.errors import CorruptError

GAPS = 0.06  # of a channel's range have to be missing, to be worth a look


@dataclass(frozen=True)
class Levels:
    """Which values each channel may have: bool [channels, values], at least one in each."""

    occurring: np.ndarray

    def ranks(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels [..., channels] of values that occur → their ranks, of the same type."""
        table = (np.cumsum(self.occurring, 1) - 1).astype(pixels.dtype)
        parts = [table[c].take(pixels[..., c]) for c in range(len(table))]
        return np.stack(parts, -1)

    def values(self, ranks: np.ndarray) -> np.ndarray:
        """What ``ranks`` was made of; CorruptError where a rank has no value."""
        parts = []
        for c, marks in enumerate(self.occurring):
            values = np.flatnonzero(marks).astype(ranks.dtype)
            if int(ranks[..., c].max(initial=0)) >= len(values):
                raise CorruptError("A level is beyond the last of its channel.")
            parts.append(values.take(ranks[..., c]))
        return np.stack(parts, -1)

    def head(self) -> bytes:
        """The marks, value 0 of the first channel in the lowest bit, as a zlib stream."""
        return zlib.compress(np.packbits(self.occurring, axis=None, bitorder="little").tobytes(), 9)


def parse_levels(data: bytes, channels: int, values: int = 256) -> Levels:
    """What ``Levels.head`` wrote of channels that have so many values; CorruptError otherwise."""
    size = values // 8 * channels
    unpack = zlib.decompressobj()
    try:
        marks = unpack.decompress(data, size + 1)
    except zlib.error as error:
        raise CorruptError("The levels are damaged.") from error
    if not unpack.eof or unpack.unused_data or len(marks) != size:
        raise CorruptError("The levels are of the wrong length.")
    occurring = (
        np.unpackbits(np.frombuffer(marks, np.uint8), bitorder="little")
        .reshape(channels, values)
        .astype(bool)
    )
    if not occurring.any(1).all():
        raise CorruptError("A channel has no level at all.")
    return Levels(occurring)


def levels_of(pixels: np.ndarray) -> Levels | None:
    """The levels of uint8 [h, w, channels] where enough of the range is missing in some channel, else
    None."""
    channels = pixels.shape[-1]
    occurring = np.zeros((channels, 256), bool)
    for c in range(channels):
        occurring[c] = np.bincount(pixels[..., c].ravel(), minlength=256) > 0
    missing = 0.0
    for marks in occurring:
        present = np.flatnonzero(marks)
        missing = max(missing, 1 - len(present) / (present[-1] - present[0] + 1))
    return Levels(occurring) if missing >= GAPS else None
