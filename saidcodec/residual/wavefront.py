"""The samples of many tiles, arranged by step (bitstream_spec.md, section 6.1).

All samples with the same step, ``x + 2 * y``, are independent given earlier steps, in every tile of a
band.  Planes are kept skewed, one row a step and within it (y, tile), so that a neighbour of a
whole step is one contiguous run.  A sample's three components ride in one 64-bit word, four lanes of
16 bits, and are subtracted from their origins all at once: the lanes are offset so that none
ever borrows from the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from saidcodec.format.colour import MIDDLE
from saidcodec.residual.context import SKEW
from saidcodec.residual.network import COMPONENTS, LANES

REFERENCE_BIAS = 0x0400  # keeps a reference's lane positive
DIFFERENCE_BIAS = 0x4080  # low byte: the difference plus 128
SAMPLE_BIAS = REFERENCE_BIAS + DIFFERENCE_BIAS
LOWEST_LANE, HIGHEST_LANE = np.int16(DIFFERENCE_BIAS - 128), np.int16(DIFFERENCE_BIAS + 127)

PAD_STEPS = (8, 6)  # steps kept before the first and after the last, for neighbours outside
PAD_ROWS = (3, 2)


def word(lanes: Iterable[int]) -> np.int64:
    """Four 16-bit lanes as one word."""
    return np.array([*lanes], "<i2").view("<i8")[0]


MIDDLE_WORD = word([v + REFERENCE_BIAS for v in (*MIDDLE, 0)])
TO_REFERENCE = word([DIFFERENCE_BIAS] * LANES)


@dataclass(frozen=True)
class Span:
    """A step's samples: ``rows`` of y in every tile, in the order (y, tile), at start .. stop of a batch."""

    step: int
    rows: slice
    start: int
    stop: int


class Wavefront:
    """The skewed planes of a band of tiles of one nominal size.

    ``widths`` and ``heights`` [tiles] are the true sizes, at most the nominal ``width`` and ``height``; what
    lies beyond takes the value of its reference and is not coded.  ``components`` is 3 or 1.
    """

    def __init__(self, width: int, height: int, widths: np.ndarray, heights: np.ndarray, components: int):
        self.width, self.height, self.components = width, height, components
        self.widths, self.heights = widths, heights
        self.tiles = len(widths)
        self.steps = width + SKEW * (height - 1)
        self.samples = self.tiles * width * height
        self.full = bool((widths == width).all() and (heights == height).all())
        shape = (self.steps + sum(PAD_STEPS), height + sum(PAD_ROWS), self.tiles)
        empty = word([SAMPLE_BIAS] * LANES)
        # plane 0: samples, plane 1: the reconstruction x̂(T)
        self.planes = np.full((2, *shape), empty, np.int64)
        self.row_words = shape[1] * self.tiles
        self.plane_words = shape[0] * self.row_words

    def skewed(self, plane: int) -> np.ndarray:
        """A view of a plane as int16 [steps, y, tile, lane] without its padding."""
        first, last = PAD_STEPS[0], PAD_STEPS[0] + self.steps
        inner = self.planes[plane, first:last, PAD_ROWS[0] : PAD_ROWS[0] + self.height]
        return inner.view(np.int16).reshape(self.steps, self.height, self.tiles, LANES)

    def upright(self, plane: int, tile: int) -> np.ndarray:
        """A view of one tile of a plane as int16 [height, width, lane]."""
        skewed = self.skewed(plane)[:, :, tile]
        step, y, lane = skewed.strides
        shape = (self.height, self.width, LANES)
        return np.lib.stride_tricks.as_strided(skewed, shape, (SKEW * step + y, step, lane))

    def put(self, plane: int, tile: int, values: np.ndarray) -> None:
        """Write a tile's samples [h, w, components]; what lies beyond its size repeats its edge."""
        missing = ((0, self.height - values.shape[0]), (0, self.width - values.shape[1]), (0, 0))
        values = np.pad(values, missing, "edge") if any(map(sum, missing)) else values
        np.add(values, np.int16(SAMPLE_BIAS), out=self.upright(plane, tile)[..., : values.shape[2]])

    def get(self, tile: int) -> np.ndarray:
        """A tile's samples, int16 [h, w, components]."""
        inside = self.upright(0, tile)[: int(self.heights[tile]), : int(self.widths[tile]), : self.components]
        return inside - np.int16(SAMPLE_BIAS)

    def values(self, spans: Sequence[Span], component: int) -> np.ndarray:
        """The spans' samples as they stand, int32 [n]."""
        skewed = self.skewed(0)
        parts = [skewed[span.step, span.rows, :, component].reshape(-1) for span in spans]
        return np.concatenate(parts).astype(np.int32) - SAMPLE_BIAS

    def pixels(self, spans: Sequence[Span]) -> np.ndarray:
        """All components of the spans' samples, int32 [n, components]."""
        skewed = self.skewed(0)[..., : self.components]
        parts = [skewed[span.step, span.rows].reshape(-1, self.components) for span in spans]
        return np.concatenate(parts).astype(np.int32) - SAMPLE_BIAS

    def active(self, spans: Sequence[Span]) -> np.ndarray | None:
        """Which samples lie inside their tile, bool [n]; None where all do."""
        if self.full:
            return None
        parts = []
        for span in spans:
            y = np.arange(span.rows.start, span.rows.stop)[:, None]
            parts.append(((span.step - SKEW * y < self.widths) & (y < self.heights)).reshape(-1))
        return np.concatenate(parts)

    def batches(self, steps: Iterable[int], most: int) -> Iterator[list[Span]]:
        """The steps' samples, in batches of one step or of several with ``most`` samples in all."""
        spans: list[Span] = []
        n = 0
        for step in steps:
            first = max(0, (step - self.width) // SKEW + 1)
            rows = slice(first, min(self.height - 1, step // SKEW) + 1)
            count = (rows.stop - rows.start) * self.tiles
            if not count:  # a tile one sample wide has none at odd steps
                continue
            if spans and n + count > most:
                yield spans
                spans, n = [], 0
            spans.append(Span(step, rows, n, n + count))
            n += count
        if spans:
            yield spans


def values_of(words: np.ndarray) -> np.ndarray:
    """Sample words [...] → their values, int16 [..., 3]."""
    lanes = np.ascontiguousarray(words).view(np.int16).reshape(*words.shape, LANES)
    return lanes[..., :COMPONENTS] - np.int16(SAMPLE_BIAS)
