"""An image on its way from or to a file: what ``encode`` takes in and ``decode`` gives out, inside."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from saidcodec.format.header import Metadata
from saidcodec.format.presentation import Presentation


class Picture(NamedTuple):
    """``pixels``: samples H×W or H×W×C of the mode that ``presentation`` names, uint8; bool of images of 1
    bit, indices of images with a palette."""

    pixels: np.ndarray
    presentation: Presentation
    metadata: Metadata = Metadata()

    def colours(self) -> np.ndarray:
        """The pixels as an array shows them: without a palette."""
        return self.presentation.colours(self.pixels)

    def smooth(self) -> Picture:
        """The same in a mode whose samples may be a little wrong."""
        pixels, presentation, metadata = self
        return Picture(presentation.smoothed(pixels), presentation.smooth(), metadata)
