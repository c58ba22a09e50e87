"""Training the residual network: windows sampled from tiles, loss in bits, integers in the end.

The network is the one that ``saidcodec.residual`` runs (bitstream_spec.md, section 6), written
in real numbers.  Inputs count sample values in sixteenths, hidden activations lie in [0, 4) and
come to rest on multiples of 1/64, weights on 7-bit integers times a power of two per output.  In
the quantisation-aware phase the forward pass uses those rounded values and the gradient passes
straight through the rounding.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from saidcodec.errors import ModelError
from saidcodec.residual import mixture
from saidcodec.residual.context import COPIES, GREAT_MARKS, ORIGINS, WINDOW
from saidcodec.residual.copies import CLUES, LOGITS, ODDS_PER_BIT
from saidcodec.training.quantise import (
    HIDDEN_UNIT,
    WEIGHT_MAX,
    IntegerLinear,
    activation,
    exponents,
    rounded,
    set_quantised,
)
from saidcodec.training.windows import COMPONENTS, INPUT_UNIT, Batch, Copies, Shape, Tiles, WindowSampler

FIRST_MOST = 1.96  # of the first layer's weights: 63 steps of 1/32
# Mean, scale index and tail index in a head's raw outputs: (steps a real unit, index at zero) each.
CHOICE = ((8.0 * 16.0, 0.0), (8.0, 18.0), (2.0, 1.5))


class ResidualNetwork(nn.Module):
    """Context [N, inputs] and the pixel's own components → (mean offset, scale, tail) each."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        sizes = (shape.inputs, *shape.hidden)
        layers = [IntegerLinear(a, b) for a, b in pairwise(sizes)]
        self.trunk = nn.ModuleList(layers)
        width = shape.hidden[-1]
        self.head_y = IntegerLinear(width, 3)
        clues = 0
        heads = [self.head_y]
        if shape.copies:
            self.head_copy = IntegerLinear(width, len(COPIES))
            heads.append(self.head_copy)
            clues = CLUES
        self.hidden_co = IntegerLinear(width + 3 + clues, shape.head)
        self.head_co = IntegerLinear(shape.head, 3)
        self.hidden_cg = IntegerLinear(width + 6 + clues, shape.head)
        self.head_cg = IntegerLinear(shape.head, 3)
        self.qat = False
        for layer in self.modules():
            if isinstance(layer, IntegerLinear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        for head in (*heads, self.head_co, self.head_cg):
            head.weight.data.mul_(0.1)
        with torch.no_grad():
            for hidden in layers:
                hidden.bias.uniform_(0.0, 0.3)
            layers[0].weight.mul_(2.0)
            layers[0].weight[:, -shape.styles :].mul_(0.3)

    def quantise(self, on: bool) -> None:
        self.qat = on
        set_quantised(self, on)

    @torch.no_grad()
    def bound(self) -> None:
        """Keep the first layer's weights where their integers are fine.

        Its inputs are many and alike, so that roundings add up; left alone, single weights grow and make the
        steps of all others of their output coarse.
        """
        first = self.trunk[0]
        assert isinstance(first, IntegerLinear)
        first.weight.clamp_(-FIRST_MOST, FIRST_MOST)

    def features(self, context: Tensor) -> Tensor:
        for layer in self.trunk:
            context = activation(layer(context), self.qat)
        return context

    def parameters_of(self, raw: Tensor, reference: Tensor, low: float) -> tuple[Tensor, ...]:
        """Raw outputs [N, 3] → mean in sample values, scale index, tail index, each [N]."""
        raw = raw.float()
        (sixteenths, _), (scales, scale_zero), (tails, tail_zero) = CHOICE
        mean = (reference + sixteenths / 16.0 * raw[:, 0]).clamp(low, 255.0)
        scale = (scales * raw[:, 1] + scale_zero).clamp(0.0, mixture.SCALES - 1.0)
        tail = (tails * raw[:, 2] + tail_zero).clamp(0.0, mixture.TAILS - 1.0)
        if self.qat:
            mean, scale, tail = rounded(mean * 16.0) / 16.0, rounded(scale), rounded(tail)
        return mean, scale, tail

    def forward(
        self, context: Tensor, sample: Tensor, reference: Tensor, copies: Copies | None = None
    ) -> Tensor:
        """Bits of each component, [N, 3].  ``sample`` and ``reference``: [N, 3], sample values.

        With copies the bits of the questions count as luma's.
        """
        hidden = self.features(context)
        seen: list[Tensor] = []
        bits = []
        layers = ((None, self.head_y), (self.hidden_co, self.head_co), (self.hidden_cg, self.head_cg))
        for c, (inner, head) in enumerate(layers):
            out, start = hidden, reference[:, c]
            if inner is not None:
                beside = seen
                if copies is not None:
                    start = copies.start[:, c - 1]
                    beside = [*seen, copies.clues[:, c - 1].to(hidden.dtype)]
                out = activation(inner(hidden, torch.cat(beside, 1)), self.qat)
            mean, scale, tail = self.parameters_of(head(out), start, -255.0 if c else 0.0)
            bits.append(mixture_bits(sample[:, c] - mean, scale, tail))
            if c < COMPONENTS - 1:
                seen.append(surprise(sample[:, c], mean.detach(), reference[:, c]).to(hidden.dtype))
        total = torch.stack(bits, 1)
        if copies is None:
            return total
        asking = question_bits(8.0 * self.head_copy(hidden).float(), copies, self.qat)
        total = total * ~copies.same.any(1, keepdim=True)
        return torch.cat([total[:, :1] + asking[:, None], total[:, 1:]], 1)


def question_bits(logit: Tensor, asked: Copies, quantised: bool) -> Tensor:
    """Bits of the questions whose answers have the log2 odds [N, copies]; [N]."""
    most = (LOGITS // 2) / ODDS_PER_BIT
    logit = logit.clamp(-most, most)
    if quantised:
        logit = rounded(ODDS_PER_BIT * logit) / ODDS_PER_BIT
    against = torch.where(asked.same, -logit, logit)
    return (functional.softplus(against * math.log(2)) / math.log(2) * asked.asked).sum(1)


def surprise(sample: Tensor, mean: Tensor, reference: Tensor) -> Tensor:
    """What a decoded component tells the next head, [N, 3] in hidden units."""
    error = sample - torch.round(mean)
    columns = [4.0 * error, error, sample - reference]
    return torch.stack(columns, 1).clamp(-128.0, 127.0) / HIDDEN_UNIT


def mixture_bits(error: Tensor, scale_index: Tensor, tail: Tensor) -> Tensor:
    """Code length in bits of samples ``error`` away from their means; all shapes [N]."""
    pairs = mixture.components(scale_index, tail)
    weight = torch.stack([w if isinstance(w, Tensor) else torch.full_like(error, w) for w, _ in pairs])
    width = torch.stack([s if isinstance(s, Tensor) else torch.full_like(error, s) for _, s in pairs])
    inverse = math.sqrt(0.5) / width
    distance = error.abs()
    upper = torch.erf((distance + 0.5) * inverse)
    lower = torch.erf((distance - 0.5) * inverse)
    probability = (0.5 * weight * (upper - lower)).sum(0) + 2.0**-24
    return -torch.log2(probability)


def with_style(context: Tensor, style: Tensor, shape: Shape) -> Tensor:
    """Contexts [N, inputs] of a network of that shape with the styles [N] marked."""
    context, mark = context.clone(), shape.marks[1] / INPUT_UNIT
    context[:, -shape.styles :] = functional.one_hot(style, shape.styles).to(context.dtype) * mark
    return context


def best_style(network: ResidualNetwork, batch: Batch, probe: int, dtype: torch.dtype) -> Tensor:
    """The style with the fewest bits over each group's first ``probe`` rows; [N]."""
    styles = network.shape.styles
    n = len(batch.sample)
    if styles == 1:
        return torch.zeros(n, dtype=torch.long)
    rows = torch.arange(n).reshape(-1, batch.group)[:, :probe].reshape(-1)
    every = rows.repeat(styles)
    tried = torch.arange(styles).repeat_interleave(len(rows))
    with torch.no_grad():
        context = with_style(batch.context[every], tried, network.shape).to(dtype)
        copied = batch.copies and batch.copies.rows(every)
        bits = network(context, batch.sample[every], batch.reference[every], copied)
        totals = (bits * batch.weight[every]).sum(1).reshape(styles, -1, probe).sum(2)
    return totals.argmin(0).repeat_interleave(batch.group)


def batch_bits(network: ResidualNetwork, batch: Batch, probe: int, dtype: torch.dtype) -> Tensor:
    """Mean bits per coded component, each group under its best style."""
    style = best_style(network, batch, probe, dtype)
    context = with_style(batch.context, style, network.shape).to(dtype)
    bits = network(context, batch.sample, batch.reference, batch.copies)
    return (bits * batch.weight).sum() / batch.weight.sum()


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
) -> ResidualNetwork:
    """Train, writing ``checkpoint`` at every log line; an existing checkpoint is continued.

    A new run takes its first weights from ``start_from``, if given.

    Raises ModelError if the checkpoint is of another shape.

    ``pool`` yields a fresh pool of tiles whenever asked.  The schedule runs by progress, the
    larger of the share of steps and the share of seconds used, so that a run ends in time with its
    learning rate at zero.
    """
    torch.manual_seed(settings.seed)
    network = ResidualNetwork(settings.shape)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.rate, betas=(0.9, 0.99), weight_decay=1e-4
    )
    step, spent = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=False)
        if shape_of(state) != settings.shape:
            raise ModelError(f"{checkpoint} is of another shape: {shape_of(state)}.")
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent = state["step"], state["seconds"]
    elif start_from is not None:
        network.load_state_dict(start_from.state_dict())
    generator = torch.Generator().manual_seed(settings.seed + step)
    pools = pool(np.random.default_rng((settings.seed, step)))
    sampler = WindowSampler(settings.shape, next(pools))
    judge = WindowSampler(settings.shape, development)
    total = torch.zeros(())
    quick = quick_type()
    start = time.monotonic() - spent
    while True:
        progress = max(step / settings.steps, (time.monotonic() - start) / settings.seconds)
        if progress >= 1.0:
            break
        rate = settings.rate * min(1.0, (step + 1) / 300) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in optimiser.param_groups:
            group["lr"] = rate
        network.quantise(progress >= settings.qat_from)
        if settings.keen:
            batch = sampler.keen(generator, settings.tiles * settings.group)
        else:
            batch = sampler.random(generator, settings.tiles, settings.group)
        loss = batch_bits(network, batch, 16, quick)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        network.bound()
        total += loss.detach()
        step += 1
        if step % 50 == 0:
            sampler.replace(next(pools))
        if step % settings.log_every == 0:
            spent = time.monotonic() - start
            dev = evaluate(network, judge)
            samples = step * settings.tiles * settings.group
            log(
                f"step {step} samples {samples / 1e6:.1f}M seconds {spent:.0f} lr {rate:.2e} "
                f"train {float(total) / settings.log_every:.4f} dev {dev:.4f}"
            )
            total.zero_()
            save(checkpoint, network, optimiser, step, spent, settings)
    network.quantise(True)
    save(checkpoint, network, optimiser, step, time.monotonic() - start, settings)
    log(f"finished at step {step}: dev {evaluate(network, judge):.4f}")
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


