"""From checkpoints to model files: integers for the decoder, floats for the encoder, tables for both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from saidcodec.encoder.search import describe
from saidcodec.entropy.bank import SCALES
from saidcodec.entropy.rans import TOTAL
from saidcodec.errors import ModelError
from saidcodec.models import Model
from saidcodec.said import base, section
from saidcodec.said.description import CANVAS, LATENTS, MOST_GLIMPSES, Description
from saidcodec.said.latent import LATENT_REACH, multiplier
from saidcodec.said.painter import layers, patch_side
from saidcodec.tensors import bounded, tensor
from saidcodec.training import checkpoints
from saidcodec.training.networks import LATENT_UNIT, Said, said_of
from saidcodec.training.quantise import (
    HIDDEN_UNIT,
    WEIGHT_MAX,
    IntegerConv,
    exponent_of,
    go_on,
    set_quantised,
)
from saidcodec.training.residual_network import ResidualNetwork, best_style
from saidcodec.training.said import Settings
from saidcodec.training.windows import Tiles, WindowSampler

POSTERIOR_UNITS = 1024
BASE_STEPS = 9
PRIOR_GLIMPSES = 30  # how many glimpses N(0, 1) counts as beside those that were seen
BLUR = np.array([1, 3, 6, 3, 1]) / 14
STEPS = (3, 5, 7)  # of the base, as the codec tries them


def frequency(counts: np.ndarray) -> np.ndarray:
    """Counts [..., n], at least one of them positive → integer tables that sum to 2**24, all >= 1."""
    share = np.asarray(counts, float)
    share = share / share.sum(-1, keepdims=True)
    found = 1 + np.floor(share * (TOTAL - share.shape[-1])).astype(np.int64)
    likeliest = np.arange(share.shape[-1]) == share.argmax(-1)[..., None]
    return (found + likeliest * (TOTAL - found.sum(-1, keepdims=True))).astype(np.int32)


def normal_tables(multiplier: np.ndarray) -> np.ndarray:
    """N(0, 1) in steps of multiplier / 32, symbols -64 .. 64; int32 [10, 129]."""
    edges = np.arange(-LATENT_REACH, LATENT_REACH + 2) - 0.5
    rows = []
    for step in multiplier / LATENT_UNIT:
        below = np.array([0.5 * math.erfc(-edge * step / math.sqrt(2)) for edge in edges])
        above = np.array([0.5 * math.erfc(edge * step / math.sqrt(2)) for edge in edges])
        rows.append(np.where(edges[:-1] > 0, above[:-1] - above[1:], below[1:] - below[:-1]))
    return frequency(np.array(rows))


def learnt_latents(described: Sequence[Description | None], multiplier: np.ndarray) -> dict[str, np.ndarray]:
    """Tables of the latents from what an encoder chose: counts of each dimension, on top of N(0, 1)."""
    latents = np.concatenate([np.zeros((0, LATENTS), np.int64), *(d.latents for d in described if d)])
    shares = normal_tables(multiplier) / TOTAL
    counts = [blurred(np.bincount(q + LATENT_REACH, minlength=2 * LATENT_REACH + 1)) for q in latents.T]
    return {"said.latent.frequency": frequency(np.stack(counts) + PRIOR_GLIMPSES * shares)}


def decoder_tensors(model: Said) -> dict[str, np.ndarray]:
    """The decoder half of the VAE as integer layers (spec section 9.5)."""
    tensors = {}
    for i, layer in enumerate(model.decoder.layers()):
        exponent = exponent_of(layer).double()
        step = torch.exp2(exponent)
        scaled = layer.weight.detach().double() * step.reshape(-1, *[1] * (layer.weight.dim() - 1))
        weight = torch.round(scaled).clamp(-WEIGHT_MAX, WEIGHT_MAX)
        unit = LATENT_UNIT if i == 0 else HIDDEN_UNIT
        bias = torch.round(layer.bias.detach().double() * unit * step)
        if i == 0:  # the inputs carry an offset of 128
            bias = bias - 128 * weight.sum(1)
        if isinstance(layer, IntegerConv):
            weight = weight.permute(2, 3, 1, 0).reshape(-1, len(step))
        else:
            weight = weight.T
        shift = exponent + math.log2(unit) - math.log2(HIDDEN_UNIT)
        tensors[f"said.decoder.{i}.weight"] = weight.numpy().astype(np.int8).copy()
        tensors[f"said.decoder.{i}.bias"] = bias.numpy().astype(np.int32)
        tensors[f"said.decoder.{i}.shift"] = shift.numpy().astype(np.int32)
    return tensors


def encoder_tensors(model: Said) -> dict[str, np.ndarray]:
    """Glimpse network and VAE encoder as they are."""
    parts = {"glimpse": model.glimpse, "vae": model.encoder}
    return {
        f"encoder.{name}.{key}": value.numpy().astype(np.float32)
        for name, part in parts.items()
        for key, value in part.state_dict().items()
    }


def flat_tables() -> dict[str, np.ndarray]:
    """Coding tables before any statistics: mildly informed guesses."""
    sizes = np.arange(1, CANVAS + 1)
    size = np.exp(-0.5 * (np.log(sizes / 15.0) / 0.5) ** 2) + 1e-3
    return {
        "said.box.frequency": frequency(np.stack([size, size, np.ones(CANVAS), np.ones(CANVAS)])),
        "said.count.frequency": frequency(0.8 ** np.arange(MOST_GLIMPSES + 1)),
        "said.base.step.frequency": frequency(np.ones(BASE_STEPS)),
        "said.base.scale.frequency": frequency(np.ones(SCALES)),
        "tile.kind.frequency": frequency(np.array([45, 54, 1])),
    }


def blurred(counts: np.ndarray) -> np.ndarray:
    """Counts of neighbouring numbers shared among them, so that few boxes make a smooth table; [n]."""
    shared = np.convolve(counts, BLUR, "full")[len(BLUR) // 2 : -(len(BLUR) // 2)]
    return np.asarray(shared)


def learnt_tables(descriptions: Sequence[Description | None], grey: bool) -> dict[str, np.ndarray]:
    """Coding tables from what an encoder with ``flat_tables`` chose on training images."""
    said = [description for description in descriptions if description is not None]
    kinds = np.array([len(descriptions) - len(said), len(said), 0.01 * len(descriptions)]) + 1
    boxes = np.concatenate([np.zeros((0, 4), np.int64), *(section.box_symbols(d.boxes) for d in said)])
    box = np.stack([blurred(np.bincount(column, minlength=CANVAS)) for column in boxes.T]) + 0.05
    counts = np.bincount([len(d.boxes) for d in said], minlength=MOST_GLIMPSES + 1) + 0.5
    steps = np.bincount([d.step for d in said], minlength=BASE_STEPS) + 0.5
    scales = np.full(SCALES, 0.5)
    for d in said:
        distances = base.differences(d.base, d.step)[..., : section.components_of(grey)]
        np.add.at(scales, section.distance_bits(distances).argmin(0), 1)
    return {
        "said.box.frequency": frequency(box),
        "said.count.frequency": frequency(counts),
        "said.base.step.frequency": frequency(steps),
        "said.base.scale.frequency": frequency(scales),
        "tile.kind.frequency": frequency(kinds),
    }


def said_tensors(model: Said) -> dict[str, np.ndarray]:
    """Everything of a model file but the residual network, with tables before any statistics."""
    multiplier = model.multiplier.numpy().astype(np.int32)
    posterior = np.rint(model.posterior.numpy() * POSTERIOR_UNITS).clip(1, POSTERIOR_UNITS)
    return {
        **decoder_tensors(model),
        **encoder_tensors(model),
        **flat_tables(),
        "said.latent.multiplier": multiplier,
        "said.latent.posterior": posterior.astype(np.int32),
        "said.latent.frequency": normal_tables(multiplier),
    }


def said_in(file: Model) -> Said:
    """The three networks of a model file, quantised in the file's steps: the inverse of ``said_tensors``.

    Raises ModelError where they are missing or unfit."""
    layers(file)
    tensors, model = file.tensors, Said(patch_side(file))
    for name, network in (("glimpse", model.glimpse), ("vae", model.encoder)):
        for key, value in network.state_dict().items():
            value.copy_(
                torch.from_numpy(tensor(file, f"encoder.{name}.{key}", np.float32, tuple(value.shape)))
            )
    set_quantised(model, True)
    for i, layer in enumerate(model.decoder.layers()):
        weight, bias, shift = (
            torch.from_numpy(tensors[f"said.decoder.{i}.{part}"].astype(np.float64))
            for part in ("weight", "bias", "shift")
        )
        unit = LATENT_UNIT if i == 0 else HIDDEN_UNIT
        exponent = shift - math.log2(unit) + math.log2(HIDDEN_UNIT)
        if i == 0:
            bias = bias + 128 * weight.sum(0)
        if isinstance(layer, IntegerConv):
            weight = weight.reshape(3, 3, -1, weight.shape[1]).permute(3, 2, 0, 1)
        else:
            weight = weight.T
            layer.exponent = exponent.float()
        step = torch.exp2(exponent)
        layer.weight.data = (weight / step.reshape(-1, *[1] * (weight.dim() - 1))).float()
        layer.bias.data = (bias / (unit * step)).float()
    model.multiplier.copy_(torch.from_numpy(multiplier(file)))
    posterior = bounded(file, "said.latent.posterior", LATENTS, 1, 1 << 20)
    model.posterior.copy_(torch.from_numpy(posterior) / POSTERIOR_UNITS)
    return model


def load_said(path: Path) -> tuple[Said, Settings]:
    """The model of a checkpoint, quantised, and the settings it was trained with.  Raises ModelError."""
    state = checkpoints.read(path, "model", "settings")
    model = said_of(state["model"])
    if not model.multiplier.any():
        raise ModelError(f"{path} was saved before the quantisation-aware phase began.")
    set_quantised(model, True)
    go_on(model, state.get("exponents", {}))
    return model, Settings(**state["settings"])


def with_statistics(
    tensors: Mapping[str, np.ndarray], images: np.ndarray, grey: bool, most: int = 8, rounds: int = 2
) -> dict[str, np.ndarray]:
    """SAID tensors with the tables that suit what the codec's own search finds in uint8 images.

    Every number of glimpses up to the last that pays by the paper's account counts alike, since the
    residual coder's exact bits will cut some of them off.
    """
    tensors = dict(tensors)
    rng = np.random.default_rng(0)
    for i in range(rounds):
        model = Model("in training", str(i), tensors, {})
        described = describe(list(images), grey, model, most, STEPS)
        chosen = [options[rng.integers(len(options))] for options in described]
        tensors.update(learnt_tables([d.first(int(rng.integers(len(d.boxes) + 1))) for d in chosen], grey))
        tensors["tile.kind.frequency"] = flat_tables()["tile.kind.frequency"]
    return tensors


def without_residual(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The SAID layer's tensors of a model file, whole or not."""
    return {
        name: tensor
        for name, tensor in tensors.items()
        if not name.startswith("residual.") and name != "tile.style.frequency"
    }


def merge(
    said: Mapping[str, np.ndarray], residual: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """One model of both layers' tensors, for ``models.save``.  Raises ValueError where names meet."""
    if shared := said.keys() & residual.keys():
        raise ValueError(f"Both layers name {', '.join(sorted(shared))}.")
    return {**said, **residual}, dict(metadata)


def style_counts(network: ResidualNetwork, tiles: Tiles, per_tile: int = 512) -> np.ndarray:
    """How many of the tiles each style suits best; [styles]."""
    sampler = WindowSampler(network.shape, tiles)
    generator = torch.Generator().manual_seed(0)
    counts = np.zeros(network.shape.styles)
    for _ in range(-(-len(tiles.grey) // 32)):
        batch = sampler.random(generator, 32, per_tile)
        style = best_style(network, batch, per_tile, torch.float32)[::per_tile]
        counts += np.bincount(style.numpy(), minlength=len(counts))
    return counts


def style_table(counts: np.ndarray) -> Mapping[str, np.ndarray]:
    """The table of styles from how often each was chosen [styles]."""
    return {"tile.style.frequency": frequency(counts + 1.0)}
