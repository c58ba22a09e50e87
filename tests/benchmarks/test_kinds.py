"""benchmarks/kinds.py on tiny images."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saidcodec.evaluation import rate

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import kinds


def constant(name: str, factor: int) -> rate.Peer:
    """A codec whose files take ``factor`` bytes a sample and hold the samples."""

    def encode(pixels: np.ndarray) -> bytes:
        return pixels.tobytes() + bytes((factor - 1) * pixels.size)

    def decode(data: bytes) -> np.ndarray:
        return np.frombuffer(data, np.uint8)[: len(data) // factor]

    return rate.Peer(name, encode, decode)


def test_a_row_compares_sums_and_the_worst_image(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [constant(kinds.PNG, 8), constant(kinds.WEBP, 2), constant(kinds.JPEG_XL, 4)]
    monkeypatch.setattr(rate, "peers", lambda threads: others)
    monkeypatch.setattr(rate, "own", lambda model, threads, effort: constant("own", 3))
    pictures = [np.ones((2, 3, 3), np.uint8), np.ones((4, 4, 3), np.uint8)]
    assert kinds.row("ones", pictures, "auto", "normal", 1) == "| ones | 2 | 24.000 | 0.750 | 1.500 | 0.375 |"


def test_the_script_prints_folders_and_jpeg(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("imagecodecs")
    pixels = np.random.default_rng(0).integers(0, 40, (12, 20, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "0.png")
    options = [
        "--kind",
        f"noise={tmp_path}",
        "--jpeg-of",
        str(tmp_path),
        "--model",
        "photo",
        "--threads",
        "1",
    ]
    kinds.main(options)
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [line.split(" | ")[0] for line in rows] == [
        "| noise",
        *(f"| decoded from JPEG, quality {quality}" for quality in kinds.QUALITIES),
    ]


def test_a_kind_without_a_folder_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        kinds.main(["--kind", "noise"])
    assert "'noise' is not NAME=FOLDER." in capsys.readouterr().err
