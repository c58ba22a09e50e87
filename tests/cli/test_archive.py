"""The commands pack, unpack and ls: what they write, what they say, and their exit status."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from commands import done, run, work_in
from factory import random_tensors
from PIL import Image

import saidcodec
from saidcodec import models

RNG = np.random.default_rng(5)
NAMES = ["a.png", "b.png", "sub/c.webp"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a folder of three images, and a model beside it."""
    work = work_in(tmp_path, monkeypatch, "small", random_tensors())
    (work / "in" / "sub").mkdir(parents=True)
    for name in NAMES:
        Image.fromarray(RNG.integers(0, 256, (5, 7, 3)).astype(np.uint8)).save(
            work / "in" / name, lossless=True
        )
    return work


def pack(*options: str) -> Result:
    return run("pack", "in", "all.saids", "--model", "small", *options)


def failed(result: Result) -> str:
    """What a command that fails says, each line of which is an error."""
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    lines = result.stderr.splitlines()
    assert all(line.endswith(".") for line in lines)
    return result.stderr


def pixels(path: str) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_images_come_back() -> None:
    assert pack().exit_code == 0
    done("unpack", "all.saids", "out")
    assert sorted(str(path.relative_to("out")) for path in Path("out").rglob("*.png")) == [
        "a.png",
        "b.png",
        "sub/c.png",
    ]
    for name in NAMES:
        np.testing.assert_array_equal(pixels(f"in/{name}"), pixels(f"out/{name.replace('webp', 'png')}"))


def test_images_that_png_cannot_hold_go_to_tiff() -> None:
    inks = Image.fromarray(RNG.integers(0, 256, (5, 7, 4)).astype(np.uint8), "RGBA").tobytes()
    Image.frombytes("CMYK", (7, 5), inks).save("in/a.tif")
    assert pack().exit_code == 0
    done("unpack", "all.saids", "out")
    assert Image.open("out/a.tif").tobytes() == inks
    np.testing.assert_array_equal(pixels("in/a.png"), pixels("out/a.png"))


def test_images_of_16_bits() -> None:
    deep = RNG.integers(0, 5000, (5, 7)).astype(np.uint16)
    Image.fromarray(deep).save("in/deep.tif")
    assert pack().exit_code == 0
    assert "I;16  deep.tif" in done("ls", "all.saids").stdout
    done("unpack", "all.saids", "out")
    np.testing.assert_array_equal(pixels("out/deep.png"), deep)
    refusal = failed(pack("--glimpses", "1", "--force", "--quiet"))
    assert "in/deep.tif: Images of more than 8 bits a sample have no glimpses" in refusal


def test_what_pack_says() -> None:
    said = pack().stderr
    size = Path("all.saids").stat().st_size
    assert said.startswith(f"all.saids: 3 images, {size:,} bytes, {size / 3:.1f} bytes an image, ")
    assert pack("--force", "--quiet").stderr == ""


def test_ls_lists_images() -> None:
    Path("labels.csv").write_text("a.png,one\nb.png,two\nsub/c.webp,one\n")
    pack("--labels", "labels.csv", "--quiet")
    assert [line.split() for line in done("ls", "all.saids").stdout.splitlines()] == [
        ["0", "7x5", "RGB", "a.png", "one"],
        ["1", "7x5", "RGB", "b.png", "two"],
        ["2", "7x5", "RGB", "sub/c.webp", "one"],
    ]
    facts = [json.loads(line) for line in done("ls", "all.saids", "--json").stdout.splitlines()]
    assert facts[1] == {"number": 1, "name": "b.png", "label": "two", "mode": "RGB", "width": 7, "height": 5}
    done("unpack", "all.saids", "out", "--labels", "again.csv")
    assert Path("again.csv").read_text() == "name,label\na.png,one\nb.png,two\nsub/c.webp,one\n"


def test_appending() -> None:
    pack("--quiet")
    assert "all.saids already holds an image of the name a.png." in failed(pack("--append"))
    for name in NAMES:
        Path("in", name).rename(Path("in", f"{name}.new.webp"))
    assert pack("--append").stderr.startswith("all.saids: 3 images, ")
    assert len(saidcodec.Archive("all.saids")) == 6


