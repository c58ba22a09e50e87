"""The encoder's work is checked before anybody relies on it: a new file is decoded and compared."""

from __future__ import annotations

import numpy as np

from saidcodec import codec
from saidcodec.codec import AnyModel
from saidcodec.errors import CorruptError, SaidError
from saidcodec.format.header import Metadata
from saidcodec.parallel import Progress

REQUEST = "this is a fault of saidcodec, please report it; nothing was written."


def verify(
    data: bytes,
    pixels: np.ndarray,
    metadata: Metadata,
    *,
    model: AnyModel | None = None,
    largest_error: int | None = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Decode the file ``data`` and compare it with the image that it was made from.

    ``pixels``: uint8 H×W or H×W×C.  ``largest_error``: of a sample; None where the file is lossy by intent,
    so that only the checksum counts.  Raises CorruptError where the file does not hold the image.
    """
    try:
        decoded, _, found = codec.decode_image(data, model=model, threads=threads, progress=progress)
    except SaidError as error:
        raise CorruptError(f"The encoded file cannot be decoded ({error}); {REQUEST}") from None
    if found != metadata or not same(decoded, pixels, largest_error):
        raise CorruptError(f"The encoded file does not decode to the image; {REQUEST}")


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
