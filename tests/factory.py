"""Models for tests, small and made by hand: random ones for the format, and one that paints flat colours.

And a file that counts what is read of it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

import numpy as np

from saidcodec.encoder import writing
from saidcodec.entropy.rans import TOTAL
from saidcodec.format.header import Header, Metadata, Mode, ResidualCoder, Resolution, Text, Unit
from saidcodec.models import Model, identify
from saidcodec.residual.context import WINDOW
from saidcodec.said import Description

LATENTS, REACH, CANVAS, MOST_GLIMPSES, SCALES = 10, 64, 64, 32, 44
DECODER = ((10, 128), (128, 512), (288, 32), (288, 16), (144, 16), (144, 4))
FINE_DECODER = (*DECODER[:-1], (144, 16), (144, 4))  # of patches of 16×16
STYLES = 2
AROUND = ((0, 0), (1, 0), (0, 1))
COPIES = ((-1, 0), (0, -1), (2, -2))

EVERY_KIND = Metadata(
    icc=b"a profile",
    exif=b"II*\0\x08\0\0\0\0\0\0\0\0\0",
    xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
    resolution=Resolution(Unit.METRE, (11811, 1), (5000, 3)),
    texts=(Text("Title", "digits"), Text("Title", "Ziffern ½", "de", "Überschrift")),
    comment=b"a comment \xe9",
    chunks=((b"gAMA", bytes.fromhex("0000B18F")), (b"sBIT", bytes([8, 8, 8]))),
)

Tensors = dict[str, np.ndarray]


class Recorder(io.BytesIO):
    """A file that knows how many bytes were read of it."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.count += len(found)
        return found


