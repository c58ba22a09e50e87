"""The encoder's work is checked before anybody relies on it: a new file is decoded and compared."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np

from saidcodec.codec import AnyModel
from saidcodec.errors import CorruptError, SaidError
from saidcodec.frames import Frames
from saidcodec.images import Shown
from saidcodec.parallel import Progress, no_progress

REQUEST = "this is a fault of saidcodec, please report it; nothing was written."
LATE = 1  # millisecond that a frame's duration may be off: it may have been rounded


def verify(
    data: bytes,
    frames: Iterable[Shown],
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
    frames: Iterable[Shown],
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
            pixels, _, metadata = found.frame(count - 1, progress or no_progress)
            late = abs(found.durations[count - 1] - one.duration) >= LATE and len(found) > 1
            if late or metadata != one.metadata or not same(pixels, one.pixels, largest_error):
                return False
        return count == len(found)


def same(one: np.ndarray, other: np.ndarray, largest_error: int | None = 0) -> bool:
    """Whether two images, uint8 H×W or H×W×C, are the same, as far as ``verify`` asks."""
    if one.shape != other.shape:
        return False
    return largest_error is None or difference(one, other) <= largest_error


def difference(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference between two uint8 arrays of one shape."""
    if np.array_equal(one, other):
        return 0
    return int((np.maximum(one, other) - np.minimum(one, other)).max())
