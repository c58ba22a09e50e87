"""The reversible colour transform YCoCg-R (bitstream_spec.md, section 4)."""

from __future__ import annotations

import numpy as np

LOW = (0, -255, -255)  # smallest value of Y (also grey and alpha), Co, Cg
HIGH = 255  # largest value of any of them
MIDDLE = (128, 0, 0)  # the middle of each one's range


def forward(rgb: np.ndarray) -> np.ndarray:
    """RGB [..., 3] uint8 → Y in 0..255, Co and Cg in -255..255; [..., 3] int16."""
    red, green, blue = (rgb[..., c].astype(np.int16) for c in range(3))
    orange = red - blue
    middle = blue + (orange >> 1)
    green_excess = green - middle
    return np.stack([middle + (green_excess >> 1), orange, green_excess], -1)


def inverse(planes: np.ndarray) -> np.ndarray:
    """Y, Co, Cg [..., 3] → RGB [..., 3] int16; within 0..255 whenever the planes came from RGB."""
    luma, orange, green_excess = (planes[..., c].astype(np.int16) for c in range(3))
    middle = luma - (green_excess >> 1)
    blue = middle - (orange >> 1)
    return np.stack([blue + orange, green_excess + middle, blue], -1)
