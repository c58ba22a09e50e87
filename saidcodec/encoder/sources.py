"""What a band may have been made of: luma and chroma of a known map, or stretched levels.

Nothing here is part of the format: a source is used where its stream is the shortest.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from saidcodec.encoder import preimage
from saidcodec.format.header import Header
from saidcodec.format.levels import levels_of
from saidcodec.format.tiling import Band
from saidcodec.residual.mixed import Graphics, Source

MAPPED_PIXELS = 1 << 14  # smaller images are not asked for a map, which takes longer than coding them
FLAT = 0.3  # of the pixels repeat their left neighbour in what may be graphics


class Sources:
    """The sources of the bands of one image, each looked for once, however many models are tried.

    ``thorough`` looks for chroma of half the resolution, too.
    """

    def __init__(self, header: Header, channels: np.ndarray, thorough: bool):
        """``channels``: the whole image's coded channels, uint8 [h, w, channels]."""
        self.components, self.thorough = header.components, thorough
        self.found: dict[int, list[Source]] = {}  # by a band's first row
        large = header.width * header.height >= MAPPED_PIXELS
        self.map = preimage.recognised(channels[..., :3]) if large and not header.grey else None

    def of(self, band: Band, channels: np.ndarray) -> list[Source]:
        """What a band may have been made of; its coded channels uint8 [h, w, channels]."""
        top = band.rows.start
        if top not in self.found:
            self.found[top] = [*self.search(channels)]
        return self.found[top]

    def search(self, channels: np.ndarray) -> Iterator[Source]:
        """The same, searched for."""
        if flatness(channels) >= FLAT:
            yield Graphics()
        colours = np.ascontiguousarray(channels[..., : self.components])
        if levels := levels_of(colours):
            yield levels
        if self.map is None:
            return
        if source := preimage.mapped(colours, self.map, self.thorough):
            yield source


def flatness(channels: np.ndarray) -> float:
    """The share of the pixels uint8 [h, w, channels] that repeat their left neighbour; every third row
    tells."""
    rows = channels[::3]
    return float((rows[:, 1:] == rows[:, :-1]).all(-1).mean()) if rows.shape[1] > 1 else 0.0
