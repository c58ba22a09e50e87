"""Descriptions ⇄ symbols, and what they cost (bitstream_spec.md, sections 9.1 to 9.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saidcodec.entropy import Decoder, Encoder, Table
from saidcodec.errors import CorruptError
from saidcodec.models import Model
from saidcodec.residual.mixture import SCALES
from saidcodec.residual.tables import REACH, SYMBOLS, bank
from saidcodec.said import base
from saidcodec.said.description import CANVAS, LATENTS, Description
from saidcodec.said.resampling import SIDE

BASE_TAIL = 1  # tail index of the base's tables
LATENT_REACH = 64
LATENT_UNITS = 32  # multiplier units in one latent unit
POSTERIOR_UNITS = 1024


class Tables:
    """The coding tables of a model's SAID layer."""

    def __init__(self, model: Model):
        tensors = model.tensors
        self.step = Table(tensors["said.base.step.frequency"])
        self.scale = Table(tensors["said.base.scale.frequency"])
        self.count = Table(tensors["said.count.frequency"])
        self.box = [Table(row) for row in tensors["said.box.frequency"]]
        self.latent = [Table(row) for row in tensors["said.latent.frequency"]]
        self.distance = distance_tables()


def distance_tables() -> list[Table]:
    """The tables of a base's distances by scale index."""
    return [bank().first(scale, BASE_TAIL) for scale in range(SCALES)]


def distance_bits(distances: np.ndarray, tables: Sequence[Table]) -> np.ndarray:
    """Bits of a base's components [8, 8, components] under every table; float64 [SCALES, components]."""
    return np.stack([table.bits[distances + REACH].sum((0, 1)) for table in tables])


def box_symbols(boxes: np.ndarray) -> np.ndarray:
    """(x0, y0, x1, y1) → width - 1, height - 1, x0, y0; int [n, 4]."""
    x0, y0, x1, y1 = boxes.T
    return np.stack([x1 - x0 - 1, y1 - y0 - 1, x0, y0], 1)


def scale_bits(distances: np.ndarray, tables: Tables) -> np.ndarray:
    """Bits of a base's components at every scale index, index included; float64 [SCALES, components]."""
    return np.asarray(distance_bits(distances, tables.distance) + tables.scale.bits[:, None])


def write(descriptions: Sequence[Description], grey: bool, model: Model, encoder: Encoder) -> None:
    """Add the descriptions to a stream, field by field over all tiles."""
    if not descriptions:
        return
    tables = Tables(model)
    components = 1 if grey else 3
    encoder.add(np.array([d.step for d in descriptions]), tables.step)
    distances = [base.differences(d.base, d.step)[..., :components] for d in descriptions]
    scales = [scale_bits(distance, tables).argmin(0) for distance in distances]
    encoder.add(np.array(scales), tables.scale)
    for distance, chosen in zip(distances, scales):
        for c, scale in enumerate(chosen):
            encoder.add(distance[..., c] + REACH, tables.distance[scale])
    encoder.add(np.array([len(d.boxes) for d in descriptions]), tables.count)
    boxes = box_symbols(np.concatenate([d.boxes.reshape(-1, 4) for d in descriptions]))
    for column, table in zip(boxes.T, tables.box):
        encoder.add(column, table)
    latents = np.concatenate([d.latents.reshape(-1, LATENTS) for d in descriptions])
    for column, table in zip(latents.T, tables.latent):
        encoder.add(column + LATENT_REACH, table)


def read(count: int, grey: bool, model: Model, decoder: Decoder) -> list[Description]:
    """The ``count`` descriptions that ``write`` added.  Raises CorruptError on an impossible box."""
    if not count:
        return []
    tables = Tables(model)
    components = 1 if grey else 3
    steps = decoder.take(tables.step, count)
    scales = decoder.take(tables.scale, count * components).reshape(count, components)
    bases = np.zeros((count, SIDE, SIDE, 3), np.int32)
    for i in range(count):
        distances = [decoder.take(tables.distance[scale], SIDE * SIDE) - REACH for scale in scales[i]]
        planes = np.stack(distances, -1).reshape(SIDE, SIDE, components)
        bases[i, ..., :components] = base.integrate(planes, int(steps[i]))
    counts = decoder.take(tables.count, count)
    total = int(counts.sum())
    width, height, x0, y0 = (decoder.take(table, total) for table in tables.box)
    boxes = np.stack([x0, y0, x0 + width + 1, y0 + height + 1], 1)
    if (boxes > CANVAS).any():
        raise CorruptError("The SAID section holds a box that leaves its tile.")
    latents = np.stack([decoder.take(table, total) - LATENT_REACH for table in tables.latent], 1)
    ends = np.cumsum(counts)
    return [
        Description(int(steps[i]), bases[i], boxes[end - n : end], latents[end - n : end])
        for i, (n, end) in enumerate(zip(counts, ends))
    ]


@dataclass(frozen=True)
class Account:
    """Bits of one description: ``base`` with its step and scales, ``count`` of every possible number of
    glimpses, and of each glimpse ``boxes``, ``latents`` and their ``kl`` [n]."""

    base: float
    count: np.ndarray
    boxes: np.ndarray
    latents: np.ndarray
    kl: np.ndarray

    def bits(self, n: int) -> float:
        """All bits if only the first ``n`` glimpses are kept."""
        return float(self.base + self.count[n] + self.boxes[:n].sum() + self.latents[:n].sum())


def account(description: Description, grey: bool, model: Model) -> Account:
    """The exact code lengths of what ``write`` adds for a description."""
    tables = Tables(model)
    distances = base.differences(description.base, description.step)[..., : 1 if grey else 3]
    spent = tables.step.bits[description.step] + scale_bits(distances, tables).min(0).sum()
    symbols = box_symbols(description.boxes.reshape(-1, 4))
    boxes = np.stack([t.bits[column] for t, column in zip(tables.box, symbols.T)]).sum(0)
    latents = latent_bits(description.latents.reshape(-1, LATENTS), tables)
    return Account(float(spent), tables.count.bits, boxes, latents, kl_bits(description.latents, model))


def latent_bits(latents: np.ndarray, tables: Tables) -> np.ndarray:
    """Bits of quantised latents [n, 10]; float64 [n]."""
    columns = [t.bits[column + LATENT_REACH] for t, column in zip(tables.latent, latents.T)]
    return np.stack(columns).sum(0)


def kl_bits(latents: np.ndarray, model: Model) -> np.ndarray:
    """KL(q(z) ‖ N(0, I)) of the dequantised latents under the model's mean posterior width; float64 [n]."""
    mean = latents.reshape(-1, LATENTS) * model.tensors["said.latent.multiplier"] / LATENT_UNITS
    variance = (model.tensors["said.latent.posterior"] / POSTERIOR_UNITS) ** 2
    return 0.5 * (mean**2 + variance - 1 - np.log(variance)).sum(1) / np.log(2)


assert SYMBOLS == 2 * REACH + 1
