"""What SPAIR and SPACE share: glimpses and pasting, priors and their costs, and the training loop.

Boxes are (centre x, centre y, width, height) as shares of the canvas, [n, k, 4]; images are grey,
float [n, 1, 64, 64] in 0..1; costs are in nats, as in both papers.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

CANVAS = 64
GRID = 3
CELLS = GRID * GRID
OBJECT = 15.0 / CANVAS  # side of an object that both priors expect
CHECKPOINT_SECONDS = 60.0
WARM_UP = 200  # steps over which the learning rate rises
COOL_DOWN = 0.25  # last share of the time, over which it falls
LOG_EVERY = 200
Batches = Callable[[np.random.Generator], Iterator[np.ndarray]]
Detections = tuple[np.ndarray, np.ndarray, np.ndarray]  # boxes [k, 4], confidences [k], latents [k, d]


def grey(images: np.ndarray) -> Tensor:
    """uint8 [n, 64, 64, 3], channels equal → float [n, 1, 64, 64] in 0..1."""
    return torch.from_numpy(images[..., 0].astype(np.float32))[:, None] / 255.0


def cell_corners() -> Tensor:
    """Upper left corner of each cell as shares of the canvas, row by row, [9, 2] as (x, y)."""
    line = torch.arange(GRID) / GRID
    return torch.stack([line.repeat(GRID), line.repeat_interleave(GRID)], 1)


def sampling(centre: Tensor, size: Tensor, side: int) -> Tensor:
    """Weights [..., side, 64] that read ``side`` samples of a box; centre and size [...].

    Each sample is the mean of two bilinear readings, so that a large box does not skip pixels.
    """
    share = (torch.arange(2 * side) + 0.5) / (2 * side) - 0.5
    place = (centre[..., None] + share * size[..., None]) * CANVAS - 0.5
    hat = (1.0 - (place[..., None] - torch.arange(float(CANVAS))).abs()).clamp_min(0.0)
    return hat.view(*centre.shape, side, 2, CANVAS).mean(-2)


def pasting(centre: Tensor, size: Tensor, side: int) -> Tensor:
    """Weights [..., 64, side] that draw ``side`` samples of a box on the canvas; 0 outside it."""
    pixels = (torch.arange(CANVAS) + 0.5) / CANVAS
    place = ((pixels - centre[..., None]) / size[..., None] + 0.5) * side - 0.5
    return (1.0 - (place[..., None] - torch.arange(float(side))).abs()).clamp_min(0.0)


def crop(images: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Glimpses [n, k, 1, side, side] of images [n, 1, 64, 64]; differentiable in the boxes [n, k, 4]."""
    across = sampling(boxes[..., 0], boxes[..., 2], side)
    down = sampling(boxes[..., 1], boxes[..., 3], side)
    n, k = boxes.shape[:2]
    rows = (down.reshape(n, k * side, CANVAS) @ images[:, 0]).reshape(n, k, side, CANVAS)
    return (rows @ across.transpose(-1, -2))[:, :, None]


def paste(glimpses: Tensor, boxes: Tensor) -> Tensor:
    """The sum over k of glimpses [n, k, c, side, side] drawn where their boxes are, [n, c, 64, 64].

    One product draws and adds all k, so that no canvas of its own is needed for each.
    """
    n, k, c, side, _ = glimpses.shape
    across = pasting(boxes[..., 0], boxes[..., 2], side)[:, :, None]
    down = pasting(boxes[..., 1], boxes[..., 3], side)  # [n, k, 64, side]
    rows = (glimpses @ across.transpose(-1, -2)).transpose(1, 2).reshape(n, c, k * side, CANVAS)
    return down.transpose(1, 2).reshape(n, 1, CANVAS, k * side) @ rows


