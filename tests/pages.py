"""Commands and programs of the documentation's pages, to be run as they are printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def blocks(page: str, kind: str) -> list[str]:
    """What a page of the repository has in fences of a kind."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def environment(folder: Path) -> dict[str, str]:
    """Variables with which ``saidcodec`` and Python run this package; ``folder`` gets a program."""
    program = folder / "saidcodec"
    folder.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m saidcodec.cli "$@"\n')
    program.chmod(0o755)
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(folder), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


def run(command: list[str], folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; its output is kept.  Fails with what it said on standard error."""
    result = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result


def run_shell(page: str, folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run all shell blocks of a page, one after the other."""
    return run(["bash", "-euo", "pipefail", "-c", "".join(blocks(page, "sh"))], folder, variables)
