"""How the encoder makes a tile's description shorter: glimpses moved, added and taken away, by all bits.

The search (said/search.py) judges glimpses by N log σ, to which a cut-off serif is much and a faint digit
nothing.  Here each change is judged by the exact bits of the residual network.  Nothing here is part of the
format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from saidcodec.entropy import Table
from saidcodec.judge import Judge
from saidcodec.said import Description, render
from saidcodec.said.code import tables_of
from saidcodec.said.crop import crop
from saidcodec.said.description import CANVAS, MOST_GLIMPSES, box_pixels
from saidcodec.said.latent import quantise
from saidcodec.said.propose import encode_patches
from saidcodec.said.search import largest, on_canvas, valid

MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1), (-1, 1), (1, -1))  # canvas units
PLACES = 3  # of the largest remaining errors, where a glimpse more is tried
PAINTED = 0.3  # what errors weigh where a glimpse has been


def edited(
    judge: Judge, tile: np.ndarray, options: Sequence[Description], chosen: Description | None
) -> Description | None:
    """``chosen``, or the best base of ``options`` where none was, with its glimpses refined, completed and
    thinned out; None where a tile, uint8 RGB [h, w, 3], is shorter without."""
    if chosen is None:
        bases = [option.first(0) for option in options]
        chosen = bases[judge.shortest(judge.rendered(bases))[0]]
    better, bits = thinned(judge, completed(judge, tile, refined(judge, tile, chosen)))
    return better if bits < judge.residual(None) else None


def thinned(judge: Judge, description: Description) -> tuple[Description, float]:
    """The description without the glimpses that others make needless, and its bits in all."""
    bits = judge.bits(description)
    while len(description.boxes):
        fewer = [description.without(i) for i in range(len(description.boxes))]
        i, least = judge.shortest(judge.rendered(fewer))
        if least >= bits:
            break
        description, bits = fewer[i], least
    return description, bits


def refined(judge: Judge, tile: np.ndarray, description: Description) -> Description:
    """The description with each box replaced by the best of those about it.

    Exact bits hardly mind a wider or a narrower box, so that the box's own code decides: the usual size is
    the cheapest.
    """
    bits = judge.bits(description)
    for i in range(len(description.boxes)):
        boxes = about(description.boxes[i], tables_of(judge.layout.model).box)
        options = [description.replaced(i, *glimpse) for glimpse in glimpses(judge, tile, boxes)]
        best, least = judge.shortest(judge.rendered(options))
        if least < bits:
            description, bits = options[best], least
    return description


def completed(judge: Judge, tile: np.ndarray, description: Description) -> Description:
    """The description with glimpses of what it has overlooked, as long as they save bits."""
    tables = tables_of(judge.layout.model).box
    bits = judge.bits(description)
    while len(description.boxes) < MOST_GLIMPSES:
        seen = render(description, judge.layout.model, *tile.shape[1::-1])
        boxes, tried = remains(tile, seen, description.boxes, usual_size(tables)), []
        for _ in range(2):  # the places, then what lies about the best of them
            tried += [description.added(*glimpse) for glimpse in glimpses(judge, tile, boxes)]
            best, least = judge.shortest(judge.rendered(tried))
            boxes = about(tried[best].boxes[-1], tables)
        if least >= bits:
            break
        description, bits = tried[best], least
    return description


def glimpses(judge: Judge, tile: np.ndarray, boxes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each box, int [n, 4], and the latent of what it shows."""
    model = judge.layout.model
    patches = crop(tile.astype(np.float32) / 255, boxes)
    return zip(boxes, quantise(encode_patches(patches, model), model))


def about(box: np.ndarray, tables: Sequence[Table]) -> np.ndarray:
    """Boxes with the middle of ``box`` and other sizes: its own made square or wider, and the most usual,
    which also come a little moved; int [n, 4]."""
    middle, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    sizes = np.array([np.full(2, size.max()), size + 1, size + 2, *([usual_size(tables)] * len(MOVES))])
    sizes = np.minimum(sizes, CANVAS)
    moves = [(0, 0)] * (len(sizes) - len(MOVES)) + [*MOVES]
    low = np.clip(np.rint(middle - sizes / 2 + moves), 0, CANVAS - sizes)
    return valid(np.concatenate([low, low + sizes], 1))


def remains(tile: np.ndarray, seen: np.ndarray, boxes: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Boxes of one size (width, height) where x̂ uint8 [h, w, 3] is most wrong; int [n, 4]."""
    error = on_canvas((tile.astype(np.float32) - seen) / 255)
    energy = np.square(error, dtype=np.float64).sum(-1)
    inside = np.zeros(energy.shape, bool)
    for box in boxes:
        inside[box_pixels(box, CANVAS, CANVAS)] = True
    energy[inside] *= PAINTED
    found = []
    for _ in range(PLACES):
        low = centred(energy, largest(energy, size), size)
        found.append(np.concatenate([low, low + size]))
        core = np.concatenate([low + size // 4, low + size - size // 4])  # a border may be another object's
        energy[box_pixels(core, CANVAS, CANVAS)] = 0
    return valid(np.array(found))


def centred(energy: np.ndarray, low: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The corner of the box of a size (width, height) about the middle of what the one at ``low`` holds of
    float64 [64, 64]."""
    inside = energy[box_pixels(np.concatenate([low, low + size]), CANVAS, CANVAS)]
    middles = [inside.sum(axis) @ (np.arange(n) + 0.5) / (inside.sum() + 1e-9) for axis, n in enumerate(size)]
    return np.clip(np.rint(low + middles - size / 2), 0, CANVAS - size).astype(int)


def usual_size(tables: Sequence[Table]) -> np.ndarray:
    """Width and height of a box that cost the least, canvas units; int [2]."""
    return np.array([int(table.frequency.argmax()) + 1 for table in tables[:2]])
