"""Levels: exact both ways, found where there are gaps, refused where damaged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidcodec.errors import CorruptError
from saidcodec.format.levels import Levels, levels_of, parse_levels


@given(st.integers(0, 999), st.integers(1, 255), st.sampled_from([1, 3]))
def test_ranks_round_trip(seed: int, most: int, channels: int) -> None:
    rng = np.random.default_rng(seed)
    marks = rng.integers(0, 256, (channels, 256)) < most
    marks[:, 7] = True
    pixels = np.stack([rng.choice(np.flatnonzero(m), (5, 6)) for m in marks], -1).astype(np.uint8)
    levels = Levels(marks)
    ranks = levels.ranks(pixels)
    again = parse_levels(levels.head(), channels)
    assert (again.values(ranks) == pixels).all()
    assert (np.ptp(ranks.reshape(-1, channels), axis=0) < marks.sum(1)).all()


def test_stretched_pictures_have_levels_and_others_have_none() -> None:
    rng = np.random.default_rng(1)
    plain = rng.integers(0, 256, (64, 64, 3), np.uint8)
    assert levels_of(plain) is None
    stretched = (plain.astype(int) * 180 // 255 * 255 // 180).astype(np.uint8)
    found = levels_of(stretched)
    assert found is not None
    assert (found.values(found.ranks(stretched)) == stretched).all()


@given(st.binary(max_size=30))
def test_damaged_levels_are_refused(data: bytes) -> None:
    with pytest.raises(CorruptError):
        parse_levels(data, 3)


def test_a_rank_beyond_the_last_is_refused() -> None:
    levels = Levels(np.arange(256)[None] < 3)
    with pytest.raises(CorruptError):
        levels.values(np.full((2, 2, 1), 3, np.uint8))
