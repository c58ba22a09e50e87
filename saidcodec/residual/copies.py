"""Copies: how a model of flat colours says that a pixel repeats a neighbour (bitstream_spec.md, section 6.7).

Flat colours with soft edges defeat a network that adds small differences to one neighbour: most pixels
repeat some neighbour exactly, and along an edge all components scale with the coverage.  So such a model
first asks, one neighbour after another, whether the pixel is the same; and where it is not, it sees the
window's luma as shares of the brightest, and starts chroma from the brightest neighbour's, scaled.
"""

from __future__ import annotations

import numpy as np

LOGITS = 49  # tables of one question: log2 odds of "the same" from -12 to 12 in halves
ODDS_PER_BIT = 2
LUMA_INPUTS = 1  # half the window's greatest luma, before the shares
CLUES = 3  # what a chroma head knows of the neighbour that chroma starts from
FULL_SHARE = 127


def questions(offers: np.ndarray) -> np.ndarray:
    """Which of the offers [n, j, components] differ from all before them: only those are asked about;
    bool [n, j]."""
    asked = np.ones(offers.shape[:2], bool)
    for j in range(1, offers.shape[1]):
        asked[:, j] = (offers[:, :j] != offers[:, j : j + 1]).any(2).all(1)
    return asked


def luma_inputs(luma: np.ndarray) -> np.ndarray:
    """Luma of the reference and the window, int [n, k] → inputs in 0..127, int32 [n, 1 + k]."""
    greatest = np.maximum(luma.max(1, keepdims=True), 1)
    return np.concatenate([greatest >> 1, FULL_SHARE * luma.astype(np.int32) // greatest], 1)


def chroma_start(near: np.ndarray, luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where Co and Cg start once the pixel's luma is known.

    ``near`` int [n, k, 3]: Y, Co, Cg of the reference and the window; ``luma`` int [n].  Returns the two
    chroma values in sixteenths, int32 [n, 2], and the clues of each, -128..127, int32 [n, 2, 3].

    The pixel is taken for a blend of two colours.  One is the first neighbour of equal luma, or else the
    first of the brightest.  The other is the first of the darkest where luma lies between both, or else
    black.
    """
    rows = np.arange(len(near))
    own = luma[:, None].astype(np.int32)
    key = np.where(near[..., 0] == own, 256, near[..., 0])
    bright = near[rows, key.argmax(1)].astype(np.int32)
    dark = near[rows, near[..., 0].argmin(1)].astype(np.int32)
    dark *= (dark[:, :1] < own) & (own < bright[:, :1])
    span = bright - dark
    luma_span = span[:, :1]
    blended = (32 * span[:, 1:] * (own - dark[:, :1]) + luma_span) // np.maximum(2 * luma_span, 1)
    start = 16 * dark[:, 1:] + np.where(luma_span > 0, blended, 16 * span[:, 1:])
    start = np.clip(start, -16 * 255, 16 * 255)
    brighter = np.where(bright[:, :1] == own, 127, (own - bright[:, :1]) >> 1)
    shared = np.concatenate([bright[:, :1] >> 1, brighter], 1)[:, None]
    away = ((start + 8) >> 4) - near[:, 0, 1:]
    clues = np.concatenate([away[..., None], np.broadcast_to(shared, (len(near), 2, 2))], 2)
    return start, np.clip(clues, -128, 127)


def logit_index(raw: np.ndarray) -> np.ndarray:
    """The copy head's raw outputs → numbers of the tables, int32."""
    return np.minimum(np.maximum(np.rint(raw), 0), LOGITS - 1).astype(np.int32)
