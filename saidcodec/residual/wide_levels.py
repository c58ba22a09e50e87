"""Which values the channels of a wide band may have, and how its stream says so (bitstream_spec.md, section
8.6.1).

Samples of 12 bits are shifted, bytes are multiplied by 257, histograms were stretched, masks have a handful
of labels: such bands are coded as the ranks of their values.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from saidcodec.entropy.rans import Decoder, Encoder, uniform
from saidcodec.errors import CorruptError
from saidcodec.format.header import Header
from saidcodec.format.levels import Levels, parse_levels
from saidcodec.residual.mixed import add_head, take_head

WORTH = 2  # times the bytes of a list of levels have to be saved, by estimate
NUMBERS = 3  # of a channel of regular levels: the first value, the step, and the largest rank


class Gaps(IntEnum):
    """What a stream says of the values that occur: nothing, a list, or that they are regular."""

    NONE = 0
    LISTED = 1
    REGULAR = 2


@dataclass(frozen=True)
class Ladder:
    """``levels``: of each channel, in the order in which they are coded; None where every value may occur.
    ``regular``: uint16 [channels, NUMBERS], where that says all."""

    levels: Levels | None = None
    regular: np.ndarray | None = None

    @staticmethod
    def of_regular(header: Header, regular: np.ndarray) -> Ladder:
        """Raises CorruptError where a value is too large."""
        occurring = np.zeros((len(regular), 1 << header.depth), bool)
        for marks, (first, step, most) in zip(occurring, regular.tolist(), strict=True):
            if not step or first + step * most >= len(marks):
                raise CorruptError("A band has levels that there are not.")
            marks[first : first + step * most + 1 : step] = True
        return Ladder(Levels(occurring), regular)

    def add(self, encoder: Encoder) -> None:
        """Add what says which levels there are."""
        kind = Gaps.NONE if self.levels is None else Gaps.LISTED if self.regular is None else Gaps.REGULAR
        encoder.add(np.array([kind]), uniform(len(Gaps)))
        if self.regular is not None:
            encoder.add(self.regular.astype("<u2").view(np.uint8), uniform(256))
        elif self.levels is not None:
            add_head(self.levels.head(), encoder)

    def tops(self, header: Header) -> list[int]:
        """The largest sample, or rank, of each channel."""
        if self.levels is None:
            return [(1 << header.depth) - 1] * header.channels
        return [int(count) - 1 for count in self.levels.occurring.sum(1)]


def take_ladder(header: Header, decoder: Decoder) -> Ladder:
    """What ``Ladder.add`` added.  Raises CorruptError."""
    kind = Gaps(int(decoder.take(uniform(len(Gaps)), 1)[0]))
    if kind == Gaps.REGULAR:
        numbers = decoder.take(uniform(256), 2 * NUMBERS * header.channels).astype(np.uint8)
        return Ladder.of_regular(header, numbers.view("<u2").reshape(-1, NUMBERS))
    if kind == Gaps.LISTED:
        return Ladder(parse_levels(take_head(decoder), header.channels, 1 << header.depth))
    return Ladder()


def ladder_of(header: Header, samples: np.ndarray) -> Ladder:
    """The levels of uint16 [h, w, channels] that save the most bytes, by estimate."""
    pixels, values = samples.shape[0] * samples.shape[1], 1 << header.depth
    occurring = np.zeros((header.channels, values), bool)
    regular = np.zeros((header.channels, NUMBERS), np.uint16)
    by_list = by_step = 0.0
    for c in range(header.channels):
        occurring[c] = np.bincount(samples[..., c].ravel(), minlength=values) > 0
        present = np.flatnonzero(occurring[c])
        step = max(1, int(np.gcd.reduce(present - present[0])))
        most = int(present[-1] - present[0]) // step
        regular[c] = present[0], step, most
        by_list += pixels * float(np.log2((most + 1) / len(present))) / 8
        by_step += pixels * float(np.log2(step) + (most == 0)) / 8  # one value alone is not coded at all
    levels = Levels(occurring)
    if by_list and by_list > WORTH * len(levels.head()):
        return Ladder(levels)
    return Ladder.of_regular(header, regular) if by_step > regular.nbytes else Ladder()
