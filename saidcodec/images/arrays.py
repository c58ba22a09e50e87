"""Arrays that can be encoded: their shapes, their memory, their size."""

from __future__ import annotations

from typing import Any

import numpy as np

from saidcodec.errors import ImageError, LimitError, reason
from saidcodec.format.header import MODES, MOST_PIXELS, MOST_SIDE
from saidcodec.format.presentation import Presentation


def from_array(image: Any) -> tuple[np.ndarray, Presentation]:
    """A uint8 array H×W, H×W×1, ×2, ×3 or ×4, or a bool array H×W or H×W×1, of any memory order and class →
    (plain C-ordered array, its mode).

    Raises ImageError, LimitError.
    """
    if isinstance(image, np.ma.MaskedArray) and np.ma.is_masked(image):
        raise ImageError("An array with masked pixels cannot be encoded; give them values with filled().")
    try:
        pixels = np.asarray(image)
    except Exception as error:  # an array interface may run any code
        raise ImageError(f"The array cannot be read: {reason(error)}.") from None
    if pixels.dtype not in (np.uint8, np.bool_):
        raise ImageError(f"Only 8-bit and bool images can be encoded, not arrays of {pixels.dtype}.")
    most = 1 if pixels.dtype == np.bool_ else len(MODES)
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] > most) or not pixels.size:
        raise ImageError(f"An array of shape {pixels.shape} is no image.")
    height, width, channels = (*pixels.shape, 1)[:3]
    check_size(width, height)
    shape = (height, width) if channels == 1 else (height, width, channels)
    # Through one dimension, so that axes of length 1 have ordinary strides, too.
    plain = np.ascontiguousarray(pixels).reshape(-1).reshape(shape)
    return plain, Presentation("1" if plain.dtype == np.bool_ else MODES[channels - 1])


def check_size(width: int, height: int, name: str = "The image") -> None:
    """Refuse an image that is larger than the format allows.  Raises LimitError."""
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        raise LimitError(f"{name} has more pixels than the limit of {MOST_PIXELS}: {width}×{height}.")
