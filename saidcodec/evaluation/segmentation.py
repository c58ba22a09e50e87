"""How well the masks of a file's glimpses tell the objects of a scene apart.

The measure is the adjusted Rand index over the pixels of true objects, in which the literature of object
discovery reports segmentations (foreground ARI).
"""

from __future__ import annotations

import numpy as np

from saidcodec import codec
from saidcodec.format import container
from saidcodec.models import Model
from saidcodec.said.description import CANVAS
from saidcodec.said.painter import paste, patches

OPAQUE = 128  # of 255, from which a glimpse hides what lies behind it


def mask_of(data: bytes, model: Model) -> np.ndarray:
    """Which glimpse of a file of one tile is seen at each pixel of the canvas: uint8 [64, 64], from 1 on, 0
    for the base.  Raises a kind of SaidError."""
    mask = np.zeros((CANVAS, CANVAS), np.uint8)
    (description,) = codec.read_said(container.unpack(data), model).descriptions
    if description is None:
        return mask
    paints = patches(description.latents, model)
    paints[..., :3] = 255  # on black a white patch shows its alpha
    for number, (box, paint) in enumerate(zip(description.boxes, paints, strict=True), 1):
        alpha = np.zeros((CANVAS, CANVAS, 3), np.int32)
        paste(alpha, box, paint)
        mask[alpha[..., 0] >= OPAQUE] = number
    return mask


def adjusted_rand_index(true: np.ndarray, found: np.ndarray) -> float:
    """Of two labellings of the same things, int [n] each: 1 where they agree, 0 where only by chance.
    1 also where the first has one label only, and the second, too."""
    table = np.zeros((int(true.max()) + 1, int(found.max()) + 1))
    np.add.at(table, (true, found), 1)

    def pairs(counts: np.ndarray) -> float:
        return float((counts * (counts - 1) / 2).sum())

    both, ours, theirs = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    expected = ours * theirs / max(pairs(np.array([len(true)])), 1.0)
    most = (ours + theirs) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def foreground_ari(true: np.ndarray, found: np.ndarray) -> float:
    """That of the pixels of objects; masks uint8 [h, w], 0 where ``true`` has none.  There must be some."""
    seen = true > 0
    return adjusted_rand_index(true[seen], found[seen])
