"""The command compare; and --verbose, --help and completion of all commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from commands import run, work_in
from PIL import Image

from saidcodec.cli import COMMANDS, main
from saidcodec.format.header import OLD_SIGNATURE


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A working folder with an image a.png, a.said of it, and b.png, in which one sample is another."""
    work_in(tmp_path, monkeypatch)
    pixels = np.random.default_rng(7).integers(0, 250, (6, 9, 3)).astype(np.uint8)
    Image.fromarray(pixels).save("a.png")
    run("encode", "a.png", "--model", "flat")
    pixels[4, 7, 1] += 5
    Image.fromarray(pixels).save("b.png")
    return pixels


def test_equal_files() -> None:
    result = run("compare", "a.said", "a.png")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "equal: 9×6 RGB\n", "")
    assert run("compare", "a.said", "a.png", "--quiet").output == ""
    assert run("compare", "-", "a.said", data=Path("a.png").read_bytes()).exit_code == 0
    assert run("compare", "a.png", "-", data=Path("a.said").read_bytes()).exit_code == 0


def test_different_files(folder: np.ndarray) -> None:
    result = run("compare", "a.said", "b.png")
    assert (result.exit_code, result.stderr) == (1, "")
    red, green, blue = map(int, folder[4, 7])
    assert result.stdout.splitlines() == [
        "different pixels: 1 of 54 (1.85%)",
        f"the first: x 7, y 4, with {red} {green - 5} {blue} and {red} {green} {blue}",
        "largest difference of a sample: 5",
    ]
    result = run("compare", "a.said", "b.png", "--quiet")
    assert (result.exit_code, result.output) == (1, "")


def test_files_that_cannot_be_compared() -> None:
    Path("text.png").write_text("no image")
    Path("cut.said").write_bytes(Path("a.said").read_bytes()[:-1])
    Path("old.said").write_bytes(OLD_SIGNATURE + b"\x05" + bytes(20))
    for name, sentence in (
        ("old.said", "old.said: The file is of version 0.5"),
        ("text.png", "text.png is not an image"),
        ("cut.said", "cut.said: The file is damaged or truncated"),
        ("gone", "gone cannot be read: No such file"),
    ):
        result = run("compare", "a.png", name)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: {sentence}")
        assert result.stderr.count("\n") == 1
    assert run("compare", "-", "-").exit_code == 2


@pytest.mark.parametrize(
    "name", [name for name, home in COMMANDS.items() if home.startswith("saidcodec.cli")]
)
def test_every_command_has_an_example(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    _, _, examples = result.stdout.partition("Example")
    assert f"  saidcodec {name} " in examples or f"saidcodec {name}\n" in examples


def test_where_bits_and_time_went() -> None:
    result = run("encode", "a.png", "--model", "flat", "--force", "--verbose")
    lines = result.stderr.splitlines()
    size = os.path.getsize("a.said")
    assert lines[0].startswith(f"a.said: {size:,} bytes, ")
    assert re.match(r"9 x 6 RGB, lossless, version \d+\.\d+, model flat", lines[1])
    assert lines[2].startswith(f"{size} bytes, ")
    names = [line.split()[0] for line in lines[3:]]
    assert names[:6] == ["header", "base", "boxes", "latents", "residual", "metadata"]
    assert names[7:] == ["reading", "coding", "verifying", "writing"]
    total = float(lines[9].split()[0])
    assert abs(sum(float(line.split()[1]) for line in lines[10:]) - total) < 0.003
    result = run("decode", "a.said", "c.png", "--verbose")
    assert result.stdout == ""
    assert [line.split()[0] for line in result.stderr.splitlines()[-3:]] == ["reading", "decoding", "writing"]


@pytest.mark.parametrize(
    ("words", "found"), [("saidcodec com", "plain,compare"), ("saidcodec encode --out", "plain,--output-dir")]
)
def test_shells_complete_commands_and_options(words: str, found: str) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "_SAIDCODEC_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    code = "from saidcodec.cli import main; main(prog_name='saidcodec')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.stdout.split() == [found]


def test_paths_are_completed_as_files() -> None:
    for name in ("encode", "decode", "verify", "compare", "preview", "inspect", "bench"):
        command = main.get_command(click.Context(main), name)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Argument):
                assert isinstance(parameter.type, click.Path), name


def test_archives_are_verified(folder: np.ndarray) -> None:
    Path("images").mkdir()
    for i in range(5):
        Image.fromarray(np.roll(folder, i, 0)).save(f"images/{i}.png")
    assert run("pack", "images", "all.saids", "--model", "flat").exit_code == 0
    whole = Path("all.saids").read_bytes()
    result = run("verify", ".", "--verbose", "--jobs", "1")
    assert result.exit_code == 0, result.output
    assert f"all.saids: {len(whole):,} bytes, whole" in result.stderr
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    for data, sentence in (
        (bytes(damaged), "Error: all.saids: image "),
        (whole[:-9], "Error: all.saids: The "),
    ):
        Path("all.saids").write_bytes(data)
        result = run("verify", "all.saids")
        assert result.exit_code == 1
        assert sentence in result.stderr
        assert result.stderr.count("all.saids") == 1
