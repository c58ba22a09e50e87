"""Which transform of its colours suits a band: a small part of it is coded in each.

Nothing here is part of the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from saidcodec.format import colour
from saidcodec.format.colour import Transform
from saidcodec.residual import engine
from saidcodec.residual.band import plane_of
from saidcodec.residual.network import ResidualNetwork

PARTS, ROWS, COLUMNS = 8, 16, 64  # of a band: how many parts are coded, and their size
TURN = 0.618034  # spreads parts evenly over the columns, however many there are


def shortest(
    network: ResidualNetwork,
    style: int,
    adaptive: bool,
    rgb: np.ndarray,
    among: Sequence[Transform],
    max_error: int = 0,
) -> Transform:
    """The transform in which parts of a band uint8 [h, w, 3] take the fewest words, all in one style."""
    part = parts_of(rgb)
    styles = np.full(part.shape[:2], style, np.uint8)

    def words(transform: Transform) -> int:
        plane = plane_of(colour.forward(part, transform), max_error=max_error)
        plane = replace(plane, styles=styles, adaptive=adaptive)
        symbols = engine.current().symbols(network, plane)
        return engine.current().push(np.zeros(0, np.uint32), symbols).size

    return min(among, key=words)


def parts_of(rgb: np.ndarray) -> np.ndarray:
    """Some parts of a band uint8 [h, w, 3], one below the other; [rows, columns, 3]."""
    height, width = rgb.shape[:2]
    rows, columns = min(ROWS, height), min(COLUMNS, width)
    count = max(1, min(PARTS, height // rows))
    tops = np.linspace(0, height - rows, count).astype(int)
    lefts = (np.arange(count) * TURN % 1 * (width - columns)).astype(int)
    return np.concatenate([rgb[y : y + rows, x : x + columns] for y, x in zip(tops, lefts, strict=True)])
