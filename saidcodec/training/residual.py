"""Training the residual network: windows sampled from tiles, loss in bits, integers in the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from saidcodec.errors import ModelError
from saidcodec.residual.context import COPIES, GREAT_MARKS, ORIGINS, WINDOW
from saidcodec.residual.copies import CLUES
from saidcodec.training import checkpoints
from saidcodec.training.quantise import (
    HIDDEN_UNIT,
    WEIGHT_MAX,
    IntegerLinear,
    averaged,
    exponent_of,
    go_on,
    steps_of,
)
from saidcodec.training.residual_network import ASKING, CHOICE, ResidualNetwork, batch_bits
from saidcodec.training.team import ALONE, Team
from saidcodec.training.windows import COMPONENTS, INPUT_UNIT, Shape, Tiles, WindowSampler


@dataclass
class Settings:
    steps: int
    seconds: float = math.inf  # stop the schedule after this much time, whatever the step
    tiles: int = 64  # tiles in one batch
    group: int = 256  # windows from each of them
    rate: float = 2e-3
    keen: bool = False  # sample mostly where something happens; for largely flat images, one style
    qat_from: float = 0.4  # share of the schedule before the quantisation-aware phase
    seed: int = 0
    log_every: int = 500
    shape: Shape = field(default_factory=Shape)


def train(
    settings: Settings,
    pool: Callable[[np.random.Generator], Iterator[Tiles]],
    development: Tiles,
    checkpoint: Path,
    log: Callable[[str], None] = print,
    start_from: ResidualNetwork | None = None,
    progress: Callable[[float], None] = lambda share: None,
    team: Team = ALONE,
) -> ResidualNetwork:
    """Train, writing ``checkpoint`` at every log line; an existing checkpoint is continued.

    A new run takes its first weights from ``start_from``, if given, and its steps, if that is quantised.  The
    network that comes of it is the mean of its last states in the quantisation-aware phase
    (``quantise.averaged``).  Of a ``team`` the first process logs and writes.

    Raises ModelError if the checkpoint is of another shape.

    ``pool`` yields a fresh pool of tiles whenever asked.  The schedule runs by progress, the
    larger of the share of steps and the share of seconds used, so that a run ends in time with its
    learning rate at zero.
    """
    torch.manual_seed(settings.seed + team.rank)
    network = ResidualNetwork(settings.shape)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.rate, betas=(0.9, 0.99), weight_decay=1e-4
    )
    step, spent = 0, 0.0
    mean: AveragedModel | None = None
    if checkpoint.exists():
        state = checkpoints.read(checkpoint, "network", "optimiser", "step", "seconds", "settings")
        if shape_of(state) != settings.shape:
            raise ModelError(f"{checkpoint} is of another shape: {shape_of(state)}.")
        network.load_state_dict(state["network"])
        if state.get("exponents"):
            network.quantise(True)
            go_on(network, state["exponents"])
        mean = kept_mean(network, state)
        optimiser.load_state_dict(state["optimiser"])
        step, spent = state["step"], state["seconds"]
    elif start_from is not None:
        network.load_state_dict(start_from.state_dict())
        if start_from.qat:
            network.quantise(True)
            go_on(network, steps_of(start_from))
    team.begin(network, step)
    generator = torch.Generator().manual_seed(settings.seed + step + (team.rank << 32))
    pools = pool(np.random.default_rng((settings.seed, step, team.rank)))
    sampler = WindowSampler(settings.shape, next(pools))
    judge = WindowSampler(settings.shape, development)
    total = torch.zeros(())
    quick = quick_type()
    start = time.monotonic() - spent
    while True:
        share = max(step / settings.steps, (time.monotonic() - start) / settings.seconds)
        share = team.agreed(share)
        progress(min(share, 1.0))
        if share >= 1.0:
            break
        rate = settings.rate * min(1.0, (step + 1) / 300) * 0.5 * (1 + math.cos(math.pi * share))
        for group in optimiser.param_groups:
            group["lr"] = rate
        network.quantise(share >= settings.qat_from)
        if not network.qat:
            mean = None  # of a shorter training that this one goes on from
        if settings.keen:
            batch = sampler.keen(generator, settings.tiles * settings.group)
        else:
            batch = sampler.random(generator, settings.tiles, settings.group)
        loss = batch_bits(network, batch, 16, quick)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        team.average(network.parameters())
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        network.bound()
        if network.qat:
            mean = mean or averaged(network)
            mean.update_parameters(network)
        total += loss.detach()
        step += 1
        if step % 50 == 0:
            sampler.replace(next(pools))
        if step % settings.log_every == 0 and team.leads:
            spent = time.monotonic() - start
            dev = evaluate(network if mean is None else result_of(mean), judge)
            samples = step * settings.tiles * settings.group * team.size
            log(
                f"step {step} samples {samples / 1e6:.1f}M seconds {spent:.0f} lr {rate:.2e} "
                f"train {float(total) / settings.log_every:.4f} dev {dev:.4f}"
            )
            total.zero_()
            save(checkpoint, network, mean, optimiser, step, spent, settings)
    network.quantise(True)
    mean = mean or averaged(network)
    if team.leads:
        save(checkpoint, network, mean, optimiser, step, time.monotonic() - start, settings)
        log(f"finished at step {step}: dev {evaluate(result_of(mean), judge):.4f}")
    return result_of(mean)


def result_of(mean: AveragedModel) -> ResidualNetwork:
    network = mean.module
    assert isinstance(network, ResidualNetwork)
    return network


def quick_type() -> torch.dtype:
    """The type in which products are fastest here; some processors only emulate half of float32's width."""
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.ones(2048, 128, dtype=dtype), torch.ones(128, 128, dtype=dtype)
        a @ b
        start = time.perf_counter()
        a @ b
        seconds[dtype] = time.perf_counter() - start
    return min(seconds, key=lambda dtype: seconds[dtype])


