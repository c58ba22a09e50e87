"""The command line in tests: a folder to work in, a model beside it, and what commands say there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from factory import flat_colour_tensors

from saidcodec import models
from saidcodec.cli import main


def work_in(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str = "flat",
    tensors: Mapping[str, np.ndarray] | None = None,
    description: str = "",
) -> Path:
    """Go to the empty folder "work"; the only model of a user lies beside it, by default one that paints
    flat colours."""
    library, work = folder / "library", folder / "work"
    library.mkdir()
    work.mkdir()
    told = {"name": name, "description": description}
    models.save(library / f"{name}.safetensors", tensors or flat_colour_tensors(), told)
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(library))
    monkeypatch.chdir(work)
    return work


def run(*arguments: str | Path, data: bytes = b"") -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], input=data)


def done(*arguments: str | Path, data: bytes = b"") -> Result:
    result = run(*arguments, data=data)
    assert result.exit_code == 0, result.stderr
    return result
