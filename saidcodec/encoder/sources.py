"""What a band may have been made of: luma and chroma of a known map, or stretched levels.

Nothing here is part of the format: a source is used where its stream is the shortest.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from saidcodec.encoder import preimage
from saidcodec.format.header import Header
from saidcodec.format.levels import levels_of
from saidcodec.residual.mixed import Source


class Sources:
    """The sources of the bands of one image.

    ``thorough`` looks for chroma of half the resolution, too.
    """

    def __init__(self, header: Header, channels: np.ndarray, thorough: bool):
        """``channels``: the whole image's coded channels, uint8 [h, w, channels]."""
        self.components, self.thorough = header.components, thorough
        self.map = None if header.grey else preimage.recognised(channels[..., :3])

    def of(self, channels: np.ndarray) -> Iterator[Source]:
        """What a band uint8 [h, w, channels] may have been made of."""
        colours = np.ascontiguousarray(channels[..., : self.components])
        if levels := levels_of(colours):
            yield levels
        if self.map is None:
            return
        if source := preimage.mapped(colours, self.map, self.thorough):
            yield source
