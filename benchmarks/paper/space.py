"""SPACE: spatial attention and decomposition (Lin et al., 2020), the paper's table 1.

All cells are looked at in parallel: each proposes a box (z_where), says how near it is (z_depth) and
whether there is an object (z_pres), and encodes the glimpse in its box (z_what).  A background of a few
components explains the rest; a pixel's likelihood is the mixture of foreground and components.

What the 3×3 grid of the SAID paper asked for: the backbone's strides only; a box's centre may be a whole
cell away from its cell's middle, as in the original.  Glimpses are 8×8 with SAID's own encoder, as the
SAID paper gave it (section 4.2).  The original's boundary loss is left out: digits fit in their boxes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import attend
import numpy as np
import torch
from attend import CANVAS, CELLS, GRID, Baseline, Detections
from torch import Tensor, nn
from torch.nn import functional

from saidcodec.training import networks

SIDE = 8
LATENTS = 10
FEATURES, HIDDEN = 128, 128
SIZE_MEAN = float(np.log(attend.OBJECT / (1.0 - attend.OBJECT)))
SIZE_DEVIATION = 0.3
SPREAD = -2.0  # log deviation of the posteriors to begin with
DEVIATION = 0.15  # of foreground and background, pixels in 0..1
TEMPERATURE_SHARE = 0.4  # of the schedule, in which the temperature of presences falls
TEMPERATURES = (2.5, 0.5)
PRIOR_SHARE = 0.4  # of the schedule, in which the prior of presence falls
PRIORS = (0.1, 0.01)
FIXED_SHARE = 0.05  # of the schedule, in which every pixel is foreground with FIXED_ALPHA
FIXED_ALPHA = 0.1
COMPONENTS = 2
MASK_LATENTS, COMPONENT_LATENTS, STATE = 8, 8, 32


class Canvas(nn.Module):
    """Latents [m, d] → a map [m, 1, 64, 64]: sub-pixel convolutions, as in the strong component decoder."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(latents, 64 * 4),
            nn.ReLU(),
            nn.Unflatten(1, (64, 2, 2)),
            nn.Conv2d(64, 16 * 16, 1),
            nn.PixelShuffle(4),
            nn.ReLU(),
            nn.Conv2d(16, 8 * 16, 3, padding=1),
            nn.PixelShuffle(4),
            nn.ReLU(),
            nn.Conv2d(8, 4, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, latents: Tensor) -> Tensor:
        drawn: Tensor = self.layers(latents)
        return drawn


def summary(channels: int, outputs: int) -> nn.Sequential:
    """Maps [m, channels, 64, 64] → [m, outputs]."""
    return nn.Sequential(
        nn.AvgPool2d(2),
        nn.Conv2d(channels, 16, 4, stride=4),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 16, 64),
        nn.ReLU(),
        nn.Linear(64, outputs),
    )


