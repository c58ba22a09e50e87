"""From latents to paint: the decoder half of the VAE, and x̂(t) (bitstream_spec.md, sections 9.5, 9.6)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from saidcodec.errors import ModelError
from saidcodec.integer import Layer, windows3x3
from saidcodec.models import Model
from saidcodec.said import base
from saidcodec.said.description import Description, box_pixels
from saidcodec.said.resampling import upsample

DENSE, CONVOLUTIONS = 2, 4
SMALL_SIDE = 4  # of the feature map before it is doubled
DOUBLED_AFTER = 2  # layers 0 and 1 are dense, layer 2 works at 4×4, the others at 8×8


@lru_cache(maxsize=8)
def layers(model: Model) -> tuple[Layer, ...]:
    """The decoder's layers.  Raises ModelError where they are missing or unfit."""
    found = []
    for i in range(DENSE + CONVOLUTIONS):
        try:
            parts = [model.tensors[f"said.decoder.{i}.{part}"] for part in ("weight", "bias", "shift")]
        except KeyError as error:
            raise ModelError(f"The model lacks the tensor {error.args[0]}.") from None
        layer = Layer(*parts)
        if problem := layer.problem():
            raise ModelError(f"The model's decoder layer {i} is unfit: {problem}.")
        found.append(layer)
    return tuple(found)


def patches(latents: np.ndarray, model: Model) -> np.ndarray:
    """Quantised latents int [n, 10] → R, G, B, alpha of the patches, uint8 [n, 8, 8, 4]."""
    multiplier = model.tensors["said.latent.multiplier"]
    x = np.clip(128 + latents.astype(np.int64) * multiplier, 0, 255).astype(np.uint8)
    stack = layers(model)
    for layer in stack[:DENSE]:
        x = layer.run(x)
    x = x.reshape(len(latents), SMALL_SIDE, SMALL_SIDE, -1)
    for i, layer in enumerate(stack[DENSE:], DENSE):
        side = x.shape[1]
        x = layer.run(windows3x3(x)).reshape(len(latents), side, side, -1)
        if i == DOUBLED_AFTER:
            x = x.repeat(2, 1).repeat(2, 2)
    return x


def blend(under: np.ndarray, patch: np.ndarray) -> np.ndarray:
    """Paint a patch uint8 [8, 8, 4] over all of int32 RGB [h, w, 3]."""
    paint = upsample(patch, under.shape[1], under.shape[0])
    return under + ((paint[..., :3] - under) * paint[..., 3:] + 127) // 255


def paste(canvas: np.ndarray, box: np.ndarray, patch: np.ndarray) -> None:
    """Blend a patch into its box of int32 RGB [h, w, 3], in place."""
    place = box_pixels(box, canvas.shape[1], canvas.shape[0])
    canvas[place] = blend(canvas[place], patch)


def render_steps(description: Description, model: Model, width: int, height: int) -> Iterator[np.ndarray]:
    """x̂(0), x̂(1), …, x̂(T) of a tile, uint8 RGB [height, width, 3]."""
    canvas = base.start(description.base, description.step, width, height)
    yield canvas.astype(np.uint8)
    if len(description.boxes):
        for box, patch in zip(description.boxes, patches(description.latents, model)):
            paste(canvas, box, patch)
            yield canvas.astype(np.uint8)


def render(description: Description, model: Model, width: int, height: int) -> np.ndarray:
    """x̂(T) of a tile, uint8 RGB [height, width, 3]."""
    for canvas in render_steps(description, model, width, height):
        pass
    return canvas
