"""The commands and the program of docs/many.md, run one after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saidcodec import models

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="a shell"),
    pytest.mark.skipif(not models.installed(), reason="no model is shipped"),
]
PAGE = Path(__file__).parents[2] / "docs" / "many.md"


def blocks(kind: str) -> list[str]:
    """What the page has in fences of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)


def test_the_page(tmp_path: Path) -> None:
    folder = tmp_path / "photos" / "2024"
    folder.mkdir(parents=True)
    (folder / "notes.txt").touch()
    pixels = np.random.default_rng(8).integers(0, 9, (12, 16, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "a.jpg")
    program = tmp_path / "bin" / "saidcodec"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m saidcodec.cli "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(program.parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    commands = "".join(blocks("sh"))
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "1 skipped; 1 of other kinds (.txt) left alone" in result.stderr
    assert result.stdout.splitlines() == ["equal: 16×12 RGB"] * 2
    assert sorted(os.listdir(tmp_path / "archive" / "2024")) == ["a.said"]
    assert sorted(os.listdir(tmp_path / "back" / "2024")) == ["a.png"]
    assert os.listdir(tmp_path / "scans" / "2024") == ["notes.txt"]
    (program,) = blocks("python")
    result = subprocess.run(
        [sys.executable, "-c", program.replace('"archive"', '"again"')],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.stdout.splitlines() == ["again/2024/a.said done "], result.stderr
