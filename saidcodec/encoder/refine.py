"""How the encoder finds a tile's glimpses where exact bits are affordable: added and taken away by them.

The search (search.py) judges glimpses by N log σ, which overrates small sharp errors and ignores faint
digits.  Here each change is judged by the residual network itself.  Boxes are in canvas units, tiles uint8
RGB [h, w, 3], prices as in ``Pricer``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from saidcodec.encoder.hills import hills
from saidcodec.encoder.price import Pricer
from saidcodec.encoder.proposal import latents_in, means_in, rounded_otherwise
from saidcodec.encoder.regions import regions
from saidcodec.encoder.search import SMALLEST_BOX, energy_of, largest, on_canvas, to_canvas, valid
from saidcodec.entropy.rans import Table
from saidcodec.format.tiling import Place
from saidcodec.models import Model
from saidcodec.said import Description, base, render
from saidcodec.said.description import CANVAS, LATENTS, MOST_GLIMPSES, box_pixels
from saidcodec.said.painter import paste
from saidcodec.said.section import tables_of

# What finds boxes int64 [n, 4] of objects on a canvas, the best first, by a name.  In a model of such objects
# the tensor float32 [1] of that name is the step of the flat base that they lie on.
PROPOSALS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"regions": regions, "hills": hills}
SCALES = (0.6, 1.5, 2.2)  # of the usual size of a box, to look for larger and smaller objects
LITTLE = 3.0  # bits that another width or height may cost more than the usual
MOST_SHIFTS = 4  # of a box towards the middle of what it holds
NUDGES = (-1, 1)  # what a side of a box of a proposal is moved by, canvas units
PLACES = 3  # of the largest remaining errors, where a glimpse more is tried
PROMISING = 16.0  # bits that a box may cost for those about it to be tried, and for it to be tried again
APART = 2  # canvas units between glimpses that are taken together


@dataclass(frozen=True)
class Offer:
    """One more glimpse: its box, latent and patch, and by how many bits it changes the price."""

    more: float
    box: np.ndarray
    latent: np.ndarray
    patch: np.ndarray


def improved(
    pricer: Pricer, tile: np.ndarray, bases: Sequence[Description], proposed: np.ndarray
) -> Description | None:
    """A base with all glimpses that pay; None where nothing at all is cheaper.

    ``proposed``: what ``proposals`` found in the tile.

    Glimpses are found over the coarsest base, which leaves the most to them; another base may be better in
    the end.
    """
    coarsest = max(bases, key=lambda one: one.step)
    whole = completed(pricer, tile, coarsest, proposed)
    if crowded(whole.boxes):
        whole, price = thinned(pricer, whole)
    else:
        price = pricer.price(whole)
    best: Description | None = whole
    for other in [*(whole.over(one) for one in bases if one is not coarsest), None]:
        found = pricer.price_below(other, price)
        if found is not None:
            best, price = other, found
    return best


def tensor_of(proposal: str) -> str:
    """The name of the tensor that a model of objects has which a proposal finds: the step of their base."""
    return f"encoder.{proposal}"


def proposal_of(model: Model) -> str | None:
    """The name of what finds the objects of a model, where anything does."""
    return next((name for name in PROPOSALS if tensor_of(name) in model.tensors), None)


def proposals(model: Model, tile: np.ndarray) -> np.ndarray:
    """Boxes int64 [n, 4] of what a model's proposal finds in a tile, in canvas units; none without one."""
    name = proposal_of(model)
    return valid(PROPOSALS[name](to_canvas(tile)) if name else np.zeros((0, 4), np.int64))


def bases_of(model: Model) -> list[Description]:
    """The bases that a model with a proposal begins with; none of any other model."""
    name = proposal_of(model)
    if name is None:
        return []
    step = int(model.tensors[tensor_of(name)][0])
    boxes, latents = np.zeros((0, 4), np.int32), np.zeros((0, LATENTS), np.int32)
    return [Description(step, base.flat(step), boxes, latents)]


def crowded(boxes: np.ndarray) -> bool:
    """Whether any two of the boxes are so near that one may make the other needless."""
    return not apart(boxes, boxes)[~np.eye(len(boxes), dtype=bool)].all()


