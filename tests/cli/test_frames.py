"""Animations and pages at the command line."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import done, run, work_in
from PIL import Image

import saidcodec
from saidcodec.format.header import Metadata


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work_in(tmp_path, monkeypatch)


def animation(path: str, count: int = 3, **options: Any) -> None:
    frames = [Image.new("RGB", (12, 8), (80 * number, 0, 200)) for number in range(count)]
    for number, frame in enumerate(frames):
        frame.putpixel((number, number), (255, 255, 0))
    options = {"duration": [40, 70, 110][:count], "loop": 2, **options}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)


@pytest.mark.parametrize("source", ["gif", "png", "webp", "tif"])
@pytest.mark.parametrize("target", ["gif", "png", "webp", "tif"])
def test_they_go_from_format_to_format(source: str, target: str) -> None:
    animation(f"in.{source}", lossless=True)
    done("encode", f"in.{source}", "it.said", "--model", "flat")
    done("decode", "it.said", f"out.{target}")
    found = done("compare", f"in.{source}", f"out.{target}").stdout
    assert found.startswith("equal frames: 3\nequal: 12×8")
    assert ("durations" in found) == (source != "tif" and target == "tif")
    assert done("compare", f"in.{source}", "it.said").stdout.startswith("equal frames: 3")


def test_pages_of_several_sizes_go_to_tiff() -> None:
    Image.new("L", (4, 5)).save("in.tif", save_all=True, append_images=[Image.new("L", (6, 3))])
    done("encode", "in.tif", "it.said", "--model", "flat")
    done("decode", "it.said")
    assert done("compare", "in.tif", "it.tif").stdout.startswith("equal frames: 2")
    done("decode", "it.said", "--frame", "1")
    assert Image.open("it.png").size == (6, 3)


def test_one_frame_can_be_had() -> None:
    animation("in.png")
    done("encode", "in.png", "it.said", "--model", "flat")
    for number in range(3):
        done("decode", "it.said", "one.png", "--frame", str(number), "--force")
        image = Image.open("one.png")
        assert getattr(image, "n_frames", 1) == 1
        assert image.getpixel((number, number)) == (255, 255, 0)
    done("decode", "it.said", "part.bmp", "--frame", "2", "--region", "1,1,3,2")
    assert Image.open("part.bmp").size == (3, 2)
    assert "no frame 3 in the file, which has 3" in run("decode", "it.said", "x.png", "--frame", "3").stderr
    assert "BMP cannot hold the 3 frames" in run("decode", "it.said", "x.bmp").stderr
    assert not os.path.exists("x.bmp")
    done("preview", "it.said", "small.bmp", "--size", "4")


def test_a_region_is_cut_out_of_every_frame() -> None:
    animation("in.png")
    done("encode", "in.png", "it.said", "--model", "flat")
    done("decode", "it.said", "part.png", "--region", "1,1,3,2")
    parts = Image.open("part.png")
    assert (parts.n_frames, parts.size) == (3, (3, 2))
    for number in (1, 2):
        parts.seek(number)
        assert parts.getpixel((number - 1, number - 1)) == (255, 255, 0)
    assert "is not inside the image" in run("decode", "it.said", "x.png", "--region", "10,0,3,2").stderr
    Image.new("L", (4, 5)).save("in.tif", save_all=True, append_images=[Image.new("L", (6, 3))])
    done("encode", "in.tif", "pages.said", "--model", "flat")
    assert "Frame 1: " in run("decode", "pages.said", "--region", "0,0,4,4").stderr
    done("decode", "pages.said", "--region", "0,0,4,3")
    assert Image.open("pages.tif").n_frames == 2


def test_boxes_go_with_the_first_frame() -> None:
    animation("in.png")
    done("encode", "in.png", "it.said", "--model", "flat", "--glimpses", "1")
    said = done("decode", "it.said", "out.png", "--boxes-as-metadata").stderr
    assert said == "Note: Only the first of the file's frames is written, because it has the boxes.\n"
    assert done("decode", "it.said", "one.png", "--boxes-as-metadata", "--frame", "0").stderr == ""
    assert getattr(Image.open("out.png"), "n_frames", 1) == 1


def test_inspect_names_frames_and_durations() -> None:
    animation("in.webp", lossless=True)
    done("encode", "in.webp", "it.said", "--model", "flat")
    account = json.loads(done("inspect", "it.said", "--json").stdout)
    assert [frame["duration"] for frame in account["frames"]] == [40, 70, 110]
    assert account["plays"] == 2
    assert account["bits"]["total"] == 8 * os.path.getsize("it.said")
    told = done("inspect", "it.said").stdout
    assert "3 frames, shown 2 times, 0.220 s" in told
    assert "    2  110 ms  " in told


def test_verify_looks_at_every_frame() -> None:
    animation("in.png")
    done("encode", "in.png", "it.said", "--model", "flat")
    done("verify", "it.said", "--jobs", "1")
    data = bytearray(Path("it.said").read_bytes())
    data[-1] ^= 1
    Path("bad.said").write_bytes(data)
    result = run("verify", "bad.said", "--jobs", "1")
    assert result.exit_code == 1
    assert "Frame 2" in result.stderr
    Path("bad.said").write_bytes(data[:-1])
    assert "truncated" in run("decode", "bad.said", "out.png").stderr
    assert not os.path.exists("out.png")


def test_folders_of_them() -> None:
    os.mkdir("in")
    animation("in/a.png")
    animation("in/b.webp", 2, lossless=True)
    Image.new("L", (4, 4)).save("in/c.png")
    animation("in/d.tif")
    done("encode", "in", "--output-dir", "said", "--delete-source", "--model", "flat", "--jobs", "1")
    assert os.listdir("in") == []
    for name, frames in (("a", 3), ("b", 2), ("c", 1), ("d", 3)):
        assert len(saidcodec.Frames(f"said/{name}.said")) == frames
    result = run("decode", "said", "--output-dir", "out", "--delete-source", "--jobs", "1")
    assert result.exit_code == 0, result.stderr
    assert os.listdir("said") == []
    assert Image.open("out/a.png").n_frames == 3


def test_an_output_that_is_there_is_compared() -> None:
    animation("a.png")
    arguments = ("encode", "a.png", "--output-dir", "said", "--model", "flat", "--jobs", "1")
    done(*arguments)
    os.utime("a.png", (1, 1))
    done(*arguments)
    animation("a.png", 2)
    result = run(*arguments)
    assert "does not hold the image" in result.stderr


def test_compare_tells_of_the_first_frame_that_differs() -> None:
    animation("a.png")
    animation("b.png", 2)
    assert run("compare", "a.png", "b.png").stdout.startswith("a.png has more frames than b.png, which has 2")
    frames = [np.zeros((4, 4), np.uint8) for _ in range(3)]
    one = saidcodec.encode_frames(frames, model="flat", durations=40)
    frames[1] = frames[1] + 9
    other = saidcodec.encode_frames(frames, model="flat", durations=50)
    Path("a.said").write_bytes(one)
    Path("b.said").write_bytes(other)
    result = run("compare", "a.said", "b.said")
    assert result.exit_code == 1
    first, second, *_ = result.stdout.splitlines()
    assert first == "different frames: 1 of 3, the first: frame 1"
    assert second.startswith("different pixels: 16 of 16")
    assert result.stdout.endswith("different durations of frames: 3 of 3\n")


def test_strip_and_pack() -> None:
    os.mkdir("in")
    animation("in/a.tif", dpi=(72, 72))
    done("encode", "in/a.tif", "it.said", "--strip", "--model", "flat")
    with saidcodec.Frames("it.said") as frames:
        assert [frames.metadata(number) for number in range(3)] == [Metadata()] * 3
    Image.new("L", (4, 4)).save("in/b.png")
    assert "a.tif: It has several frames" in run("pack", "in", "it.saids", "--model", "flat").stderr
