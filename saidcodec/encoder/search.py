"""The glimpse loop of the encoder: where to look, and whether it pays (paper section 3).

It serves where exact bits are not at hand or not wanted: large images, files with bounded errors or a given
number of glimpses, the Gaussian residual and none.  Elsewhere ``refine`` finds glimpses by exact bits.

Nothing here is part of the format.  The paper takes the one box that its glimpse network proposes.  The
format does not care where a box came from, so each iteration also tries boxes around that proposal and
around the largest errors, and keeps the one that saves the most bits by the paper's account: N log σ of the
residual less the bits of box and latent.  Where a residual follows, each of its components has a σ of its
own; the paper has one for red, green and blue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from saidcodec.encoder.crop import crop
from saidcodec.encoder.proposal import encode_patches, propose
from saidcodec.format import colour
from saidcodec.models import Model
from saidcodec.said import base
from saidcodec.said.description import CANVAS, LATENTS, Description, box_pixels
from saidcodec.said.latent import latent_bits, quantise
from saidcodec.said.painter import blend, paste, patch_side, patches
from saidcodec.said.section import box_bits, tables_of

TOGETHER = 16  # tiles that go through the networks at once
FINEST = 0  # the step of the base whose error map the glimpse network was trained on
SHIFTS = ((0, 0), (-3, 0), (3, 0), (0, -3), (0, 3))  # of the proposed box, in canvas units
PEAK_SIDES = (10, 14, 18, 26)  # boxes tried around the largest errors
PAINTED = 0.25  # what errors weigh where a glimpse has been
ROUNDS = 2  # of looking at the neighbours of the best box so far
SIDE_MOVES, BOX_MOVES = (-1, 1), (-2, 2)  # what makes a neighbour: one side moved, the whole box moved
SHORTENINGS = 2  # latents of the chosen box that may be brought a step nearer to zero
SMALLEST_BOX = 4  # canvas units
NOISE = 1.0  # variance of a component that no glimpse is credited with explaining


def describe(
    tiles: Sequence[np.ndarray],
    grey: bool,
    model: Model,
    limit: int,
    steps: Sequence[int],
    forced: bool = False,
    over: Sequence[int] = (),
    pooled: bool = False,
) -> list[list[Description]]:
    """For each tile, uint8 RGB [h, w, 3], descriptions with up to ``limit`` glimpses: one per step of the
    base for each search.

    ``forced`` goes on to ``limit`` although glimpses do not pay, with the least bad ones.  The latents say
    what is in a box, whatever was painted before, so glimpses that were searched over one base serve all;
    ``over`` are the steps of the bases that are searched over, by default the coarsest of ``steps``.
    ``pooled``: see ``Easel``.
    """
    described: list[list[Description]] = []
    for first in range(0, len(tiles), TOGETHER):
        group = tiles[first : first + TOGETHER]
        cells = [base.cells(tile) for tile in group]
        bases = [[base.quantise(cell, step, grey) for step in steps] for cell in cells]
        described += [[] for _ in group]
        for searched in over or (max(steps),):
            glimpses: list[list[Glimpse]] = [[] for _ in group]
            if limit:
                easels = [Easel(*one, grey, searched, pooled) for one in zip(group, cells, strict=True)]
                paint(easels, model, limit, forced)
                glimpses = [easel.glimpses for easel in easels]
            for options, own, taken in zip(described[first:], bases, glimpses, strict=True):
                boxes = np.array([glimpse.box for glimpse in taken], np.int32).reshape(-1, 4)
                latents = np.array([glimpse.latent for glimpse in taken], np.int32).reshape(-1, LATENTS)
                options += [Description(*one, boxes, latents) for one in zip(steps, own, strict=True)]
    return described


@dataclass(frozen=True)
class Glimpse:
    """A box and latent of a tile, the patch they paint, and the bits they save beyond their own."""

    score: float
    box: np.ndarray
    latent: np.ndarray
    patch: np.ndarray


class Easel:
    """One tile in the search: the target, what has been painted, and how.

    ``reconstruction``: x̂(t) over the base that acceptance is judged by; ``finest``: over the finest base.
    ``scope`` float32 [64, 64]: 1 where no glimpse has been.  ``components`` int16 [h, w, n]: what errors are
    counted in, those of the residual, or red, green and blue where none follows (``pooled``).  ``squares``
    int32 [h, w, n]: of the errors of ``reconstruction``.
    """

    def __init__(self, tile: np.ndarray, cell: np.ndarray, grey: bool, step: int, pooled: bool = False):
        """``cell``: means of the tile's cells; ``step`` of the base that acceptance is judged by."""
        height, width = tile.shape[:2]
        self.target, self.grey, self.pooled = tile, grey, pooled
        self.units = tile.astype(np.float32) / 255
        self.reconstruction = base.start(base.quantise(cell, step, grey), step, width, height)
        self.finest = base.start(base.quantise(cell, FINEST, grey), FINEST, width, height)
        self.components = self.counted(tile)
        self.squares = self.errors((slice(None), slice(None)), self.reconstruction)
        self.scope = np.ones((CANVAS, CANVAS), np.float32)
        self.glimpses: list[Glimpse] = []

    def error(self) -> np.ndarray:
        """Δ(t) on the canvas, float32 [64, 64, 3] in -1..1."""
        return on_canvas((self.target - self.finest).astype(np.float32) / 255)

    def counted(self, pixels: np.ndarray) -> np.ndarray:
        """RGB [h, w, 3] in 0..255 → ``components``."""
        if self.pooled and not self.grey:
            return pixels.astype(np.int16)
        planes = colour.forward(pixels)
        return planes[..., :1] if self.grey else planes

    def errors(self, place: tuple[slice, slice], reconstruction: np.ndarray) -> np.ndarray:
        """Squares of what x̂ int32 RGB [h, w, 3] of a place leaves; int32 [h, w, n]."""
        return np.square(self.components[place] - self.counted(reconstruction), dtype=np.int32)

    def gains(self, boxes: np.ndarray, paints: np.ndarray) -> np.ndarray:
        """Bits that each box would save of the residual by N log σ (paper equation 2); float64 [n].

        Each component has a σ of its own, as the Gaussian residual codes them: one for all would be that of
        luma, and hide what a glimpse says of colours.  Without a residual only the picture counts, and one σ
        stands for red, green and blue, as in the paper.
        """
        height, width = self.target.shape[:2]
        total, after = self.squares.sum((0, 1)), []
        for box, patch in zip(boxes, paints, strict=True):
            place = box_pixels(box, width, height)
            left = self.errors(place, blend(self.reconstruction[place], patch))
            after.append(total - self.squares[place].sum((0, 1)) + left.sum((0, 1)))
        before, later, weight = total[None], np.array(after), 1
        if self.pooled:
            weight = len(total)
            before, later = before.mean(1, keepdims=True), later.mean(1, keepdims=True)
        count = height * width
        saved = np.log2((before / count + NOISE) / (later / count + NOISE)).sum(1)
        return np.asarray(0.5 * count * weight * saved)

    def take(self, glimpse: Glimpse) -> None:
        paste(self.reconstruction, glimpse.box, glimpse.patch)
        paste(self.finest, glimpse.box, glimpse.patch)
        place = box_pixels(glimpse.box, *self.target.shape[1::-1])
        self.squares[place] = self.errors(place, self.reconstruction[place])
        x0, y0, x1, y1 = glimpse.box
        self.scope[y0:y1, x0:x1] = 0
        self.glimpses.append(glimpse)


