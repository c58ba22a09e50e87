"""Transforms of colours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidcodec.format import colour
from saidcodec.format.colour import Transform

CORNERS = np.array(np.meshgrid(*[[0, 1, 127, 254, 255]] * 3)).reshape(3, -1).T.astype(np.uint8)


@given(st.integers(0, 2**32), st.sampled_from(Transform))
def test_colours_come_back_from_components_in_range(seed: int, transform: Transform) -> None:
    rgb = np.concatenate([CORNERS, np.random.default_rng(seed).integers(0, 256, (500, 3)).astype(np.uint8)])
    planes = colour.forward(rgb, transform)
    assert planes.dtype == np.int16
    assert (planes >= colour.LOW).all()
    assert (planes <= colour.HIGH).all()
    assert np.array_equal(colour.inverse(planes, transform), rgb)


@pytest.mark.parametrize(
    ("transform", "components"),
    [(Transform.YCOCG, (95, -120, 10)), (Transform.GBR, (100, 50, -70)), (Transform.RBG, (30, 120, 70))],
)
def test_components(transform: Transform, components: tuple[int, ...]) -> None:
    assert colour.forward(np.array([[30, 100, 150]], np.uint8), transform).tolist() == [list(components)]
