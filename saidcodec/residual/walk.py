"""Walking a band: contexts, network, choices, and what a coder makes of them (spec section 6)."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from saidcodec.entropy.bank import MEAN_STEPS, SCALES, TAILS, bank
from saidcodec.format.colour import HIGH, LOW
from saidcodec.residual.context import REFERENCE, SKEW, WINDOW, around, neighbour
from saidcodec.residual.copies import chroma_start, logit_index, luma_inputs, questions
from saidcodec.residual.network import LANES, POSITIONS, SURPRISES, ResidualNetwork
from saidcodec.residual.wavefront import (
    HIGHEST_LANE,
    LOWEST_LANE,
    MIDDLE_WORD,
    PAD_ROWS,
    PAD_STEPS,
    REFERENCE_BIAS,
    SAMPLE_BIAS,
    TO_REFERENCE,
    Span,
    Wavefront,
    values_of,
)

# Samples that go through the network at once where nothing has to be waited for.  Large batches pass Python's
# lock around less often; small images still have some for every thread.
BATCHES = (1 << 11, 1 << 14)
SHARES = 4  # batches that every thread gets, if there are enough samples


@dataclass
class Batch:
    """Samples of one component that go through the network together: one step or, if all samples are
    known beforehand, several.  ``chosen`` says which: spans of a wavefront, or places in a tile.  ``active``:
    which of them are to be coded (None: all).  ``coded`` is the coder's own record."""

    chosen: Any
    component: int
    active: np.ndarray | None
    coded: list[Any] = field(default_factory=list)


class Samples(Protocol):
    """Where samples lie: a wavefront or a single tile."""

    tiles: int
    components: int

    def active(self, chosen: Any) -> np.ndarray | None:
        """Which of the chosen samples are to be coded, bool [n]; None where all are."""
        ...

    def values(self, chosen: Any, component: int) -> np.ndarray:
        """One component of the chosen samples, int32 [n]."""
        ...

    def pixels(self, chosen: Any) -> np.ndarray:
        """All components of the chosen samples, int32 [n, components]."""
        ...


