"""Walking the samples of many tiles at once (bitstream_spec.md, section 6).

All samples with the same step, ``x + 2 * y``, are independent given earlier steps, in every tile of a
band.  Planes are kept skewed, one row a step and within it (y, tile), so that a neighbour of a
whole step is one contiguous run.  A sample's three components ride in one 64-bit word, four lanes of
16 bits, and are subtracted from their references all at once: the lanes are offset so that none
ever borrows from the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from saidcodec.colour import HIGH, LOW
from saidcodec.residual.context import REFERENCE, SKEW, WINDOW, around, neighbour
from saidcodec.residual.copies import chroma_start, logit_index, luma_inputs, questions
from saidcodec.residual.mixture import SCALES, TAILS
from saidcodec.residual.network import COMPONENTS, LANES, POSITIONS, SURPRISES, ResidualNetwork
from saidcodec.residual.tables import MEAN_STEPS, bank

MIDDLE = (128, 0, 0)  # reference of a tile's first sample

REFERENCE_BIAS = 0x0400  # keeps a reference's lane positive
DIFFERENCE_BIAS = 0x4080  # low byte: the difference plus 128
SAMPLE_BIAS = REFERENCE_BIAS + DIFFERENCE_BIAS
LOWEST_LANE, HIGHEST_LANE = np.int16(DIFFERENCE_BIAS - 128), np.int16(DIFFERENCE_BIAS + 127)

PAD_STEPS = (8, 4)  # steps kept before the first and after the last, for neighbours outside
PAD_ROWS = (3, 1)
BATCH = 4096  # samples that go through the network at once where nothing has to be waited for


def word(lanes: Iterable[int]) -> np.int64:
    """Four 16-bit lanes as one word."""
    return np.array([*lanes], "<i2").view("<i8")[0]


MIDDLE_WORD = word([v + REFERENCE_BIAS for v in (*MIDDLE, 0)])
TO_REFERENCE = word([DIFFERENCE_BIAS] * LANES)


def middle_of(shape: tuple[int, ...]) -> np.ndarray:
    """The middle of the components' ranges, int16 [h, w, components]."""
    return np.broadcast_to(np.array(MIDDLE[: shape[2]], np.int16), shape)


@dataclass(frozen=True)
class Span:
    """A step's samples: ``rows`` of y in every tile, in the order (y, tile), at start .. stop of a batch."""

    step: int
    rows: slice
    start: int
    stop: int


@dataclass
class Batch:
    """Samples of one component that go through the network together: one step or, if all samples are
    known beforehand, several.  ``active``: which of them lie in their tile (None: all)."""

    spans: list[Span]
    component: int
    active: np.ndarray | None


