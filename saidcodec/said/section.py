"""The SAID section: kinds and descriptions of all tiles ⇄ symbols, and what they cost (spec section 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from saidcodec.entropy.bank import REACH, SCALES, bank
from saidcodec.entropy.rans import Decoder, Encoder, Table, uniform
from saidcodec.errors import CorruptError
from saidcodec.format.header import TileKind
from saidcodec.models import Model
from saidcodec.said import base
from saidcodec.said.description import CANVAS, LATENTS, MOST_GLIMPSES, Description
from saidcodec.said.latent import LATENT_REACH, latent_bits, latent_tables
from saidcodec.said.resampling import SIDE
from saidcodec.tensors import one_table, table_rows

BASE_TAIL = 1  # tail index of the base's tables
CELLS = SIDE * SIDE
BOX_FIELDS = 4  # width - 1, height - 1, x0, y0


class Tables:
    """The coding tables of a model's SAID layer.  Raises ModelError where they are missing or unfit."""

    def __init__(self, model: Model):
        (self.step,) = table_rows(model, "said.base.step.frequency", (base.STEPS,))
        (self.scale,) = table_rows(model, "said.base.scale.frequency", (SCALES,))
        (self.count,) = table_rows(model, "said.count.frequency", (MOST_GLIMPSES + 1,))
        self.box = table_rows(model, "said.box.frequency", (BOX_FIELDS, CANVAS))
        self.latent = latent_tables(model)
        self.distance = distance_tables()

    @cached_property
    def box_bits(self) -> np.ndarray:
        """Bits of every symbol of a box's fields; float64 [4, 64]."""
        return np.stack([table.bits for table in self.box])

    @cached_property
    def latent_bits(self) -> np.ndarray:
        """Bits of every symbol of the latents; float64 [10, 129]."""
        return np.stack([table.bits for table in self.latent])


@lru_cache(maxsize=8)
def tables_of(model: Model) -> Tables:
    """The tables of a model, made once."""
    return Tables(model)


def distance_tables() -> list[Table]:
    """The tables of a base's distances by scale index."""
    return [bank().first(scale, BASE_TAIL) for scale in range(SCALES)]


@lru_cache(maxsize=1)
def distance_lengths() -> np.ndarray:
    """Bits of every symbol under every one of these tables; float64 [SCALES, symbols]."""
    return np.stack([table.bits for table in distance_tables()])


def distance_bits(distances: np.ndarray) -> np.ndarray:
    """Bits of the components of bases [..., 8, 8, components] under every table;
    float64 [SCALES, ..., components]."""
    return np.asarray(distance_lengths()[:, distances + REACH].sum((-3, -2)))


def scale_bits(distances: np.ndarray, tables: Tables) -> np.ndarray:
    """The same with the bits of the scale index itself."""
    bits = distance_bits(distances)
    return np.asarray(bits + tables.scale.bits.reshape(-1, *[1] * (bits.ndim - 1)))


def box_symbols(boxes: np.ndarray) -> np.ndarray:
    """(x0, y0, x1, y1) → width - 1, height - 1, x0, y0; int [n, 4]."""
    x0, y0, x1, y1 = boxes.T
    return np.stack([x1 - x0 - 1, y1 - y0 - 1, x0, y0], 1)


def box_bits(boxes: np.ndarray, tables: Tables) -> np.ndarray:
    """Bits of boxes [n, 4]; float64 [n]."""
    return np.asarray(tables.box_bits[np.arange(BOX_FIELDS), box_symbols(boxes)].sum(1))


def write_section(
    kinds: Sequence[int],
    descriptions: Sequence[Description | None],
    grey: bool,
    model: Model,
    encoder: Encoder,
) -> None:
    """Add the section to a stream; a tile of kind SAID has a description, the others None."""
    plain = not np.any(kinds)
    if len(kinds) > 1:
        encoder.add(np.array([plain]), uniform(2))
    if len(kinds) == 1 or not plain:
        encoder.add(np.array(kinds), kind_table(model))
    write_descriptions([d for d in descriptions if d is not None], grey, model, encoder)


def read_section(
    tiles: int, grey: bool, model: Model, decoder: Decoder
) -> tuple[np.ndarray, list[Description | None]]:
    """(kinds int [tiles], descriptions) that ``write_section`` added.  Raises CorruptError."""
    if tiles > 1 and decoder.take(uniform(2), 1)[0]:
        return np.full(tiles, TileKind.PLAIN, np.int32), [None] * tiles
    kinds = decoder.take(kind_table(model), tiles)
    described = iter(read_descriptions(int((kinds == TileKind.SAID).sum()), grey, model, decoder))
    return kinds, [next(described) if kind == TileKind.SAID else None for kind in kinds]


