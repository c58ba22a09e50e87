"""Boxes of regions: what lies on a background is found whole, and nothing else."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from saidcodec.encoder.regions import components, regions
from saidcodec.said.description import iou
from saidcodec.training import datasets


def scene() -> np.ndarray:
    """A grey gradient."""
    y, x = np.mgrid[0:64, 0:64]
    return np.repeat((90 + y // 2 + x // 4)[..., None], 3, 2).astype(np.uint8)


def best(boxes: np.ndarray, true: tuple[int, ...]) -> float:
    return float(iou(np.array([true]), boxes).max(initial=0.0))


def test_a_gradient_has_no_regions() -> None:
    assert len(regions(scene())) == 0


def test_objects_are_found_beside_and_over_each_other() -> None:
    image = scene()
    image[10:30, 5:20] = (200, 40, 40)
    image[20:44, 15:31] = (40, 60, 210)
    image[50:58, 40:60] = (220, 210, 50)
    boxes = regions(image)
    for true in ((5, 10, 20, 30), (15, 20, 31, 44), (40, 50, 60, 58)):
        assert best(boxes, true) > 0.75
    pairs = iou(boxes, boxes) - np.eye(len(boxes))
    assert pairs.max() < 0.85


def test_what_is_cut_in_two_by_something_over_it_is_one_region() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[20:40, 10:50] = (10, 200, 90)
    image[10:60, 25:35] = (200, 30, 90)
    assert best(regions(image), (10, 20, 50, 40)) > 0.85


def test_sprites_are_found() -> None:
    drawn = datasets.multi_dsprites(40, seed=3)
    found = [
        best(regions(image), tuple(box))
        for image, boxes in zip(drawn.images, drawn.boxes, strict=True)
        for box in boxes[boxes[:, 0] >= 0]
    ]
    assert np.mean(np.array(found) > 0.5) > 0.95


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_components_are_those_of_a_flood_fill(seed: int, tolerance: int) -> None:
    rng = np.random.default_rng(seed)
    pixels, there = rng.integers(0, 4, (9, 12, 1)), rng.random((9, 12)) < 0.9
    labels = components(pixels, there, tolerance)
    expected = np.full((9, 12), -1)
    for start in np.flatnonzero(there):
        if expected.flat[start] < 0:
            waiting = [divmod(int(start), 12)]
            while waiting:
                y, x = waiting.pop()
                expected[y, x] = start
                for v, u in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                    if 0 <= v < 9 and 0 <= u < 12 and there[v, u] and expected[v, u] < 0:
                        near = abs(int(pixels[v, u, 0]) - int(pixels[y, x, 0])) <= tolerance
                        if near:
                            waiting.append((v, u))
    assert (labels == expected).all()
