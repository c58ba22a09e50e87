"""A file that does not hold its image is noticed."""

from dataclasses import replace

import numpy as np
import pytest
from factory import random_model

from saidcodec import codec
from saidcodec.errors import CorruptError
from saidcodec.format.header import Metadata
from saidcodec.images import Shown
from saidcodec.sequences import encode_frames
from saidcodec.verification import difference, verify

MODEL = random_model()
PIXELS = np.random.default_rng(6).integers(0, 250, (6, 9, 3)).astype(np.uint8)
SHOWN = Shown(PIXELS, "RGB", Metadata())


def test_files_that_hold_their_image() -> None:
    verify(codec.encode(PIXELS, model=MODEL), [SHOWN], model=MODEL)
    near = codec.encode(PIXELS, model=MODEL, max_error=3)
    verify(near, [SHOWN], model=MODEL, largest_error=3)
    lossy = codec.encode(PIXELS, model=MODEL, residual="none")
    verify(lossy, [SHOWN], model=MODEL, largest_error=None)


def test_files_that_do_not() -> None:
    data = codec.encode(PIXELS, model=MODEL)
    changed = PIXELS.copy()
    changed[3, 4, 1] += 3
    for pixels, metadata, largest in (
        (changed, Metadata(), 2),
        (PIXELS[..., 0], Metadata(), 255),
        (PIXELS, Metadata(xmp=b"<x/>"), 0),
    ):
        with pytest.raises(CorruptError, match="does not decode to the image"):
            verify(data, [Shown(pixels, "RGB", metadata)], model=MODEL, largest_error=largest)
    with pytest.raises(CorruptError, match="cannot be decoded"):
        verify(data[:-1], [SHOWN], model=MODEL)


def test_differences_go_both_ways() -> None:
    low, high = np.array([0, 255], np.uint8), np.array([255, 3], np.uint8)
    assert difference(low, high) == difference(high, low) == 255
    assert difference(low, low) == 0


def test_frames_are_compared_one_by_one() -> None:
    moved = np.roll(PIXELS, 1, 1)
    frames = [Shown(PIXELS, "RGB", Metadata(), 40), Shown(moved, "RGB", Metadata(), 70)]
    data = encode_frames([PIXELS, moved], durations=[40, 70], model=MODEL)
    verify(data, frames, model=MODEL)
    late = replace(frames[1], duration=72)
    for other in (frames[::-1], frames[:1], [*frames, frames[0]], [frames[0], late]):
        with pytest.raises(CorruptError, match="does not decode to the image"):
            verify(data, other, model=MODEL)