def kind_bits(kinds: np.ndarray, model: Model) -> float:
    """Bits of the kinds of all tiles, int [n]."""
    several = len(kinds) > 1
    return several + (0.0 if several and not kinds.any() else float(kind_table(model).bits[kinds].sum()))


def kind_table(model: Model) -> Table:
    return one_table(model, "tile.kind.frequency", len(TileKind))


def write_descriptions(
    descriptions: Sequence[Description], grey: bool, model: Model, encoder: Encoder
) -> None:
    """Add the descriptions to a stream, field by field over all tiles (spec section 9.1)."""
    if not descriptions:
        return
    tables = tables_of(model)
    steps = np.array([d.step for d in descriptions])
    bases = np.stack([d.base[..., : components_of(grey)] for d in descriptions])
    distances = base.differences(bases, steps)
    scales = scale_bits(distances, tables).argmin(0)
    encoder.add(steps, tables.step)
    encoder.add(scales, tables.scale)
    symbols = (np.moveaxis(distances, -1, 1) + REACH).astype(np.int32)
    encoder.add_groups(symbols.reshape(-1), *cell_groups(scales, tables))
    encoder.add(np.array([len(d.boxes) for d in descriptions]), tables.count)
    boxes = box_symbols(np.concatenate([d.boxes.reshape(-1, BOX_FIELDS) for d in descriptions]))
    for column, table in zip(boxes.T, tables.box, strict=True):
        encoder.add(column, table)
    latents = np.concatenate([d.latents.reshape(-1, LATENTS) for d in descriptions])
    for column, table in zip(latents.T, tables.latent, strict=True):
        encoder.add(column + LATENT_REACH, table)


def read_descriptions(count: int, grey: bool, model: Model, decoder: Decoder) -> list[Description]:
    """The ``count`` descriptions that ``write_descriptions`` added; CorruptError on an impossible box."""
    if not count:
        return []
    tables = tables_of(model)
    components = components_of(grey)
    steps = decoder.take(tables.step, count)
    scales = decoder.take(tables.scale, count * components)
    symbols = decoder.take_groups(*cell_groups(scales, tables))
    distances = np.moveaxis(symbols.reshape(count, components, SIDE, SIDE), 1, -1) - REACH
    bases = np.zeros((count, SIDE, SIDE, 3), np.int16)  # 15 distances of ±510 away from 128 at most
    bases[..., :components] = base.integrate(distances, steps)
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
        for i, (n, end) in enumerate(zip(counts, ends, strict=True))
    ]


def components_of(grey: bool) -> int:
    return 1 if grey else 3


def cell_groups(scales: np.ndarray, tables: Tables) -> tuple[list[Table], list[int]]:
    """The runs of a base's symbols: 64 cells of one component under the table of its scale."""
    chosen = [tables.distance[scale] for scale in scales.reshape(-1)]
    return chosen, [CELLS] * len(chosen)


@dataclass(frozen=True)
class Account:
    """Bits of one description: ``base`` with its step and scales, ``count`` of every possible number of
    glimpses, and of each glimpse ``boxes`` and ``latents`` [n]."""

    base: float
    count: np.ndarray
    boxes: np.ndarray
    latents: np.ndarray

    def bits(self, n: int) -> float:
        """All bits if only the first ``n`` glimpses are kept."""
        return float(self.base + self.count[n] + self.boxes[:n].sum() + self.latents[:n].sum())


def account(description: Description, grey: bool, model: Model) -> Account:
    """The exact code lengths of what ``write_descriptions`` adds for a description."""
    tables = tables_of(model)
    return Account(
        base=base_bits(description.step, description.base.astype(np.int16).tobytes(), grey, model),
        count=tables.count.bits,
        boxes=box_bits(description.boxes, tables),
        latents=latent_bits(description.latents, tables.latent_bits),
    )


@lru_cache(maxsize=64)
def base_bits(step: int, cells: bytes, grey: bool, model: Model) -> float:
    """Bits of a base, int16 [8, 8, 3] as bytes, with its step and scales.  Shared by many descriptions."""
    tables = tables_of(model)
    values = np.frombuffer(cells, np.int16).reshape(SIDE, SIDE, 3)[..., : components_of(grey)]
    distances = base.differences(values, step)
    return float(tables.step.bits[step] + scale_bits(distances, tables).min(0).sum())
