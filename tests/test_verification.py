"""A file that does not hold its image is noticed."""

import numpy as np
import pytest
from factory import random_model
from pictures import frame_of, picture_of

from saidcodec import codec
from saidcodec.errors import CorruptError
from saidcodec.format.header import Metadata
from saidcodec.sequences import encode_frames
from saidcodec.verification import difference, verify

MODEL = random_model()
PIXELS = np.random.default_rng(6).integers(0, 250, (6, 9, 3)).astype(np.uint8)
PICTURE = picture_of(PIXELS)


def test_files_that_hold_their_image() -> None:
    verify(codec.encode(PIXELS, model=MODEL), [PICTURE], model=MODEL)
    near = codec.encode(PIXELS, model=MODEL, max_error=3)
    verify(near, [PICTURE], model=MODEL, largest_error=3)
    lossy = codec.encode(PIXELS, model=MODEL, residual="none")
    verify(lossy, [PICTURE], model=MODEL, largest_error=None)


def test_files_that_do_not() -> None:
    data = codec.encode(PIXELS, model=MODEL)
    changed = PIXELS.copy()
    changed[3, 4, 1] += 3
    for picture, largest in (
        (picture_of(changed), 2),
        (picture_of(PIXELS[..., 0]), 255),
        (picture_of(PIXELS, Metadata(xmp=b"<x/>")), 0),
    ):
        with pytest.raises(CorruptError, match="does not decode to the image"):
            verify(data, [picture], model=MODEL, largest_error=largest)
    with pytest.raises(CorruptError, match="cannot be decoded"):
        verify(data[:-1], [PICTURE], model=MODEL)


def test_differences_go_both_ways() -> None:
    low, high = np.array([0, 255], np.uint8), np.array([255, 3], np.uint8)
    assert difference(low, high) == difference(high, low) == 255
    assert difference(low, low) == 0


def test_frames_are_compared_one_by_one() -> None:
    moved = np.roll(PIXELS, 1, 1)
    frames = [frame_of(PIXELS, "RGB", Metadata(), 40), frame_of(moved, "RGB", Metadata(), 70)]
    data = encode_frames([PIXELS, moved], durations=[40, 70], model=MODEL)
    verify(data, frames, model=MODEL)
    late = frames[1]._replace(duration=72)
    for other in (frames[::-1], frames[:1], [*frames, frames[0]], [frames[0], late]):
        with pytest.raises(CorruptError, match="does not decode to the image"):
            verify(data, other, model=MODEL)


def test_differences_of_16_bits_are_whole() -> None:
    deep = np.full((2, 2), 7, np.uint16)
    assert difference(deep, deep + np.uint16(256)) == 256
    assert difference(deep > 0, deep > 9) == 1