class Contexts(Protocol):
    """What fills the network's inputs for samples of one place."""

    samples: Any  # Samples
    network: ResidualNetwork

    def fill(self, chosen: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inputs uint8 [n, inputs] and references int32 [n, lanes] of the chosen samples; for copies also the
        reference and the window as words, int64 [n, 1 + window]."""
        ...


class Coder(Protocol):
    """Turns the network's choices into samples: by reading, writing or measuring them.

    Several batches may be on their way in threads of their own; ``finish`` comes in order, from one thread.
    """

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


def walk(
    wavefront: Wavefront,
    network: ResidualNetwork,
    coder: Coder,
    styles: np.ndarray,
    has_reconstruction: np.ndarray,
    steps: Iterable[int] | None = None,
) -> None:
    """Code every sample, or those of the given steps if all samples are known beforehand.

    ``styles`` int [tiles], ``has_reconstruction`` bool [tiles].
    """
    contexts = WavefrontContexts(wavefront, network, styles, has_reconstruction)
    share = wavefront.samples // (SHARES * network.workers)
    most = 1 if coder.progressive else max(min(share, BATCHES[1]), BATCHES[0])
    batches = [*wavefront.batches(range(wavefront.steps) if steps is None else steps, most)]
    if coder.progressive or network.workers == 1 or len(batches) == 1:
        for spans in batches:
            coder.finish(run(contexts, coder, spans))
        return
    with ThreadPoolExecutor(network.workers) as pool:
        for batch in pool.map(lambda spans: run(contexts, coder, spans), batches):
            coder.finish(batch)


class WavefrontContexts:
    """Fills the network's inputs for the steps of one wavefront."""

    def __init__(
        self,
        wavefront: Wavefront,
        network: ResidualNetwork,
        styles: np.ndarray,
        has_reconstruction: np.ndarray,
    ):
        self.samples, self.network = wavefront, network
        tiles, height = wavefront.tiles, wavefront.height
        self.offsets = [*WINDOW, *network.around]
        self.fixed = LANES * len(self.offsets)
        self.lumas = slice(POSITIONS, network.inputs - self.fixed - network.styles)
        if not has_reconstruction.any():
            del self.offsets[len(WINDOW) :]
        rows = wavefront.row_words // tiles
        relative = np.array([((dx + SKEW * dy) * rows + dy) * tiles for dx, dy in self.offsets], np.int64)
        relative[len(WINDOW) :] += wavefront.plane_words
        self.relative = relative.tolist()
        self.flat = wavefront.planes.reshape(-1)
        self.blind = np.flatnonzero(~has_reconstruction & has_reconstruction.any())
        self.marks = np.full((height, tiles, network.inputs - self.fixed), 128, np.uint8)
        self.marks[:, :, 0] += (127 * has_reconstruction).astype(np.uint8)
        self.marks[:, :, 2] += (np.arange(height) * network.positions // height).astype(np.uint8)[:, None]
        self.marks[:, np.arange(tiles), self.lumas.stop + styles] += np.uint8(network.mark)
        across = np.arange(wavefront.width) * network.positions // wavefront.width
        self.across = (128 + across).astype(np.uint8)

    def fill(self, spans: list[Span]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See ``Contexts``."""
        n = spans[-1].stop
        inputs = np.empty((n, self.network.inputs), np.uint8)
        inputs[:, LANES * len(self.offsets) : self.fixed] = 128  # where a reconstruction would stand
        references = np.empty((n, LANES), np.int32)
        near = np.empty((n if self.network.copies else 0, 1 + len(WINDOW)), np.int64)
        for span in spans:
            here = slice(span.start, span.stop)
            self._fill_step(span, inputs[here], references[here], near[here])
        return inputs, references, near

    def _fill_step(self, span: Span, inputs: np.ndarray, references: np.ndarray, near: np.ndarray) -> None:
        front, flat, tiles = self.samples, self.flat, self.samples.tiles
        step, rows, n = span.step, span.rows, len(inputs)
        count = rows.stop - rows.start
        here = ((step + PAD_STEPS[0]) * (front.row_words // tiles) + rows.start + PAD_ROWS[0]) * tiles
        reference = flat[here - front.row_words : here - front.row_words + n] - TO_REFERENCE
        x = step - SKEW * np.arange(rows.start, rows.stop)
        if x[-1] == 0:  # no left neighbour: the one above, or the middle of the range
            above = here + n - tiles - SKEW * front.row_words - tiles
            reference[-tiles:] = flat[above : above + tiles] - TO_REFERENCE if step else MIDDLE_WORD
        seen = np.empty((len(self.relative), n), np.int64)
        for row, offset in zip(seen, self.relative):  # a neighbour of a whole step is one run of words
            row[:] = flat[here + offset : here + offset + n]
        self._mend(seen, reference, x, rows)
        if len(near):
            near[:, 0] = reference + TO_REFERENCE
            near[:, 1:] = seen[: len(WINDOW)].T
        self._subtract(seen, reference)
        inputs[:, : LANES * len(seen)].view(np.uint32)[...] = low_bytes(seen).T
        mark = inputs[:, self.fixed :].reshape(count, tiles, -1)
        mark[...] = self.marks[rows]
        mark[:, :, 1] = self.across[x][:, None]
        if len(near):
            luma = luma_inputs(values_of(near)[..., 0])
            mark[:, :, self.lumas] = (128 + luma).reshape(count, tiles, -1)
        np.subtract(reference.view(np.int16).reshape(n, LANES), REFERENCE_BIAS, out=references)

    def _subtract(self, seen: np.ndarray, reference: np.ndarray) -> None:
        """Turn what was read, int64 [neighbours, n], into differences from the network's origins."""
        origins, known = self.network.origins, len(WINDOW)
        if not origins.any():
            seen -= reference
            return
        starts = np.empty((1 + known, len(reference)), np.int64)
        starts[0] = reference
        np.subtract(seen[:known], TO_REFERENCE, out=starts[1:])
        for row, origin in zip(seen, origins.tolist()):
            row -= starts[origin]
        seen[known:] -= reference

    def _mend(self, seen: np.ndarray, reference: np.ndarray, x: np.ndarray, rows: slice) -> None:
        """Replace what was read from outside the tile, and the reconstruction where there is none."""
        front, known = self.samples, len(WINDOW)
        grid = seen.reshape(-1, len(x), front.tiles)
        own = (reference + TO_REFERENCE).reshape(len(x), front.tiles)
        y = np.arange(rows.start, rows.stop)
        edge = np.flatnonzero((x < 3) | (x >= front.width - 3) | (y < 3) | (y >= front.height - PAD_ROWS[1]))
        if len(edge):
            dx, dy = np.array(self.offsets).T[:, :, None]
            xx, yy = x[edge], y[edge]
            column, row = neighbour(xx, yy, dx[:known], dy[:known], front.width)
            place = front.skewed(0)[column + SKEW * row, row].view(np.int64)[..., 0]
            grid[:known, edge] = np.where((column < 0)[:, :, None], own[edge], place)
            if len(dx) > known:
                column, row = around(xx, yy, dx[known:], dy[known:], front.width, front.height)
                grid[known:, edge] = front.skewed(1)[column + SKEW * row, row].view(np.int64)[..., 0]
        if len(self.blind):
            grid[known:, :, self.blind] = own[:, self.blind]


def low_bytes(differences: np.ndarray) -> np.ndarray:
    """Words minus their origins, int64 [a, b] → the four inputs of each as one word, uint32 [a, b].

    The differences are clipped in place.
    """
    lanes = differences.view(np.int16)
    np.clip(lanes, LOWEST_LANE, HIGHEST_LANE, out=lanes)  # 8 times as fast as maximum and minimum of int16
    return lanes.astype(np.uint8).view(np.uint32)


def run(contexts: Contexts, coder: Coder, chosen: Any) -> Batch:
    """Take the chosen samples through the network and the coder; the coder's record of them."""
    front, network, look_up = contexts.samples, contexts.network, bank()
    inputs, references, near = contexts.fill(chosen)
    hidden, raw = network.trunk(inputs)
    row = np.empty((len(inputs), network.hidden + network.extras), np.uint8)
    row[:, : network.hidden] = hidden
    row[:, network.hidden :] = 128
    inside = front.active(chosen)
    batch = Batch(chosen, 0, inside)
    copied, offered = None, references
    if network.copies:
        copied, offered = copy(front, network, coder, batch, hidden, near)
        batch.active = ~copied if inside is None else inside & ~copied
    starts = references
    for c in range(front.components):
        batch.component = c
        reference = references[:, c]
        if c:
            raw = network.head(c, row)
        mean, shape = choices(raw, starts[:, c], c)
        position = shape + (mean & (MEAN_STEPS - 1))
        centre = (mean >> 4) + look_up.carry.take(position)
        sample = coder.code(batch, look_up.table.take(position), centre, look_up.sign.take(position))
        if coder.progressive:
            if inside is not None:
                sample = np.where(inside, sample, reference)
            if copied is not None:
                sample = np.where(copied, offered[:, c], sample)
            (span,) = chosen
            values = (sample + SAMPLE_BIAS).reshape(-1, front.tiles)
            front.skewed(0)[span.step, span.rows, :, c] = values
        if c + 1 < front.components:
            at = network.hidden + SURPRISES * c
            surprise(sample, mean, reference, row[:, at : at + SURPRISES])
            if network.copies:
                if not c:
                    chroma, clues = chroma_start(values_of(near), sample)
                    starts = np.concatenate([references[:, :1], chroma], 1)
                row[:, network.hidden + 2 * SURPRISES :] = clues[:, c] + 128
    return batch


def copy(
    front: Samples,
    network: ResidualNetwork,
    coder: Coder,
    batch: Batch,
    hidden: np.ndarray,
    near: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Ask about each copy in turn: which pixels are one, bool [n], and of what, int [n, components]."""
    table = logit_index(network.copy(hidden))
    places = (REFERENCE, *WINDOW)
    offers = near[:, [places.index(offset) for offset in network.copies]]
    values = values_of(offers)[..., : front.components]
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
