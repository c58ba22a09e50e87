"""benchmarks/speed.py on a tiny image."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import saidcodec
from saidcodec.evaluation import rate

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import speed

ROWS = (
    "encode 1 images of 20×12, effort fast, 1 threads",
    "encode 1 images of 20×12, effort normal, 1 threads",
    "decode 1 images of 20×12, effort fast, 1 threads",
    "decode 1 images of 20×12, effort normal, 1 threads",
    "encode 1 images of 64×64 with glimpses",
    "encode_many: 1 images of 64×64",
    "decode_many: 1 images of 64×64",
    "cold `saidcodec decode`",
    "encode a mosaic",
    "decode a mosaic",
    "saidcodec and what it depends on",
)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 40, (12, 20, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def test_every_target_has_a_row(image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- speed -->\nold\n<!-- end -->\n")
    options = ["--threads", "1", "--repeats", "1", "--count", "1", "--megapixels", "0.01"]
    speed.main([str(image), *options, "--page", str(page)])
    told = capsys.readouterr().out.splitlines()
    heading = " ".join(told[: told.index("")])
    assert "1 threads" in heading
    assert f"saidcodec {saidcodec.__version__}" in heading
    assert "load average" in heading
    rows = [line for line in told if line.startswith("| ")][1:]
    assert len(rows) == len(ROWS)
    for row, start in zip(rows, ROWS, strict=True):
        assert row.startswith(f"| {start}"), row
        assert row.count("|") == 6
        assert row.split("|")[5].strip()[0] in "≥≤", "every row has a target"
    assert page.read_text() == "<!-- speed -->\n" + "\n".join(told) + "\n<!-- end -->\n"


def test_the_mosaic_repeats_the_pictures() -> None:
    first, second = np.full((3, 5, 3), 1, np.uint8), np.full((4, 7, 3), 2, np.uint8)
    found = speed.mosaic([first, second], 0.0006)
    assert found.shape == (20, 30, 3)
    assert set(np.unique(found).tolist()) == {1, 2}


def test_a_ratio_is_of_speeds() -> None:
    row = speed.compared("x", 8, "MP", 2.0, 20.0, "≥ 10 ×")
    assert (row.own, row.peer, row.ratio) == ("4 MP/s", "0.4 MP/s", "10.00")
    assert speed.compared("x", 8, "MP", 2.0, None, "").ratio == "–"


def test_works_take_turns() -> None:
    order: list[int] = []
    speed.rounds([lambda: order.append(0), lambda: order.append(1)], 2)
    assert order == [0, 1] * 3


def test_jpegxl_gives_the_same_pixels_back() -> None:
    pytest.importorskip("imagecodecs")
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    assert rate.measure(rate.jpegxl(7, 2), [pixels]).count == 1