class Background(nn.Module):
    """K components with masks that share out the canvas (Genesis's inference, as SPACE took it).

    Mask latents are inferred and predicted one after another by recurrent networks; a component's latents
    are inferred from the image and its mask, and predicted from its mask's latents.
    """

    def __init__(self) -> None:
        super().__init__()
        self.image = summary(1, 64)
        self.infer_masks = nn.LSTMCell(64 + MASK_LATENTS, STATE)
        self.predict_masks = nn.LSTMCell(MASK_LATENTS, STATE)
        self.posterior = nn.Linear(STATE, 2 * MASK_LATENTS)
        self.prior = nn.Linear(STATE, 2 * MASK_LATENTS)
        self.mask = Canvas(MASK_LATENTS)
        self.component = summary(2, 2 * COMPONENT_LATENTS)
        self.component_prior = attend.mlp(MASK_LATENTS, STATE, 2 * COMPONENT_LATENTS)
        self.shade = Canvas(COMPONENT_LATENTS)

    def masks(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log masks [n, K, 64, 64] by stick breaking, mask latents [n, K, d], cost in nats [n]."""
        seen = self.image(images)
        latents = [images.new_zeros(len(images), MASK_LATENTS)]
        inferred = predicted = None
        cost = images.new_zeros(len(images))
        for _ in range(COMPONENTS):
            inferred = self.infer_masks(torch.cat([seen, latents[-1]], 1), inferred)
            predicted = self.predict_masks(latents[-1], predicted)
            mean, spread = attend.gaussian(self.posterior(inferred[0]))
            cost = cost + attend.normal_cost(mean, spread, *attend.gaussian(self.prior(predicted[0]))).sum(1)
            latents.append(attend.draw(mean, spread) if self.training else mean)
        found = torch.stack(latents[1:], 1)
        logits = self.mask(found[:, :-1].flatten(0, 1)).view(len(images), -1, CANVAS, CANVAS)
        left = functional.pad(functional.logsigmoid(-logits).cumsum(1), (0, 0, 0, 0, 1, 0))
        taken = functional.pad(functional.logsigmoid(logits), (0, 0, 0, 0, 0, 1))
        return left + taken, found, cost

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log masks and shades of the components, [n, K, 64, 64] each, and their cost in nats [n]."""
        masks, mask_latents, cost = self.masks(images)
        masked = torch.stack([images.expand(-1, COMPONENTS, -1, -1), masks.exp()], 2)
        mean, spread = attend.gaussian(self.component(masked.flatten(0, 1)))
        prior = attend.gaussian(self.component_prior(mask_latents.flatten(0, 1)))
        cost = cost + attend.normal_cost(mean, spread, *prior).sum(1).view(-1, COMPONENTS).sum(1)
        latents = attend.draw(mean, spread) if self.training else mean
        shades = torch.sigmoid(self.shade(latents) - 1.0).view(-1, COMPONENTS, CANVAS, CANVAS)
        return masks, shades, cost


class Objects(NamedTuple):
    """What the foreground found; costs are in nats."""

    boxes: Tensor  # [n, 9, 4]
    what: Tensor  # [n, 9, 10]
    logits: Tensor  # [n, 9], of presence
    present: Tensor  # [n, 9]
    depth: Tensor  # [n, 9]
    latents: Tensor  # [n, 9], cost of all but presence, weighted by presence


class GlimpseDecoder(nn.Module):
    """z_what [m, 10] → opacity and shade [m, 2, 8, 8] in 0..1; layers as in SAID's decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Sequential(nn.Linear(LATENTS, 128), nn.ReLU(), nn.Linear(128, 512), nn.ReLU())
        self.layers = nn.Sequential(
            nn.Unflatten(1, (32, 4, 4)),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(32, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.ReLU(),
        )
        self.last = nn.Conv2d(16, 2, 3, padding=1)
        self.register_buffer("start", torch.tensor([2.0, -3.0])[:, None, None])  # opaque, dark: harmless

    start: Tensor

    def forward(self, latents: Tensor) -> Tensor:
        return torch.sigmoid(self.last(self.layers(self.dense(latents))) + self.start)


class Foreground(nn.Module):
    """Grey images [n, 1, 64, 64] → nine objects."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = attend.Backbone(FEATURES)
        self.lateral = nn.Conv2d(FEATURES, FEATURES, 3, padding=1)
        self.heads = attend.mlp(FEATURES, HIDDEN, 8 + 2 + 1)
        self.encoder = networks.Encoder(SIDE)
        self.decoder = GlimpseDecoder()
        attend.he(self.encoder)
        attend.he(self.decoder)
        self.register_buffer("corner", attend.cell_corners())
        where = [0.0, 0.0, SIZE_MEAN, SIZE_MEAN, *[SPREAD] * 4]
        attend.begin(self.heads, torch.tensor([*where, 0.0, SPREAD, 1.0]))

    corner: Tensor

    def what(self, glimpses: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of z_what of glimpses [m, 1, 8, 8], [m, 10] each."""
        mean, log_variance = self.encoder(glimpses.expand(-1, 3, -1, -1))
        return mean, torch.exp(0.5 * log_variance)

    def place(self, where: Tensor) -> Tensor:
        """z_where [n, 9, 4] → boxes [n, 9, 4]."""
        centre = self.corner + (0.5 + torch.tanh(where[..., :2])) / GRID
        return torch.cat([centre, torch.sigmoid(where[..., 2:])], 2)

    def forward(self, images: Tensor, temperature: float) -> Objects:
        features = self.backbone(images)
        features = features + functional.relu(self.lateral(features))
        where, depth, logits = self.heads(features.flatten(2).transpose(1, 2)).split([8, 2, 1], 2)
        draw = attend.draw if self.training else attend.most_likely
        at, at_spread = attend.gaussian(where)
        near, near_spread = attend.gaussian(depth)
        logits = 8.0 * torch.tanh(logits[..., 0] / 8.0)
        present = attend.concrete(logits, temperature) if self.training else (logits > 0.0).float()
        boxes = self.place(draw(at, at_spread))
        seen, seen_spread = self.what(attend.crop(images, boxes, SIDE).flatten(0, 1))
        cost = (
            attend.normal_cost(at[..., :2], at_spread[..., :2], 0.0, 1.0).sum(2)
            + attend.normal_cost(at[..., 2:], at_spread[..., 2:], SIZE_MEAN, SIZE_DEVIATION).sum(2)
            + attend.normal_cost(near, near_spread, 0.0, 1.0).sum(2)
            + attend.normal_cost(seen, seen_spread, 0.0, 1.0).sum(1).view(-1, CELLS)
        )
        what = draw(seen, seen_spread).view(-1, CELLS, LATENTS)
        return Objects(boxes, what, logits, present, draw(near, near_spread)[..., 0], present * cost)

    def render(self, objects: Objects) -> tuple[Tensor, Tensor]:
        """Coverage and shade of the canvas, [n, 1, 64, 64] each."""
        drawn = self.decoder(objects.what.flatten(0, 1)).view(-1, CELLS, 2, SIDE, SIDE)
        opacity, shade = drawn.chunk(2, 2)
        opacity = opacity * objects.present[..., None, None, None]
        nearness = torch.sigmoid(objects.depth)[..., None, None, None]
        return attend.compose(opacity, shade, nearness, objects.boxes)


class Space(Baseline):
    """Foreground and background of grey images [n, 1, 64, 64]."""

    side = SIDE

    def __init__(self) -> None:
        super().__init__()
        self.foreground = Foreground()
        self.background = Background()

    def encode(self, glimpses: Tensor) -> Tensor:
        """The mean of z_what of glimpses [m, 1, 8, 8], [m, 10]."""
        mean, _ = self.foreground.what(glimpses)
        return mean

    def reconstruct(self, images: Tensor) -> Tensor:
        """The canvas that objects and background draw, [n, 1, 64, 64]."""
        coverage, colour = self.foreground.render(self.foreground(images, TEMPERATURES[1]))
        masks, shades, _ = self.background(images)
        behind = (masks.exp() * shades).sum(1, keepdim=True)
        canvas: Tensor = coverage * colour + (1.0 - coverage) * behind
        return canvas

    def loss(self, images: Tensor, share: float) -> tuple[Tensor, dict[str, float]]:
        objects = self.foreground(images, attend.ramp(share, 0.0, TEMPERATURE_SHARE, *TEMPERATURES))
        coverage, colour = self.foreground.render(objects)
        if share < FIXED_SHARE:
            coverage = torch.full_like(coverage, FIXED_ALPHA)
        masks, shades, behind = self.background(images)
        fit = misfit(images, coverage, colour, masks, shades).mean()
        prior = torch.tensor(attend.ramp(share, 0.0, PRIOR_SHARE, *PRIORS))
        presence = attend.presence_cost(objects.logits, prior).sum(1).mean()
        latents, behind = objects.latents.sum(1).mean(), behind.mean()
        figures = {
            "fit": float(fit.detach()),
            "presence": float(presence.detach()),
            "latents": float(latents.detach()),
            "background": float(behind.detach()),
            "objects": float(objects.present.detach().sum(1).mean()),
            "size": float(objects.boxes[..., 2:].detach().mean()) * CANVAS,
        }
        return fit + presence + latents + behind, figures


def misfit(images: Tensor, coverage: Tensor, colour: Tensor, masks: Tensor, shades: Tensor) -> Tensor:
    """-log of the mixture's likelihood up to a constant, in nats [n]."""
    coverage = coverage.clamp(1e-4, 1.0 - 1e-4)
    front = coverage.log() - (images - colour).square() / (2.0 * DEVIATION**2)
    back = torch.log1p(-coverage) + masks - (images - shades).square() / (2.0 * DEVIATION**2)
    return -torch.cat([front, back], 1).logsumexp(1).flatten(1).sum(1)


def train(
    images: attend.Batches,
    checkpoint: Path,
    steps: int,
    seed: int,
    log: Callable[[str], None] = print,
) -> Space:
    """Train for ``steps`` steps on uint8 batches [n, 64, 64, 3]; continues ``checkpoint`` if it exists."""
    torch.manual_seed(seed)
    model = Space()
    attend.fit(model, images, checkpoint, steps, seed, 1e-3, log)
    return model


@torch.no_grad()
def detect(model: Space, images: np.ndarray) -> list[Detections]:
    """Nine detections for each of uint8 images [n, 64, 64, 3]: boxes [9, 4] in canvas pixels, confidences
    [9] and z_what [9, 10].

    The confidence is the probability of presence.  Those above 0.5 are the objects to count; the others
    are kept because average precision asks for a ranking.
    """
    model.eval()
    objects = model.foreground(attend.grey(images), TEMPERATURES[1])
    boxes = attend.corners(objects.boxes).numpy()
    return list(zip(boxes, torch.sigmoid(objects.logits).numpy(), objects.what.numpy(), strict=True))
