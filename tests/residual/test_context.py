"""Where the network looks."""

import numpy as np

from saidcodec.residual.context import SKEW, WINDOW, neighbour


def test_the_window_never_looks_ahead() -> None:
    for width in (1, 2, 5, 40):
        for y in range(5):
            for x in range(width):
                for dx, dy in WINDOW:
                    column, row = neighbour(np.array(x), np.array(y), np.array(dx), np.array(dy), width)
                    assert column == -1 or column + SKEW * row < x + SKEW * y
                    assert column < width
                    assert row >= 0
