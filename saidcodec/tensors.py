"""A model's tensors, checked before use: a model file may come from anywhere."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from saidcodec.entropy.rans import TOTAL, Table
from saidcodec.errors import ModelError
from saidcodec.models import Model

if TYPE_CHECKING:
    from numpy.typing import DTypeLike  # slow to import


def tensor(model: Model, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> np.ndarray:
    """The tensor of a name, type and shape.  Raises ModelError where the model has none such."""
    found = model.tensors.get(name)
    if found is None:
        raise ModelError(f"The model lacks the tensor {name}.")
    if found.shape != shape or found.dtype != dtype:
        wanted = f"{np.dtype(dtype)} {shape}"
        raise ModelError(f"The model's tensor {name} is {found.dtype} {found.shape}, not {wanted}.")
    return found


def bounded(model: Model, name: str, length: int, low: int, high: int) -> np.ndarray:
    """An int32 [length] of values in low .. high.  Raises ModelError."""
    found = tensor(model, name, np.int32, (length,))
    if found.min() < low or found.max() > high:
        raise ModelError(f"The model's tensor {name} leaves the range {low} to {high}.")
    return found


def table_rows(model: Model, name: str, shape: tuple[int, ...]) -> list[Table]:
    """The tables in the rows of a tensor (one table where it has one dimension).  Raises ModelError."""
    rows = tensor(model, name, np.int32, shape).reshape(-1, shape[-1])
    if rows.min() < 1 or (rows.sum(1, dtype=np.int64) != TOTAL).any():
        raise ModelError(f"The model's tensor {name} holds a table that does not sum to 2^24 or has a gap.")
    return [Table(row) for row in rows]


@lru_cache(maxsize=32)
def one_table(model: Model, name: str, length: int | None = None) -> Table:
    """A tensor that is one table, of ``length`` symbols where that is fixed.  Raises ModelError."""
    if length is None:
        length = len(model.tensors[name]) if name in model.tensors and model.tensors[name].ndim else 1
    (table,) = table_rows(model, name, (length,))
    return table
