"""The commands and the program of docs/many.md, run one after the other."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pages
import pytest
from PIL import Image

from saidcodec import models

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="a shell"),
    pytest.mark.skipif(not models.installed(), reason="no model is shipped"),
]
PAGE = "docs/many.md"


def test_the_page(tmp_path: Path) -> None:
    folder = tmp_path / "photos" / "2024"
    folder.mkdir(parents=True)
    (folder / "notes.txt").touch()
    pixels = np.random.default_rng(8).integers(0, 9, (12, 16, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "a.jpg")
    variables = pages.environment(tmp_path / "bin")
    result = pages.run_shell(PAGE, tmp_path, variables)
    assert "1 skipped; 1 of other kinds (.txt) left alone" in result.stderr
    assert result.stdout.splitlines() == ["equal: 16×12 RGB"] * 2
    assert sorted(os.listdir(tmp_path / "archive" / "2024")) == ["a.said"]
    assert sorted(os.listdir(tmp_path / "back" / "2024")) == ["a.png"]
    assert os.listdir(tmp_path / "scans" / "2024") == ["notes.txt"]
    (program,) = pages.blocks(PAGE, "python")
    again = program.replace('"archive"', '"again"')
    result = pages.run([sys.executable, "-c", again], tmp_path, variables)
    assert result.stdout.splitlines() == ["again/2024/a.said done "], result.stderr
