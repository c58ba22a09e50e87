"""How the encoder makes a tile's description cheaper: glimpses moved, added and taken away, by exact bits.

The search (search.py) judges glimpses by N log σ, which overrates small sharp errors and ignores faint
digits.  Here each change is judged by the residual network itself.  Boxes are in canvas units, tiles uint8
RGB [h, w, 3], prices as in ``Pricer``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saidcodec.encoder.price import Pricer
from saidcodec.encoder.proposal import latents_in
from saidcodec.encoder.search import energy_of, largest, on_canvas, valid
from saidcodec.entropy.rans import Table
from saidcodec.said import Description, render
from saidcodec.said.description import CANVAS, MOST_GLIMPSES, box_pixels
from saidcodec.said.section import tables_of

MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1), (-1, 1), (1, -1))  # canvas units
PLACES = 3  # of the largest remaining errors, where a glimpse more is tried


def improved(
    pricer: Pricer, tile: np.ndarray, options: Sequence[Description], chosen: Description | None
) -> Description | None:
    """``chosen``, or the best base of ``options`` where none was, with its glimpses refined, completed and
    thinned out; None where nothing at all is cheaper."""
    if chosen is None:
        bases = [option.first(0) for option in options]
        chosen = bases[pricer.cheapest(pricer.rendered(bases))[0]]
    better, price = thinned(pricer, completed(pricer, tile, refined(pricer, tile, chosen)))
    return better if price < pricer.residual(None) else None


def thinned(pricer: Pricer, description: Description) -> tuple[Description, float]:
    """The description without the glimpses that others make needless, and its price."""
    price = pricer.price(description)
    while len(description.boxes):
        fewer = [description.without(i) for i in range(len(description.boxes))]
        i, least = pricer.cheapest(pricer.rendered(fewer))
        if least >= price:
            break
        description, price = fewer[i], least
    return description, price


def refined(pricer: Pricer, tile: np.ndarray, description: Description) -> Description:
    """The description with each box replaced by the best of those about it.

    Exact bits hardly mind a wider or a narrower box, so that the box's own code decides: the usual size is
    the cheapest.
    """
    price, model = pricer.price(description), pricer.model
    for i in range(len(description.boxes)):
        boxes = about(description.boxes[i], tables_of(model).box)
        latents = latents_in(tile, boxes, model)
        options = [description.replaced(i, *glimpse) for glimpse in zip(boxes, latents, strict=True)]
        best, least = pricer.cheapest(pricer.rendered(options))
        if least < price:
            description, price = options[best], least
    return description


def completed(pricer: Pricer, tile: np.ndarray, description: Description) -> Description:
    """The description with glimpses of what it has overlooked, as long as they are worth their bits."""
    price, model = pricer.price(description), pricer.model
    tables = tables_of(model).box
    while len(description.boxes) < MOST_GLIMPSES:
        reconstruction = render(description, model, *tile.shape[1::-1])
        boxes = remains(tile, reconstruction, description.boxes, usual_size(tables))
        better, least = description, price
        for _ in range(2):  # the places, then what lies about the best of them
            if not len(boxes):
                break
            options = [
                description.added(*one) for one in zip(boxes, latents_in(tile, boxes, model), strict=True)
            ]
            i, found = pricer.cheapest(pricer.rendered(options))
            if found < least:
                better, least = options[i], found
            boxes = about(options[i].boxes[-1], tables)
        if better is description:
            break
        description, price = better, least
    return description


def about(box: np.ndarray, tables: Sequence[Table]) -> np.ndarray:
    """Boxes with the middle of ``box`` and other sizes: its own made square or wider, and the most usual,
    which also come a little moved; int [n, 4]."""
    middle, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    sizes = np.array([np.full(2, size.max()), size + 1, size + 2, *([usual_size(tables)] * len(MOVES))])
    sizes = np.minimum(sizes, CANVAS)
    moves = [(0, 0)] * (len(sizes) - len(MOVES)) + [*MOVES]
    low = np.clip(np.rint(middle - sizes / 2 + moves), 0, CANVAS - sizes)
    return valid(np.concatenate([low, low + sizes], 1))


def remains(tile: np.ndarray, reconstruction: np.ndarray, boxes: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Boxes of a size (width, height) where x̂ uint8 [h, w, 3] is most wrong, less so in ``boxes`` int [k, 4];
    int [n, 4], none where it is right."""
    scope = np.ones((CANVAS, CANVAS))
    for box in boxes:
        scope[box_pixels(box, CANVAS, CANVAS)] = 0
    energy = energy_of(on_canvas((tile.astype(np.float32) - reconstruction) / 255), scope)
    found = np.zeros((0, 4), np.int64)
    while len(found) < PLACES and energy.any():
        low = centred(energy, largest(energy, size), size)
        found = np.vstack([found, [*low, *(low + size)]])
        core = np.concatenate([low + size // 4, low + size - size // 4])  # a border may be another object's
        place = box_pixels(core, CANVAS, CANVAS)
        if not energy[place].any():
            break
        energy[place] = 0
    return valid(found)


def centred(energy: np.ndarray, low: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The corner of the box of a size (width, height) about the middle of what the one at ``low`` holds of
    float64 [64, 64], which is not nothing."""
    inside = energy[box_pixels(np.concatenate([low, low + size]), CANVAS, CANVAS)]
    middles = [inside.sum(axis) @ (np.arange(n) + 0.5) / inside.sum() for axis, n in enumerate(size)]
    return np.clip(np.rint(low + middles - size / 2), 0, CANVAS - size).astype(np.int64)


def usual_size(tables: Sequence[Table]) -> np.ndarray:
    """Width and height of a box that cost the least, canvas units; int [2]."""
    return np.array([int(table.frequency.argmax()) + 1 for table in tables[:2]])
