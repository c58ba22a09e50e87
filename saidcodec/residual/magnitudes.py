"""Numbers by which decisions are made, in plain Python: sizes of samples and errors in a few steps
(bitstream_spec.md, section 8.6.4)."""

from __future__ import annotations

SIDE_STEPS, SIZE_STEPS = (1, 3, 8, 20), (1, 3, 5, 8, 12, 18, 30)


def quarter_log(v: int) -> int:
    """Four times the logarithm to base 2, about; 0 for 0."""
    if v < 4:
        return (0, 1, 3, 5)[v]
    b = v.bit_length() - 1
    return 4 * b - 1 + (v >> (b - 2) & 3)


def size_level(e: int, width: int, steps: tuple[int, ...] = SIZE_STEPS) -> int:
    """The size of an error in widths: how many steps of an eighth of a width it has reached."""
    return sum(8 * abs(e) >= step * width for step in steps)


def side_level(d: int, width: int) -> int:
    """A difference in widths, 0 ... 8; 4 where it is small."""
    level = size_level(d, width, SIDE_STEPS)
    return 4 - level if d < 0 else 4 + level


def side_of(e: int, width: int) -> int:
    """An error in quarters of a width, -2 ... 2."""
    return clamp(4 * e // width if e >= 0 else -(-4 * e // width), -2, 2)


def far_level(e: int) -> int:
    """The size of an error by itself, 0 ... 23."""
    return min(quarter_log(abs(e) >> 1) // 3, 23)


def rough_level(gradient: int, level: int) -> int:
    """The size of a gradient beside that of the errors around, 0 ... 11."""
    return clamp((quarter_log(gradient) - level + 28) // 2, 0, 11)


def beside_level(e: int, level: int) -> int:
    """The size of the error of the component before beside that of the errors around, 0 ... 15."""
    return clamp((quarter_log(abs(e)) - level + 40) // 3, 0, 15)


def texture_of(around: tuple[int, ...], whole: int) -> int:
    """How the samples around, w, n, nw, ne, ww and nn, and the prediction lie to each other: 8 bits."""
    w, n, nw, ne, ww, nn = around
    tests = (w > n, n > nw, w > nw, ne > n, ww > w, nn > n, 2 * w - ww > whole, 2 * n - nn > whole)
    return sum(test << i for i, test in enumerate(tests))


def gradient_of(around: tuple[int, ...]) -> int:
    """How much the samples around, w, n, nw, ne, ww and nn, differ."""
    w, n, nw, ne, ww, nn = around
    return abs(w - nw) + abs(n - nw) + abs(n - ne) + abs(w - ww) + abs(n - nn)


def clamp(v: int, low: int, high: int) -> int:
    return min(max(v, low), high)
