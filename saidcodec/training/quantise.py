"""Layers that train in real numbers and come to rest on integers (bitstream_spec.md, section 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

HIDDEN_UNIT = 64.0  # integer activation steps in one real unit
HIDDEN_MAX = 255.0 / HIDDEN_UNIT
WEIGHT_MAX = 63
MEMORY = 0.998  # the most that a mean of weights keeps of itself at a step
EARLY = 9  # while it is young it reaches back over one of so many steps


def rounded(x: Tensor) -> Tensor:
    """Round half to even; the gradient passes straight through."""
    return x + (torch.round(x) - x).detach()


class Activation(torch.autograd.Function):
    """Clamp to [0, HIDDEN_MAX] and, if asked, round to the integer grid; straight-through inside."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, quantised: bool) -> Tensor:
        ctx.save_for_backward(x)
        y = x.clamp(0.0, HIDDEN_MAX)
        return y.mul_(HIDDEN_UNIT).round_().div_(HIDDEN_UNIT) if quantised else y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(grad, x, 0.0, HIDDEN_MAX), None


def activation(x: Tensor, quantised: bool) -> Tensor:
    result: Tensor = Activation.apply(x, quantised)  # type: ignore[no-untyped-call]
    return result


def exponents(weight: Tensor) -> Tensor:
    """Per output: the largest e in 2 .. 14 with max|w| * 2**e <= 63.  weight [out, ...] → [out]."""
    peak = weight.detach().abs().flatten(1).amax(1).clamp_min(2.0**-14)
    return torch.floor(torch.log2(WEIGHT_MAX / peak)).clamp(2, 14)


def on_grid(weight: Tensor, exponent: Tensor | None = None) -> Tensor:
    """Weights as the integer layer has them; the gradient passes straight through."""
    step = torch.exp2(exponents(weight) if exponent is None else exponent).reshape(
        -1, *[1] * (weight.dim() - 1)
    )
    return rounded(weight * step).clamp(-WEIGHT_MAX, WEIGHT_MAX) / step


def bias_on_grid(bias: Tensor, exponent: Tensor, unit: float) -> Tensor:
    """Biases as the integer layer has them; ``unit``: integer steps in one real unit of its inputs."""
    step = unit * torch.exp2(exponent)
    return rounded(bias * step) / step


class IntegerLinear(nn.Linear):
    """A linear layer that can behave as its integer export does.

    Without ``unit`` the bias stays as it is: its grid is finer than it matters, but for exact ties.
    """

    qat = False
    unit: float | None = None
    exponent: Tensor | None = None  # of the steps, fixed in the quantisation-aware phase

    def forward(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        """The layer applied to ``x`` and ``extra`` side by side (one product costs less than a copy)."""
        weight = (on_grid(self.weight, self.exponent) if self.qat else self.weight).to(x.dtype)
        bias: Tensor = self.bias
        if self.qat and self.unit:
            bias = bias_on_grid(bias, exponent_of(self), self.unit)
        n = x.shape[1]
        y = functional.linear(x, weight[:, :n], bias.to(x.dtype))
        return y if extra is None else y + functional.linear(extra, weight[:, n:])


class IntegerConv(nn.Conv2d):
    """A zero-padded 3×3 convolution that can behave as its integer export does."""

    qat = False
    bias: nn.Parameter

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if self.qat:
            weight, bias = on_grid(weight), bias_on_grid(bias, exponents(weight), HIDDEN_UNIT)
        return functional.conv2d(x, weight, bias, padding=1)


def exponent_of(layer: IntegerLinear | IntegerConv) -> Tensor:
    """Per output, the exponent of the steps that a layer's weights have as integers; [out]."""
    found = layer.exponent if isinstance(layer, IntegerLinear) else None
    return exponents(layer.weight) if found is None else found


def set_quantised(module: nn.Module, on: bool) -> None:
    """Switch every integer layer of ``module``.

    From then on the steps of a linear layer's weights are fixed, and weights stay within what those can hold.
    Steps that follow the greatest weight both ways change whenever it crosses a power of two, which a network
    near its end no longer mends; steps that only grow become coarse in a long training.
    """
    for layer in module.modules():
        if isinstance(layer, (IntegerLinear, IntegerConv)):
            if isinstance(layer, IntegerLinear) and on != layer.qat:
                layer.exponent = exponents(layer.weight) if on else None
            layer.qat = on


@torch.no_grad()
def hold(module: nn.Module) -> None:
    """Keep the weights of quantised linear layers within what their steps can hold.

    Beyond that a weight has no gradient any more, and would never return.
    """
    for layer in module.modules():
        if isinstance(layer, IntegerLinear) and layer.exponent is not None:
            most = WEIGHT_MAX / torch.exp2(layer.exponent)[:, None]
            layer.weight.copy_(torch.minimum(torch.maximum(layer.weight, -most), most))


def averaged(module: nn.Module) -> AveragedModel:
    """The exponential mean of the weights of a quantised module over its last steps, to be told of each.

    Between two steps many weights cross from one integer to the next, so that single states are up to 1 %
    worse than their mean.
    """

    def towards(means: Sequence[Tensor], weights: Sequence[Tensor], count: Tensor | int) -> None:
        part = max(1.0 - MEMORY, EARLY / (EARLY + 1.0 + int(count)))
        for mean, weight in zip(means, weights, strict=True):
            mean.lerp_(weight, part)

    return AveragedModel(module, multi_avg_fn=towards)


def steps_of(module: nn.Module) -> dict[str, Tensor]:
    """The exponents under which the linear layers of ``module`` have trained, by name, for a checkpoint.

    From weights alone the steps would come out finer once their peaks have fallen.
    """
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, IntegerLinear)}
    return {name: layer.exponent for name, layer in layers.items() if layer.exponent is not None}


def go_on(module: nn.Module, steps: Mapping[str, Tensor]) -> None:
    """Give quantised layers the exponents that ``steps_of`` told."""
    for name, exponent in steps.items():
        layer = module.get_submodule(name)
        assert isinstance(layer, IntegerLinear)
        layer.exponent = exponent
