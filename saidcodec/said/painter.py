"""From latents to paint: the decoder half of the VAE, and x̂(t) (bitstream_spec.md, sections 9.5, 9.6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from saidcodec.errors import ModelError
from saidcodec.format import colour
from saidcodec.format.header import Header
from saidcodec.format.planes import NO_RECONSTRUCTION
from saidcodec.format.tiling import Band
from saidcodec.integer import Layer, windows3x3
from saidcodec.models import Model
from saidcodec.said import base
from saidcodec.said.description import LATENTS, Description, box_pixels
from saidcodec.said.latent import as_bytes
from saidcodec.said.resampling import SIDE, upsample
from saidcodec.tensors import tensor

DENSE = 2  # layers 0 and 1 are dense, the others are 3×3 convolutions
SMALL_SIDE = 4  # of the feature map before it is doubled
FINE_SIDE = 16
# Inputs and outputs of each layer, by the side of the patches.
SHAPES = {
    SIDE: ((LATENTS, 128), (128, 4 * 4 * 32), (9 * 32, 32), (9 * 32, 16), (9 * 16, 16), (9 * 16, 4)),
    FINE_SIDE: (
        (LATENTS, 128), (128, 4 * 4 * 32), (9 * 32, 32), (9 * 32, 16), (9 * 16, 16), (9 * 16, 16),
        (9 * 16, 4),
    ),
}  # fmt: skip
DOUBLED_AFTER = {SIDE: (2,), FINE_SIDE: (2, 4)}  # the layers whose outputs are repeated to twice the side


def patch_side(model: Model) -> int:
    """Samples along one side of a model's patches."""
    return FINE_SIDE if f"said.decoder.{len(SHAPES[SIDE])}.weight" in model.tensors else SIDE


@lru_cache(maxsize=8)
def layers(model: Model) -> tuple[Layer, ...]:
    """The decoder's layers.  Raises ModelError where they are missing or unfit."""
    found = []
    for i, (inputs, outputs) in enumerate(SHAPES[patch_side(model)]):
        layer = Layer(
            tensor(model, f"said.decoder.{i}.weight", np.int8, (inputs, outputs)),
            tensor(model, f"said.decoder.{i}.bias", np.int32, (outputs,)),
            tensor(model, f"said.decoder.{i}.shift", np.int32, (outputs,)),
        )
        if problem := layer.problem():
            raise ModelError(f"The model's decoder layer {i} is unfit: {problem}.")
        found.append(layer)
    return tuple(found)


def patches(latents: np.ndarray, model: Model) -> np.ndarray:
    """Quantised latents int [n, 10] → R, G, B, alpha of the patches, uint8 [n, side, side, 4]."""
    last = patch_side(model)
    if not len(latents):
        return np.zeros((0, last, last, 4), np.uint8)
    n, stack = len(latents), layers(model)
    x = as_bytes(latents, model)
    for layer in stack[:DENSE]:
        x = layer.rounded(x)
    side, doubled = SMALL_SIDE, False
    for i, layer in enumerate(stack[DENSE:], DENSE):
        windows = windows3x3(x.reshape(n, side, side, -1), doubled)
        side <<= doubled
        x, doubled = layer.rounded(windows), i in DOUBLED_AFTER[last]
    return x.reshape(n, last, last, 4).astype(np.uint8)


def blend(under: np.ndarray, patch: np.ndarray) -> np.ndarray:
    """Paint patches uint8 [..., side, side, 4] over all of int32 RGB [..., h, w, 3]."""
    paint = upsample(patch, under.shape[-2], under.shape[-3])
    return under + ((paint[..., :3] - under) * paint[..., 3:] + 127) // 255


def paste(canvas: np.ndarray, box: np.ndarray, patch: np.ndarray) -> None:
    """Blend a patch into its box of int32 RGB [h, w, 3], in place."""
    place = box_pixels(box, canvas.shape[1], canvas.shape[0])
    canvas[place] = blend(canvas[place], patch)


def render_steps(description: Description, model: Model, width: int, height: int) -> Iterator[np.ndarray]:
    """x̂(0), x̂(1), …, x̂(T) of a tile, uint8 RGB [height, width, 3]."""
    return painted(description, patches(description.latents, model), width, height)


def painted(description: Description, paints: np.ndarray, width: int, height: int) -> Iterator[np.ndarray]:
    """The same from the patches of the glimpses, uint8 [n, side, side, 4]."""
    canvas = base.start(description.base, description.step, width, height)
    yield canvas.astype(np.uint8)
    for box, patch in zip(description.boxes, paints, strict=True):
        paste(canvas, box, patch)
        yield canvas.astype(np.uint8)


def render(description: Description, model: Model, width: int, height: int) -> np.ndarray:
    """x̂(T) of a tile, uint8 RGB [height, width, 3]."""
    *_, last = render_steps(description, model, width, height)
    return last


def render_band(
    descriptions: Sequence[Description | None], band: Band, header: Header, model: Model
) -> np.ndarray | None:
    """x̂(T) of the tiles of a band as the residual layer sees it, int16 [h, w, 3].

    NO_RECONSTRUCTION stands where a tile has none; None is given where no tile has one.
    """
    if not any(descriptions):
        return None
    found = np.full((band.height, band.width, 3), NO_RECONSTRUCTION, np.int16)
    for description, (rows, columns) in zip(descriptions, band.places, strict=True):
        if description is not None:
            size = (columns.stop - columns.start, rows.stop - rows.start)
            found[rows, columns] = planes_of(render(description, model, *size), header)
    return found


def planes_of(reconstruction: np.ndarray, header: Header) -> np.ndarray:
    """x̂ uint8 RGB [h, w, 3] → what the residual layer sees: components int16 [h, w, 3], of which only the
    first is not 0 in grey images."""
    planes = colour.forward(reconstruction, header.transform)
    if header.grey:
        planes[..., 1:] = 0
    return planes
