"""The encoder's own networks in NumPy: where to look, and what a patch means.  Not part of the format."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from saidcodec.encoder.crop import crop
from saidcodec.errors import ModelError
from saidcodec.integer import product
from saidcodec.models import Model
from saidcodec.said.description import CANVAS
from saidcodec.said.latent import LATENT_REACH, LATENT_UNITS, multiplier, quantise
from saidcodec.said.painter import FINE_SIDE, patch_side
from saidcodec.said.resampling import SIDE

GLIMPSE = "encoder.glimpse."
VAE = "encoder.vae."
STRIDES = {SIDE: (1, 2, 1, 1), FINE_SIDE: (1, 2, 2, 1)}  # of the VAE's convolutions, by the patches' side
UNSURE = (
    0.2  # of a step: means nearer to one are not rounded otherwise, which halves the work and costs 0.1 %
)
FOCUS = 4.0  # inverse temperature of the spatial softmax, as in training


def propose(error: np.ndarray, scope: np.ndarray, model: Model) -> np.ndarray:
    """Error [n, 64, 64, 3] in -1..1 and scope [n, 64, 64] → boxes float [n, 4] in canvas units."""
    x = np.concatenate([error, scope[..., None]], -1).astype(np.float32)
    x = relu(convolve(x, model, GLIMPSE + "conv0", stride=4))
    x = focus(convolve(x, model, GLIMPSE + "conv1", stride=1))
    x = dense(relu(dense(x, model, GLIMPSE + "dense0")), model, GLIMPSE + "dense1")
    centre = (np.tanh(x[:, :2]) + 1.0) * CANVAS / 2
    half = (0.04 + 0.96 / (1.0 + np.exp(-x[:, 2:]))) * CANVAS / 2
    return np.clip(np.concatenate([centre - half, centre + half], 1), 0.0, CANVAS)


def encode_patches(patches: np.ndarray, model: Model) -> np.ndarray:
    """Patches float [n, side, side, 3] in 0..1 → mean latents float32 [n, 10]."""
    x = patches.astype(np.float32)
    for i, stride in enumerate(STRIDES[patches.shape[1]]):
        x = relu(convolve(x, model, f"{VAE}conv{i}", stride))
    x = relu(dense(flat(x), model, VAE + "dense0"))
    return dense(x, model, VAE + "dense1")[:, : len(model.tensors["said.latent.multiplier"])]


def means_in(tile: np.ndarray, boxes: np.ndarray, model: Model) -> np.ndarray:
    """Of a tile uint8 RGB [h, w, 3], what each box int [n, 4] shows; mean latents float32 [n, 10]."""
    return encode_patches(crop(tile.astype(np.float32) / 255, boxes, patch_side(model)), model)


def latents_in(tile: np.ndarray, boxes: np.ndarray, model: Model) -> np.ndarray:
    """What each box int [n, 4] of a tile uint8 RGB [h, w, 3] shows; quantised latents int32 [n, 10]."""
    return quantise(means_in(tile, boxes, model), model)


def rounded_otherwise(means: np.ndarray, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """The quantised latents of means float [n, 10] with a single one rounded the other way, for each that is
    nearly as close to that step: the rows they come from, int [m], and all latents, int32 [m, 10]."""
    steps = means * LATENT_UNITS / multiplier(model)
    nearest = quantise(means, model)
    rows, which = np.nonzero(np.abs(steps - nearest) >= UNSURE)
    found = nearest[rows]
    found[np.arange(len(rows)), which] += np.where(steps > nearest, 1, -1)[rows, which]
    return rows, found.clip(-LATENT_REACH, LATENT_REACH)


def focus(maps: np.ndarray) -> np.ndarray:
    """Spatial softmax of [n, s, s, 2 * k]: where, how widely and what each map sees, float32 [n, 5 * k]."""
    n, side, _, channels = maps.shape
    where, what = np.split(maps.reshape(n, side * side, channels).transpose(0, 2, 1), 2, axis=1)
    share = np.exp(FOCUS * (where - where.max(2, keepdims=True)))
    share /= share.sum(2, keepdims=True)
    line = (np.arange(side, dtype=np.float32) + 0.5) * (2.0 / side) - 1.0
    place = np.stack([np.tile(line, side), np.repeat(line, side)], 1)
    mean, square = share @ place, share @ place**2
    spread = np.sqrt(np.maximum(square - mean**2, 0.0) + 1e-4)
    seen = (share * np.maximum(what, 0.0)).sum(2, keepdims=True)
    return np.concatenate([mean, spread, seen], 2).reshape(n, -1).astype(np.float32)


@lru_cache(maxsize=64)
def weights(model: Model, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Weight float32 [in, out] and bias of a layer; a kernel's inputs are in (ky, kx, channel) order."""
    weight, bias = (part(model, f"{name}.{which}") for which in ("weight", "bias"))
    if weight.ndim == 4:
        weight = weight.transpose(0, 2, 3, 1)  # from [out, in, ky, kx]
    return np.ascontiguousarray(weight.reshape(len(weight), -1).T, np.float32), bias


def part(model: Model, name: str) -> np.ndarray:
    if name not in model.tensors:
        raise ModelError(f"The model cannot encode: it lacks the tensor {name}.")
    return model.tensors[name]


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0, out=x)


def flat(x: np.ndarray) -> np.ndarray:
    """[n, h, w, c] → [n, c * h * w], channels first as in training."""
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1)


def dense(x: np.ndarray, model: Model, name: str) -> np.ndarray:
    weight, bias = weights(model, name)
    return product(x, weight) + bias


def convolve(x: np.ndarray, model: Model, name: str, stride: int) -> np.ndarray:
    """Zero-padded convolution of [n, h, w, c]."""
    n, height, width, channels = x.shape
    size = part(model, name + ".weight").shape[-1]
    padded = np.empty((n, height * width + 1, channels), np.float32)
    padded[:, :-1] = x.reshape(n, -1, channels)
    padded[:, -1] = 0
    columns = padded.take(window_indices(height, width, size, stride), 1)
    y = dense(columns.reshape(-1, size * size * channels), model, name)
    return y.reshape(n, -(-height // stride), -(-width // stride), -1)


@lru_cache(maxsize=16)
def window_indices(height: int, width: int, size: int, stride: int) -> np.ndarray:
    """Where the places of all windows lie among height * width inputs, the next one for those outside; int
    [places * size * size]."""
    down, across = np.arange(0, height, stride), np.arange(0, width, stride)
    reach = np.arange(size) - size // 2
    y = (down[:, None] + reach)[:, None, :, None]
    x = (across[:, None] + reach)[None, :, None, :]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return np.where(inside, y * width + x, height * width).reshape(-1)
