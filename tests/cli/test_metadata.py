"""Metadata at the command line: kept, listed, or left out."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from commands import done, run, work_in
from factory import EVERY_KIND
from PIL import Image, PngImagePlugin

import saidcodec
from saidcodec.format.header import Metadata, Text


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work_in(tmp_path, monkeypatch)


def picture(path: str) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "a title")
    Image.fromarray(np.arange(27, dtype=np.uint8).reshape(3, 3, 3)).save(path, pnginfo=info, dpi=(72, 72))


def test_inspect_lists_what_there_is() -> None:
    pixels = np.zeros((3, 3), np.uint8)
    Path("it.said").write_bytes(saidcodec.encode(pixels, model="flat", metadata=EVERY_KIND))
    account = json.loads(done("inspect", "it.said", "--json").stdout)
    told = {part["kind"]: part["about"] for part in account["metadata"]}
    assert list(told) == ["icc", "exif", "xmp", "resolution", "texts", "comment", "chunks"]
    assert told["resolution"] == "11811 × 1666.67 per metre"
    assert (told["texts"], told["chunks"]) == ("Title, Title", "gAMA, sBIT")
    assert {"kind": "icc", "bytes": 9, "about": ""} in account["metadata"]
    assert "chunks: 17 bytes (gAMA, sBIT)" in done("inspect", "it.said").stdout
    Path("it.said").write_bytes(saidcodec.encode(pixels, model="flat"))
    assert json.loads(done("inspect", "it.said", "--json").stdout)["metadata"] == []


def test_a_file_comes_back_with_all_of_it() -> None:
    picture("in.png")
    done("encode", "in.png", "it.said", "--model", "flat")
    assert done("decode", "it.said", "out.png").stderr == ""
    assert done("compare", "in.png", "out.png").stdout.startswith("equal")
    assert "texts (Title)" in done("decode", "it.said", "out.jpg", "--lossy").stderr
    assert [round(number) for number in Image.open("out.jpg").info["dpi"]] == [72, 72]
    assert "different metadata: texts" in run("compare", "in.png", "out.jpg").stdout


def test_strip_leaves_out_all_of_it() -> None:
    os.mkdir("in")
    picture("in/a.png")
    done("encode", "in/a.png", "kept.said", "--model", "flat")
    assert saidcodec.Reader("kept.said").metadata.texts == (Text("Title", "a title"),)
    done("encode", "in/a.png", "it.said", "--strip", "--model", "flat")
    assert saidcodec.Reader("it.said").metadata == Metadata()
    picture("in/b.png")  # several small images are encoded together
    done("encode", "in", "--output-dir", "out", "--strip", "--model", "flat", "--jobs", "1")
    for name in ("out/a.said", "out/b.said"):
        assert Path(name).read_bytes() == Path("it.said").read_bytes()
    done("pack", "in", "kept.saids", "--model", "flat")
    assert saidcodec.Archive("kept.saids").entry(0).metadata.texts == (Text("Title", "a title"),)
    done("pack", "in", "it.saids", "--strip", "--model", "flat")
    assert saidcodec.Archive("it.saids").entry(0).metadata == Metadata()


def test_what_is_stripped_cannot_be_deleted() -> None:
    result = run("encode", "in", "--output-dir", "out", "--strip", "--delete-source")
    assert (result.exit_code, "exclude each other" in result.stderr) == (2, True)


def test_a_source_whose_metadata_is_kept_is_deleted() -> None:
    os.mkdir("in")
    picture("in/a.png")
    done("encode", "in", "--output-dir", "said", "--delete-source", "--model", "flat", "--jobs", "1")
    assert os.listdir("in") == []
    done("decode", "said", "--output-dir", "out", "--delete-source", "--jobs", "1")
    assert os.listdir("said") == []
    assert Image.open("out/a.png").info["Title"] == "a title"