def save(
    path: Path,
    network: ResidualNetwork,
    optimiser: torch.optim.Optimizer,
    step: int,
    seconds: float,
    settings: Settings,
) -> None:
    state = {
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
        "seconds": seconds,
        "settings": asdict(settings),
    }
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


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
        exponent = exponents(layer.weight).double()
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
        odds = (8.0 * ODDS_PER_BIT, LOGITS // 2)
        put("head_copy", network.head_copy, scales=[odds] * len(COPIES))
        clues = CLUES
    put("hidden_co", network.hidden_co, beside=3 + clues)
    put("head_co", network.head_co, scales=CHOICE)
    put("hidden_cg", network.hidden_cg, beside=6 + clues)
    put("head_cg", network.head_cg, scales=CHOICE)
    return tensors


def shape_of(state: Mapping[str, Any]) -> Shape:
    """The shape of a checkpoint's network."""
    older = {"adjacent": False, "marks": GREAT_MARKS}  # checkpoints that do not say
    return Shape(**{**older, **state["settings"]["shape"]})


def load_checkpoint(path: Path) -> ResidualNetwork:
    """The network of a checkpoint that ``train`` wrote, ready to export."""
    state = torch.load(path, weights_only=False)
    network = ResidualNetwork(shape_of(state))
    network.load_state_dict(state["network"])
    network.quantise(True)
    return network
