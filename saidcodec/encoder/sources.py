"""What a band may have been made of: luma and chroma of a known map, or stretched levels.

Nothing here is part of the format: a source is used where its stream is the shortest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from saidcodec.encoder import preimage
from saidcodec.format.gradients import differences
from saidcodec.format.header import Header
from saidcodec.format.levels import levels_of
from saidcodec.format.tiling import Band
from saidcodec.residual.mixed import Graphics, Source

MAPPED_PIXELS = 1 << 14  # smaller images are not asked for a map, which takes longer than coding them
REPEATED = 0.15  # of the pixels follow their neighbours as before in what may be graphics
ASKED_PIXELS, ASKED_COLUMNS = 1 << 14, 512  # of a band, to see whether it may be
MIXERS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))  # odd, without a pattern


class Sources:
    """The sources of the bands of one image, each looked for once, however many models are tried.

    ``thorough`` looks for chroma of half the resolution, too.  ``kept``: several models are tried, so that
    all sources stay, which take as much memory as the image; otherwise each is there until it is coded.
    ``suffice``: bands need not be coded as they are, beside.
    """

    def __init__(self, header: Header, channels: np.ndarray, thorough: bool, kept: bool):
        """``channels``: the whole image's coded channels, uint8 [h, w, channels]."""
        self.components, self.thorough, self.kept = header.components, thorough, kept
        self.flat = header.flat
        self.found: dict[int, list[Source]] = {}  # by a band's first row
        large = header.width * header.height >= MAPPED_PIXELS
        self.suffice = header.flat and large and not thorough
        self.map = preimage.recognised(channels[..., :3]) if large and not header.grey else None

    def of(self, band: Band, channels: np.ndarray) -> Iterable[Source]:
        """What a band may have been made of; its coded channels uint8 [h, w, channels]."""
        if not self.kept:
            return self.search(channels)
        top = band.rows.start
        if top not in self.found:
            self.found[top] = [*self.search(channels)]
        return self.found[top]

    def search(self, channels: np.ndarray) -> Iterator[Source]:
        """The same, searched for."""
        repeated, evenly = repetition(channels), repetition(differences(channels))
        if self.flat or repeated >= REPEATED:
            yield Graphics()
        if evenly >= REPEATED and evenly > repeated:
            yield Graphics(gradients=True)
        if self.suffice:
            return
        colours = np.ascontiguousarray(channels[..., : self.components])
        if levels := levels_of(colours):
            yield levels
        if self.map is None:
            return
        if source := preimage.mapped(colours, self.map, self.thorough):
            yield source


def is_repetitive(channels: np.ndarray) -> bool:
    """Whether uint8 or uint16 [h, w, channels] may be graphics, of flat colours or of even gradients."""
    return any(repetition(one) >= REPEATED for one in (channels, differences(channels)))


def repetition(channels: np.ndarray) -> float:
    """The share of pixels of uint8 or uint16 [h, w, channels] with the colour that followed the same left and
    upper neighbours the last time; pairs of rows all over the band tell.

    Only columns near by count: a picture that is there twice, side by side, is none the less a photograph.
    """
    left = max(0, channels.shape[1] - ASKED_COLUMNS) // 2
    channels = channels[:, left : left + ASKED_COLUMNS]
    height, width = channels.shape[:2]
    if height < 2 or width < 2:
        return 0.0
    count = min(height - 1, max(2, ASKED_PIXELS // width))
    rows = np.linspace(0, height - 2, count).astype(int)
    colour = np.zeros((2, count, width), np.uint64)
    for channel in np.moveaxis(channels, -1, 0):
        colour = colour << np.uint64(8 * channels.itemsize) | np.stack([channel[rows], channel[rows + 1]])
    before, above, here = colour[1, :, :-1].ravel(), colour[0, :, 1:].ravel(), colour[1, :, 1:].ravel()
    context = before * MIXERS[0] ^ above * MIXERS[1]
    order = np.argsort(context, kind="stable")
    same = context[order][1:] == context[order][:-1]
    return float((same & (here[order][1:] == here[order][:-1])).sum() / len(here))
