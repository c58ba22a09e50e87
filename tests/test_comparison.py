"""Two images beside each other."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidcodec import comparison
from saidcodec.comparison import Opened
from saidcodec.format.header import Metadata
from saidcodec.format.presentation import Presentation
from saidcodec.picture import Picture

MODES = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,)}


def opened(pixels: np.ndarray, mode: str = "RGB", **metadata: bytes) -> Opened:
    return Opened.of(Picture(pixels, Presentation(mode), Metadata(**metadata)))


def noise(mode: str = "RGB", size: tuple[int, int] = (6, 9)) -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, (*size, *MODES[mode])).astype(np.uint8)


@pytest.mark.parametrize("mode", MODES)
def test_equal_images(mode: str) -> None:
    found = comparison.compare(opened(noise(mode), mode), opened(noise(mode), mode))
    assert found.equal
    assert found.lines("a", "b") == [f"equal: 9×6 {mode}"]


@given(
    st.sampled_from([*MODES]),
    st.integers(1, 2 * comparison.STRIP + 3),
    st.integers(1, 4),
    st.sets(st.integers(0, 2**16), min_size=1, max_size=9),
    st.data(),
)
def test_where_and_how_much(
    mode: str, height: int, width: int, places: set[int], data: st.DataObject
) -> None:
    one = noise(mode, (height, width))
    other = one.copy()
    places = {place % (height * width) for place in places}
    largest = 0
    for place in places:
        sample = other.reshape(height * width, -1)[place]
        change = data.draw(st.integers(1, 255))
        before = int(sample[-1])
        sample[-1] = (before + change) % 256
        largest = max(largest, abs(int(sample[-1]) - before))
    found = comparison.compare(opened(one, mode), opened(other, mode))
    assert not found.equal
    assert found.pixels is not None
    assert (found.pixels.total, found.pixels.count) == (height * width, len(places))
    assert found.pixels.largest == largest
    x, y = found.pixels.place
    assert y * width + x == min(places)
    assert found.pixels.values == tuple(tuple(np.atleast_1d(image[y, x])) for image in (one, other))


def test_a_difference_for_people() -> None:
    other = noise()
    other[2, 3] = other[2, 3] ^ 1
    found = comparison.compare(opened(noise(), icc=b"p", exif=b"e"), opened(other, exif=b"e", xmp=b"x"))
    first, second = (" ".join(map(str, image[2, 3])) for image in (noise(), other))
    assert found.lines("a", "b") == [
        "different pixels: 1 of 54 (1.85%)",
        f"the first: x 3, y 2, with {first} and {second}",
        "largest difference of a sample: 1",
        "different metadata: ICC profile, XMP",
    ]


def test_metadata_alone_makes_no_difference() -> None:
    found = comparison.compare(opened(noise(), xmp=b"x"), opened(noise()))
    assert found.equal
    assert found.lines("a", "b") == ["equal: 9×6 RGB", "different metadata: XMP"]


def test_different_sizes() -> None:
    found = comparison.compare(opened(noise()), opened(noise("L", (9, 6)), "L"))
    assert not found.equal
    assert found.pixels is None
    assert found.lines("a", "b") == [
        "different sizes: a is 9×6, b is 6×9",
        "different modes: a is RGB, b is L",
    ]


@pytest.mark.parametrize(("narrow", "wide"), [*permutations(MODES, 2)])
def test_different_modes_are_compared_in_what_both_fit_into(narrow: str, wide: str) -> None:
    grey = noise("L")
    images = []
    for mode in (narrow, wide):
        shown = np.stack([grey] * 3, -1) if "RGB" in mode else grey[..., None]
        alpha = [np.full((6, 9, 1), 255, np.uint8)] if "A" in mode else []
        images.append(opened(np.concatenate([shown, *alpha], 2).reshape(6, 9, *MODES[mode]), mode))
    found = comparison.compare(*images)
    assert not found.equal
    assert found.lines("a", "b") == [f"different modes: a is {narrow}, b is {wide}", "equal pixels"]
    images[1].pixels[5, 8, ...] ^= 4
    changed = comparison.compare(*images).pixels
    assert changed is not None
    assert (changed.count, changed.place, changed.largest) == (1, (8, 5), 4)
