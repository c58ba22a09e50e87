"""How well the boxes of a file tell the objects of a scene apart.

The measure is the adjusted Rand index over the pixels of true objects, in which the literature of object
discovery reports segmentations (foreground ARI).
"""

from __future__ import annotations

import numpy as np

from saidcodec import inspection
from saidcodec.models import Model

CORNER = 2.0  # squared distance of a box's corner from its middle, where that of a side is 1


def mask_of(data: bytes, model: Model) -> np.ndarray:
    """Which object of a file each pixel belongs to: int64 [h, w], from 1 on, 0 for none.

    That is the one in whose box it lies nearest to the middle, counted in the box's own sides.  What glimpses
    paint does not say more: they leave out parts of objects that need no bits, and paint shadows.
    Raises a kind of SaidError.
    """
    header, found = inspection.header_and_features(data, model=model)
    mask = np.zeros((header.height, header.width), np.int64)
    nearest = np.full(mask.shape, CORNER)
    for number, (x0, y0, x1, y1) in enumerate(found.objects.boxes.tolist(), 1):
        down, across = (
            ((np.arange(low, high) + 0.5 - (low + high) / 2) / ((high - low) / 2)) ** 2
            for low, high in ((y0, y1), (x0, x1))
        )
        place = np.s_[y0:y1, x0:x1]
        distance = down[:, None] + across
        nearer = distance < nearest[place]
        mask[place][nearer], nearest[place][nearer] = number, distance[nearer]
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