class Coder(Protocol):
    """Turns the network's choices into samples: by reading, writing or measuring them."""

    @property
    def progressive(self) -> bool:
        """Whether a step's samples are known only after it has been coded."""
        ...

    def code(self, batch: Batch, table: np.ndarray, centre: np.ndarray, sign: np.ndarray) -> np.ndarray:
        """The batch's samples, int [n]."""
        ...

    def copy(self, batch: Batch, table: np.ndarray, asked: np.ndarray, offer: np.ndarray) -> np.ndarray:
        """Whether each pixel asked about, bool [n], is its offer, int [n, components]; bool [n]."""
        ...

    def finish(self, batch: Batch) -> None:
        """Called once all components of a batch have been coded."""
        ...


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
        self.full = bool((widths == width).all() and (heights == height).all())
        shape = (self.steps + sum(PAD_STEPS), height + sum(PAD_ROWS), self.tiles)
        empty = word([SAMPLE_BIAS] * LANES)
        # plane 0: samples, plane 1: the reconstruction x̂(T)
        self.planes = np.full((2, *shape), empty, np.int64)
        self.row_words = shape[1] * self.tiles
        self.plane_words = shape[0] * self.row_words

    def _skewed(self, plane: int) -> np.ndarray:
        """A view of a plane as int16 [steps, y, tile, lane] without its padding."""
        first, last = PAD_STEPS[0], PAD_STEPS[0] + self.steps
        inner = self.planes[plane, first:last, PAD_ROWS[0] : PAD_ROWS[0] + self.height]
        return inner.view(np.int16).reshape(self.steps, self.height, self.tiles, LANES)

    def put(self, plane: int, tile: int, values: np.ndarray) -> None:
        """Write a tile's samples [h, w, components]; what lies beyond its size repeats its edge."""
        missing = ((0, self.height - values.shape[0]), (0, self.width - values.shape[1]), (0, 0))
        values = np.pad(values.astype(np.int16), missing, "edge") + SAMPLE_BIAS
        skewed = self._skewed(plane)
        for y in range(self.height):
            skewed[SKEW * y : SKEW * y + self.width, y, tile, : values.shape[2]] = values[y]

    def get(self, tile: int) -> np.ndarray:
        """A tile's samples, int16 [h, w, components]."""
        height, width = int(self.heights[tile]), int(self.widths[tile])
        skewed = self._skewed(0)
        values = np.empty((height, width, self.components), np.int16)
        for y in range(height):
            values[y] = skewed[SKEW * y : SKEW * y + width, y, tile, : self.components]
        return values - SAMPLE_BIAS

    def values(self, batch: Batch) -> np.ndarray:
        """A batch's samples as they stand, int32 [n]."""
        skewed = self._skewed(0)
        parts = [skewed[span.step, span.rows, :, batch.component].reshape(-1) for span in batch.spans]
        return np.concatenate(parts).astype(np.int32) - SAMPLE_BIAS

    def pixels(self, batch: Batch) -> np.ndarray:
        """All components of a batch's samples, int32 [n, components]."""
        skewed = self._skewed(0)[..., : self.components]
        parts = [skewed[span.step, span.rows].reshape(-1, self.components) for span in batch.spans]
        return np.concatenate(parts).astype(np.int32) - SAMPLE_BIAS

    def _active(self, spans: list[Span]) -> np.ndarray | None:
        """Which samples lie inside their tile, bool [n]; None where all do."""
        if self.full:
            return None
        parts = []
        for span in spans:
            y = np.arange(span.rows.start, span.rows.stop)[:, None]
            parts.append(((span.step - SKEW * y < self.widths) & (y < self.heights)).reshape(-1))
        return np.concatenate(parts)

    def _batches(self, steps: Iterable[int], progressive: bool) -> Iterator[list[Span]]:
        """The steps' samples, in batches of about BATCH or one step each."""
        spans: list[Span] = []
        n = 0
        for step in steps:
            first = max(0, (step - self.width) // SKEW + 1)
            rows = slice(first, min(self.height - 1, step // SKEW) + 1)
            count = (rows.stop - rows.start) * self.tiles
            if not count:  # a tile one sample wide has none at odd steps
                continue
            if spans and (progressive or n + count > BATCH):
                yield spans
                spans, n = [], 0
            spans.append(Span(step, rows, n, n + count))
            n += count
        if spans:
            yield spans

    def walk(
        self,
        network: ResidualNetwork,
        coder: Coder,
        styles: np.ndarray,
        has_reconstruction: np.ndarray,
        steps: Iterable[int] | None = None,
    ) -> None:
        """Code every sample, or those of the given steps if all samples are known beforehand.

        ``styles`` int [tiles], ``has_reconstruction`` bool [tiles].
        """
        look_up = bank()
        tiles, skewed = self.tiles, self._skewed(0)
        offsets = [*WINDOW, *network.around]
        relative = np.array(
            [((dx + SKEW * dy) * (self.row_words // tiles) + dy) * tiles for dx, dy in offsets], np.int64
        )
        relative[len(WINDOW) :] += self.plane_words
        if not has_reconstruction.any():
            relative = relative[: len(WINDOW)]
        lowest = int(relative.min())
        longest = tiles * min(self.height, (self.width + 1) // SKEW)
        gather = np.arange(longest)[:, None] + (relative - lowest)
        flat = self.planes.reshape(-1)
        blind = np.flatnonzero(~has_reconstruction) if has_reconstruction.any() else np.zeros(0, np.int64)

        fixed, styled = LANES * len(offsets), network.inputs - LANES * len(offsets) - network.styles
        most = max(longest, BATCH)
        context = np.full((most, network.inputs), 128, np.uint8)
        references = np.empty((most, LANES), np.int32)
        marks = np.full((self.height, tiles, network.inputs - fixed), 128, np.uint8)
        marks[:, :, 0] += (127 * has_reconstruction).astype(np.uint8)
        marks[:, :, 2] += (np.arange(self.height) * 128 // self.height).astype(np.uint8)[:, None]
        marks[:, np.arange(tiles), styled + styles] = 255
        across = (128 + np.arange(self.width) * 128 // self.width).astype(np.uint8)
        row = np.full((most, network.hidden + network.extras), 128, np.uint8)
        near = np.empty((most if network.copies else 0, 1 + len(WINDOW)), np.int64)

        for spans in self._batches(range(self.steps) if steps is None else steps, coder.progressive):
            for span in spans:
                step, rows, start, stop = span.step, span.rows, span.start, span.stop
                n, count = stop - start, rows.stop - rows.start
                here = ((step + PAD_STEPS[0]) * (self.row_words // tiles) + rows.start + PAD_ROWS[0]) * tiles
                reference = flat[here - self.row_words : here - self.row_words + n] - TO_REFERENCE
                x = step - SKEW * np.arange(rows.start, rows.stop)
                if x[-1] == 0:  # no left neighbour: the one above, or the middle of the range
                    above = here + n - tiles - SKEW * self.row_words - tiles
                    reference[-tiles:] = flat[above : above + tiles] - TO_REFERENCE if step else MIDDLE_WORD
                seen = flat[here + lowest :].take(gather[:n], mode="clip")
                self._mend(seen, reference, x, rows, offsets[: len(relative)], blind)
                if network.copies:
                    near[start:stop, 0] = reference + TO_REFERENCE
                    near[start:stop, 1:] = seen[:, : len(WINDOW)]
                seen -= reference[:, None]
                lanes = seen.view(np.int16)
                np.maximum(lanes, LOWEST_LANE, out=lanes)
                np.minimum(lanes, HIGHEST_LANE, out=lanes)
                context[start:stop, : lanes.shape[1]] = lanes.astype(np.uint8)
                mark = context[start:stop, fixed:].reshape(count, tiles, -1)
                mark[...] = marks[rows]
                mark[:, :, 1] = across[x][:, None]
                if network.copies:
                    luma = luma_inputs(values_of(near[start:stop])[..., 0])
                    mark[:, :, POSITIONS:styled] = (128 + luma).reshape(count, tiles, -1)
                np.subtract(
                    reference.view(np.int16).reshape(n, LANES), REFERENCE_BIAS, out=references[start:stop]
                )

            n = spans[-1].stop
            hidden, raw = network.trunk(context[:n])
            row[:n, : network.hidden] = hidden
            batch = Batch(spans, 0, self._active(spans))
            inside, copied = batch.active, None
            chroma: list[tuple[np.ndarray, np.ndarray]] = []
            if network.copies:
                copied, copies = self._copy(network, coder, batch, hidden, near[:n])
                batch.active = ~copied if inside is None else inside & ~copied
            for c in range(self.components):
                batch.component = c
                reference = start_value = references[:n, c]
                if c:
                    if chroma:
                        start_value, clues = chroma[c - 1]
                        row[:n, network.hidden + 2 * SURPRISES :] = clues
                    raw = network.head(c, row[:n])
                mean, shape = choices(raw, start_value, c)
                position = shape + (mean & (MEAN_STEPS - 1))
                centre = (mean >> 4) + look_up.carry.take(position)
                sample = coder.code(batch, look_up.table.take(position), centre, look_up.sign.take(position))
                if coder.progressive:
                    if inside is not None:
                        sample = np.where(inside, sample, reference)
                    if copied is not None:
                        sample = np.where(copied, copies[:, c], sample)
                    (span,) = spans
                    values = (sample + SAMPLE_BIAS).reshape(-1, tiles)
                    skewed[span.step, span.rows, :, c] = values
                if c + 1 < self.components:
                    at = network.hidden + SURPRISES * c
                    surprise(sample, mean, reference, row[:n, at : at + SURPRISES])
                    if network.copies and not c:
                        chroma = chroma_starts(near[:n], sample)
            coder.finish(batch)

    def _copy(
        self, network: ResidualNetwork, coder: Coder, batch: Batch, hidden: np.ndarray, near: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ask about each copy in turn: which pixels are one, bool [n], and of what, int [n, components]."""
        table = logit_index(network.copy(hidden))
        places = (REFERENCE, *WINDOW)
        offers = near[:, [places.index(offset) for offset in network.copies]]
        values = values_of(offers)[..., : self.components]
        asked = questions(offers)
        copied, result = np.zeros(len(near), bool), values[:, 0].copy()
        for j in range(len(network.copies)):
            asks = asked[:, j] & ~copied
            if batch.active is not None:
                asks &= batch.active
            same = coder.copy(batch, table[:, j], asks, values[:, j])
            result[same] = values[same, j]
            copied |= same
        return copied, result

    def _mend(
        self,
        seen: np.ndarray,
        reference: np.ndarray,
        x: np.ndarray,
        rows: slice,
        offsets: list[tuple[int, int]],
        blind: np.ndarray,
    ) -> None:
        """Replace what was gathered from outside the tile, and the reconstruction where there is none."""
        grid = seen.reshape(len(x), self.tiles, -1)
        own = (reference + TO_REFERENCE).reshape(len(x), self.tiles)
        y = np.arange(rows.start, rows.stop)
        edge = np.flatnonzero((x < 3) | (x >= self.width - 3) | (y < 3) | (y == self.height - 1))
        if len(edge):
            dx, dy = np.array(offsets).T
            xx, yy, known = x[edge, None], y[edge, None], len(WINDOW)
            column, row = neighbour(xx, yy, dx[:known], dy[:known], self.width)
            place = self._skewed(0)[column + SKEW * row, row].view(np.int64)[..., 0].transpose(0, 2, 1)
            missing = (column < 0)[:, None, :]
            grid[edge, :, :known] = np.where(missing, own[edge, :, None], place)
            if len(dx) > known:
                column, row = around(xx, yy, dx[known:], dy[known:], self.width, self.height)
                place = self._skewed(1)[column + SKEW * row, row].view(np.int64)[..., 0].transpose(0, 2, 1)
                grid[edge, :, known:] = place
        if len(blind):
            grid[:, blind, len(WINDOW) :] = own[:, blind, None]


def values_of(words: np.ndarray) -> np.ndarray:
    """Sample words [...] → their values, int16 [..., 3]."""
    lanes = np.ascontiguousarray(words).view(np.int16).reshape(*words.shape, LANES)
    return lanes[..., :COMPONENTS] - np.int16(SAMPLE_BIAS)


def chroma_starts(near: np.ndarray, luma: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For Co and Cg of a network with copies: where the mean starts, int32 [n], and clues, uint8 [n, 3]."""
    start, clues = chroma_start(values_of(near), luma)
    return [(start[:, c], (128 + clues[:, c]).astype(np.uint8)) for c in range(2)]


def choices(raw: np.ndarray, reference: np.ndarray, component: int) -> tuple[np.ndarray, np.ndarray]:
    """A head's raw outputs [n, 3] → (mean in sixteenths, 16 * (tail + 4 * scale)), int32 [n] (spec 6.6)."""
    whole = np.rint(raw).astype(np.int32)
    mean = MEAN_STEPS * reference
    mean += whole[:, 0]
    np.maximum(mean, MEAN_STEPS * LOW[component], out=mean)
    np.minimum(mean, MEAN_STEPS * HIGH, out=mean)
    scale = np.minimum(np.maximum(whole[:, 1], 0), SCALES - 1)
    tail = np.minimum(np.maximum(whole[:, 2], 0), TAILS - 1)
    return mean, MEAN_STEPS * (tail + TAILS * scale)


def surprise(sample: np.ndarray, mean: np.ndarray, reference: np.ndarray, out: np.ndarray) -> None:
    """What a decoded component tells the heads after it, into uint8 [n, 3] (spec section 6.5)."""
    error = mean >> 4
    error &= 1
    error += mean
    error += 7
    error >>= 4  # the mean in sample values, rounded half to even
    np.subtract(sample, error, out=error)
    for column, value in enumerate((4 * error, error, sample - reference)):
        np.maximum(value, -128, out=value)
        np.minimum(value, 127, out=value)
        value += 128
        out[:, column] = value
