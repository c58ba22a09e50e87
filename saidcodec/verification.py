"""The encoder's work is checked before anybody relies on it: a new file is decoded and compared."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np

from saidcodec.codec import AnyModel
from saidcodec.errors import CorruptError, SaidError
from saidcodec.frames import Frames
from saidcodec.parallel import Progress, no_progress
from saidcodec.picture import Picture

REQUEST = "this is a fault of saidcodec, please report it; nothing was written."
LATE = 1  # millisecond that a frame's duration may be off: it may have been rounded


def verify(
    data: bytes,
    frames: Iterable[Picture],
    *,
    model: AnyModel | None = None,
    largest_error: int | None = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Decode the file ``data`` and compare it with the image, or the frames, that it was made from.

    ``largest_error``: of a sample; None where the file is lossy by intent, so that only the checksum counts.
    Raises CorruptError where the file does not hold the image.
    """
    try:
        same = holds(data, frames, largest_error, model=model, threads=threads, progress=progress)
    except SaidError as error:
        raise CorruptError(f"The encoded file cannot be decoded ({error}); {REQUEST}") from None
    if not same:
        raise CorruptError(f"The encoded file does not decode to the image; {REQUEST}")


def holds(
    data: bytes,
    frames: Iterable[Picture],
    largest_error: int | None,
    *,
    model: AnyModel | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> bool:
    """Whether a file holds these frames, to within an error.  Raises what ``decode`` raises."""
    count = 0
    with Frames(data, model=model, threads=threads) as found, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what frames cannot keep has been told
        for count, one in enumerate(frames, 1):
            if count > len(found):
                return False
            shown = found.frame(count - 1, progress or no_progress)
            late = abs(shown.duration - one.duration) >= LATE and len(found) > 1
            if late or shown.metadata != one.metadata or not same(shown, one, largest_error):
                return False
        return count == len(found)


def same(found: Picture, picture: Picture, largest_error: int | None = 0) -> bool:
    """Whether an image that was found has the pixels that it should have, as far as ``verify`` asks."""
    if largest_error != 0:
        found, picture = found.smooth(), picture.smooth()
    if found.pixels.shape != picture.pixels.shape or found.pixels.dtype != picture.pixels.dtype:
        return False
    if found.presentation != picture.presentation:
        return False
    return largest_error is None or difference(found.pixels, picture.pixels) <= largest_error


def difference(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference between two arrays of one shape and type, unsigned or bool."""
    if np.array_equal(one, other):
        return 0
    greater, less = np.maximum(one, other), np.minimum(one, other)
    return int((greater ^ less if one.dtype == np.bool_ else greater - less).max())
