"""The coder of wide samples: the C core and its twin give the same bytes, and everything comes back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saidcodec.residual import decisions as in_python
from saidcodec.residual import wide, wide_reference

needs_core = pytest.mark.skipif(not wide.available(), reason="the library was not built")
EMPTY = np.zeros(0, np.uint32)
BELOW = np.array([7, 0, 0xFFFFFFFF, 5], np.uint32)  # what a stream may hold beside the samples

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
many = settings(max_examples=200, deadline=None)


@st.composite
def pictures(draw: st.DrawFn, most: int = 12) -> np.ndarray:
    """Noise, ramps, steps and smooth pictures of 1 to 16 bits: uint16 [height, width, components]."""
    height, width = draw(st.integers(1, most)), draw(st.integers(1, 6 * most))
    components = draw(st.integers(1, 4))
    top = (1 << draw(st.integers(1, 16))) - 1
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["flat", "noise", "ramp", "steps", "smooth", "dots"]))
    y, x = np.mgrid[:height, :width]
    shape = (height, width, components)
    if kind == "flat":
        return np.full(shape, rng.integers(0, top + 1), np.uint16)
    if kind == "noise":
        return rng.integers(0, top + 1, shape).astype(np.uint16)
    if kind == "dots":
        return np.where(rng.random(shape) < 0.05, top, 0).astype(np.uint16)
    if kind == "steps":
        return (((x // 7 + y // 3) % 2 * top)[..., None] + np.zeros(components, int)).astype(np.uint16)
    slope = rng.uniform(-1, 1, (2, components)) * top / 60
    plane = top / 2 + x[..., None] * slope[0] + y[..., None] * slope[1]
    if kind == "smooth":
        plane = plane + rng.normal(0, top / 200, shape)
    return plane.clip(0, top).astype(np.uint16)


def photograph(height: int, width: int, components: int, bits: int = 16) -> np.ndarray:
    """Something smooth with edges and noise that grows with the light, components alike."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:height, :width]
    light = 0.4 + 0.3 * np.sin(x / 19) * np.cos(y / 23) + 0.2 * ((x - width / 2) ** 2 + (y - 40) ** 2 < 900)
    planes = [light * gain + rng.normal(0, 0.004, light.shape) * light for gain in (1, 0.7, 0.85, 0.3)]
    top = (1 << bits) - 1
    return (np.stack(planes[:components], -1).clip(0, 1) * top).astype(np.uint16)


def tops_of(samples: np.ndarray) -> list[int]:
    return [int(samples[..., c].max()) for c in range(samples.shape[-1])]


def size(samples: np.ndarray, max_error: int = 0) -> int:
    decisions, _ = wide.encode(samples, tops_of(samples), max_error)
    return 4 * len(wide.push(EMPTY, decisions))


@needs_core
@few
@given(pictures(), st.sampled_from([0, 0, 1, 2, 300]))
def test_core_and_twin_agree(samples: np.ndarray, max_error: int) -> None:
    tops = tops_of(samples)
    decisions, seen = wide.encode(samples, tops, max_error)
    for mine, other in zip((decisions, seen), wide_reference.encode(samples, tops, max_error)):
        np.testing.assert_array_equal(mine, other)
    words = wide.push(BELOW, decisions)
    np.testing.assert_array_equal(words, in_python.push(BELOW, decisions))
    for decode in (wide.decode, wide_reference.decode):
        found, left = decode(words, samples.shape, tops, max_error)
        np.testing.assert_array_equal(found, seen)
        np.testing.assert_array_equal(left, BELOW)


@needs_core
@pytest.mark.parametrize("components", [1, 3, 4])
def test_core_and_twin_agree_on_a_photograph(components: int) -> None:
    samples = photograph(20, 75, components)
    tops = tops_of(samples)
    np.testing.assert_array_equal(wide.encode(samples, tops)[0], wide_reference.encode(samples, tops, 0)[0])


@few
@given(pictures(6), st.integers(0, 2**15 - 1))
def test_errors_are_bounded(samples: np.ndarray, max_error: int) -> None:
    tops = tops_of(samples)
    decisions, seen = wide.encode(samples, tops, max_error)
    assert np.abs(seen.astype(int) - samples).max() <= max_error
    found, left = wide.decode(wide.push(BELOW, decisions), samples.shape, tops, max_error)
    np.testing.assert_array_equal(found, seen)
    np.testing.assert_array_equal(left, BELOW)


@needs_core
@many
@given(pictures(), st.data())
def test_changed_streams_decode_to_something(samples: np.ndarray, data: st.DataObject) -> None:
    tops = tops_of(samples)
    words = wide.push(EMPTY, wide.encode(samples, tops)[0])
    words = words[: data.draw(st.integers(0, len(words)))]
    for _ in range(data.draw(st.integers(0, 3))):
        if len(words):
            words[data.draw(st.integers(0, len(words) - 1))] = data.draw(st.integers(0, 2**32 - 1))
    shape, tops = data.draw(
        st.sampled_from([(samples.shape, tops), ((9, 70, 3), [65535] * 3), ((70, 9, 2), [9, 0])])
    )
    found, left = wide.decode(words, shape, tops, data.draw(st.sampled_from([0, 1, 32767])))
    assert (found <= np.array(tops)).all()
    assert len(left) <= len(words) + 2


@needs_core
@few
@given(st.binary(max_size=400), st.integers(1, 4), st.sampled_from([0, 3]))
def test_core_and_twin_agree_on_noise_as_a_stream(noise: bytes, components: int, max_error: int) -> None:
    words = np.frombuffer(noise[: len(noise) // 4 * 4], "<u4").astype(np.uint32)
    shape, tops = (4, 40, components), [65535, 1023, 0, 4095][:components]
    for mine, other in zip(
        wide.decode(words, shape, tops, max_error), wide_reference.decode(words, shape, tops, max_error)
    ):
        np.testing.assert_array_equal(mine, other)


@needs_core
def test_a_photograph_is_small() -> None:
    """Noise of 9.4 bits a sample on average, with nothing else to pay for; PNG takes 12.9."""
    samples = photograph(200, 300, 3)
    assert 8 * size(samples) / samples.size < 9.75
    assert 8 * size(samples, 2) / samples.size < 7.5


@needs_core
def test_what_does_not_change_costs_next_to_nothing() -> None:
    assert size(np.full((200, 300, 3), 40_000, np.uint16)) <= 200
    assert size(np.zeros((200, 300, 3), np.uint16)) == 0


@needs_core
def test_alpha_that_follows_a_colour_costs_little() -> None:
    colours = photograph(100, 200, 3)
    assert size(np.concatenate([colours, colours[..., :1]], -1)) < 1.15 * size(colours)


@pytest.mark.parametrize(
    "shape",
    [(0, 3, 1), (3, 0, 1), (3, 3, 5), (3, 3, 0), (3, 3), (1 << 15, 1 << 14, 1), (1, (1 << 20) + 1, 1)],
)
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        wide.decode(EMPTY, shape, [1] * (shape[2] if len(shape) > 2 else 1))


@pytest.mark.parametrize(("top", "max_error"), [(65536, 0), (-1, 0), (5, -1), (5, 1 << 15)])
def test_other_bounds_are_refused(top: int, max_error: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        wide.decode(EMPTY, (3, 3, 1), [top], max_error)


def test_other_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="uint16"):
        wide.encode(np.zeros((3, 3, 1), np.uint8), [1])
    with pytest.raises(ValueError, match="larger"):
        wide.encode(np.full((3, 3, 1), 7, np.uint16), [6])
