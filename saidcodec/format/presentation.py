"""How an image is shown: what other formats say of it beside its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from saidcodec.format.palette import Palette

WHITE = 255
# Modes in which a colour may stand for transparency, but bilevel ones, and their names with alpha
WITH_ALPHA = {"L": "LA", "RGB": "RGBA", "I;16": "LA;16", "RGB;16": "RGBA;16"}


class Presentation(NamedTuple):
    """``mode``: Pillow's name, which says what the samples mean.  ``palette``: of an image of mode P, whose
    samples are indices.  ``key``: the colour that stands for transparency in an image without alpha."""

    mode: str
    palette: Palette | None = None
    key: tuple[int, ...] | None = None

    def known(self) -> Presentation:
        """The same of a part of a frame: its palette is that of the frame before, and not written again."""
        return self._replace(palette=self.palette.repeated()) if self.palette else self

    def smooth(self) -> Presentation:
        """The same in a mode whose samples may be averaged, or a little wrong: without indices, bits and a
        colour that stands for transparency."""
        if self.palette:
            return Presentation("RGB" if self.palette.shown().shape[1] == 3 else "RGBA")
        mode = "L" if self.mode == "1" else self.mode
        return Presentation(mode if self.key is None else WITH_ALPHA[mode])

    def clears_by_colour(self) -> bool:
        """Whether something else than alpha, a key or a palette, makes pixels transparent."""
        return "A" in self.smooth().mode and "A" not in self.mode

    def smoothed(self, samples: np.ndarray) -> np.ndarray:
        """Samples as those of ``smooth``, uint8 or uint16: colours for indices, greys for bits, alpha for a
        key."""
        shown = samples * np.uint8(WHITE) if self.mode == "1" else self.colours(samples)
        if self.key is None:
            return shown
        colours = shown.reshape(*shown.shape[:2], -1)
        clear = (colours == np.array(self.key)).all(2)
        opaque = np.iinfo(colours.dtype).max
        alpha = np.where(clear, 0, opaque).astype(colours.dtype)[..., None]
        return np.concatenate([colours, alpha], 2)

    def colours(self, samples: np.ndarray) -> np.ndarray:
        """Samples H×W or H×W×C as an array shows them: indices as their colours, uint8 H×W×3 or ×4."""
        return self.palette.shown()[samples] if self.palette else samples
