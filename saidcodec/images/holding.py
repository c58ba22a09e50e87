"""Which formats hold which images exactly: what is chosen where nobody names a format, and what messages
advise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from saidcodec.format.header import BY_NAME, WIDE_MODES, Mode
from saidcodec.format.presentation import Presentation
from saidcodec.picture import Picture

PNG, TIFF = ".png", ".tif"


class Kind(NamedTuple):
    """What decides for one frame; the size is in pixels."""

    presentation: Presentation
    width: int
    height: int


def suffixes_for(frames: Sequence[Kind]) -> list[str]:
    """The suffixes of the formats that hold these frames exactly, the usual one first; none of those that can
    only be had one by one."""
    modes, alike = {one.presentation.mode for one in frames}, len(set(frames)) == 1
    animated = alike and modes.isdisjoint(BY_NAME)  # as Pillow writes PNG files, by 8 bits a sample
    found = []
    if Mode.CMYK not in modes and (len(frames) == 1 or animated):
        found.append(PNG)
    with_alpha = {one.presentation.smooth().mode for one in frames}  # which a key becomes in TIFF files
    if WIDE_MODES[Mode.LA] not in with_alpha:  # of which few programs read TIFF files
        found.append(TIFF)
    return found


def suffix_for(frames: Sequence[Kind]) -> str:
    """The suffix of the usual format of these frames."""
    return next(iter(suffixes_for(frames)), TIFF)


def advice(frames: Sequence[Picture]) -> str:
    """What to do about a format that cannot hold these frames: the rest of the sentence that says so."""
    found = suffixes_for([Kind(one.presentation, *one.pixels.shape[1::-1]) for one in frames])
    return f"{' and '.join(found)} can" if found else "--frame takes one of them"
