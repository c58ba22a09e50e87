import numpy as np
import pytest

from saidcodec.said.description import Description, iou

A, B = [0, 0, 10, 10], [20, 20, 30, 30]


def test_iou_of_pairs() -> None:
    pairs = iou(np.array([A, B]), np.array([A, [5, 0, 15, 10]]))
    assert pairs == pytest.approx(np.array([[1.0, 1 / 3], [0.0, 0.0]]))


def test_glimpses_are_added_and_taken_away() -> None:
    empty = Description(4, np.zeros((8, 8, 3), int), np.zeros((0, 4), np.int32), np.zeros((0, 10), np.int32))
    both = empty.added(np.array(A), np.arange(10)).added(np.array(B), -np.arange(10))
    assert both.boxes.tolist() == [A, B]
    assert both.without(0).boxes.tolist() == [B]
    assert both.without(0).latents.tolist() == [(-np.arange(10)).tolist()]
    assert len(empty.boxes) == 0
