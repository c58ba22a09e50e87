"""Boxes of glimpses that are cut by the borders of tiles, joined to those of objects."""

from __future__ import annotations

import numpy as np
import pytest

from saidcodec.format.tiling import Tiling
from saidcodec.objects import objects_of

TILING = Tiling(128, 192, 64, 1)  # two columns, three rows


def joined(
    *glimpses: tuple[int, list[int]], tiling: Tiling = TILING
) -> tuple[list[list[int]], list[list[int]]]:
    """Boxes and parts of the objects of glimpses (tile, box)."""
    tiles = np.array([tile for tile, _ in glimpses], int)
    found = objects_of(tiles, np.array([box for _, box in glimpses], int).reshape(-1, 4), tiling)
    return found.boxes.tolist(), found.glimpses


def test_no_glimpses_are_no_objects() -> None:
    assert joined() == ([], [])


def test_glimpses_of_one_tile_stay_apart() -> None:
    boxes = [[10, 10, 20, 20], [20, 10, 30, 20], [10, 10, 20, 20]]
    assert joined(*((0, box) for box in boxes)) == (boxes, [[0], [1], [2]])


def test_parts_meet_across_columns_and_rows() -> None:
    assert joined((0, [50, 10, 64, 30]), (1, [64, 12, 70, 30])) == ([[50, 10, 70, 30]], [[0, 1]])
    assert joined((0, [10, 50, 30, 63]), (2, [12, 65, 28, 80])) == ([[10, 50, 30, 80]], [[0, 1]])


def test_four_parts_about_a_corner_are_one_object() -> None:
    parts = [(0, [50, 50, 64, 64]), (1, [64, 52, 80, 64]), (2, [50, 64, 64, 80]), (3, [64, 64, 78, 80])]
    assert joined(*parts) == ([[50, 50, 80, 80]], [[0, 1, 2, 3]])


def test_objects_keep_the_order_of_their_first_glimpses() -> None:
    found = joined((0, [1, 1, 5, 5]), (0, [50, 10, 64, 30]), (1, [100, 1, 120, 9]), (1, [64, 10, 70, 30]))
    assert found[1] == [[0], [1, 3], [2]]


def test_of_two_glimpses_of_a_tile_the_one_that_fits_better_is_joined() -> None:
    two = (0, [54, 0, 64, 10]), (0, [54, 8, 64, 20])
    assert joined(*two, (1, [64, 0, 74, 20])) == ([[54, 0, 64, 10], [54, 0, 74, 20]], [[0], [1, 2]])
    assert joined((0, [54, 0, 64, 20]), (1, [64, 0, 74, 10]), (1, [64, 10, 74, 20]))[1] == [[0, 1], [2]]


def test_long_chains_of_parts() -> None:
    wide = Tiling(64 * 500, 64, 64, 1)
    parts = [(tile, [64 * tile, 10, 64 * tile + 64, 30]) for tile in range(500)]
    assert joined(*parts, tiling=wide) == ([[0, 10, 32000, 30]], [[*range(500)]])


@pytest.mark.parametrize(
    "other",
    [
        (1, [66, 10, 80, 30]),  # two pixels from the border
        (1, [64, 21, 80, 41]),  # less than half of it beside the first
        (1, [64, 0, 80, 60]),  # three times as long
        (3, [64, 64, 80, 80]),  # only its corner touches
    ],
)
def test_what_hardly_meets_stays_apart(other: tuple[int, list[int]]) -> None:
    assert joined((0, [50, 10, 64, 30]), other)[1] == [[0], [1]]


def test_the_last_column_has_no_neighbour_in_the_next_row() -> None:
    assert joined((1, [110, 10, 128, 30]), (2, [0, 64, 10, 84]))[1] == [[0], [1]]


def test_a_gap_is_counted_in_canvas_units() -> None:
    large = Tiling(256, 128, 128, 1)
    parts = (0, [100, 10, 126, 50]), (1, [130, 10, 150, 50])
    assert joined(*parts, tiling=large)[1] == [[0, 1]]
    assert joined(parts[0], (1, [131, 10, 150, 50]), tiling=large)[1] == [[0], [1]]