def compose(opacity: Tensor, shade: Tensor, nearness: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Coverage and colour of the canvas, [n, 1, 64, 64] each, from glimpses [n, k, 1, side, side].

    Where objects overlap, colours mix by opacity times nearness (the papers' soft order of depth), and
    opacities add up to at most 1.
    """
    weight = opacity * nearness
    maps = paste(torch.cat([opacity, weight, weight * shade], 2), boxes)
    coverage, total, painted = maps.chunk(3, 1)
    return coverage.clamp_max(1.0), painted / (total + 1e-4)


def corners(boxes: Tensor) -> Tensor:
    """Boxes [..., 4] as (x0, y0, x1, y1) in canvas pixels, cut to the canvas."""
    half = boxes[..., 2:] / 2
    return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], -1).clamp(0.0, 1.0) * CANVAS


def of_corners(boxes: Tensor) -> Tensor:
    """(x0, y0, x1, y1) in canvas pixels → centres and sizes as shares of the canvas."""
    low, high = boxes[..., :2] / CANVAS, boxes[..., 2:] / CANVAS
    return torch.cat([(low + high) / 2, high - low], -1)


def gaussian(parameters: Tensor) -> tuple[Tensor, Tensor]:
    """The two halves of a layer's output as mean and deviation."""
    mean, raw = parameters.chunk(2, -1)
    return mean, torch.exp(raw.clamp(-6.0, 1.0))


def draw(mean: Tensor, deviation: Tensor) -> Tensor:
    """A reparameterised sample."""
    return mean + deviation * torch.randn_like(mean)


def most_likely(mean: Tensor, deviation: Tensor) -> Tensor:
    """What evaluation takes instead of a sample."""
    return mean


def normal_cost(
    mean: Tensor, deviation: Tensor, prior_mean: Tensor | float, prior_deviation: Tensor | float
) -> Tensor:
    """KL of normals to their priors, elementwise."""
    ratio = (deviation / prior_deviation).square()
    return 0.5 * (ratio + ((mean - prior_mean) / prior_deviation).square() - 1.0 - ratio.log())


def presence_cost(logit: Tensor, prior: Tensor) -> Tensor:
    """KL(Bernoulli(sigmoid(logit)) ‖ Bernoulli(prior)), elementwise."""
    present = torch.sigmoid(logit)
    log_yes, log_no = nn.functional.logsigmoid(logit), nn.functional.logsigmoid(-logit)
    prior = prior.clamp(1e-6, 1.0 - 1e-6)
    return present * (log_yes - prior.log()) + (1.0 - present) * (log_no - torch.log1p(-prior))


def concrete(logit: Tensor, temperature: float) -> Tensor:
    """A sample of the relaxed Bernoulli distribution (both papers' z_pres)."""
    uniform = torch.rand_like(logit).clamp(1e-6, 1.0 - 1e-6)
    return torch.sigmoid((logit + uniform.log() - torch.log1p(-uniform)) / temperature)


def ramp(share: float, begin: float, end: float, low: float, high: float) -> float:
    """``low`` until ``begin`` of the schedule, ``high`` from ``end`` on, linear between."""
    along = min(max((share - begin) / (end - begin), 0.0), 1.0)
    return low + along * (high - low)


def mlp(*sizes: int) -> nn.Sequential:
    """Dense layers with ReLU between them."""
    layers: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        layers += [nn.ReLU()] * (i > 0) + [nn.Linear(inputs, outputs)]
    return nn.Sequential(*layers)


def he(network: nn.Module) -> None:
    """He's initialisation of every layer: torch's own shrinks what passes several layers with ReLU, and
    the latents of glimpses then mean nothing for the first thousands of steps."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


def begin(network: nn.Sequential, bias: Tensor) -> None:
    """Let a network answer ``bias`` [outputs], whatever it is shown, until it has learnt."""
    last = network[-1]
    assert isinstance(last, nn.Linear)
    nn.init.normal_(last.weight, std=0.01)
    with torch.no_grad():
        last.bias.copy_(bias)


class Backbone(nn.Module):
    """Grey image [n, 1, 64, 64] → features of the 3×3 cells, [n, features, 3, 3].

    64 pixels are no multiple of three cells: the first stride of 3 leaves 21×21, of which a cell is 7×7.
    The last kernel sees 45 pixels, as far as a cell's box may move.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, features, 15, stride=7, padding=4),
            nn.ReLU(),
        )
        he(self)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers(images)
        return features


class Baseline(nn.Module):
    """A model of glimpses that ``fit`` can train."""

    side: int  # of a glimpse

    def loss(self, images: Tensor, share: float) -> tuple[Tensor, dict[str, float]]:
        """Negative evidence bound of grey images, in nats an image, ``share`` of the schedule done;
        and figures for the log."""
        raise NotImplementedError

    def encode(self, glimpses: Tensor) -> Tensor:
        """The mean of z_what of glimpses [m, 1, side, side], [m, d]; differentiable.

        Glimpses of boxes in canvas pixels are ``crop(images, of_corners(boxes), side).flatten(0, 1)``.
        """
        raise NotImplementedError

    def restore(self, checkpoint: Path) -> None:
        """Take the weights that ``fit`` wrote."""
        self.load_state_dict(torch.load(checkpoint, weights_only=True)["model"])


def fit(
    model: Baseline,
    images: Batches,
    checkpoint: Path,
    steps: int,
    seed: int,
    rate: float,
    log: Callable[[str], None],
) -> None:
    """Adam on uint8 batches [n, 64, 64, 3] for ``steps`` steps, all runs of ``checkpoint`` together."""
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    step = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    source = images(np.random.default_rng((seed, step)))
    torch.manual_seed(seed + step)
    sums: dict[str, float] = {}
    last = time.monotonic()

    def write() -> None:
        state = {
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "step": step,
        }
        part = checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(checkpoint)

    while (share := step / steps) < 1.0:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / WARM_UP, (1.0 - share) / COOL_DOWN + 0.02)
        loss, figures = model.loss(grey(next(source)), share)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 500.0)
        optimiser.step()
        step += 1
        sums = {name: sums.get(name, 0.0) + value for name, value in figures.items()}
        if step % LOG_EVERY == 0:
            told = " ".join(f"{name} {value / LOG_EVERY:.2f}" for name, value in sums.items())
            log(f"step {step} share {share:.3f} {told}")
            sums.clear()
        if time.monotonic() - last > CHECKPOINT_SECONDS:
            last = time.monotonic()
            write()
    write()
