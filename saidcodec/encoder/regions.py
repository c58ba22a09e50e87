"""Where objects may be, from the pixels alone: proposals for scenes.  Not part of the format.

The background is the largest connected region inside which neighbours hardly differ.  Of the rest a region is
taken for an object if neighbours hardly differ in all channels, or in chroma.  Several tolerances make more
boxes than objects; bits choose among them.
"""

from __future__ import annotations

import numpy as np

from saidcodec.format import colour
from saidcodec.said.description import CANVAS, iou

BACKGROUND_TOLERANCE = 6  # of neighbours inside a region, sample values
TOLERANCES, CHROMA_TOLERANCES = (0, 10), (9, 15)
SMALLEST_AREA = 12  # canvas cells
LARGEST_SHARE = 0.4  # of the canvas that a region's box may cover; larger ones are background
RIM = 1  # canvas units of soft edge about a region
ALIKE = 0.85  # intersection over union from which two boxes are the same proposal


def regions(canvas: np.ndarray) -> np.ndarray:
    """Boxes where objects may be on a canvas, uint8 RGB [64, 64, 3]; int64 [n, 4], the largest first, no two
    nearly the same."""
    pixels = canvas.astype(np.int16)
    labels = components(pixels, np.ones((CANVAS, CANVAS), bool), BACKGROUND_TOLERANCE)
    names, counts = np.unique(labels, return_counts=True)
    objects = labels != names[counts.argmax()]
    chroma = colour.forward(canvas)[..., 1:]
    found = [boxes_of(components(pixels, objects, one), canvas, RIM) for one in TOLERANCES]
    found += [boxes_of(components(chroma, objects, one), canvas, 0) for one in CHROMA_TOLERANCES]
    kept = distinct_boxes(np.concatenate(found))
    return kept[np.argsort(-(kept[:, 2:] - kept[:, :2]).prod(1), kind="stable")]


def distinct_boxes(boxes: np.ndarray) -> np.ndarray:
    """Those of the boxes int [n, 4] that are not nearly the same as an earlier one."""
    kept = np.zeros((0, 4), np.int64)
    for box in boxes:
        if not (iou(box[None], kept) >= ALIKE).any():
            kept = np.vstack([kept, box])
    return kept


def components(pixels: np.ndarray, there: np.ndarray, tolerance: int) -> np.ndarray:
    """Regions of the pixels int [h, w, c] that are ``there``, bool [h, w], where neighbours differ by the
    tolerance at most; int64 [h, w].

    A pixel's label is the least place of its region, -1 where it is not there.
    """
    across = (np.abs(np.diff(pixels, axis=1)) <= tolerance).all(2) & there[:, 1:] & there[:, :-1]
    down = (np.abs(np.diff(pixels, axis=0)) <= tolerance).all(2) & there[1:] & there[:-1]
    labels = np.arange(there.size).reshape(there.shape)
    while True:
        new = labels.copy()
        for joined, one, other in ((across, new[:, :-1], new[:, 1:]), (down, new[:-1], new[1:])):
            least = np.minimum(one, other)[joined]
            one[joined] = np.minimum(one[joined], least)
            other[joined] = np.minimum(other[joined], least)
        new = new.reshape(-1)[new]  # a place's label has a label of its own
        if (new == labels).all():
            return np.where(there, labels, -1)
        labels = new


def extent(mask: np.ndarray) -> np.ndarray:
    """The box of a mask bool [h, w] that is not empty; int64 [4]."""
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


def boxes_of(labels: np.ndarray, canvas: np.ndarray, rim: int) -> np.ndarray:
    """Boxes of the regions of a canvas, the largest first, without background; int64 [n, 4].

    Regions that begin with exactly the same colour are one: something lies over their middle.
    """
    names, first, areas = np.unique(labels, return_index=True, return_counts=True)
    large = (areas >= SMALLEST_AREA) & (names >= 0)
    names, areas, colours = names[large], areas[large], canvas.reshape(-1, 3)[first[large]]
    _, same = np.unique(colours, axis=0, return_inverse=True)
    found, sizes = [], []
    for one in range(same.max(initial=-1) + 1):
        cells = np.isin(labels, names[same.reshape(-1) == one])
        found.append(extent(cells) + np.array([-rim, -rim, rim, rim]))
        sizes.append(cells.sum())
    boxes = np.clip(np.array(found, np.int64).reshape(-1, 4), 0, CANVAS)[np.argsort(sizes)[::-1]]
    cover = (boxes[:, 2:] - boxes[:, :2]).prod(1) / CANVAS**2
    return np.asarray(boxes[cover <= LARGEST_SHARE])