def frequency(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random tables over the last axis, int32, all >= 1, summing to 2**24, some very uneven."""
    share = rng.gamma(0.3, size=shape) + 1e-6
    share /= share.sum(-1, keepdims=True)
    found = 1 + np.floor(share * (TOTAL - shape[-1])).astype(np.int64)
    found[..., 0] += TOTAL - found.sum(-1)
    return found.astype(np.int32)


def layer(
    rng: np.random.Generator, inputs: int, outputs: int, middle: float, spread: float
) -> Iterator[np.ndarray]:
    """Weight, bias and shift whose results scatter by ``spread`` around ``middle`` for random bytes."""
    weight = rng.integers(-63, 64, (inputs, outputs)).astype(np.int8)
    scatter = 36 * 74 * np.sqrt(inputs)  # of the sum, for uniform weights and bytes
    shift = np.full(outputs, round(max(np.log2(scatter / spread), 0)), np.int32)
    bias = np.rint(middle * 2.0**shift - 127.5 * weight.astype(float).sum(0)).astype(np.int32)
    return iter((weight, bias, shift))


def put(tensors: Tensors, name: str, parts: Iterator[np.ndarray]) -> None:
    tensors.update({f"{name}.{part}": array for part, array in zip(("weight", "bias", "shift"), parts)})


def tables(rng: np.random.Generator) -> Tensors:
    """Every coding table of a model."""
    return {
        "said.latent.frequency": frequency(rng, LATENTS, 2 * REACH + 1),
        "said.box.frequency": frequency(rng, 4, CANVAS),
        "said.count.frequency": frequency(rng, MOST_GLIMPSES + 1),
        "said.base.step.frequency": frequency(rng, 9),
        "said.base.scale.frequency": frequency(rng, SCALES),
        "tile.kind.frequency": frequency(rng, 3),
        "tile.style.frequency": frequency(rng, STYLES),
    }


def residual(
    rng: np.random.Generator, copies: bool, origins: bool, hidden: int = 16, told: int = 3
) -> Tensors:
    """A small random residual network whose heads hear ``told`` bytes of each component before them."""
    found: Tensors = {"residual.around": np.array(AROUND, np.int8)}
    inputs = 3 * (len(WINDOW) + len(AROUND)) + 3 + STYLES
    clues = 0
    if origins:
        found["residual.marks"] = np.array([40, 20], np.int32)
        found["residual.origins"] = np.array([(-1, 0), *WINDOW], np.int8)[rng.integers(20, size=len(WINDOW))]
    if copies:
        found["residual.copies"] = np.array(COPIES, np.int8)
        inputs += 2 + len(WINDOW)
        clues = 3
        put(found, "residual.head_copy", layer(rng, hidden, len(COPIES), 24, 12))
    put(found, "residual.trunk0", layer(rng, inputs, hidden, 96, 64))
    put(found, "residual.trunk1", layer(rng, hidden, hidden, 96, 64))
    put(found, "residual.hidden_co", layer(rng, hidden + told + clues, hidden, 96, 64))
    put(found, "residual.hidden_cg", layer(rng, hidden + 2 * told + clues, hidden, 96, 64))
    for head in ("y", "co", "cg"):
        weight, bias, shift = layer(rng, hidden, 3, 0, 4)
        bias += (np.array([0, 24, 1]) << shift).astype(np.int32)  # mean, scale index, tail index
        put(found, f"residual.head_{head}", iter((weight, bias, shift)))
    return found


def encoder(rng: np.random.Generator) -> Tensors:
    """Random weights of the encoder's own networks; the box that they propose is about the middle."""
    shapes = {
        "glimpse.conv0": (16, 4, 5, 5),
        "glimpse.conv1": (64, 16, 5, 5),
        "glimpse.dense0": (128, 160),
        "glimpse.dense1": (4, 128),
        "vae.conv0": (16, 3, 3, 3),
        "vae.conv1": (32, 16, 3, 3),
        "vae.conv2": (32, 32, 3, 3),
        "vae.conv3": (32, 32, 3, 3),
        "vae.dense0": (128, 512),
        "vae.dense1": (20, 128),
    }
    found: Tensors = {}
    for name, shape in shapes.items():
        spread = 1.5 / np.sqrt(np.prod(shape[1:]))
        found[f"encoder.{name}.weight"] = rng.normal(0, spread, shape).astype(np.float32)
        found[f"encoder.{name}.bias"] = np.zeros(shape[0], np.float32)
    return found


def random_tensors(
    seed: int = 0, copies: bool = False, origins: bool = False, told: int = 3, fine: bool = False
) -> Tensors:
    """A whole model of random integers within all limits, of a network with copies or without, whose
    differences count from random origins or all from the reference, and whose heads hear ``told`` bytes.
    ``fine``: of patches of 16×16."""
    rng = np.random.default_rng(seed)
    found = {**tables(rng), **residual(rng, copies, origins, told=told), **encoder(rng)}
    for i, (inputs, outputs) in enumerate(FINE_DECODER if fine else DECODER):
        put(found, f"said.decoder.{i}", layer(rng, inputs, outputs, 112, 64))
    found["said.latent.multiplier"] = rng.integers(1, 129, LATENTS).astype(np.int32)
    found["said.latent.posterior"] = rng.integers(50, 1025, LATENTS).astype(np.int32)
    return found


def flat_colour_tensors() -> Tensors:
    """A model whose latents 0, 1, 2 are the red, green and blue of an opaque patch of one colour.

    A latent of q paints the byte 128 + 4 * q.  The VAE's encoder finds a patch's mean colour.
    """
    found = random_tensors()
    found["said.latent.multiplier"] = np.full(LATENTS, 4, np.int32)
    found["said.latent.frequency"] = np.full((LATENTS, 2 * REACH + 1), TOTAL // (2 * REACH + 1), np.int32)
    found["said.latent.frequency"][:, REACH] += TOTAL % (2 * REACH + 1)
    found["said.box.frequency"] = np.full((4, CANVAS), TOTAL // CANVAS, np.int32)
    for i, (inputs, outputs) in enumerate(DECODER):
        weight, bias = np.zeros((inputs, outputs), np.int8), np.zeros(outputs, np.int32)
        for colour in range(3):
            if i == 1:
                weight[colour, colour::32] = 1  # at every place of the 4×4 map
            else:
                weight[inputs // 9 * 4 + colour if i > 1 else colour, colour] = 1  # the window's middle
        bias[3:] = 255 if i == 5 else 0
        put(found, f"said.decoder.{i}", iter((weight, bias, np.zeros(outputs, np.int32))))
    for name in [name for name in found if name.startswith("encoder.")]:
        found[name] = np.zeros_like(found[name])
    for i in range(4):
        for colour in range(3):
            found[f"encoder.vae.conv{i}.weight"][colour, colour, 1, 1] = 1
    for colour in range(3):
        found["encoder.vae.dense0.weight"][colour, 16 * colour : 16 * (colour + 1)] = 1 / 16
        found["encoder.vae.dense1.weight"][colour, colour] = 255 / 32
        found["encoder.vae.dense1.bias"][colour] = -4
    return found


def model_of(tensors: Mapping[str, np.ndarray], name: str = "test") -> Model:
    return Model(name, identify(tensors), tensors, {"name": name})


def random_model(
    seed: int = 0, copies: bool = False, origins: bool = False, told: int = 3, fine: bool = False
) -> Model:
    return model_of(random_tensors(seed, copies, origins, told, fine))


def flat_colour_model() -> Model:
    return model_of(flat_colour_tensors())


def banded_file(model: Model) -> tuple[bytes, np.ndarray]:
    """A noisy RGBA image of 70×53 pixels in four bands, and its pixels; quick to decode on every engine."""
    pixels = np.random.default_rng(8).integers(0, 256, (53, 70, 4)).astype(np.uint8)
    header = Header(70, 53, Mode.RGBA, False, ResidualCoder.GAUSSIAN, 0, model.id, 16, 4)
    return writing.write(header, model, pixels, Metadata(), 0, None, False, 1, lambda share: None), pixels


def random_description(
    rng: np.random.Generator, grey: bool = False, glimpses: int | None = None
) -> Description:
    """A valid description, its base from random colours."""
    step = int(rng.integers(0, 9))
    base = np.zeros((8, 8, 3), np.int16)
    base[..., 0] = rng.integers(0, (255 >> step) + 1, (8, 8))
    if not grey:
        base[..., 1:] = rng.integers(-(255 >> step), (255 >> step) + 1, (8, 8, 2))
    count = int(rng.integers(0, 6)) if glimpses is None else glimpses
    low, high = rng.integers(0, CANVAS, (count, 2)), rng.integers(0, CANVAS, (count, 2))
    boxes = np.concatenate([np.minimum(low, high), np.maximum(low, high) + 1], 1)
    return Description(step, base, boxes, rng.integers(-REACH, REACH + 1, (count, LATENTS)))