def paint(easels: Sequence[Easel], model: Model, limit: int, forced: bool) -> None:
    """Take glimpses of every tile until they do not pay or there are ``limit`` of them."""
    for _ in range(limit):
        errors, scopes = [easel.error() for easel in easels], [easel.scope for easel in easels]
        proposed = propose(np.stack(errors), np.stack(scopes), model)
        found = best(easels, [around(*one) for one in zip(proposed, errors, scopes, strict=True)], model)
        for _ in range(ROUNDS):
            found = best(easels, [neighbours(glimpse.box) for glimpse in found], model)
        found = [shorten(*one, model) for one in zip(easels, found, strict=True)]
        paying = [
            (easel, glimpse)
            for easel, glimpse in zip(easels, found, strict=True)
            if forced or glimpse.score > 0
        ]
        for easel, glimpse in paying:
            easel.take(glimpse)
        easels = [easel for easel, _ in paying]
        if not easels:
            break


def best(easels: Sequence[Easel], options: Sequence[np.ndarray], model: Model) -> list[Glimpse]:
    """The best of each tile's boxes, int [n, 4] a tile; the networks run once for all of them."""
    tables = tables_of(model)
    side = patch_side(model)
    crops = [crop(easel.units, boxes, side) for easel, boxes in zip(easels, options, strict=True)]
    latents = quantise(encode_patches(np.concatenate(crops), model), model)
    paints = patches(latents, model)
    bits = latent_bits(latents, tables.latent_bits)
    found, end = [], 0
    for easel, boxes in zip(easels, options, strict=True):
        own = slice(end, end := end + len(boxes))
        scores = easel.gains(boxes, paints[own]) - bits[own] - box_bits(boxes, tables)
        i = int(scores.argmax())
        found.append(Glimpse(float(scores[i]), boxes[i], latents[own][i], paints[own][i]))
    return found


