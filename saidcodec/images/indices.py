"""Frames of an animation as indices of one palette, that of its first frame.

GIF files have one palette for all frames, as a rule.  Pillow shows the first frame in it and the others in
colours, which are found again in the palette.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from saidcodec.format.palette import Palette
from saidcodec.images.modes import palette_of, visible

if TYPE_CHECKING:
    from PIL.Image import Image


class Indices:
    """Gives each frame in the palette of the first one, an image of mode P, for which it is made."""

    def __init__(self, first: Image):
        pixels = np.array(first)
        self.palette = palette_of(first, int(pixels.max()))
        self.codes = codes_of(opaque(self.palette))
        self.order = np.argsort(self.codes, kind="stable")
        self.last, self.shown = pixels, self.codes[pixels]

    def of(self, frame: Image) -> np.ndarray | None:
        """The indices of the frame that follows the last, uint8 [h, w]; None where it has a colour that the
        palette lacks.

        A pixel that shows what it has shown keeps its index: several entries may have a colour.
        """
        if frame.mode == "P" and frame.size == self.last.shape[::-1]:
            pixels = np.array(frame)
            if palette_of(frame, len(self.palette) - 1) == self.palette and pixels.max() < len(self.palette):
                self.last, self.shown = pixels, self.codes[pixels]
                return pixels
        shown = codes_of(np.asarray(visible(frame).convert("RGBA")))
        if shown.shape != self.last.shape:
            return None
        places = np.searchsorted(self.codes, shown, sorter=self.order)
        found = self.order[np.minimum(places, len(self.order) - 1)].astype(np.uint8)
        if (self.codes[found] != shown).any():
            return None
        self.last, self.shown = np.where(shown == self.shown, self.last, found), shown
        return self.last


def opaque(palette: Palette) -> np.ndarray:
    """The colours of a palette's entries, uint8 [n, 4]."""
    shown = palette.shown()
    alphas = np.full((len(shown), 1), 255, np.uint8)
    return shown if shown.shape[1] == 4 else np.concatenate([shown, alphas], 1)


def codes_of(colours: np.ndarray) -> np.ndarray:
    """Colours uint8 [..., 4] as one number each, uint32 [...]; all that is fully transparent is 0."""
    codes = np.ascontiguousarray(colours).view("<u4")[..., 0]
    return np.where(colours[..., 3] == 0, np.uint32(0), codes)
