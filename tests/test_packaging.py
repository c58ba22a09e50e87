"""What a source archive and a wheel hold, with a compiler and without one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("setuptools", minversion="77")
ROOT = Path(__file__).parent.parent
SOURCES = ("saidcodec", "models", "pyproject.toml", "README.md", "LICENSE")
MODELS = {path.name for path in (ROOT / "models").glob("*.safetensors")}
IN_C = {path.name for path in (ROOT / "saidcodec" / "residual").glob("_*.[ch]")}
needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources without anything that was built."""
    for name in SOURCES:
        source, target = ROOT / name, tmp_path / "tree" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
        else:
            shutil.copy(source, target)
    return tmp_path / "tree"


def build(tree: Path, what: str, **variables: str) -> Path:
    """What setuptools makes of a tree: ``build_sdist`` or ``build_wheel``."""
    code = f"from setuptools import build_meta; build_meta.{what}('dist')"
    env = {**os.environ, **variables}
    subprocess.run([sys.executable, "-c", code], cwd=tree, env=env, check=True, capture_output=True)
    return next((tree / "dist").glob("*.tar.gz" if what == "build_sdist" else "*.whl"))


def names_in(archive: Path) -> set[str]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as file:
            return set(file.namelist())
    with tarfile.open(archive) as file:
        return {name.partition("/")[2] for name in file.getnames()}


def test_the_source_archive_builds_the_whole_package(tree: Path, tmp_path: Path) -> None:
    archive = build(tree, "build_sdist")
    names = names_in(archive)
    assert {f"models/{name}" for name in MODELS} <= names
    assert {f"saidcodec/residual/{name}" for name in IN_C} <= names
    assert {"saidcodec/entropy/tables.npz", "saidcodec/py.typed", "LICENSE"} <= names
    modules = {path.relative_to(tree).as_posix() for path in (tree / "saidcodec").rglob("*.py")}
    assert modules <= names
    assert not [name for name in names if name.endswith((".so", ".pyd"))]

    shutil.unpack_archive(archive, tmp_path / "unpacked")
    unpacked = next((tmp_path / "unpacked").iterdir())
    wheel = names_in(build(unpacked, "build_wheel", CC="/nonexistent"))
    assert modules <= wheel
    assert {f"saidcodec/_models/{name}" for name in MODELS} <= wheel
    assert "saidcodec/entropy/tables.npz" in wheel
    assert not [name for name in wheel if name.endswith((".so", ".pyd"))], "no compiler, no core"


@needs_compiler
def test_a_wheel_has_the_core(tree: Path) -> None:
    archive = build(tree, "build_wheel")
    assert [name for name in names_in(archive) if name.startswith("saidcodec/residual/_core.abi3")]
    assert "-cp310-abi3-" in archive.name