def shorten(easel: Easel, glimpse: Glimpse, model: Model) -> Glimpse:
    """The glimpse with a few latents nearer to zero, as long as that makes the description shorter."""
    tables = tables_of(model)
    for _ in range(SHORTENINGS):
        towards = np.diag(np.sign(glimpse.latent))[glimpse.latent != 0]
        if not len(towards):
            break
        latents = glimpse.latent - towards
        boxes, paints = np.repeat(glimpse.box[None], len(latents), 0), patches(latents, model)
        spent = latent_bits(latents, tables.latent_bits) + box_bits(boxes, tables)
        scores = easel.gains(boxes, paints) - spent
        i = int(scores.argmax())
        if scores[i] <= glimpse.score:
            break
        glimpse = Glimpse(float(scores[i]), glimpse.box, latents[i], paints[i])
    return glimpse


def on_canvas(values: np.ndarray) -> np.ndarray:
    """float32 [h, w, 3] → [64, 64, 3] by area."""
    if values.shape[:2] == (CANVAS, CANVAS):
        return values
    channels = [
        np.asarray(Image.fromarray(values[..., c]).resize((CANVAS, CANVAS), Image.Resampling.BOX))
        for c in range(3)
    ]
    return np.stack(channels, -1)


def to_canvas(tile: np.ndarray) -> np.ndarray:
    """A tile uint8 RGB [h, w, 3] → the canvas, uint8 [64, 64, 3]."""
    return np.rint(on_canvas(tile.astype(np.float32))).astype(np.uint8)


def around(proposed: np.ndarray, error: np.ndarray, scope: np.ndarray) -> np.ndarray:
    """Boxes to try: the proposal, the proposal shifted, and boxes where the error is largest."""
    options = [proposed + np.tile(SHIFTS, 2)]
    energy = energy_of(error, scope)
    for side in PEAK_SIDES:
        low = largest(energy, np.array([side, side]))
        options.append(np.concatenate([low, low + side])[None])
    return valid(np.concatenate(options))


def energy_of(error: np.ndarray, scope: np.ndarray) -> np.ndarray:
    """Squares of the error [64, 64, 3], less where a glimpse has been, i.e. ``scope`` [64, 64] is 0;
    float64 [64, 64]."""
    weight = np.where(scope > 0, 1.0, PAINTED)
    return np.asarray(np.square(error, dtype=np.float64).sum(-1) * weight)


def largest(energy: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The corner (x0, y0) of the box of a size (width, height) that holds the most of float64 [64, 64]."""
    width, height = size
    sums = np.pad(energy.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows = sums[height:] - sums[:-height]
    inside = rows[:, width:] - rows[:, :-width]
    y, x = np.unravel_index(int(inside.argmax()), inside.shape)
    return np.array([x, y])


def neighbours(box: np.ndarray) -> np.ndarray:
    """The box, the box with one side moved a little, and the box shifted; int64 [n, 4]."""
    sides = np.eye(4, dtype=np.int64)
    shifts = sides[:2] + sides[2:]
    moved = [move * sides for move in SIDE_MOVES] + [move * shifts for move in BOX_MOVES]
    return valid(box + np.concatenate([np.zeros_like(box)[None], *moved]))


def valid(boxes: np.ndarray) -> np.ndarray:
    """The nearest integer boxes inside the canvas and not too small, each once; int64 [n, 4]."""
    corners = np.rint(boxes).astype(np.int64)
    low = np.clip(corners[:, :2], 0, CANVAS - SMALLEST_BOX)
    high = np.clip(corners[:, 2:], low + SMALLEST_BOX, CANVAS)
    return np.unique(np.concatenate([low, high], 1), axis=0)
