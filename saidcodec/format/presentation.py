"""How an image is shown: what other formats say of it beside its samples."""

from __future__ import annotations

from dataclasses import dataclass

from saidcodec.format.palette import Palette


@dataclass(frozen=True)
class Presentation:
    """``mode``: Pillow's name, which says what the samples mean.  ``palette``: of an image of mode P, whose
    samples are indices.  ``key``: the colour that stands for transparency in an image without alpha."""

    mode: str
    palette: Palette | None = None
    key: tuple[int, ...] | None = None
