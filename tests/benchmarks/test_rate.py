"""benchmarks/rate.py and `saidcodec bench` on tiny images."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from saidcodec.cli import main as command
from saidcodec.evaluation import rate as measuring

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import rate

ROW = re.compile(r"\| ([\w .,()]+) \| ([\d,]+) \| (\d+\.\d{3}) \| (\d+\.\d{2}) \| (\d+\.\d{2}) \|")
PAGE = "<!-- {} -->\nold\n<!-- end -->\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(2):
        pixels = rng.integers(0, 40, (12, 20, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    (tmp_path / "note.txt").write_text("no image")
    return tmp_path


def test_a_table_has_a_row_for_each_codec(folder: Path) -> None:
    pictures = measuring.gather([str(folder)])
    assert len(pictures) == 2
    lines = list(measuring.table(pictures, "photo", 1))
    assert lines[0].startswith("| codec (2 images, 1 threads) | bytes an image |")
    rows = [ROW.fullmatch(line) for line in lines[2:]]
    assert all(rows)
    assert [row[1] for row in rows] == [p.name for p in [*measuring.peers(1), measuring.own("photo", 1)]]
    for row in rows:
        size, bits = int(row[2].replace(",", "")), float(row[3])
        assert bits == pytest.approx(8 * size / (12 * 20 * 3), abs=0.02)


def test_bench_prints_the_table(folder: Path) -> None:
    told = CliRunner().invoke(command, ["bench", str(folder), "--model", "photo"])
    assert told.exit_code == 0, told.output
    lines = told.stdout.splitlines()
    assert lines[0].startswith("| codec (2 images, ")
    assert ROW.fullmatch(lines[-1])
    assert "| saidcodec photo |" in lines[-1]


def test_a_codec_that_loses_pixels_is_found_out() -> None:
    lossy = measuring.Peer(
        "lossy", lambda pixels: bytes(pixels.size), lambda data: np.frombuffer(data, np.uint8)
    )
    with pytest.raises(AssertionError, match="lossy did not give the same pixels back"):
        measuring.measure(lossy, [np.ones((2, 2), np.uint8)])


def test_the_script_fills_the_pages_that_have_a_place(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first.md", tmp_path / "second.md"
    first.write_text(PAGE.format("photographs") + PAGE.format("conditions"))
    second.write_text(PAGE.format("multidsprites") + PAGE.format("conditions") + PAGE.format("clevr"))
    options = [
        "--photos",
        str(folder),
        "--multidsprites",
        "--count",
        "1",
        "--model",
        "photo",
        "--threads",
        "1",
    ]
    rate.main([*options, "--page", str(first), "--page", str(second)])
    printed = capsys.readouterr().out
    assert printed.startswith("Measured on: ")
    for page, name in ((first.read_text(), "photographs"), (second.read_text(), "multidsprites")):
        assert page.count("Measured on: ") == 1
        filled = page.partition(f"<!-- {name} -->\n")[2].partition("\n<!-- end -->")[0]
        assert filled in printed
        assert ROW.fullmatch(filled.splitlines()[-1])
    assert second.read_text().count("old") == 1, "a place of another set stays as it is"
    with pytest.raises(KeyError, match="multidsprites"):
        rate.main(["--multidsprites", "--count", "1", "--model", "photo", "--page", str(first)])
