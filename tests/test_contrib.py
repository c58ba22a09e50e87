"""The rules for desktops, asked through the tools that read them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import saidcodec
from saidcodec.format.header import VERSION, Metadata

CONTRIB = Path(__file__).parent.parent / "contrib"


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(tool), reason=f"{tool} is not installed")


def said_by(*command: str | Path, **environment: str) -> str:
    run = subprocess.run(
        command, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE, text=True
    )
    return run.stdout.strip()


@pytest.fixture
def nameless(tmp_path: Path) -> Path:
    """A file whose name tells nothing."""
    path = tmp_path / "nameless"
    path.write_bytes(saidcodec.encode(np.zeros((4, 4), np.uint8), metadata=Metadata(icc=b"profile")))
    return path


@needs("file")
def test_file_knows_images(nameless: Path) -> None:
    rules = CONTRIB / "said.magic"
    version = ".".join(map(str, VERSION))
    assert (
        said_by("file", "-b", "-m", rules, nameless) == f"saidcodec image, version {version}, with metadata"
    )
    assert said_by("file", "-b", "--mime-type", "-m", rules, nameless) == "image/x-said"
    nameless.write_bytes(saidcodec.encode_frames([np.zeros((4, 4), np.uint8)] * 2))
    assert said_by("file", "-b", "-m", rules, nameless).endswith(f"version {version}, several frames")
    nameless.write_bytes(b"\xd7not an image")
    assert "saidcodec" not in said_by("file", "-b", "-m", rules, nameless)


@needs("update-mime-database")
@needs("gio")
@pytest.mark.parametrize("name", ["nameless", "by its name.said"])
def test_the_mime_database_knows_images(name: str, nameless: Path, tmp_path: Path) -> None:
    packages = tmp_path / "share" / "mime" / "packages"
    packages.mkdir(parents=True)
    shutil.copy(CONTRIB / "said.xml", packages)
    said_by("update-mime-database", packages.parent)
    asked = nameless.rename(tmp_path / name)
    if name != "nameless":
        asked.write_bytes(b"something else")
    told = said_by(
        "gio", "info", "-a", "standard::content-type", asked, XDG_DATA_HOME=str(tmp_path / "share")
    )
    assert "image/x-said" in told