def kept_mean(network: ResidualNetwork, state: Mapping[str, Any]) -> AveragedModel | None:
    """The mean of a checkpoint of the quantisation-aware phase, if it has one; ``network`` as it was then."""
    if not (state.get("mean") and state.get("exponents")):
        return None
    mean = averaged(network)
    mean.load_state_dict(state["mean"])
    return mean


def save(
    path: Path,
    network: ResidualNetwork,
    mean: AveragedModel | None,
    optimiser: torch.optim.Optimizer,
    step: int,
    seconds: float,
    settings: Settings,
) -> None:
    state = {
        "network": network.state_dict(),
        "exponents": steps_of(network),
        "mean": mean and mean.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
        "seconds": seconds,
        "settings": asdict(settings),
    }
    checkpoints.write(path, state)


def evaluate(network: ResidualNetwork, sampler: WindowSampler, per_tile: int = 512) -> float:
    """Bits per component on the same windows every time, in single precision."""
    generator = torch.Generator().manual_seed(1)
    place = torch.randint(sampler.side**2, (len(sampler.grey), per_tile), generator=generator)
    bits = weight = 0.0
    with torch.no_grad():
        for tile in range(0, len(sampler.grey), 32):
            chosen = torch.arange(tile, min(tile + 32, len(sampler.grey)))
            where = place[chosen].reshape(-1)
            batch = sampler.draw(
                chosen.repeat_interleave(per_tile), where // sampler.side, where % sampler.side, per_tile
            )
            n = float(batch.weight.sum())
            bits += float(batch_bits(network, batch, 128, torch.float32)) * n
            weight += n
    return bits / weight


def export(network: ResidualNetwork) -> dict[str, np.ndarray]:
    """The integer tensors of a model file's residual part (spec section 6)."""
    tensors: dict[str, np.ndarray] = {
        "residual.around": np.array(network.shape.around, np.int8).reshape(-1, 2)
    }
    if network.shape.adjacent:
        tensors["residual.origins"] = np.array(ORIGINS, np.int8)
    if network.shape.marks != GREAT_MARKS:
        tensors["residual.marks"] = np.array(network.shape.marks, np.int32)

    def put(
        name: str,
        layer: IntegerLinear,
        context: int = 0,
        beside: int = 0,
        scales: Sequence[tuple[float, float]] | None = None,
    ) -> None:
        """``context`` and ``beside``: how many inputs, first and last, carry an offset of 128."""
        exponent = exponent_of(layer).double()
        step = torch.exp2(exponent)
        weight = torch.round(layer.weight.detach().double() * step[:, None]).clamp(-WEIGHT_MAX, WEIGHT_MAX)
        unit = INPUT_UNIT if context else HIDDEN_UNIT
        shift = exponent + math.log2(unit) - math.log2(HIDDEN_UNIT)
        bias = layer.bias.detach().double() * unit * step
        if scales is not None:  # a head's raw outputs are indices: (steps a real unit, index at zero) each
            gain, zero = torch.tensor(scales, dtype=torch.double).T
            shift = exponent + math.log2(unit) - torch.log2(gain)
            bias = bias + zero * torch.exp2(shift)
        offset = weight[:, :context].sum(1) + weight[:, weight.shape[1] - beside :].sum(1)
        tensors[f"residual.{name}.weight"] = weight.T.numpy().astype(np.int8).copy()
        tensors[f"residual.{name}.bias"] = (torch.round(bias) - 128 * offset).numpy().astype(np.int32)
        tensors[f"residual.{name}.shift"] = shift.numpy().astype(np.int32)

    for i, layer in enumerate(network.trunk):
        assert isinstance(layer, IntegerLinear)
        put(f"trunk{i}", layer, context=network.shape.inputs if i == 0 else 0)
    if not network.shape.around:  # the flag of the reconstruction was never up: what it would say is noise
        flag = COMPONENTS * len(WINDOW)
        weight = tensors["residual.trunk0.weight"]
        tensors["residual.trunk0.bias"] += 128 * weight[flag].astype(np.int32)
        weight[flag] = 0
    clues = 0
    put("head_y", network.head_y, scales=CHOICE)
    if network.shape.copies:
        tensors["residual.copies"] = np.array(COPIES, np.int8)
        put("head_copy", network.head_copy, scales=ASKING)
        clues = CLUES
    told = network.shape.surprises
    put("hidden_co", network.hidden_co, beside=told + clues)
    put("head_co", network.head_co, scales=CHOICE)
    put("hidden_cg", network.hidden_cg, beside=2 * told + clues)
    put("head_cg", network.head_cg, scales=CHOICE)
    return tensors


def shape_of(state: Mapping[str, Any]) -> Shape:
    """The shape of a checkpoint's network."""
    older = {"adjacent": False, "marks": GREAT_MARKS, "surprises": 3}  # checkpoints that do not say
    return Shape(**{**older, **state["settings"]["shape"]})


def load_checkpoint(path: Path) -> ResidualNetwork:
    """The network of a checkpoint that ``train`` wrote, ready to export."""
    state = checkpoints.read(path, "network", "settings")
    network = ResidualNetwork(shape_of(state))
    network.load_state_dict(state["network"])
    network.quantise(True)
    go_on(network, state.get("exponents", {}))
    mean = kept_mean(network, state)
    return network if mean is None else result_of(mean)
