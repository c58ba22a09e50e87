import numpy as np
import pytest

from saidcodec.evaluation import detection

A, B = np.array([0, 0, 10, 10]), np.array([20, 20, 30, 30])


def test_perfect_detections():
    pairs = detection.match([np.array([A, B])], [np.array([2.0, 1.0])], [np.array([A, B])])
    assert detection.mean_precision(pairs) == 1.0


def test_a_second_hit_is_a_false_positive():
    boxes = [np.array([A, A, B])]
    pairs = detection.match(boxes, [np.array([3.0, 2.0, 1.0])], [np.array([A, B])])
    assert detection.average_precision(pairs, 0.5) == pytest.approx((6 * 1.0 + 5 * 2 / 3) / 11)


def test_missed_objects_cost_recall():
    pairs = detection.match([np.array([A])], [np.array([1.0])], [np.array([A, B])])
    assert detection.average_precision(pairs, 0.5) == pytest.approx(6 / 11)


def test_images_without_detections_or_objects():
    none = np.zeros((0, 4))
    pairs = detection.match([none, np.array([A])], [np.zeros(0), np.ones(1)], [np.array([A]), none])
    assert pairs.total == 1
    assert detection.average_precision(pairs, 0.5) == 0.0


def test_counting_stops_where_a_glimpse_costs_more_than_it_saves():
    saved = np.array([[9.0, 1.0, 9.0], [9.0, 9.0, 9.0], [0.0, 0.0, 0.0]])
    assert (detection.glimpses_that_pay(saved, np.full((3, 3), 5.0)) == [1, 3, 0]).all()
    assert detection.count_error(np.array([1, 3, 0]), np.array([1, 2, 2])) == (1.0, pytest.approx(1 / 3))
