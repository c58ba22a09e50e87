"""Scenes with the boxes that joint training looks at: of the search, of files, or of a proposal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saidcodec import codec, many
from saidcodec.encoder.refine import PROPOSALS
from saidcodec.encoder.search import Easel, paint
from saidcodec.format import container
from saidcodec.models import Model
from saidcodec.said import base
from saidcodec.said.description import CANVAS

TOGETHER = 16  # images in one search
OVERLAP = 0.4  # share of a box that earlier ones may cover; more is a second look at the same thing
CROWDED = 0.6  # likewise of proposals, which are whole objects that may lie over each other


@dataclass(frozen=True)
class Scenes:
    """Images uint8 [n, 64, 64, 3], and where to look: boxes int [n, k, 4], which are there bool [n, k]."""

    images: np.ndarray
    boxes: np.ndarray
    there: np.ndarray


def look(images: np.ndarray, model: Model, most: int, grey: bool, base_step: int) -> Scenes:
    """Boxes that the codec's search takes with a model, without those that look at the same thing again."""
    boxes = np.zeros((len(images), most, 4), np.int64)
    there = np.zeros((len(images), most), bool)
    for first in range(0, len(images), TOGETHER):
        group = images[first : first + TOGETHER]
        easels = [Easel(image, base.cells(image), grey, base_step) for image in group]
        paint(easels, model, most, False)
        for i, easel in enumerate(easels, first):
            found = [glimpse.box for glimpse in easel.glimpses]
            boxes[i, : len(found)] = np.array(found).reshape(-1, 4)
            there[i, : len(found)] = first_looks(found)
    return Scenes(images, boxes, there)


def look_at_files(images: np.ndarray, model: Model, most: int) -> Scenes:
    """Boxes of the files that a model makes: refined and thinned out by exact bits."""
    boxes = np.zeros((len(images), most, 4), np.int64)
    there = np.zeros((len(images), most), bool)
    for i, data in enumerate(many.encode_many(images, model=model)):
        for description in codec.read_said(container.unpack(data), model).descriptions:
            if description is not None:
                found = description.boxes[:most]
                boxes[i, : len(found)], there[i, : len(found)] = found, True
    return Scenes(images, boxes, there)


def look_at_objects(images: np.ndarray, proposal: str, most: int) -> Scenes:
    """Boxes that a proposal finds, its best first, without those within others."""
    boxes = np.zeros((len(images), most, 4), np.int64)
    there = np.zeros((len(images), most), bool)
    for i, image in enumerate(images):
        found = PROPOSALS[proposal](image)
        found = found[np.array(first_looks(list(found), CROWDED), bool)][:most]
        boxes[i, : len(found)], there[i, : len(found)] = found, True
    return Scenes(images, boxes, there)


def first_looks(boxes: Sequence[np.ndarray], overlap: float = OVERLAP) -> list[bool]:
    """Which boxes are mostly outside those kept before them."""
    covered = np.zeros((CANVAS, CANVAS), bool)
    kept = []
    for x0, y0, x1, y1 in boxes:
        inside = covered[y0:y1, x0:x1]
        kept.append(bool(inside.mean() < overlap))
        if kept[-1]:
            inside[:] = True
    return kept
