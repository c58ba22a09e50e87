"""SAID in torch: the paper's networks, its glimpse loop and its losses (paper section 3).

One iteration looks at the error Δ(t) and the scope, proposes a box, crops it to 8×8, sends the crop
through the VAE and pastes what comes out.  Losses apply after every iteration; no gradient passes to
earlier ones.  ``Settings.search`` adds to the paper's proposal a few more boxes an iteration, keeps the
one that saves the most bits, and teaches the glimpse network to propose it: the paper's principle,
description length without labels, reached in fewer steps than by the gradient of a crop alone.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from saidcodec.training.quantise import (
    HIDDEN_UNIT,
    IntegerConv,
    IntegerLinear,
    activation,
    rounded,
    set_quantised,
)

CANVAS, SIDE, LATENTS = 64, 8, 10
LATENT_UNIT = 32.0  # integer steps of the decoder's input in one latent unit
LATENT_MAX = 127.0 / LATENT_UNIT
STEP_IN_DEVIATIONS = 4.0  # a step of sqrt(2πe) posterior deviations makes real bits equal the KL
SMALLEST_BOX = 4.0
FOCUS = 4.0  # inverse temperature of the glimpse network's spatial softmax
VARIANCE_FLOOR = 1e-5
REFITTED = 50  # steps between adaptations of the latents' steps to the posterior
REHEARSED = 8  # random boxes an image
SETTLED = 0.9  # share of the schedule after which the latents' steps no longer change
LOG2E = 1.0 / math.log(2.0)


@dataclass(frozen=True)
class Settings:
    steps: int
    seconds: float = math.inf  # stop the schedule after this much time, whatever the step
    batch: int = 48
    iterations: int = 5  # K, glimpses an image
    rate: float = 1e-3
    alpha: bool = True
    scope: bool = True
    vae_start: bool = False  # start from the VAE's own 8×8 reconstruction (paper's "VAE8")
    search: bool = True
    own: float = 0.0  # share of glimpses that go on with the network's own box in spite of a better one
    frozen: bool = False  # leave the VAE as it is and teach only the glimpse network
    deviation: float = 0.08  # of the patch's error in the VAE's loss, pixels in 0..1
    grey: bool = False  # channels are equal, so one of them is counted
    rehearsal: float = 0.0  # share of the schedule in which the VAE alone learns, from random boxes
    qat_from: float = 0.55
    seed: int = 0
    device: str = "cpu"


class Glimpse(nn.Module):
    """Error and scope [n, 4, 64, 64] → centre and half-width (µx, µy, σx, σy) in -1..1, [n, 4].

    Two convolutions and two dense layers, as in the paper.  Between them the second convolution is read
    by a spatial softmax: each of its maps says where it looks (mean), how widely (deviation) and what it
    sees there.  That finds objects some fifty times sooner than flattening the maps, at equal cost.
    """

    maps = 32

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(4, 16, 5, stride=4, padding=2)
        self.conv1 = nn.Conv2d(16, 2 * self.maps, 5, padding=2)
        self.dense0 = nn.Linear(5 * self.maps, 128)
        self.dense1 = nn.Linear(128, 4)
        nn.init.zeros_(self.dense1.weight)
        with torch.no_grad():
            self.dense1.bias.copy_(torch.tensor([0.0, 0.0, -0.8, -0.8]))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(functional.relu(self.conv0(x)))
        where, what = x.flatten(2).chunk(2, 1)  # [n, maps, cells]
        share = torch.softmax(FOCUS * where, 2)
        cells = x.shape[-1]
        line = (torch.arange(cells) + 0.5) * (2.0 / cells) - 1.0
        place = torch.stack([line.repeat(cells), line.repeat_interleave(cells)], 1)
        mean, square = (share @ torch.cat([place, place**2], 1)).chunk(2, 2)  # [n, maps, 2] each
        spread = (square - mean**2).clamp_min(0.0).add(1e-4).sqrt()
        seen = (share * functional.relu(what)).sum(2, keepdim=True)
        x = torch.cat([mean, spread, seen], 2).flatten(1)
        x = self.dense1(functional.relu(self.dense0(x)))
        return torch.cat([torch.tanh(x[:, :2]), 0.04 + 0.96 * torch.sigmoid(x[:, 2:])], 1)


class Encoder(nn.Module):
    """Patch [n, 3, 8, 8] → mean and log variance [n, 10] each."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv1 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.dense0 = nn.Linear(32 * 4 * 4, 128)
        self.dense1 = nn.Linear(128, 2 * LATENTS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for conv in (self.conv0, self.conv1, self.conv2, self.conv3):
            x = functional.relu(conv(x))
        mean, log_variance = self.dense1(functional.relu(self.dense0(x.flatten(1)))).chunk(2, 1)
        return mean, log_variance.clamp(-9.0, 2.0)


class Decoder(nn.Module):
    """Latents [n, 10] → patch and alpha [n, 4, 8, 8] in 0..1; its integer form is the format's."""

    def __init__(self) -> None:
        super().__init__()
        self.dense0 = IntegerLinear(LATENTS, 128)
        self.dense1 = IntegerLinear(128, 4 * 4 * 32)
        self.conv0 = IntegerConv(32, 32)
        self.conv1 = IntegerConv(32, 16)
        self.conv2 = IntegerConv(16, 16)
        self.conv3 = IntegerConv(16, 4)
        self.dense0.unit, self.dense1.unit = LATENT_UNIT, HIDDEN_UNIT
        with torch.no_grad():
            self.conv3.bias.copy_(torch.tensor([1.0, 1.0, 1.0, 3.0]))

    def layers(self) -> list[IntegerLinear | IntegerConv]:
        return [self.dense0, self.dense1, self.conv0, self.conv1, self.conv2, self.conv3]

    def forward(self, z: Tensor) -> Tensor:
        quantised = self.dense0.qat
        x = activation(self.dense0(z), quantised)
        x = activation(self.dense1(x), quantised)
        x = x.reshape(-1, 4, 4, 32).permute(0, 3, 1, 2)
        x = activation(self.conv0(x), quantised)
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        for conv in (self.conv1, self.conv2, self.conv3):
            x = activation(conv(x), quantised)
        return x * (HIDDEN_UNIT / 255.0)


class Said(nn.Module):
    """The three networks, and the step of each latent dimension once latents are quantised."""

    def __init__(self) -> None:
        super().__init__()
        self.glimpse = Glimpse()
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.register_buffer("multiplier", torch.zeros(LATENTS))  # in 1/32; 0 while not quantised
        self.register_buffer("posterior", torch.ones(LATENTS))  # mean posterior deviation

    multiplier: Tensor
    posterior: Tensor

    def sample(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Latents to train on: posterior samples; once quantised, quantised means in every second row.

        The sampled rows keep the posterior honest: rounding alone would let its variance, which then
        costs nothing in the reconstruction, grow until the KL vanishes.
        """
        sampled = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        if not self.decoder.dense0.qat:
            return sampled
        even = (torch.arange(len(mean)) % 2 == 0)[:, None]
        return torch.where(even, self.latent(mean), sampled)

    def latent(self, mean: Tensor) -> Tensor:
        """What the encoder would send: the quantised mean, or the mean while nothing is quantised."""
        if not self.decoder.dense0.qat:
            return mean
        step = self.multiplier / LATENT_UNIT
        return (rounded(mean / step) * step).clamp(-4.0, LATENT_MAX)

    def quantise(self) -> None:
        """From now on the decoder computes as its integers do, with steps that fit the posterior."""
        set_quantised(self, True)
        step = torch.round(STEP_IN_DEVIATIONS * self.posterior * LATENT_UNIT)
        self.multiplier.copy_(step.clamp(1.0, 128.0))


def boxes_of(proposal: Tensor) -> Tensor:
    """(µ, σ) in -1..1 → (x0, y0, x1, y1) in canvas units, at least 4 wide, [n, 4]."""
    centre, half = (proposal[:, :2] + 1.0) * CANVAS / 2, proposal[:, 2:] * CANVAS / 2
    low = (centre - half).clamp(0.0, CANVAS - SMALLEST_BOX)
    high = torch.maximum(centre + half, low + SMALLEST_BOX).clamp_max(CANVAS)
    return torch.cat([low, high], 1)


def sample_matrix(low: Tensor, high: Tensor) -> Tensor:
    """Weights [n, 16, 64] of bilinear samples at 16 half-pixel centres of a box's side."""
    centres = (torch.arange(2 * SIDE) + 0.5) / (2 * SIDE)
    place = (low[:, None] + centres * (high - low)[:, None] - 0.5).clamp(0.0, CANVAS - 1.0)
    return (1.0 - (place[..., None] - torch.arange(float(CANVAS))).abs()).clamp_min(0.0)


def paste_matrix(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Bilinear weights [n, 64, 8] of a patch in the canvas, and the box's extent [n, 64]."""
    pixels = torch.arange(float(CANVAS)) + 0.5
    place = ((pixels - low[:, None]) / (high - low)[:, None] * SIDE - 0.5).clamp(0.0, SIDE - 1.0)
    hat = (1.0 - (place[..., None] - torch.arange(float(SIDE))).abs()).clamp_min(0.0)
    inside = ((pixels > low[:, None]) & (pixels < high[:, None])).float()
    return hat, inside


def samples(images: Tensor, boxes: Tensor) -> Tensor:
    """[n, c, 64, 64] and boxes [n, k, 4] → their insides [n * k, c, 16, 16]; differentiable in the boxes."""
    n, k, _ = boxes.shape
    flat = boxes.reshape(-1, 4)
    across = sample_matrix(flat[:, 0], flat[:, 2]).reshape(n, 1, k, 2 * SIDE, CANVAS)
    down = sample_matrix(flat[:, 1], flat[:, 3]).reshape(n, 1, k * 2 * SIDE, CANVAS)
    rows = (down @ images).reshape(n, -1, k, 2 * SIDE, CANVAS)
    found = rows @ across.transpose(3, 4)  # [n, c, k, 16, 16]
    return found.transpose(1, 2).reshape(n * k, -1, 2 * SIDE, 2 * SIDE)


def crop(images: Tensor, boxes: Tensor) -> Tensor:
    """Patches [n, 3, 8, 8] of the boxes [n, 4]; an image of one channel is grey."""
    patches = functional.avg_pool2d(samples(images, boxes[:, None]), 2)
    return patches.expand(-1, 3, -1, -1)


def colours(paint: Tensor, channels: int) -> Tensor:
    """The colours of patches [n, 4, h, w], or the grey that YCoCg-R makes of them, [n, channels, h, w]."""
    if channels == 3:
        return paint[:, :3]
    return (paint[:, :1] + 2.0 * paint[:, 1:2] + paint[:, 2:3]) / 4.0


def paste(canvas: Tensor, boxes: Tensor, patches: Tensor, alpha: bool) -> Tensor:
    """x̂(t+1) = (1 - m) x̂(t) + m ε̂; canvas [n, c, 64, 64], patches [n, 4, 8, 8]."""
    across, columns = paste_matrix(boxes[:, 0], boxes[:, 2])
    down, rows = paste_matrix(boxes[:, 1], boxes[:, 3])
    paint = down[:, None] @ patches @ across[:, None].transpose(2, 3)
    mask = (rows[:, :, None] * columns[:, None, :])[:, None]
    if alpha:
        mask = mask * paint[:, 3:]
    return canvas + mask * (colours(paint, canvas.shape[1]) - canvas)


def start(images: Tensor) -> Tensor:
    """x̂(0): 8×8 cell means, bilinearly up-sampled; [n, 3, 64, 64]."""
    cells = functional.avg_pool2d(images, CANVAS // SIDE)
    return functional.interpolate(cells, size=(CANVAS, CANVAS), mode="bilinear", align_corners=False)


def first(model: Said, images: Tensor, settings: Settings) -> Tensor:
    """x̂(0) under the settings: plain, or through the VAE first (the paper's ablation "VAE8")."""
    canvas = start(images)
    if not settings.vae_start:
        return canvas
    cells = functional.avg_pool2d(images, CANVAS // SIDE).expand(-1, 3, -1, -1)
    mean, log_variance = model.encoder(cells)
    whole = torch.tensor([[0.0, 0.0, CANVAS, CANVAS]]).expand(len(images), 4)
    return paste(canvas, whole, model.decoder(model.sample(mean, log_variance)), False).detach()


def extent(boxes: Tensor) -> Tensor:
    """1 inside the boxes [n, 4], 0 outside; [n, 1, 64, 64]."""
    centres = (torch.arange(CANVAS) + 0.5)[None]
    across = (centres > boxes[:, :1]) & (centres < boxes[:, 2:3])
    down = (centres > boxes[:, 1:2]) & (centres < boxes[:, 3:])
    return (down[:, :, None] & across[:, None, :])[:, None].float()


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q(z) ‖ N(0, I)) in bits, [n, 10]."""
    return 0.5 * LOG2E * (mean**2 + log_variance.exp() - 1.0 - log_variance)


def position_bits(proposal: Tensor) -> Tensor:
    """KL(N(µ, σ²) ‖ N(0, 1)) in bits, the paper's price of a box (equation 4); [n, 4] → [n]."""
    mu, sigma = proposal[:, :2], proposal[:, 2:]
    return (0.5 * LOG2E * (mu**2 + sigma**2 - 1.0) - torch.log2(sigma)).sum(1)


def residual_bits(error: Tensor) -> Tensor:
    """N log2 σ of [n, c, 64, 64], the paper's code length up to a constant; [n]."""
    return 0.5 * error[0].numel() * torch.log2(error.square().flatten(1).mean(1) + VARIANCE_FLOOR)


def candidates(boxes: Tensor, error: Tensor, scope: Tensor) -> Tensor:
    """Integer boxes to try besides the proposal: moved, rescaled, and around large errors; [n, k, 4]."""
    n = len(boxes)
    moved = boxes[:, None] + torch.randn(n, 4, 4) * 3.0
    energy = error.square().sum(1, keepdim=True) * (0.3 + 0.7 * scope)
    found = []
    sums = functional.pad(energy.cumsum(2).cumsum(3), (1, 0, 1, 0))
    for side in (9, 13, 17, 23):
        upper, lower = sums[..., :-side, :], sums[..., side:, :]
        local = lower[..., side:] - lower[..., :-side] - upper[..., side:] + upper[..., :-side]
        index = local.flatten(1).argmax(1)
        width = local.shape[3]
        x, y = (index % width).float(), (index // width).float()
        box = torch.stack([x, y, x + side, y + side], 1)
        found.append(box + torch.randint(-1, 2, (n, 4)))
    options = torch.cat([boxes[:, None], moved, torch.stack(found, 1)], 1)
    low = torch.round(options[..., :2]).clamp(0.0, CANVAS - SMALLEST_BOX)
    high = torch.maximum(torch.round(options[..., 2:]), low + SMALLEST_BOX).clamp_max(CANVAS)
    return torch.cat([low, high], 2)


@torch.no_grad()
def best_box(
    model: Said, images: Tensor, canvas: Tensor, options: Tensor, settings: Settings
) -> tuple[Tensor, Tensor]:
    """The option with the shortest description, [n, 4], and the bits it saves, [n].

    Errors are compared on each box's own 16×16 samples, which is close and cheap.
    """
    n, k, _ = options.shape
    both = samples(torch.cat([images, canvas], 1), options)
    inside, under = both.chunk(2, 1)
    mean, log_variance = model.encoder(functional.avg_pool2d(inside, 2).expand(-1, 3, -1, -1))
    paint = model.decoder(model.latent(mean))
    paint = functional.interpolate(paint, scale_factor=2.0, mode="bilinear", align_corners=False)
    mask = paint[:, 3:] if settings.alpha else torch.ones_like(paint[:, 3:])
    painted = under + mask * (colours(paint, under.shape[1]) - under)
    flat = options.reshape(-1, 4)
    size = flat[:, 2:] - flat[:, :2]
    less = ((inside - under).square() - (inside - painted).square()).mean((2, 3)).sum(1) * size.prod(1)
    before = (images - canvas).square().flatten(1).sum(1, keepdim=True)
    floor = VARIANCE_FLOOR * images[0].numel()
    ratio = (before + floor) / ((before - less.reshape(n, k)).clamp_min(0.0) + floor)
    place = torch.cat([flat[:, :2] + flat[:, 2:], size], 1) / CANVAS - torch.tensor([1.0, 1.0, 0.0, 0.0])
    price = kl(mean, log_variance).sum(1) + position_bits(place)
    saved = 0.5 * images[0].numel() * torch.log2(ratio) - price.reshape(n, k)
    best = saved.argmax(1)
    rows = torch.arange(n)
    return options[rows, best], saved[rows, best]


@dataclass
class Losses:
    total: Tensor
    saved: float  # bits of the residual, an image
    kl: float  # bits, an image
    distance: float  # canvas units between proposal and the box that was taken


def run(model: Said, images: Tensor, settings: Settings) -> tuple[Losses, Tensor, list[Tensor]]:
    """All iterations on a batch: losses, x̂(K), and the boxes of each iteration."""
    if settings.grey:
        images = images[:, :1]
    canvas = first(model, images, settings)
    scope = torch.ones(len(images), 1, CANVAS, CANVAS)
    total = torch.zeros(())
    saved = spent = distance = 0.0
    boxes = []
    for _ in range(settings.iterations):
        error = images - canvas
        proposal = model.glimpse(torch.cat([error.expand(-1, 3, -1, -1), scope], 1))
        box = boxes_of(proposal)
        weight = torch.ones(len(images))
        if settings.search:
            options = candidates(box.detach(), error, scope)
            chosen, gain = best_box(model, images, canvas, options, settings)
            weight = torch.where(gain > 0, 1.0, 0.1)
            off = functional.smooth_l1_loss(box, chosen, reduction="none", beta=1.0).sum(1)
            total = total + (weight * off).mean()
            distance += float((box - chosen).detach().abs().mean())
            own = torch.rand(len(images), 1) < settings.own
            chosen = torch.where(own, torch.round(box.detach()), chosen)
        else:
            chosen = rounded(box)
        patch = crop(images, chosen)
        mean, log_variance = model.encoder(patch)
        bits = kl(mean, log_variance).sum(1)
        decoded = model.decoder(model.sample(mean, log_variance))
        after = paste(canvas, chosen, decoded, settings.alpha)
        change = residual_bits(images - after) - residual_bits(error)
        if not settings.search:  # the VAE's own loss must not move the box towards easier patches
            patch = patch.detach()
            decoded = model.decoder(model.sample(*model.encoder(patch)))
            total = total + 0.1 * position_bits(proposal).mean()
        fit = (decoded[:, :3] - patch).square().flatten(1).sum(1) * (LOG2E / 2 / settings.deviation**2)
        if settings.grey:
            fit = fit / 3
        total = total + (weight * (fit + bits + change)).mean() * 0.1
        with torch.no_grad():
            saved -= float(change.mean())
            spent += float(bits.mean())
            if not settings.frozen:
                model.posterior.lerp_(torch.exp(0.5 * log_variance).mean(0), 0.01)
        canvas = after.detach()
        boxes.append(chosen.detach())
        if settings.scope:
            scope = scope * (1.0 - extent(boxes[-1]))
    count = settings.iterations
    return Losses(total / count, saved, spent, distance / count), canvas, boxes


def random_boxes(energy: Tensor, count: int) -> Tensor:
    """Boxes of 6 to 32 canvas units, every second one about a pixel drawn by ``energy`` [n, 64, 64];
    [n, count, 4]."""
    n = len(energy)
    half = (
        3.0
        * torch.exp(torch.rand(n, count, 1) * math.log(32.0 / 6.0))
        * torch.exp(0.2 * torch.randn(n, count, 2))
    )
    drawn = torch.multinomial(energy.flatten(1) + 1e-6, count, replacement=True)
    peaks = torch.stack([drawn % CANVAS, drawn // CANVAS], 2) + torch.randn(n, count, 2) * half / 2
    chance = (torch.arange(count) % 2 == 0)[:, None]
    centre = torch.where(chance, torch.rand(n, count, 2) * CANVAS, peaks)
    low = torch.round(centre - half).clamp(0.0, CANVAS - SMALLEST_BOX)
    high = torch.maximum(torch.round(centre + half), low + SMALLEST_BOX).clamp_max(CANVAS)
    return torch.cat([low, high], 2)


def rehearse(model: Said, images: Tensor, settings: Settings) -> Losses:
    """The VAE's own loss on random boxes, many to an image: what patches look like, learnt cheaply."""
    if settings.grey:
        images = images[:, :1]
    energy = (images - start(images)).square().sum(1)
    patch = functional.avg_pool2d(samples(images, random_boxes(energy, REHEARSED)), 2).expand(-1, 3, -1, -1)
    mean, log_variance = model.encoder(patch)
    bits = kl(mean, log_variance).sum(1)
    decoded = model.decoder(model.sample(mean, log_variance))
    fit = (decoded[:, :3] - patch).square().flatten(1).sum(1) * (LOG2E / 2 / settings.deviation**2)
    if settings.grey:
        fit = fit / 3
    with torch.no_grad():
        model.posterior.lerp_(torch.exp(0.5 * log_variance).mean(0), 0.01)
    return Losses((fit + bits).mean(), 0.0, float(bits.detach().mean()), 0.0)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What ``train`` wrote, on the current device."""
    state: dict[str, Any] = torch.load(path, weights_only=False, map_location=torch.get_default_device())
    return state


def on_device(images: np.ndarray) -> Tensor:
    """uint8 [n, 64, 64, 3] → float [n, 3, 64, 64] in 0..1 on the current device."""
    return torch.from_numpy(images).to(torch.get_default_device()).permute(0, 3, 1, 2).float() / 255.0


def train(
    settings: Settings,
    batches: Callable[[np.random.Generator], Iterator[np.ndarray]],
    checkpoint: Path,
    log: Callable[[str], None] = print,
    picture: Callable[[Said, int], None] | None = None,
    log_every: int = 100,
    begin: Path | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Said:
    """Train on uint8 batches [n, 64, 64, 3]; writes ``checkpoint`` at every log line and continues an
    existing one.  The schedule runs by progress, the larger share of steps and of seconds.  A new
    training takes the networks of ``begin``, another checkpoint, if given."""
    with torch.device(settings.device):
        return train_there(settings, batches, checkpoint, log, picture, log_every, begin, progress)


def train_there(
    settings: Settings,
    batches: Callable[[np.random.Generator], Iterator[np.ndarray]],
    checkpoint: Path,
    log: Callable[[str], None],
    picture: Callable[[Said, int], None] | None,
    log_every: int,
    begin: Path | None,
    progress: Callable[[float], None],
) -> Said:
    """``train`` on the current device."""
    torch.manual_seed(settings.seed)
    model = Said()
    if begin:
        model.load_state_dict(read_checkpoint(begin)["model"])
    if settings.frozen:
        model.encoder.requires_grad_(False)
        model.decoder.requires_grad_(False)
    else:
        model.multiplier.zero_()
    set_quantised(model, bool(model.multiplier.any()))
    learning = [[p for p in part.parameters() if p.requires_grad] for part in model.children()]
    optimiser = torch.optim.Adam(itertools.chain(*learning), lr=settings.rate, betas=(0.5, 0.999))
    step, spent = 0, 0.0
    if checkpoint.exists():
        state = read_checkpoint(checkpoint)
        model.load_state_dict(state["model"])
        set_quantised(model, bool(model.multiplier.any()))
        optimiser.load_state_dict(state["optimiser"])
        step, spent = state["step"], state["seconds"]
    source = batches(np.random.default_rng((settings.seed, step)))
    started = time.monotonic() - spent
    sums = np.zeros(4)

    def write() -> None:
        state = {
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "step": step,
            "seconds": time.monotonic() - started,
            "settings": asdict(settings),
        }
        part = checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(checkpoint)

    while True:
        share = max(step / settings.steps, (time.monotonic() - started) / settings.seconds)
        progress(min(share, 1.0))
        if share >= 1.0:
            break
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * min(1.0, (step + 1) / 100, 2.0 * (1.0 - share) + 0.02)
        due = not model.multiplier.any() or step % REFITTED == 0
        if settings.qat_from <= share < SETTLED and due and not settings.frozen:
            model.quantise()
        images = on_device(next(source))
        if share < settings.rehearsal:
            losses = rehearse(model, images, settings)
        else:
            losses, *_ = run(model, images, settings)
        optimiser.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        for parameters in learning:
            nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        step += 1
        sums += (float(losses.total.detach()), losses.saved, losses.kl, losses.distance)
        if step % log_every == 0:
            mean = sums / log_every
            log(
                f"step {step} images {step * settings.batch} seconds {time.monotonic() - started:.0f} "
                f"loss {mean[0]:.2f} saved {mean[1]:.0f} KL {mean[2]:.0f} distance {mean[3]:.2f}"
            )
            sums[:] = 0
            write()
            if picture and step % (10 * log_every) == 0:
                picture(model, step)
    if not model.multiplier.any():  # too short a training for a phase of its own
        model.quantise()
    write()
    return model
