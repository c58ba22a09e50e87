"""SAID in torch: the paper's glimpse loop, its losses and its training (paper section 3).

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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from saidcodec.errors import ModelError
from saidcodec.said.resampling import SIDE
from saidcodec.training import checkpoints
from saidcodec.training.networks import Said
from saidcodec.training.painting import (
    CANVAS,
    LOG2E,
    VARIANCE_FLOOR,
    boxes_of,
    candidates,
    colours,
    crop,
    extent,
    kl,
    paste,
    position_bits,
    random_boxes,
    reduced,
    residual_bits,
    samples,
    start,
)
from saidcodec.training.quantise import go_on, hold, rounded, set_quantised, steps_of
from saidcodec.training.team import ALONE, Team

REFITTED = 50  # steps between adaptations of the latents' steps to the posterior
REHEARSED = 8  # random boxes an image
SETTLED = 0.9  # share of the schedule after which the latents' steps no longer change


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
    side: int = SIDE  # samples along one side of a patch
    qat_from: float = 0.55
    seed: int = 0
    device: str = "cpu"


def first(model: Said, images: Tensor, settings: Settings) -> Tensor:
    """x̂(0) under the settings: plain, or through the VAE first (the paper's ablation "VAE8")."""
    canvas = start(images)
    if not settings.vae_start:
        return canvas
    cells = functional.avg_pool2d(images, CANVAS // model.side).expand(-1, 3, -1, -1)
    mean, log_variance = model.encoder(cells)
    whole = torch.tensor([[0.0, 0.0, CANVAS, CANVAS]]).expand(len(images), 4)
    return paste(canvas, whole, model.decoder(model.sample(mean, log_variance)), False).detach()


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
    mean, log_variance = model.encoder(reduced(inside, model.side))
    paint = model.decoder(model.latent(mean))
    paint = functional.interpolate(paint, size=inside.shape[-2:], mode="bilinear", align_corners=False)
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
        patch = crop(images, chosen, model.side)
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


def rehearse(model: Said, images: Tensor, settings: Settings) -> Losses:
    """The VAE's own loss on random boxes, many to an image: what patches look like, learnt cheaply."""
    if settings.grey:
        images = images[:, :1]
    energy = (images - start(images)).square().sum(1)
    patch = reduced(samples(images, random_boxes(energy, REHEARSED)), model.side)
    mean, log_variance = model.encoder(patch)
    bits = kl(mean, log_variance).sum(1)
    decoded = model.decoder(model.sample(mean, log_variance))
    fit = (decoded[:, :3] - patch).square().flatten(1).sum(1) * (LOG2E / 2 / settings.deviation**2)
    if settings.grey:
        fit = fit / 3
    with torch.no_grad():
        model.posterior.lerp_(torch.exp(0.5 * log_variance).mean(0), 0.01)
    return Losses((fit + bits).mean(), 0.0, float(bits.detach().mean()), 0.0)


def differing(settings: Settings, before: Mapping[str, Any]) -> list[str]:
    """Settings in which a training differs from that of a checkpoint; how long and where it runs is free."""
    ours = asdict(settings)
    free = ("steps", "seconds", "device")
    return [name for name in ours if name not in free and before.get(name, ours[name]) != ours[name]]


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
    team: Team = ALONE,
) -> Said:
    """Train on uint8 batches [n, 64, 64, 3]; writes ``checkpoint`` at every log line and continues an
    existing one.  The schedule runs by progress, the larger share of steps and of seconds.  A new
    training takes the networks of ``begin``, another checkpoint, if given.  Of a ``team`` the first process
    logs and writes.

    Raises ModelError if ``checkpoint`` is of a training with other settings."""
    with torch.device(settings.device):
        return train_there(settings, batches, checkpoint, log, picture, log_every, begin, progress, team)


def train_there(
    settings: Settings,
    batches: Callable[[np.random.Generator], Iterator[np.ndarray]],
    checkpoint: Path,
    log: Callable[[str], None],
    picture: Callable[[Said, int], None] | None,
    log_every: int,
    begin: Path | None,
    progress: Callable[[float], None],
    team: Team,
) -> Said:
    """``train`` on the current device."""
    torch.manual_seed(settings.seed + team.rank)
    model = Said(settings.side)
    if begin:
        model.load_state_dict(checkpoints.read(begin, "model")["model"])
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
        state = checkpoints.read(checkpoint, "model", "optimiser", "step", "seconds", "settings")
        if other := differing(settings, state["settings"]):
            raise ModelError(f"{checkpoint} was trained with another {' and '.join(other)}.")
        model.load_state_dict(state["model"])
        set_quantised(model, bool(model.multiplier.any()))
        go_on(model, state.get("exponents", {}))
        optimiser.load_state_dict(state["optimiser"])
        step, spent = state["step"], state["seconds"]
    team.begin(model, step)
    source = batches(np.random.default_rng((settings.seed, step, team.rank)))
    started = time.monotonic() - spent
    sums = np.zeros(4)

    def write() -> None:
        state = {
            "model": model.state_dict(),
            "exponents": steps_of(model),
            "optimiser": optimiser.state_dict(),
            "step": step,
            "seconds": time.monotonic() - started,
            "settings": asdict(settings),
        }
        checkpoints.write(checkpoint, state)

    while True:
        share = max(step / settings.steps, (time.monotonic() - started) / settings.seconds)
        share = team.agreed(share)
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
        team.average(itertools.chain(*learning), [model.posterior])
        for parameters in learning:
            nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        hold(model)
        step += 1
        sums += (float(losses.total.detach()), losses.saved, losses.kl, losses.distance)
        if step % log_every == 0 and team.leads:
            mean = sums / log_every
            log(
                f"step {step} images {step * settings.batch * team.size} "
                f"seconds {time.monotonic() - started:.0f} loss {mean[0]:.2f} "
                f"saved {mean[1]:.0f} KL {mean[2]:.0f} distance {mean[3]:.2f}"
            )
            sums[:] = 0
            write()
            if picture and step % (10 * log_every) == 0:
                picture(model, step)
    if not model.multiplier.any():  # too short a training for a phase of its own
        model.quantise()
    if team.leads:
        write()
    return model
