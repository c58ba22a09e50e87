"""In which form an image is coded: what its mode becomes, and which of several forms are worth a try."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saidcodec.encoder.sources import is_repetitive
from saidcodec.format.header import ADAPTIVE_PIXELS, Header, Mode
from saidcodec.format.presentation import Presentation
from saidcodec.picture import Picture

CODED = {"1": Mode.L, "P": Mode.L}  # what modes are coded as, if not as they are
ASKED_PIXELS = 1 << 17  # of an image with a palette, to see in which order its indices are shorter
BAND_PIXELS = 1 << 22  # of flat images, which learn little from few pixels


def coded_mode(presentation: Presentation) -> Mode:
    """The channels that an image is coded as."""
    return CODED.get(presentation.mode) or Mode(presentation.mode)


def in_form(header: Header, presentation: Presentation) -> Header:
    """The header of an image that is shown so."""
    header = header._replace(
        depth=1 if presentation.mode == "1" else header.depth,
        key=presentation.key,
        palette=presentation.palette,
    )
    if not header.flat:
        return header
    bands = max(1, header.width * header.height // BAND_PIXELS)
    return header._replace(most_bands=min(header.most_bands, 1 << (bands.bit_length() - 1)))


def exact_is_worth_a_try(picture: Picture, residual: str) -> bool:
    """Whether a near-lossless image may be shorter without errors: only exact files keep palettes, and only
    they are told what repeats."""
    plain = picture.smooth()
    drawn = picture.presentation != plain.presentation
    return residual == "context" and (drawn or is_repetitive(np.atleast_3d(plain.pixels)))


def candidates(header: Header, pixels: np.ndarray, effort: str) -> Sequence[Header]:
    """The headers to encode an image with, H×W or H×W×C in its own mode."""
    if not header.palette or effort == "fast":
        return [header]
    ranked = header._replace(ranked=True)
    if header.width * header.height < ADAPTIVE_PIXELS or effort == "best":
        return [header, ranked]
    from saidcodec.residual import graphics

    rows = max(1, ASKED_PIXELS // header.width)
    top = max(0, header.height - rows) // 2
    asked = pixels[top : top + rows]
    as_it_is, by_luma = (
        graphics.bits(graphics.encode(np.ascontiguousarray(indices)[..., None]))
        for indices in (asked, header.palette.ranks(asked))
    )
    return [ranked if by_luma < as_it_is else header]
