"""Checkpoints of trainings: read without running what they hold, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from saidcodec import files
from saidcodec.errors import ModelError


def read(path: Path, *needed: str) -> dict[str, Any]:
    """The entries of a checkpoint, its tensors on the current device.

    Only tensors and plain values are read, so that a file from elsewhere cannot run code.
    Raises ModelError where the file is no checkpoint or lacks an entry of ``needed``.
    """
    try:
        state = torch.load(path, weights_only=True, map_location=torch.get_default_device())
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {files.reason(error)}.") from None
    except MemoryError:
        raise
    except Exception:  # torch's reader raises nearly everything on what is no checkpoint
        raise ModelError(f"{path} is not a checkpoint of this program.") from None
    if not isinstance(state, dict) or not {*needed} <= {*state}:
        raise ModelError(f"{path} is not a checkpoint of this kind of network.")
    return state


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint by way of a temporary file beside it."""
    part = path.with_suffix(".part")
    torch.save(dict(state), part)
    part.replace(path)
