"""Transforms of colours are chosen by what parts of a band take."""

from __future__ import annotations

import numpy as np
import pytest
from factory import random_model

from saidcodec.encoder.transforms import COLUMNS, PARTS, ROWS, parts_of, shortest
from saidcodec.format.colour import DIFFERENCES, Transform
from saidcodec.format.header import Header, Mode, ResidualCoder
from saidcodec.residual.band import method_of


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (15, 70), (40, 63), (500, 200)])
def test_parts_lie_inside(shape: tuple[int, int]) -> None:
    y, x = np.indices(shape)
    parts = parts_of(np.stack([y // 256, y % 256, x % 256], -1).astype(np.uint8))
    rows, columns = min(ROWS, shape[0]), min(COLUMNS, shape[1])
    assert parts.shape[1:] == (columns, 3)
    assert len(parts) == rows * max(1, min(PARTS, shape[0] // rows))
    tops = parts[::rows, 0, 0].astype(int) * 256 + parts[::rows, 0, 1]
    assert tops[0] == 0
    assert len(set(tops)) == len(tops)
    if len(tops) > 1:
        assert tops[-1] == shape[0] - rows


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("max_error", [0, 3])
def test_the_shortest_is_found(pair: tuple[int, int], max_error: int) -> None:
    """Two channels are the same noise: one of them has to come first, and the other next to it."""
    rng = np.random.default_rng(5)
    rgb = rng.integers(0, 256, (60, 70, 3)).astype(np.uint8)
    rgb[..., pair[1]] = rgb[..., pair[0]]
    model = random_model(3)
    header = Header(70, 60, Mode.RGB, False, ResidualCoder.CONTEXT, max_error, model.id, 64, 1, True)
    found = shortest(method_of(header, model), model, rgb, DIFFERENCES, 2)
    assert found.order[0] in pair
    assert shortest(method_of(header, model), model, rgb, [Transform.RGB], 1) == Transform.RGB
