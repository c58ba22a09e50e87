"""The reversible colour transform YCoCg-R (bitstream_spec.md, section 4)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

LOW = (0, -255, -255)  # smallest value of Y (also grey and alpha), Co, Cg
STRIP = 1 << 16  # samples of a strip
HIGH = 255  # largest value of any of them
MIDDLE = (128, 0, 0)  # the middle of each one's range


def forward(rgb: np.ndarray) -> np.ndarray:
    """RGB [..., 3] uint8 → Y in 0..255, Co and Cg in -255..255; [..., 3] int16."""
    planes = np.empty(rgb.shape, np.int16)
    for part in strips(rgb):
        red, green, blue = (rgb[part][..., c].astype(np.int16) for c in range(3))
        luma, orange, green_excess = (planes[part][..., c] for c in range(3))
        np.subtract(red, blue, out=orange)
        middle = blue + (orange >> 1)
        np.subtract(green, middle, out=green_excess)
        np.add(middle, green_excess >> 1, out=luma)
    return planes


def inverse(planes: np.ndarray) -> np.ndarray:
    """Y, Co, Cg [..., 3] → RGB [..., 3] int16; within 0..255 whenever the planes came from RGB."""
    rgb = np.empty(planes.shape, np.int16)
    for part in strips(planes):
        luma, orange, green_excess = (planes[part][..., c].astype(np.int16) for c in range(3))
        red, green, blue = (rgb[part][..., c] for c in range(3))
        middle = luma - (green_excess >> 1)
        np.subtract(middle, orange >> 1, out=blue)
        np.add(blue, orange, out=red)
        np.add(green_excess, middle, out=green)
    return rgb


def strips(array: np.ndarray) -> Iterator[slice]:
    """Parts of an array along its first axis, so small that intermediate results stay in cache."""
    step = max(1, STRIP // max(1, array[:1].size))
    return (slice(start, start + step) for start in range(0, len(array), step))
