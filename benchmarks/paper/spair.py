"""SPAIR: spatially invariant attend, infer, repeat (Crawford and Pineau, 2019), the paper's table 1.

Cells are looked at one after another, each knowing what its neighbours found.  A cell proposes a box
(z_where), encodes the glimpse in it (z_what), and says how near it is (z_depth) and whether there is an
object at all (z_pres).  A truncated geometric prior on the number of objects, annealed, keeps it small.

What the 3×3 grid of the SAID paper asked for, besides the backbone's strides: sizes are relative to half
the canvas, not to a cell's; the centre may be half a cell outside its cell, as in the original.
The glimpse is 15×15 and its encoder the original's dense layers, as the SAID paper had to choose
(section 4.2); z_what has ten dimensions as in the other models, where that paper gave SPAIR fifty.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import attend
import numpy as np
import torch
from attend import CELLS, GRID, Baseline, Detections
from torch import Tensor, nn

SIDE = 15
LATENTS = 10
FEATURES, HIDDEN = 128, 100
REACH = 0.5  # how far a centre may leave its cell, in cells
ANCHOR = 0.5  # largest box, as a share of the canvas
SIZE_MEAN = float(np.log(attend.OBJECT / (ANCHOR - attend.OBJECT)))
SIZE_DEVIATION = 0.5
SPREAD = -2.0  # log deviation of the posteriors to begin with
DEVIATION = 0.15  # of the likelihood, pixels in 0..1
TEMPERATURE = 1.0
COUNT_SHARE = 0.3  # of the schedule, in which the count prior goes from uniform to its end
COUNT_END = 0.0125  # log odds of one more object
DEPTH, PRESENT, WHAT = slice(4, 5), slice(5, 6), slice(6, None)  # z_where comes first
OBJECT_SIZE = 6 + LATENTS
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1))  # rows and columns from a cell to what it knows


class CountPrior:
    """Truncated geometric prior on the number of objects, told cell by cell."""

    def __init__(self, n: int, share: float) -> None:
        log_odds = 10.0 ** attend.ramp(share, 0.0, COUNT_SHARE, 2.0, float(np.log10(COUNT_END)))
        more = torch.sigmoid(torch.tensor(log_odds))
        self.counts = torch.arange(CELLS + 1.0)
        weight = more**self.counts
        self.chance = (weight / weight.sum()).expand(n, -1)  # [n, 10], given the cells so far
        self.found = torch.zeros(n, 1)
        self.left = CELLS

    def next(self) -> Tensor:
        """Probability that the next cell has an object, [n, 1]."""
        return (self.chance * self.each()).sum(1, keepdim=True)

    def each(self) -> Tensor:
        """The same if the final count were known, [n, 10]."""
        return ((self.counts - self.found) / self.left).clamp(0.0, 1.0)

    def tell(self, present: Tensor) -> None:
        """Take note of the next cell, 0 or 1, [n, 1]."""
        each = self.each()
        chance = self.chance * torch.where(present > 0.5, each, 1.0 - each) + 1e-9
        self.chance = chance / chance.sum(1, keepdim=True)
        self.found = self.found + present
        self.left -= 1


class Looked(NamedTuple):
    """What a cell found; first axes [n], or [n, 9] for all cells."""

    objects: Tensor  # [..., 16]: where, depth, presence, what
    boxes: Tensor  # [..., 4]
    logits: Tensor  # [..., 1], of presence
    presence: Tensor  # [...], cost of presence in nats
    latents: Tensor  # [...], cost of the other latents, weighted by presence


class Spair(Baseline):
    """Grey images [n, 1, 64, 64] → nine objects, in the order of the cells."""

    side = SIDE

    def __init__(self) -> None:
        super().__init__()
        self.backbone = attend.Backbone(FEATURES)
        context = FEATURES + len(NEIGHBOURS) * OBJECT_SIZE
        self.box = attend.mlp(context, HIDDEN, HIDDEN, 8)
        self.encoder = attend.mlp(SIDE * SIDE, 256, 128, 2 * LATENTS)
        self.depth = attend.mlp(context + 4 + LATENTS, HIDDEN, HIDDEN, 2)
        self.presence = attend.mlp(context + 5 + LATENTS, HIDDEN, HIDDEN, 1)
        self.decoder = attend.mlp(LATENTS, 128, 256, 2 * SIDE * SIDE)
        self.edge = nn.Parameter(torch.zeros(OBJECT_SIZE))  # stands for neighbours beyond the border
        self.register_buffer("corner", attend.cell_corners())
        attend.begin(self.box, torch.tensor([0.0, 0.0, SIZE_MEAN, SIZE_MEAN] + [SPREAD] * 4))
        attend.begin(self.depth, torch.tensor([0.0, SPREAD]))
        attend.begin(self.presence, torch.tensor([2.0]))
        start = torch.tensor([2.0, -3.0]).view(2, 1, 1)  # opaque and dark: harmless until it knows better
        self.register_buffer("start", start)

    corner: Tensor
    start: Tensor

    def encode(self, glimpses: Tensor) -> Tensor:
        """The mean of z_what of glimpses [m, 1, 15, 15], [m, 10]."""
        return self.what(glimpses)[0]

    def what(self, glimpses: Tensor) -> tuple[Tensor, Tensor]:
        return attend.gaussian(self.encoder(glimpses.flatten(1)))

    def decode(self, latents: Tensor) -> Tensor:
        """z_what [..., 10] → opacity and shade [..., 2, 15, 15] in 0..1."""
        logits: Tensor = self.decoder(latents)
        return torch.sigmoid(logits.view(*latents.shape[:-1], 2, SIDE, SIDE) + self.start)

    def place(self, where: Tensor, cell: int) -> Tensor:
        """z_where [n, 4] of a cell → boxes [n, 4]."""
        shift = torch.sigmoid(where[:, :2]) * (1.0 + 2.0 * REACH) - REACH
        return torch.cat([self.corner[cell] + shift / GRID, ANCHOR * torch.sigmoid(where[:, 2:])], 1)

    def context(self, features: Tensor, objects: list[Tensor], cell: int) -> Tensor:
        """A cell's features and the latents of the neighbours already seen, [n, 128 + 4 · 16]."""
        row, column = divmod(cell, GRID)
        parts = [features[:, :, row, column]]
        for down, right in NEIGHBOURS:
            y, x = row + down, column + right
            inside = y >= 0 and 0 <= x < GRID
            parts.append(objects[y * GRID + x] if inside else self.edge.expand(len(features), -1))
        return torch.cat(parts, 1)

    def look(self, images: Tensor, context: Tensor, prior: CountPrior, cell: int) -> Looked:
        """What one cell finds, given its context [n, 192]; samples in training, means in evaluation."""
        draw = attend.draw if self.training else attend.most_likely
        at, at_spread = attend.gaussian(self.box(context))
        where = draw(at, at_spread)
        box = self.place(where, cell)
        seen, seen_spread = self.what(attend.crop(images, box[:, None], SIDE)[:, 0])
        what = draw(seen, seen_spread)
        near, near_spread = attend.gaussian(self.depth(torch.cat([context, where, what], 1)))
        depth = draw(near, near_spread)
        logit = self.presence(torch.cat([context, where, what, depth], 1)).clamp(-8.0, 8.0)
        present = attend.concrete(logit, TEMPERATURE) if self.training else (logit > 0.0).float()
        cost = (
            attend.normal_cost(at[:, :2], at_spread[:, :2], 0.0, 1.0).sum(1)
            + attend.normal_cost(at[:, 2:], at_spread[:, 2:], SIZE_MEAN, SIZE_DEVIATION).sum(1)
            + attend.normal_cost(seen, seen_spread, 0.0, 1.0).sum(1)
            + attend.normal_cost(near, near_spread, 0.0, 1.0).sum(1)
        )
        presence = attend.presence_cost(logit, prior.next())[:, 0]
        prior.tell((present.detach() > 0.5).float())
        return Looked(torch.cat([where, depth, present, what], 1), box, logit, presence, present[:, 0] * cost)

    def infer(self, images: Tensor, share: float) -> Looked:
        """All nine cells, one after the other; every part of the result gains a second axis of 9."""
        features = self.backbone(images)
        prior = CountPrior(len(images), share)
        cells: list[Looked] = []
        for cell in range(CELLS):
            context = self.context(features, [each.objects for each in cells], cell)
            cells.append(self.look(images, context, prior, cell))
        return Looked(*(torch.stack(column, 1) for column in zip(*cells, strict=True)))

    def render(self, objects: Tensor, boxes: Tensor) -> Tensor:
        """The image that objects [n, 9, 16] in boxes [n, 9, 4] make on black, [n, 1, 64, 64]."""
        opacity, shade = self.decode(objects[..., WHAT]).chunk(2, 2)
        present, nearness = (objects[..., part, None, None] for part in (PRESENT, DEPTH))
        coverage, colour = attend.compose(opacity * present, shade, torch.sigmoid(nearness), boxes)
        return coverage * colour

    def reconstruct(self, images: Tensor) -> Tensor:
        """What the objects found in images [n, 1, 64, 64] draw, [n, 1, 64, 64]."""
        found = self.infer(images, 1.0)
        return self.render(found.objects, found.boxes)

    def loss(self, images: Tensor, share: float) -> tuple[Tensor, dict[str, float]]:
        found = self.infer(images, share)
        error = (images - self.render(found.objects, found.boxes)).square().flatten(1).sum(1)
        fit = (error / (2.0 * DEVIATION**2)).mean()
        presence, latents = found.presence.sum(1).mean(), found.latents.sum(1).mean()
        figures = {
            "fit": float(fit.detach()),
            "presence": float(presence.detach()),
            "latents": float(latents.detach()),
            "objects": float(found.objects[..., PRESENT].detach().sum((1, 2)).mean()),
            "size": float(found.boxes[..., 2:].detach().mean()) * attend.CANVAS,
        }
        return fit + presence + latents, figures


def train(
    images: attend.Batches,
    checkpoint: Path,
    steps: int,
    seed: int,
    log: Callable[[str], None] = print,
) -> Spair:
    """Train for ``steps`` steps on uint8 batches [n, 64, 64, 3]; continues ``checkpoint`` if it exists."""
    torch.manual_seed(seed)
    model = Spair()
    attend.fit(model, images, checkpoint, steps, seed, 1e-3, log)
    return model


@torch.no_grad()
def detect(model: Spair, images: np.ndarray) -> list[Detections]:
    """Nine detections for each of uint8 images [n, 64, 64, 3]: boxes [9, 4] in canvas pixels, confidences
    [9] and z_what [9, 10].

    The confidence is the probability of presence.  Those above 0.5 are the objects to count; the others
    are kept because average precision asks for a ranking.
    """
    model.eval()
    found = model.infer(attend.grey(images), 1.0)
    boxes = attend.corners(found.boxes).numpy()
    chances = torch.sigmoid(found.logits[..., 0]).numpy()
    return list(zip(boxes, chances, found.objects[..., WHAT].numpy(), strict=True))
