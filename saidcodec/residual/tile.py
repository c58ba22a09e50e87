"""Bits of one tile under one reconstruction after another, for the encoder's choices.

All samples are known, so that nothing has to be walked: contexts are gathered for any samples in any order.
A box changes what few contexts see; only those go through the network again.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from saidcodec.format.colour import MIDDLE
from saidcodec.residual.coders import Meter
from saidcodec.residual.context import WINDOW, around, neighbour
from saidcodec.residual.copies import luma_inputs
from saidcodec.residual.network import LANES, POSITIONS, ResidualNetwork
from saidcodec.residual.walk import BATCHES, low_bytes, run
from saidcodec.residual.wavefront import (
    REFERENCE_BIAS,
    SAMPLE_BIAS,
    TO_REFERENCE,
    values_of,
    word,
)

Offsets = tuple[tuple[int, int], ...]


class Tile:
    """The samples of one tile, row by row; ``planes`` int16 [h, w, components]."""

    tiles = 1

    def __init__(self, planes: np.ndarray):
        self.height, self.width, self.components = planes.shape
        middle = word([value + SAMPLE_BIAS for value in (*MIDDLE, 0)])
        self.words = np.append(words_of(planes), middle)  # the last stands in for what lies nowhere

    def active(self, places: np.ndarray) -> None:
        """All samples are coded."""

    def pixels(self, places: np.ndarray) -> np.ndarray:
        """All components of the samples at ``places`` [n], int32 [n, components]."""
        lanes = self.words.take(places).view(np.int16).reshape(-1, LANES)
        return lanes[:, : self.components].astype(np.int32) - SAMPLE_BIAS

    def values(self, places: np.ndarray, component: int) -> np.ndarray:
        """One component of them, int32 [n]."""
        return self.pixels(places)[:, component]


class TileContexts:
    """Fills the network's inputs for samples of one tile, in any order, under one x̂ or another."""

    def __init__(self, samples: Tile, network: ResidualNetwork, style: int):
        self.samples, self.network = samples, network
        size = samples.width, samples.height
        self.near, self.around = window_places(*size), around_places(*size, network.around)
        self.known = LANES * len(WINDOW)
        self.fixed = self.known + LANES * len(network.around)
        self.style = network.inputs - network.styles + style
        self.reconstruction: np.ndarray | None = None

    def show(self, prediction: np.ndarray | None) -> np.ndarray:
        """Fill with x̂ int16 [h, w, 3], or none, from now on; the places that see a difference."""
        before, now = self.reconstruction, None if prediction is None else words_of(prediction)
        self.reconstruction = now
        if before is None or now is None:
            return np.arange(len(self.near))
        return np.flatnonzero((before != now).take(self.around).any(1))

    def fill(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See ``walk.Contexts``."""
        n, tile = len(places), self.samples
        seen = tile.words.take(self.near.take(places, 0))
        reference = seen[:, :1] - TO_REFERENCE
        starts = seen.take(self.network.origins, 1) - TO_REFERENCE
        inputs = np.full((n, self.network.inputs), 128, np.uint8)
        inputs[:, : self.known].view(np.uint32)[...] = low_bytes(seen[:, 1:] - starts)
        marks = inputs[:, self.fixed :]
        if self.reconstruction is not None:
            predicted = self.reconstruction.take(self.around.take(places, 0))
            inputs[:, self.known : self.fixed].view(np.uint32)[...] = low_bytes(predicted - reference)
            marks[:, 0] = 255
        marks[:, 1] = 128 + places % tile.width * self.network.positions // tile.width
        marks[:, 2] = 128 + places // tile.width * self.network.positions // tile.height
        if self.network.copies:
            lumas = luma_inputs(values_of(seen)[..., 0])
            marks[:, POSITIONS : POSITIONS + lumas.shape[1]] = 128 + lumas
        inputs[:, self.style] = 128 + self.network.mark
        references = reference.view(np.int16) - np.int16(REFERENCE_BIAS)
        return inputs, references.astype(np.int32), seen


class TileMeter:
    """Bits of the residual of one tile, int16 [h, w, components], under one x̂ after another.

    They are exact as long as ``style`` is the one that the writer will choose, which may depend on x̂.
    """

    def __init__(self, planes: np.ndarray, network: ResidualNetwork, style: int):
        tile = Tile(planes)
        self.contexts = TileContexts(tile, network, style)
        self.meter = Meter(tile)
        self.lengths = np.zeros(tile.height * tile.width, np.float32)

    def bits(self, prediction: np.ndarray | None) -> float:
        """Bits of all samples under x̂ int16 [h, w, 3], or none."""
        changed = self.contexts.show(prediction)
        for start in range(0, len(changed), BATCHES[1]):
            part = changed[start : start + BATCHES[1]]
            self.lengths[part] = np.sum(run(self.contexts, self.meter, part).coded, 0)
        return float(self.lengths.sum(dtype=np.float64))


def words_of(planes: np.ndarray) -> np.ndarray:
    """Samples int16 [h, w, components] as words, row by row; int64 [h * w]."""
    lanes = np.zeros((*planes.shape[:2], LANES), np.int16)
    lanes[..., : planes.shape[2]] = planes
    lanes += SAMPLE_BIAS
    return lanes.reshape(-1).view(np.int64)


@lru_cache(maxsize=4)
def window_places(width: int, height: int) -> np.ndarray:
    """Where each sample of a tile reads its reference and its window, row by row; int32 [h * w, 1 + window].

    ``width * height`` stands for the middle of the range.
    """
    y, x = (index.reshape(-1, 1) for index in np.indices((height, width)))
    reference = np.where(x > 0, x - 1 + y * width, np.where(y > 0, (y - 1) * width, width * height))
    dx, dy = np.array(WINDOW).T
    column, row = neighbour(x, y, dx, dy, width)
    window = np.where(column < 0, reference, column + row * width)
    return np.concatenate([reference, window], 1).astype(np.int32)


@lru_cache(maxsize=4)
def around_places(width: int, height: int, offsets: Offsets) -> np.ndarray:
    """Where each sample of a tile reads the reconstruction; int32 [h * w, offsets]."""
    y, x = (index.reshape(-1, 1) for index in np.indices((height, width)))
    dx, dy = np.array(offsets, np.int64).reshape(-1, 2).T
    column, row = around(x, y, dx, dy, width, height)
    places: np.ndarray = (column + row * width).astype(np.int32)
    return places
