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
    chroma values, int32 [n, 2], and the clues of each, -128..127, int32 [n, 2, 3].  The neighbour is the
    first of equal luma or else the first of the brightest.
    """
    key = np.where(near[..., 0] == luma[:, None], 256, near[..., 0])
    chosen = near[np.arange(len(near)), key.argmax(1)].astype(np.int32)
    bright, chroma = chosen[:, :1], chosen[:, 1:]
    own = luma[:, None].astype(np.int32)
    scaled = (2 * chroma * own + bright) // np.maximum(2 * bright, 1)
    start = np.where(bright > 0, np.clip(scaled, -255, 255), chroma)
    brighter = np.where(bright == own, 127, (own - bright) >> 1)
    shared = np.broadcast_to(np.concatenate([bright >> 1, brighter], 1)[:, None], (len(near), 2, 2))
    clues = np.concatenate([(start - near[:, 0, 1:])[..., None], shared], 2)
    return start, np.clip(clues, -128, 127)


def logit_index(raw: np.ndarray) -> np.ndarray:
    """The copy head's raw outputs → numbers of the tables, int32."""
    return np.minimum(np.maximum(np.rint(raw), 0), LOGITS - 1).astype(np.int32)