def apart(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which pairs of boxes int [n, 4] and [m, 4] have a gap between them; bool [n, m]."""
    gap = np.maximum(boxes[:, None, :2] - others[None, :, 2:], others[None, :, :2] - boxes[:, None, 2:])
    return np.asarray((gap >= APART).any(-1))


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


def completed(
    pricer: Pricer, tile: np.ndarray, description: Description, proposed: np.ndarray
) -> Description:
    """The description with more glimpses, as long as they are worth their bits.

    A round looks where x̂ is most wrong and at what is left of the boxes ``proposed``.  With a proposal it
    then looks about the boxes that promise something.  Glimpses that do not touch each other are taken
    together; the others wait for the next round.  Without a proposal a box may lie between two objects and
    show neither: after a round that took none, the next looks outside all places tried.
    """
    sizes = usual_sizes(tables_of(pricer.model).box)
    fitted = proposal_of(pricer.model) is not None
    waiting = proposed
    pricer.price(description)
    canvas = render(description, pricer.model, *tile.shape[1::-1]).astype(np.int32)
    tried: set[tuple[int, ...]] = set()
    vain = waiting[:0]
    while len(description.boxes) < MOST_GLIMPSES:
        found = np.concatenate([remains(tile, canvas, description.boxes, size, vain) for size in sizes])
        new = [box for box in found if tuple(box.tolist()) not in tried]
        tried.update(tuple(box) for box in found.tolist())
        groups = [box[None] for box in (*waiting, *new)]
        first = offers(pricer, tile, canvas, description, groups)
        promising = np.array([offer.more < PROMISING for offer in first], bool)
        waiting = waiting[promising[: len(waiting)]]
        if fitted:
            groups = [resized(offer.box) for offer in first if offer.more < PROMISING]
            first = offers(pricer, tile, canvas, description, groups)
        first = rounded(pricer, tile, canvas, description, first)
        taken, blocked = 0, []
        best = sorted(first, key=lambda offer: offer.more)
        for offer in best[: MOST_GLIMPSES - len(description.boxes)]:
            latest = description.boxes[len(description.boxes) - taken :]
            if offer.more < 0 and not apart(offer.box[None], latest).all():
                blocked.append(offer.box)
            elif offer.more < 0:
                description = description.added(offer.box, offer.latent)
                paste(canvas, offer.box, offer.patch)
                taken += 1
        if not taken:
            if fitted or len(vain) or not tried:
                break
            waiting, vain = waiting[:0], np.array([*tried], np.int64)
            continue
        vain = vain[:0]
        waiting = np.array([*waiting, *blocked], np.int64).reshape(-1, 4)
        pricer.residual(canvas)
    return description


def offers(
    pricer: Pricer,
    tile: np.ndarray,
    canvas: np.ndarray,
    description: Description,
    groups: Sequence[np.ndarray],
) -> list[Offer]:
    """The best of each group of boxes int [n, 4], as a glimpse more of a description that shows x̂ int32 RGB
    [h, w, 3]; ``pricer`` has priced it."""
    if not groups:
        return []
    latents = latents_in(tile, np.concatenate(groups), pricer.model)
    ends = np.cumsum([len(group) for group in groups])
    return best_of(pricer, canvas, description, groups, np.split(latents, ends[:-1]))


def best_of(
    pricer: Pricer,
    canvas: np.ndarray,
    description: Description,
    boxes: Sequence[np.ndarray],
    latents: Sequence[np.ndarray],
) -> list[Offer]:
    """The best of each group of glimpses, as in ``offers``: of boxes int [n, 4] and latents int [n, 10]."""
    places, codes = np.concatenate(boxes), np.concatenate(latents)
    paints = pricer.patches(codes)
    more = pricer.added(description, canvas, places, codes, paints)
    best, end = [], 0
    for group in boxes:
        i = end + int(more[end : end + len(group)].argmin())
        best.append(Offer(float(more[i]), places[i], codes[i], paints[i]))
        end += len(group)
    return best


def rounded(
    pricer: Pricer, tile: np.ndarray, canvas: np.ndarray, description: Description, found: Sequence[Offer]
) -> list[Offer]:
    """The offers, with the latents of those that pay rounded as it saves the most bits.

    The nearest step serves the patch, not the file.  First single latents are rounded the other way; then
    those that save bits so are together, the best alone, with the next one, and so on.
    """
    paying = [offer for offer in found if offer.more < 0]
    if not paying:
        return [*found]
    boxes = np.stack([offer.box for offer in paying])
    rows, single = rounded_otherwise(means_in(tile, boxes, pricer.model), pricer.model)
    more = pricer.added(description, canvas, boxes[rows], single, pricer.patches(single))
    together = []
    for i, offer in enumerate(paying):
        own = np.nonzero((rows == i) & (more < offer.more))[0]
        own = own[more[own].argsort(kind="stable")]
        changes = (single[own] - offer.latent).cumsum(0)
        together.append(offer.latent + np.concatenate([np.zeros_like(offer.latent)[None], changes]))
    again = [box[None].repeat(len(latents), 0) for box, latents in zip(boxes, together, strict=True)]
    return [
        *(offer for offer in found if offer.more >= 0),
        *best_of(pricer, canvas, description, again, together),
    ]


def resized(box: np.ndarray) -> np.ndarray:
    """The box and others with one side a little moved, which fits what a proposal found; int [n, 4]."""
    sides = np.eye(4, dtype=np.int64)
    boxes = box + np.concatenate([np.zeros((1, 4), np.int64), *(move * sides for move in NUDGES)])
    return valid(boxes)


def remains(
    tile: np.ndarray, reconstruction: np.ndarray, boxes: np.ndarray, size: np.ndarray, vain: np.ndarray
) -> np.ndarray:
    """Boxes of a size (width, height) where x̂ RGB [h, w, 3] is most wrong, less so in ``boxes`` int [k, 4],
    and not inside those ``vain`` int [m, 4]; int [n, 4], none where it is right."""
    scope = np.ones((CANVAS, CANVAS))
    for box in boxes:
        scope[box_pixels(box, CANVAS, CANVAS)] = 0
    energy = energy_of(on_canvas(tile.astype(np.float32) - reconstruction), scope)
    left = energy.copy()
    for box in vain:
        left[box_pixels(box, CANVAS, CANVAS)] = 0
    found: list[np.ndarray] = []
    while len(found) < PLACES and left.any():
        first = largest(left, size)
        low = centred(energy, first, size)
        found.append(np.concatenate([low, low + size]))
        places = core(first, size), core(low, size)
        if not any(left[place].any() for place in places):
            break
        for place in places:
            left[place] = 0
    return valid(np.array(found, np.int64).reshape(-1, 4))


def core(low: np.ndarray, size: np.ndarray) -> Place:
    """The middle of the box of a size at a corner; what lies at its border may be another object's."""
    return box_pixels(np.concatenate([low + size // 4, low + size - size // 4]), CANVAS, CANVAS)


def centred(energy: np.ndarray, low: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The corner of a box of a size (width, height), moved from ``low`` until it lies about the middle of
    what it holds of float64 [64, 64], which is not nothing.

    An object then has the same place in its patch wherever it is, which its latent need not tell.
    """
    for _ in range(MOST_SHIFTS):
        inside = energy[box_pixels(np.concatenate([low, low + size]), CANVAS, CANVAS)]
        middles = [inside.sum(axis) @ (np.arange(n) + 0.5) / inside.sum() for axis, n in enumerate(size)]
        before, low = low, np.clip(np.rint(low + middles - size / 2), 0, CANVAS - size).astype(np.int64)
        if (low == before).all():
            break
    return low


def usual_sizes(tables: Sequence[Table]) -> list[np.ndarray]:
    """Width and height of a box that cost the least, and larger and smaller ones that cost little more;
    canvas units, int [2] each."""
    sides = [table.bits for table in tables[:2]]
    usual = np.array([int(bits.argmin()) + 1 for bits in sides])
    found = [usual]
    for scale in SCALES:
        size = np.rint(usual * scale).astype(np.int64).clip(SMALLEST_BOX, CANVAS)
        if all(bits[n - 1] < bits.min() + LITTLE for bits, n in zip(sides, size, strict=True)):
            found.append(size)
    return found
