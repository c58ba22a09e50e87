"""Decoding needs nothing of what only encoding, training or evaluation use."""

import subprocess
import sys
from pathlib import Path

import pytest

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*.said"))
CODE = """
import sys
import saidcodec

saidcodec.decode(open(sys.argv[1], "rb").read())
print(*sorted(name for name in sys.modules if name.startswith(("saidcodec.", "torch", "PIL"))))
"""
FORBIDDEN = ("saidcodec.encoder", "saidcodec.training", "saidcodec.evaluation", "torch", "PIL")


@pytest.mark.parametrize("path", [path for path in VECTORS if path.stem in ("clevr-glimpses", "photo-rgba")])
def test_decoding_imports_no_encoder(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, path]  # not where the sources are, which have no core
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "saidcodec.codec" in loaded
    assert [name for name in loaded if name.startswith(FORBIDDEN)] == []
