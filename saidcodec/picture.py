"""An image on its way from or to a file: what ``encode`` takes in and ``decode`` gives out, inside."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from saidcodec.format.header import Metadata
from saidcodec.format.presentation import Presentation


class Picture(NamedTuple):
    """``pixels``: samples H×W or H×W×C of the mode that ``presentation`` names, uint8; uint16 of more than 8
    bits, bool of images of 1 bit, indices of images with a palette.  ``duration``: for how many milliseconds
    it is shown as one of several frames."""

    pixels: np.ndarray
    presentation: Presentation
    metadata: Metadata = Metadata()
    duration: float = 0

    def colours(self) -> np.ndarray:
        """The pixels as an array shows them: without a palette."""
        return self.presentation.colours(self.pixels)

    def smooth(self) -> Picture:
        """The same in a mode whose samples may be a little wrong."""
        return self._replace(
            pixels=self.presentation.smoothed(self.pixels), presentation=self.presentation.smooth()
        )

    def with_alpha(self) -> Picture:
        """The same without a palette or a key that makes pixels transparent: they become so by alpha."""
        return self.smooth() if self.presentation.clears_by_colour() else self


class Decoded(NamedTuple):
    """All frames of a file, and how often they are shown."""

    frames: list[Picture]
    plays: int
