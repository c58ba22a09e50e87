"""A smaller residual network that starts from what a larger one knows.

The weights of a model file are read back, each hidden layer keeps the neurons that matter most to the
layers after it, and those layers are fitted anew, by least squares, to what they computed before.  A short
training then wins back most of the rest, far sooner than one from scratch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from saidcodec.errors import ModelError
from saidcodec.residual.context import COPIES, GREAT_MARKS, MARKS, ORIGINS, REFERENCE, WINDOW
from saidcodec.residual.copies import CLUES
from saidcodec.training.quantise import HIDDEN_UNIT, IntegerLinear, go_on, steps_of
from saidcodec.training.residual_network import ASKING, CHOICE, ResidualNetwork, with_style
from saidcodec.training.windows import COMPONENTS, INPUT_UNIT, Shape, WindowSampler

SAMPLES = 1 << 14  # windows that neurons are judged on
GROUP = 256  # of them from one tile
RIDGE = 1e-4  # of the mean square of an activation


def network_of(tensors: Mapping[str, np.ndarray]) -> ResidualNetwork:
    """The residual network of a model file, quantised in the file's steps: the inverse of ``export``.

    Raises ModelError if it was not made here.
    """
    copies = "residual.copies" in tensors
    if copies and not np.array_equal(tensors["residual.copies"], COPIES):
        raise ModelError("The model's copies come from places that no training here uses.")
    depth = sum(name.startswith("residual.trunk") and name.endswith(".weight") for name in tensors)
    shape = Shape(
        hidden=tuple(tensors[f"residual.trunk{i}.weight"].shape[1] for i in range(depth)),
        head=tensors["residual.hidden_co.weight"].shape[1],
        styles=len(tensors["tile.style.frequency"]),
        around=tuple((int(dx), int(dy)) for dx, dy in tensors["residual.around"]),
        marks=tuple(tensors.get("residual.marks", np.array(GREAT_MARKS)).tolist()),
        surprises=tensors["residual.hidden_cg.weight"].shape[0]
        - tensors["residual.hidden_co.weight"].shape[0],
        copies=copies,
        adjacent="residual.origins" in tensors,
    )
    if shape.adjacent and not np.array_equal(tensors["residual.origins"], ORIGINS):
        raise ModelError("The model's differences count from origins that no training here uses.")
    network = ResidualNetwork(shape)
    network.quantise(True)

    def take(
        name: str,
        layer: IntegerLinear,
        context: int = 0,
        beside: int = 0,
        scales: Sequence[tuple[float, float]] = ((HIDDEN_UNIT, 0.0),),
    ) -> None:
        weight, bias, shift = (
            torch.from_numpy(tensors[f"residual.{name}.{part}"].T.astype(np.float64))
            for part in ("weight", "bias", "shift")
        )
        unit = INPUT_UNIT if context else HIDDEN_UNIT
        gain, zero = torch.tensor(scales).T
        step = torch.exp2(shift) * gain / unit
        offset = weight[:, :context].sum(1) + weight[:, weight.shape[1] - beside :].sum(1)
        bias = bias + 128 * offset - zero * torch.exp2(shift)
        layer.weight.data = (weight / step[:, None]).float()
        layer.bias.data = (bias / (unit * step)).float()
        layer.exponent = torch.log2(step).float()

    for i, layer in enumerate(trunk_of(network)):
        take(f"trunk{i}", layer, context=shape.inputs if i == 0 else 0)
    clues = CLUES if copies else 0
    take("head_y", network.head_y, scales=CHOICE)
    if copies:
        take("head_copy", network.head_copy, scales=ASKING)
    take("hidden_co", network.hidden_co, beside=shape.surprises + clues)
    take("head_co", network.head_co, scales=CHOICE)
    take("hidden_cg", network.hidden_cg, beside=2 * shape.surprises + clues)
    take("head_cg", network.head_cg, scales=CHOICE)
    return network


@torch.no_grad()
def recounted(network: ResidualNetwork) -> ResidualNetwork:
    """The same network for differences from ``ORIGINS`` and for ``MARKS``, but for what clipping and rounding
    do; the network itself where it is so already.

    A quantised one keeps the steps of all layers but the first, whose weights change.
    """
    shape = replace(network.shape, adjacent=True, marks=MARKS)
    if shape == network.shape:
        return network
    same = ResidualNetwork(shape)
    same.load_state_dict(network.state_dict())
    positions = COMPONENTS * (len(WINDOW) + len(network.shape.around)) + 1
    for columns, old, new in (
        (slice(positions, positions + 2), network.shape.marks[0], MARKS[0]),
        (slice(network.shape.inputs - network.shape.styles, None), network.shape.marks[1], MARKS[1]),
    ):
        trunk_of(same)[0].weight[:, columns] *= old / new
    if not network.shape.adjacent:
        recount(network, same)
    if network.qat:
        same.quantise(True)
        go_on(same, {name: steps for name, steps in steps_of(network).items() if name != "trunk.0"})
    return same


def recount(network: ResidualNetwork, same: ResidualNetwork) -> None:
    """Give ``same`` the first weights of ``network`` for differences from ``ORIGINS``."""
    first = trunk_of(network)[0].weight
    weight = first[:, : COMPONENTS * len(WINDOW)].reshape(len(first), len(WINDOW), COMPONENTS).clone()
    # A difference from the reference is the sum of the differences along its origins.
    for i in sorted(range(len(WINDOW)), key=lambda i: -path_length(WINDOW[i])):
        if ORIGINS[i] != REFERENCE:
            weight[:, WINDOW.index(ORIGINS[i])] += weight[:, i]
    trunk_of(same)[0].weight[:, : COMPONENTS * len(WINDOW)] = weight.flatten(1)


def retold(weight: Tensor, old: int, new: int) -> Tensor:
    """Weights [out, components · old] of what components tell, where each tells ``new`` numbers, the last
    ones of which count for nothing yet."""
    return functional.pad(weight.reshape(len(weight), -1, old), (0, new - old)).flatten(1)


def path_length(offset: tuple[int, int]) -> int:
    """Origins between a neighbour and the reference."""
    return 0 if offset == REFERENCE else 1 + path_length(ORIGINS[WINDOW.index(offset)])


def misfit(large: Shape, small: Shape) -> str | None:
    """Why one network cannot be cut to another, or None."""
    if small.copies or large.copies:
        return "networks with copies cannot be cut"
    if len(small.hidden) != len(large.hidden):
        return f"it has {len(large.hidden)} hidden layers, not {len(small.hidden)}"
    if any(a > b for a, b in zip((*small.hidden, small.head), (*large.hidden, large.head), strict=True)):
        return f"its layers are {large.hidden} wide and its heads {large.head}"
    if small.styles != large.styles:
        return f"it has {large.styles} styles, not {small.styles}"
    if not set(small.around) <= set(large.around):
        return "it does not see as much of the reconstruction"
    return None


@torch.no_grad()
def shrink(network: ResidualNetwork, shape: Shape, sampler: WindowSampler) -> ResidualNetwork:
    """``network`` cut to ``shape``, which must not be a ``misfit``, judged on windows of ``sampler`` (of the
    large shape)."""
    small = ResidualNetwork(shape)
    layers, large = trunk_of(small), trunk_of(network)
    columns = inputs_of(network.shape, shape)
    seen = contexts(network.shape, sampler)[:, columns]
    fitted: list[tuple[Tensor, Tensor]] = [(large[0].weight[:, columns], large[0].bias)]
    for i, layer in enumerate(layers):
        weight, bias = fitted[0]
        full = (seen @ weight.T + bias).clamp(0.0, 255.0 / HIDDEN_UNIT)
        after = (
            [large[i + 1]] if i + 1 < len(layers) else [network.head_y, network.hidden_co, network.hidden_cg]
        )
        outgoing = torch.cat([follower.weight[:, : full.shape[1]] for follower in after]).square().sum(0)
        chosen = most(full.var(0) * outgoing, shape.hidden[i])
        layer.weight.copy_(weight[chosen])
        layer.bias.copy_(bias[chosen])
        seen = full[:, chosen]
        fitted = [refit(follower, full, seen) for follower in after]
    small.head_y.weight.copy_(fitted[0][0])
    small.head_y.bias.copy_(fitted[0][1])
    width = network.shape.hidden[-1]
    for name, (weight, bias) in zip(("co", "cg"), fitted[1:], strict=True):
        hidden, head = getattr(network, f"hidden_{name}"), getattr(network, f"head_{name}")
        chosen = most(weight.square().sum(1) * head.weight.square().sum(0), shape.head)
        beside = retold(hidden.weight[:, width:], network.shape.surprises, shape.surprises)
        getattr(small, f"hidden_{name}").weight.copy_(torch.cat([weight, beside], 1)[chosen])
        getattr(small, f"hidden_{name}").bias.copy_(bias[chosen])
        getattr(small, f"head_{name}").weight.copy_(head.weight[:, chosen])
        getattr(small, f"head_{name}").bias.copy_(head.bias)
    return small


def trunk_of(network: ResidualNetwork) -> list[IntegerLinear]:
    return [layer for layer in network.trunk if isinstance(layer, IntegerLinear)]


def contexts(shape: Shape, sampler: WindowSampler) -> Tensor:
    """Inputs of windows drawn anywhere, under styles drawn at random; [SAMPLES, inputs]."""
    generator = torch.Generator().manual_seed(0)
    batch = sampler.random(generator, SAMPLES // GROUP, GROUP)
    style = torch.randint(shape.styles, (len(batch.context),), generator=generator)
    return with_style(batch.context, style, shape)


def most(importance: Tensor, count: int) -> Tensor:
    """The ``count`` most important places, in order."""
    return importance.argsort(descending=True)[:count].sort().values


def inputs_of(large: Shape, small: Shape) -> list[int]:
    """Columns of the large network's inputs that the small one has, too."""
    around = [*range(COMPONENTS * len(WINDOW), COMPONENTS * (len(WINDOW) + len(large.around)))]
    places = {offset: around[COMPONENTS * i : COMPONENTS * (i + 1)] for i, offset in enumerate(large.around)}
    kept = [column for offset in small.around for column in places[offset]]
    return [
        *range(COMPONENTS * len(WINDOW)),
        *kept,
        *range(COMPONENTS * (len(WINDOW) + len(large.around)), large.inputs),
    ]


def refit(follower: IntegerLinear, full: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias that make of ``kept`` what ``follower`` made of ``full``, as well as can be."""
    target = full @ follower.weight[:, : full.shape[1]].T
    known = torch.cat([kept, torch.ones(len(kept), 1)], 1)
    gram = known.T @ known / len(known)
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram))
    solution = torch.linalg.solve(gram, known.T @ target / len(known))
    return solution[:-1].T, follower.bias + solution[-1]
