"""What pages for newcomers print runs as it is printed."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pages
import pytest

from saidcodec import models

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="a shell"),
    pytest.mark.skipif(not models.installed(), reason="no model is shipped"),
]
EXAMPLE = pages.ROOT / "examples" / "scene.png"


@pytest.mark.parametrize("page", ["docs/index.md", "docs/faq.md"])
def test_commands_run(page: str, tmp_path: Path) -> None:
    variables = pages.environment(tmp_path / "bin")
    shutil.copy(EXAMPLE, tmp_path)
    if page == "docs/faq.md":
        pages.run(["saidcodec", "encode", "scene.png"], tmp_path, variables)
    pages.run_shell(page, tmp_path, variables)
    assert (tmp_path / "scene.said").exists()


def test_frames_go_through(tmp_path: Path) -> None:
    variables = pages.environment(tmp_path / "bin")
    shutil.copy(EXAMPLE, tmp_path)
    (program,) = pages.blocks("docs/frames.md", "python")
    pages.run([sys.executable, "-c", program], tmp_path, variables)
    pages.run_shell("docs/frames.md", tmp_path, variables)
    assert (tmp_path / "third.png").exists()


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", "docs/training.md", "docs/wide.md"])
def test_programs_run(page: str, tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    for folder in (tmp_path, tmp_path / "examples"):
        shutil.copy(EXAMPLE, folder)
    programs = pages.blocks(page, "python")
    assert programs
    for program in programs:
        pages.run([sys.executable, "-c", program], tmp_path, pages.environment(tmp_path / "bin"))
