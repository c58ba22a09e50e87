"""Which transform of its colours suits a band: a small part of it is coded in each.

Nothing here is part of the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from saidcodec.format import colour
from saidcodec.format.colour import Transform
from saidcodec.models import Model
from saidcodec.parallel import in_threads
from saidcodec.residual import engine
from saidcodec.residual.band import Method, plane_of

PARTS, ROWS, COLUMNS = 8, 16, 64  # of a band: how many parts are coded, and their size
MARGIN = 0.002  # by which differences must be shorter than YCoCg
TURN = 0.618034  # spreads parts evenly over the columns, however many there are


def shortest(
    method: Method, model: Model, channels: np.ndarray, among: Sequence[Transform], threads: int
) -> Transform:
    """The transform in which parts of colour channels uint8 [h, w, channels] take the fewest words.

    All are in the style that most tiles have.  YCoCg, where it is among them, must be beaten by a margin.
    """
    assert method.network
    part = parts_of(channels[..., :3])
    style = int(model.tensors["tile.style.frequency"].argmax())
    styles = np.full(part.shape[:2], style, np.uint8)

    def words(transform: Transform) -> float:
        assert method.network
        plane = plane_of(colour.forward(part, transform), max_error=method.max_error)
        plane = replace(plane, styles=styles, adaptive=method.adaptive)
        symbols = engine.current().symbols(method.network, plane)
        spent = engine.current().push(np.zeros(0, np.uint32), symbols).size
        return spent * (1 - MARGIN) if transform == Transform.YCOCG else spent

    spent = [*in_threads(words, among, threads)]
    return among[spent.index(min(spent))]


def parts_of(rgb: np.ndarray) -> np.ndarray:
    """Some parts of a band uint8 [h, w, 3], one below the other; [rows, columns, 3]."""
    height, width = rgb.shape[:2]
    rows, columns = min(ROWS, height), min(COLUMNS, width)
    count = max(1, min(PARTS, height // rows))
    tops = np.linspace(0, height - rows, count).astype(int)
    lefts = (np.arange(count) * TURN % 1 * (width - columns)).astype(int)
    return np.concatenate([rgb[y : y + rows, x : x + columns] for y, x in zip(tops, lefts, strict=True)])
