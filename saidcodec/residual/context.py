"""What the residual network sees for one sample (bitstream_spec.md, section 6).

The window holds earlier samples only.  Every offset satisfies ``dx < -2 * dy``, so that all
samples with the same ``x + 2 * y`` are independent of one another: that is the wavefront.
"""

from __future__ import annotations

from typing import Any

REFERENCE = (-1, 0)  # (dx, dy) relative to the sample: the left neighbour
WINDOW = (
    (-2, 0), (-3, 0),
    (-3, -1), (-2, -1), (-1, -1), (0, -1), (1, -1),
    (-3, -2), (-2, -2), (-1, -2), (0, -2), (1, -2), (2, -2), (3, -2),
    (-2, -3), (-1, -3), (0, -3), (1, -3), (2, -3),
)  # fmt: skip

# What each difference of the window counts from in the networks trained here: an adjacent neighbour.  Such
# differences are small, so that integer weights lose less than with one reference for all.
ORIGINS = (
    REFERENCE, (-2, 0),
    (-2, -1), (-1, -1), REFERENCE, (-1, -1), (0, -1),
    (-3, -1), (-2, -1), (-1, -1), (0, -1), (1, -1), (1, -2), (2, -2),
    (-2, -2), (-1, -2), (0, -2), (1, -2), (2, -2),
)  # fmt: skip

# Positions in a tile run to the first, and the style is marked by the second; in the networks trained here,
# and in those that do not say.  Small inputs let integer weights tell fine differences between styles.
MARKS, GREAT_MARKS = (64, 32), (128, 127)

# The neighbours that a model of flat colours may copy, the likeliest first.
COPIES = (REFERENCE, (0, -1), (1, -1), (-1, -1), (2, -2))

SKEW = 2  # a sample (x, y) is decoded at step x + SKEW * y


def neighbour(x: Any, y: Any, dx: Any, dy: Any, width: int) -> tuple[Any, Any]:
    """Where the window of (x, y) reads its offset (dx, dy) in a tile ``width`` wide: (column, row).

    Outside the tile it reads the nearest sample inside that an earlier step has decoded.  Column -1
    means that there is none: the reference stands in.  Works on arrays of NumPy and of torch.
    """
    row = (y + dy).clip(min=0)
    latest = x + SKEW * (y - row) - 1
    return (x + dx).clip(min=0, max=width - 1).clip(max=latest), row


def around(x: Any, y: Any, dx: Any, dy: Any, width: int, height: int) -> tuple[Any, Any]:
    """Where the offset (dx, dy) reads the reconstruction: the nearest sample inside the tile."""
    return (x + dx).clip(min=0, max=width - 1), (y + dy).clip(min=0, max=height - 1)
