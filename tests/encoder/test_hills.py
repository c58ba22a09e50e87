"""Boxes of hills: what stands out from the ground is found, however blurred and noisy, and nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saidcodec.encoder.hills import boxes_at, flooded, hills, relief_of
from saidcodec.said.description import iou

Disc = tuple[int, int, int]


def field(discs: list[Disc], colour: tuple[int, int, int], ground: int, seed: int = 0) -> np.ndarray:
    """Blurred discs (x, y, radius) on a noisy ground."""
    y, x = np.mgrid[0:64, 0:64]
    cover = np.zeros((64, 64))
    for across, down, radius in discs:
        distance = np.hypot(x + 0.5 - across, y + 0.5 - down)
        cover = np.maximum(cover, np.clip((radius + 1 - distance) / 2, 0, 1))
    image = ground + cover[..., None] * (np.array(colour) - ground)
    noise = np.random.default_rng(seed).normal(0, 3, image.shape)
    return np.rint(image + noise).clip(0, 255).astype(np.uint8)


def best(boxes: np.ndarray, disc: Disc) -> float:
    x, y, radius = disc
    return float(iou(np.array([(x - radius, y - radius, x + radius, y + radius)]), boxes).max(initial=0.0))


@pytest.mark.parametrize(("colour", "ground"), [((150, 150, 150), 12), ((150, 60, 140), 220)])
def test_blurred_discs_are_found_beside_each_other(colour: tuple[int, int, int], ground: int) -> None:
    discs = [(15, 15, 9), (33, 17, 8), (45, 45, 6)]  # two of them touch
    boxes = hills(field(discs, colour, ground))
    assert min(best(boxes, disc) for disc in discs) > 0.7
    assert (iou(boxes, boxes) - np.eye(len(boxes))).max() < 0.85


def test_a_faint_disc_is_found_beside_a_bright_one() -> None:
    faint, bright = field([(16, 30, 8)], (40, 40, 40), 10), field([(46, 30, 8)], (250, 250, 250), 10)
    boxes = hills(np.maximum(faint, bright))
    assert min(best(boxes, (16, 30, 8)), best(boxes, (46, 30, 8))) > 0.7


@pytest.mark.parametrize("deviation", [3, 8, 12, 20])
def test_noise_and_an_even_ground_have_no_hills(deviation: float) -> None:
    noise = np.random.default_rng(1).normal(100, deviation, (64, 64, 3))
    assert len(hills(np.rint(noise).clip(0, 255).astype(np.uint8))) == 0
    assert len(hills(np.full((64, 64, 3), 60, np.uint8))) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_hills_lie_on_the_canvas_and_hold_what_is_high(seed: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, values, (8, 8, 3)).repeat(8, 0).repeat(8, 1)
    relief = relief_of((coarse + rng.integers(0, 3, coarse.shape)).astype(np.uint8))
    labels = flooded(relief)
    for cut in (0.2, 0.6):
        for x0, y0, x1, y1 in boxes_at(labels, relief, cut):
            assert 0 <= x0 < x1 <= 64
            assert 0 <= y0 < y1 <= 64
            here, high = labels[y0:y1, x0:x1], relief[y0:y1, x0:x1]
            tops = {hill: relief[labels == hill].max() for hill in {*here.flat} - {-1}}
            assert any(high[here == hill].max() == top for hill, top in tops.items())


def test_hills_are_whole_and_apart() -> None:
    y, x = np.mgrid[0:64, 0:64]
    cones = [height - np.hypot(x - across, y - 30) * 5 for across, height in ((20, 90), (38, 70))]
    relief = np.maximum(*cones).clip(0)
    labels = flooded(relief)
    assert {*np.unique(labels)} == {-1, 0, 1}
    assert labels[30, 20] != labels[30, 38]
    assert (labels[relief > 40] >= 0).all()
    middle = labels[30]
    border = int(np.argmax(middle == labels[30, 38]))
    assert 26 <= border <= 32  # each place belongs to the hill that it is near
    assert (middle[border : border + 6] == labels[30, 38]).all()


def test_a_bump_on_a_slope_is_no_hill_of_its_own() -> None:
    y, x = np.mgrid[0:64, 0:64]
    relief = (90 - np.hypot(x - 28, y - 32) * 3).clip(0)
    relief = np.maximum(relief, 70 - np.hypot(x - 40, y - 32) * 5)  # rises from 60 to 70
    assert {*np.unique(flooded(relief))} == {-1, 0}


def test_boxes_are_taken_at_several_heights_the_best_first() -> None:
    disc = (32, 32, 12)
    y, x = np.mgrid[0:64, 0:64]
    cone = (200 - np.hypot(x - 31.5, y - 31.5) * 8).clip(0).astype(np.uint8)
    sides = [int(x1 - x0) for x0, _, x1, _ in hills(np.repeat(cone[..., None], 3, 2))]
    assert len(sides) == 3
    assert sides[2] < sides[0] < sides[1]
    assert best(hills(field([disc], (200, 200, 200), 20)), disc) > 0.85
