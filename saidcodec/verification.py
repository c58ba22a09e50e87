"""The encoder's work is checked before anybody relies on it: a new file is decoded and compared."""

from __future__ import annotations

import numpy as np

from saidcodec import codec
from saidcodec.codec import AnyModel
from saidcodec.errors import CorruptError, SaidError
from saidcodec.parallel import Progress
from saidcodec.picture import Picture

REQUEST = "this is a fault of saidcodec, please report it; nothing was written."


def verify(
    data: bytes,
    picture: Picture,
    *,
    model: AnyModel | None = None,
    largest_error: int | None = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Decode the file ``data`` and compare it with the image that it was made from.

    ``largest_error``: of a sample; None where the file is lossy by intent,
    so that only the checksum counts.  Raises CorruptError where the file does not hold the image.
    """
    try:
        decoded = codec.decode_image(data, model=model, threads=threads, progress=progress)
    except SaidError as error:
        raise CorruptError(f"The encoded file cannot be decoded ({error}); {REQUEST}") from None
    if not same(decoded, picture, largest_error):
        raise CorruptError(f"The encoded file does not decode to the image; {REQUEST}")


def same(found: Picture, picture: Picture, largest_error: int | None = 0) -> bool:
    """Whether an image that was found is the one that it should be, as far as ``verify`` asks."""
    if largest_error != 0:
        found, picture = found.smooth(), picture.smooth()
    if found.pixels.shape != picture.pixels.shape or found[1:] != picture[1:]:
        return False
    return largest_error is None or difference(found.pixels, picture.pixels) <= largest_error


def difference(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference between two arrays of one shape, uint8 or bool."""
    if np.array_equal(one, other):
        return 0
    one, other = one.astype(np.uint8, copy=False), other.astype(np.uint8, copy=False)
    return int((np.maximum(one, other) - np.minimum(one, other)).max())
