"""How well boxes that nobody taught match the true ones (paper section 4.1; docs/paper.md).

Boxes are (x0, y0, x1, y1) arrays [n, 4] in any one unit; confidences are the bits a glimpse saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saidcodec.inspection import inspect
from saidcodec.models import Model
from saidcodec.said.description import iou

PAPER_THRESHOLDS = tuple(np.arange(1, 10) / 10)  # the paper's and SPAIR's
COMMON_THRESHOLDS = tuple(np.arange(50, 100, 5) / 100)  # SPACE's


def boxes_in(files: Sequence[bytes], model: Model) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Of each file its objects' boxes, float [n, 4] in image pixels, and the bits that they save, [n]."""
    seen = [inspect(file, model=model)["objects"] for file in files]
    boxes = [np.array([one["box"] for one in objects], float).reshape(-1, 4) for objects in seen]
    return boxes, [np.array([one["saved_bits"] for one in objects], float) for objects in seen]


@dataclass(frozen=True)
class Match:
    """Every detection's best true box, and how well it fits; one entry per detection of the set."""

    image: np.ndarray
    truth: np.ndarray  # index of the best true box in its image
    overlap: np.ndarray  # IoU with it
    confidence: np.ndarray
    total: int  # true boxes of the set


def match(
    boxes: Sequence[np.ndarray], confidences: Sequence[np.ndarray], truths: Sequence[np.ndarray]
) -> Match:
    """Pair the detections of each image with the true boxes [k, 4] of that image."""
    images, best, overlaps = [], [], []
    for i, (found, true) in enumerate(zip(boxes, truths, strict=True)):
        pairs = iou(np.asarray(found, float).reshape(-1, 4), np.asarray(true, float).reshape(-1, 4))
        images.append(np.full(len(pairs), i))
        best.append(pairs.argmax(1) if len(true) else np.zeros(len(pairs), np.int64))
        overlaps.append(pairs.max(1) if len(true) else np.zeros(len(pairs)))
    confidence = np.concatenate([np.asarray(c, float) for c in confidences])
    total = sum(len(true) for true in truths)
    return Match(np.concatenate(images), np.concatenate(best), np.concatenate(overlaps), confidence, total)


def average_precision(pairs: Match, threshold: float) -> float:
    """11-point interpolated precision; a second hit on one true box is a false positive."""
    order = np.argsort(-pairs.confidence, kind="stable")
    taken: set[tuple[int, int]] = set()
    hits = np.zeros(len(order))
    for place, i in enumerate(order):
        key = (int(pairs.image[i]), int(pairs.truth[i]))
        if pairs.overlap[i] >= threshold and key not in taken:
            taken.add(key)
            hits[place] = 1
    right = hits.cumsum()
    recall = right / max(pairs.total, 1)
    precision = right / np.arange(1, len(order) + 1)
    points = [precision[recall >= level - 1e-9].max(initial=0.0) for level in np.arange(11) / 10]
    return float(np.mean(points))


def mean_precision(pairs: Match, thresholds: Sequence[float] = PAPER_THRESHOLDS) -> float:
    """Average precision over several thresholds."""
    return float(np.mean([average_precision(pairs, threshold) for threshold in thresholds]))


def glimpses_that_pay(saved: np.ndarray, spent: np.ndarray) -> np.ndarray:
    """How many glimpses precede the first that costs more bits than it saves; [n, K] each → [n]."""
    stops = np.concatenate([spent > saved, np.ones((len(saved), 1), bool)], 1)
    return stops.argmax(1)


def count_error(predicted: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Mean |predicted - true|, and the share of images with the exact count."""
    off = np.abs(np.asarray(predicted) - np.asarray(true))
    return float(off.mean()), float((off == 0).mean())
