"""The residual network in torch, and the bits that samples take under it.

The network is the one that ``saidcodec.residual`` runs (bitstream_spec.md, section 6), written
in real numbers.  Inputs count sample values in sixteenths, hidden activations lie in [0, 4) and
come to rest on multiples of 1/64, weights on 7-bit integers times a power of two per output.  In
the quantisation-aware phase the forward pass uses those rounded values and the gradient passes
straight through the rounding.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from saidcodec.entropy.bank import SCALES, TAILS
from saidcodec.residual.context import COPIES
from saidcodec.residual.copies import CLUES, LOGITS, ODDS_PER_BIT
from saidcodec.training import mixture
from saidcodec.training.quantise import (
    HIDDEN_UNIT,
    IntegerLinear,
    activation,
    hold,
    rounded,
    set_quantised,
)
from saidcodec.training.windows import COMPONENTS, INPUT_UNIT, Batch, Copies, Shape

# 32 widths of the core in a sixteenth of a sample, by the scale index's part of an octave.
WIDTH_FACTORS = torch.tensor([23.0, 19.0, 16.0, 13.0])
FIRST_MOST = 1.96  # of the first layer's weights: 63 steps of 1/32
# Mean, scale index and tail index in a head's raw outputs: (steps a real unit, index at zero) each.
CHOICE = ((8.0 * 16.0, 0.0), (8.0, 18.0), (2.0, 1.5))
ASKING = ((8.0 * ODDS_PER_BIT, LOGITS // 2),) * len(COPIES)  # likewise, of the head of the questions


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
        self.hidden_co = IntegerLinear(width + shape.surprises + clues, shape.head)
        self.head_co = IntegerLinear(shape.head, 3)
        self.hidden_cg = IntegerLinear(width + 2 * shape.surprises + clues, shape.head)
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
        """Keep weights within what their steps can hold, and the first layer's where their integers are fine.

        Its inputs are many and alike, so that roundings add up; left alone, single weights grow and make the
        steps of all others of their output coarse.
        """
        first = self.trunk[0]
        assert isinstance(first, IntegerLinear)
        first.weight.clamp_(-FIRST_MOST, FIRST_MOST)
        hold(self)

    def features(self, context: Tensor) -> Tensor:
        for layer in self.trunk:
            context = activation(layer(context), self.qat)
        return context

    def parameters_of(self, raw: Tensor, reference: Tensor, low: float) -> tuple[Tensor, ...]:
        """Raw outputs [N, 3] → mean in sample values, scale index, tail index, each [N]."""
        raw = raw.float()
        (sixteenths, _), (scales, scale_zero), (tails, tail_zero) = CHOICE
        mean = (reference + sixteenths / 16.0 * raw[:, 0]).clamp(low, 255.0)
        scale = (scales * raw[:, 1] + scale_zero).clamp(0.0, SCALES - 1.0)
        tail = (tails * raw[:, 2] + tail_zero).clamp(0.0, TAILS - 1.0)
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
                told = surprise(sample[:, c], mean.detach(), scale.detach(), reference[:, c])
                seen.append(told[:, : self.shape.surprises].to(hidden.dtype))
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


def surprise(sample: Tensor, mean: Tensor, scale: Tensor, reference: Tensor) -> Tensor:
    """What a decoded component tells the next head, [N, 4] in hidden units; the last is the error in 32nds of
    the core's width."""
    error = sample - torch.round(mean)
    index = torch.round(scale).int()
    fine = torch.round(16.0 * (sample - mean)) * WIDTH_FACTORS[(index & 3).long()]
    columns = [4.0 * error, error, sample - reference, torch.floor(torch.ldexp(fine, -(index >> 2)))]
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
