"""benchmarks/regions.py on a small mosaic."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import regions


def test_parts_cost_less_than_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 20, (90, 80, 3)).astype(np.uint8)
    (tmp_path / "pictures").mkdir()
    Image.fromarray(noise).save(tmp_path / "pictures" / "a.png")
    page = tmp_path / "page.md"
    page.write_text("<!-- regions -->\n<!-- end -->\n")
    monkeypatch.setattr(regions, "RUNS", 1)
    monkeypatch.setattr(regions, "SIDE", 16)
    size = ["--width", "520", "--height", "530"]
    regions.main([str(tmp_path / "pictures"), *size, "--page", str(page)])
    rows = [line.strip("| ").split(" | ") for line in page.read_text().splitlines() if line.count("|") == 4]
    read = {name: float(megabytes) for name, _, megabytes in rows[2:]}
    assert list(read) == [
        "16×16 pixels on the border of two bands",
        "one pixel",
        "the whole image",
        "a thumbnail of 16 pixels",
    ]
    assert read["one pixel"] < 0.6 * read["the whole image"]
    assert read["16×16 pixels on the border of two bands"] == read["the whole image"]  # of two bands
