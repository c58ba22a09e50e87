"""Arrays that can be encoded: their shapes, their memory, their size."""

from __future__ import annotations

from typing import Any

import numpy as np

from saidcodec.errors import ImageError, LimitError, reason
from saidcodec.format.header import MODES, MOST_PIXELS, MOST_SIDE, WIDE_MODES, Mode
from saidcodec.format.presentation import Presentation


def from_array(image: Any) -> tuple[np.ndarray, Presentation]:
    """A uint8 or uint16 array H×W, H×W×1, ×2, ×3 or ×4, or a bool array H×W or H×W×1, of any memory and byte
    order and class → (plain C-ordered array, its mode).

    Raises ImageError, LimitError.
    """
    if isinstance(image, np.ma.MaskedArray) and np.ma.is_masked(image):
        raise ImageError("An array with masked pixels cannot be encoded; give them values with filled().")
    try:
        pixels = np.asarray(image)
    except Exception as error:  # an array interface may run any code
        raise ImageError(f"The array cannot be read: {reason(error)}.") from None
    if pixels.dtype.type not in (np.uint8, np.uint16, np.bool_):
        raise ImageError(f"Only arrays of uint8, uint16 and bool can be encoded, not of {pixels.dtype}.")
    most = 1 if pixels.dtype == np.bool_ else len(MODES)
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] > most) or not pixels.size:
        raise ImageError(f"An array of shape {pixels.shape} is no image.")
    height, width, channels = (*pixels.shape, 1)[:3]
    check_size(width, height)
    shape = (height, width) if channels == 1 else (height, width, channels)
    # Through one dimension, so that axes of length 1 have ordinary strides, too.
    plain = np.ascontiguousarray(pixels, pixels.dtype.type).reshape(-1).reshape(shape)
    mode = Mode(MODES[channels - 1])
    if plain.dtype == np.bool_:
        return plain, Presentation("1")
    return plain, Presentation(WIDE_MODES[mode] if plain.dtype == np.uint16 else str(mode))


def check_size(width: int, height: int, name: str = "The image") -> None:
    """Refuse an image that is larger than the format allows.  Raises LimitError."""
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        raise LimitError(f"{name} has more pixels than the limit of {MOST_PIXELS}: {width}×{height}.")


def widened(pixels: np.ndarray, colour: bool, alpha: bool) -> np.ndarray:
    """uint8 or uint16 H×W×C, grey or RGB, with alpha or without: the same with three channels of colour if
    asked for, and with alpha."""
    height, width, channels = pixels.shape
    own_alpha, opaque = channels % 2 == 0, np.iinfo(pixels.dtype).max
    shown = pixels[..., : channels - own_alpha]
    parts = [np.broadcast_to(shown, (height, width, 3)) if colour else shown]
    if alpha:
        parts.append(pixels[..., -1:] if own_alpha else np.full((height, width, 1), opaque, pixels.dtype))
    return np.concatenate(parts, 2)
