"""Up-sampling against the formula of the specification in plain Python."""

import numpy as np
import plain_decoder
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidcodec.said.resampling import upsample, weights


@given(
    st.binary(min_size=256, max_size=256), st.sampled_from((8, 16)), st.integers(1, 40), st.integers(1, 40)
)
def test_upsampling_is_the_plain_formula(data, side, width, height):
    samples = np.frombuffer(data, np.uint8)[: side * side].reshape(side, side)
    found = upsample(samples[..., None], width, height)
    assert found.shape == (height, width, 1)
    assert found[..., 0].tolist() == plain_decoder.upsample(samples, width, height)


@pytest.mark.parametrize("n", [1, 3, 7, 8, 9, 64, 100, 256, 4096])
def test_weights_are_whole_and_sum_to_one(n):
    found = weights(n)
    assert (found == np.rint(found)).all()
    assert (found >= 0).all()
    assert (found.sum(1) == 128).all()


def test_eight_samples_stay_what_they_are():
    samples = np.random.default_rng(0).integers(0, 256, (8, 8, 4)).astype(np.uint8)
    assert (upsample(samples, 8, 8) == samples).all()


def test_golden_values():
    ramp = np.repeat(np.arange(0, 256, 36, dtype=np.uint8)[None, :, None], 8, 0)
    assert upsample(ramp, 16, 1)[0, :, 0].tolist() == [
        0, 9, 27, 45, 63, 81, 99, 117, 135, 153, 171, 189, 207, 225, 243, 252,
    ]  # fmt: skip
    assert upsample(ramp, 5, 1)[0, :, 0].tolist() == [11, 68, 126, 183, 241]


def test_extremes_neither_overflow_nor_leave_their_range():
    for value in (0, 255):
        assert (upsample(np.full((8, 8, 4), value, np.uint8), 77, 131) == value).all()
    checker = (np.indices((8, 8)).sum(0) % 2 * 255).astype(np.uint8)[..., None]
    found = upsample(checker, 256, 256)
    assert found.min() == 0
    assert found.max() == 255
