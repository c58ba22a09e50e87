"""The worked example of docs/archives.md runs as it is printed."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pages
import pytest
from click.testing import CliRunner
from PIL import Image

import saidcodec
from saidcodec.cli import main

PAGE = "docs/archives.md"


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits" / "train").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(4)
    images = [rng.integers(0, 9, (6, 6)).astype(np.uint8) for _ in range(18)]
    for number, image in enumerate(images):
        Image.fromarray(image).save(f"digits/train/{number:05}.png")
    for command in "".join(pages.blocks(PAGE, "sh")).splitlines():
        result = CliRunner().invoke(main, shlex.split(command)[1:])
        assert result.exit_code == 0, result.stderr
    np.testing.assert_array_equal(np.asarray(Image.open("again/train/00017.png")), images[17])
    reading, loading = pages.blocks(PAGE, "python")
    names: dict[str, object] = {"images": images}
    exec(reading, names)
    np.testing.assert_array_equal(names["pixels"], images[17])
    assert isinstance(names["archive"], saidcodec.Archive)
    pytest.importorskip("torch")
    exec(loading, names)
    (batch,) = names["loader"]  # type: ignore[misc]
    assert batch.shape == (18, 6, 6)
