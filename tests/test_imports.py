"""Decoding needs nothing of what only encoding or training use, and little of what few files need."""

import subprocess
import sys
from pathlib import Path

import pytest

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*.said"))
CODE = """
import sys
import saidcodec

saidcodec.decode(open(sys.argv[1], "rb").read())
"""
COMMAND = """
import sys
from saidcodec.cli import main

main(["decode", *sys.argv[1:]], standalone_mode=False)
"""
TOLD = """
print(*(name for name in sys.modules if name.startswith(("saidcodec.", "torch", "PIL"))))
for name in [name for name in sys.modules if name.startswith("saidcodec.")]:
    made = [thing for thing in vars(sys.modules[name]).values() if hasattr(thing, "__dataclass_fields__")]
    print("records", *{thing.__qualname__ for thing in made if thing.__module__ == name})
"""
FORBIDDEN = ("saidcodec.encoder", "saidcodec.training", "saidcodec.evaluation", "torch")
FEW_FILES = (
    "saidcodec.frames",
    "saidcodec.format.frames",
    "saidcodec.format.palette",
    "saidcodec.format.maps",
    "saidcodec.format.levels",
    "saidcodec.residual.mixed",
    "saidcodec.residual.graphics",
    "saidcodec.residual.wide",
    "saidcodec.wide",
    "saidcodec.images.frames",
    "saidcodec.images.reading",
    "saidcodec.images.png_chunks",
    "saidcodec.images.resolution",
    "saidcodec.images.saving_frames",
    "saidcodec.sequences",
    "saidcodec.inspection",
)
# A dataclass takes half a millisecond to make, ten times as long as a NamedTuple.
COSTLY_RECORDS = {"Account", "Description", "Plane"}


def loaded(code: str, *arguments: Path | str, folder: Path) -> tuple[list[str], set[str]]:
    """The modules that a new process has after some code, and the names of its dataclasses."""
    command = [sys.executable, "-c", code + TOLD, *arguments]  # not where the sources are, which have no core
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    modules, *records = run.stdout.splitlines()
    return modules.split(), {name for line in records for name in line.split()[1:]}


def among(modules: list[str], parts: tuple[str, ...]) -> list[str]:
    return [name for name in modules if name in parts or name.startswith(tuple(f"{part}." for part in parts))]


@pytest.mark.parametrize("path", [path for path in VECTORS if path.stem in ("clevr-glimpses", "photo-rgba")])
def test_decoding_imports_what_it_needs(path: Path, tmp_path: Path) -> None:
    modules, records = loaded(CODE, path, folder=tmp_path)
    assert "saidcodec.codec" in modules
    assert among(modules, (*FORBIDDEN, *FEW_FILES, "PIL", "saidcodec.images")) == []
    assert records == COSTLY_RECORDS


def test_decoding_at_the_command_line_imports_what_it_needs(tmp_path: Path) -> None:
    path = next(path for path in VECTORS if path.stem == "photo-context")
    modules, records = loaded(COMMAND, path, "out.png", folder=tmp_path)
    assert "saidcodec.images.saving" in modules
    assert (tmp_path / "out.png").exists()
    assert among(modules, (*FORBIDDEN, *FEW_FILES, "saidcodec.batch")) == []
    assert records == COSTLY_RECORDS