def test_a_bad_image_is_named_and_the_others_are_packed() -> None:
    Path("in/bad.png").write_bytes(b"no image")
    said = failed(pack("--quiet"))
    assert said == "Error: in/bad.png is not an image that Pillow can open. All other images are packed.\n"
    assert saidcodec.Archive("all.saids").names == NAMES


def test_what_pack_refuses() -> None:
    pack("--quiet")
    before = Path("all.saids").read_bytes()
    assert failed(pack()) == "Error: all.saids exists already; --force overwrites it.\n"
    assert "is no folder" in failed(run("pack", "nowhere", "x.saids"))
    assert "must end in .saids" in failed(run("pack", "in", "x.said"))
    assert "has no label for a.png" in failed(pack("--force", "--labels", "/dev/null"))
    assert Path("all.saids").read_bytes() == before
    assert not Path("x.saids").exists()


def test_a_cut_archive_is_unpacked_as_far_as_it_goes() -> None:
    pack("--quiet", "--together", "1")
    whole = Path("all.saids").read_bytes()
    Path("all.saids").write_bytes(whole[:-70])
    for arguments in (("unpack", "all.saids", "out", "--quiet"), ("ls", "all.saids")):
        said = failed(run(*arguments))
        assert said.startswith("Error: all.saids: The archive is cut off: it does not end with its index.")
        assert said.count("\n") == 1
    written = [path for path in Path("out").rglob("*") if path.is_file()]
    assert 0 < len(written) < 3


def test_damage_is_named_and_the_rest_is_written() -> None:
    pack("--quiet", "--together", "1")
    archive = saidcodec.Archive("all.saids")
    data = bytearray(Path("all.saids").read_bytes())
    data[archive.group(0).edges[1] + 3] ^= 0x40
    Path("all.saids").write_bytes(data)
    said = failed(run("unpack", "all.saids", "out", "--quiet"))
    assert said.startswith("Error: all.saids: image 1: ")
    assert said.endswith("All else, 2 images, is unpacked.\n")
    assert Path("out/a.png").exists()
    assert Path("out/sub/c.png").exists()


def test_what_unpack_refuses() -> None:
    pack("--quiet")
    Path("out").mkdir()
    Path("out/b.png").touch()
    assert "out/b.png exists already" in failed(run("unpack", "all.saids", "out"))
    assert [path.name for path in Path("out").iterdir()] == ["b.png"]
    done("unpack", "all.saids", "out", "--force")
    np.testing.assert_array_equal(pixels("out/b.png"), pixels("in/b.png"))
    assert "has no labels" in failed(run("unpack", "all.saids", "other", "--labels", "x.csv"))
    assert "not an archive" in failed(run("unpack", "in/a.png", "other"))
    assert "nowhere.saids cannot be read" in failed(run("ls", "nowhere.saids"))


def test_boxes_of_an_archive() -> None:
    image = np.zeros((40, 40), np.uint8)
    image[9:22, 5:30] = 200
    for name in NAMES:
        Image.fromarray(image).save(f"in/{name}")
    done("pack", "in", "all.saids", "--model", "multimnist", "--glimpses", "2")
    lines = done("boxes", "all.saids", "--format", "csv").stdout.splitlines()[1:]
    names = [name for name in NAMES for _ in range(2)]
    assert [line.split(",")[0] for line in lines] == names
    done("boxes", ".", "--format", "yolo", "--output-dir", "labels")
    assert sorted(path.name for path in Path("labels").rglob("*.txt")) == ["a.txt", "b.txt", "c.txt"]
    Path("all.saids").write_bytes(Path("all.saids").read_bytes()[:-1])
    assert "cut off" in failed(run("boxes", "all.saids"))


def test_a_missing_model_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pack("--quiet", "--together", "1")
    monkeypatch.delenv(models.FOLDER_VARIABLE)
    said = failed(run("unpack", "all.saids", "out"))
    assert said.startswith("Error: all.saids: image 0: The file needs the model ")
    assert said.count("\n") == 1
