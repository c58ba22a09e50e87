"""The reversible colour transforms (bitstream_spec.md, section 4)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

import numpy as np

LOW = (0, -255, -255)  # smallest value of each component; also of grey and alpha
STRIP = 1 << 16  # samples of a strip
HIGH = 255  # largest value of any of them
MIDDLE = (128, 0, 0)  # the middle of each one's range


class Transform(IntEnum):
    """YCoCg-R, or one channel and the differences of the others from it, in the order of their names."""

    YCOCG = 0
    RGB = 1
    RBG = 2
    GRB = 3
    GBR = 4
    BRG = 5
    BGR = 6

    @property
    def order(self) -> tuple[int, int, int]:
        """Which channels a transform by differences takes first, second and third."""
        first, second, third = map("RGB".index, self.name)
        return first, second, third


DIFFERENCES = tuple(Transform)[1:]


def forward(rgb: np.ndarray, transform: Transform = Transform.YCOCG) -> np.ndarray:
    """RGB [..., 3] uint8 → the first component in 0..255, the others in -255..255; [..., 3] int16."""
    if transform == Transform.YCOCG:
        return to_ycocg(rgb)
    planes = rgb[..., transform.order].astype(np.int16)
    planes[..., 1:] -= planes[..., :1]
    return planes


def inverse(planes: np.ndarray, transform: Transform = Transform.YCOCG) -> np.ndarray:
    """Components [..., 3] → RGB [..., 3] int16; within 0..255 whenever the planes came from RGB."""
    if transform == Transform.YCOCG:
        return from_ycocg(planes)
    rgb = np.empty(planes.shape, np.int16)
    first, *others = transform.order
    rgb[..., first] = planes[..., 0]
    for component, channel in enumerate(others, 1):
        np.add(planes[..., component], planes[..., 0], out=rgb[..., channel])
    return rgb


def to_ycocg(rgb: np.ndarray) -> np.ndarray:
    """RGB [..., 3] uint8 → Y, Co, Cg [..., 3] int16."""
    planes = np.empty(rgb.shape, np.int16)
    for part in strips(rgb):
        red, green, blue = (rgb[part][..., c].astype(np.int16) for c in range(3))
        luma, orange, green_excess = (planes[part][..., c] for c in range(3))
        np.subtract(red, blue, out=orange)
        middle = blue + (orange >> 1)
        np.subtract(green, middle, out=green_excess)
        np.add(middle, green_excess >> 1, out=luma)
    return planes


def from_ycocg(planes: np.ndarray) -> np.ndarray:
    """Y, Co, Cg [..., 3] → RGB [..., 3] int16."""
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
