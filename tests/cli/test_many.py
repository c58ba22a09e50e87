"""Many files at the command line: what it writes, says and leaves, and its exit status."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from commands import run, work_in
from PIL import Image

from saidcodec.batch import running
from saidcodec.cli import main, many

RNG = np.random.default_rng(5)
FAST = ("--model", "flat", "--glimpses", "0", "--jobs", "1")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images, some of them in folders of it, and a model that paints flat colours."""
    work = work_in(tmp_path, monkeypatch)
    for name in ("in/a.png", "in/sub/b.webp", "in/sub/deep/c.tif"):
        picture(name)
    return work


def picture(name: str, side: int = 9) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (side, side, 3)).astype(np.uint8)).save(name, lossless=True)


def encoded(*options: str) -> Result:
    result = run("encode", "in", "--output-dir", "out", *FAST, *options)
    assert result.stdout == ""
    return result


def tree(folder: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def test_a_folder_there_and_back() -> None:
    result = encoded()
    assert result.exit_code == 0
    size = sum(os.path.getsize(f"in/{name}") for name in tree("in")) / 1000
    written = sum(os.path.getsize(f"out/{name}") for name in tree("out")) / 1000
    sizes = re.escape(f"3 done; {size:.1f} kB to {written:.1f} kB ({written / size:.1%}), ")
    assert re.fullmatch(sizes + r"\d+\.\d\d MP/s, \d+\.\d\d s\n", result.stderr)
    assert tree("out") == ["a.said", "sub/b.said", "sub/deep/c.said"]
    assert run("verify", "out", "--jobs", "1").stderr.startswith(f"3 done; {written:.1f} kB, ")
    result = run("decode", "out", "--output-dir", "back", "--jobs", "1")
    assert result.exit_code == 0
    assert tree("back") == ["a.png", "sub/b.png", "sub/deep/c.png"]
    for name, back in zip(tree("in"), tree("back"), strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(f"in/{name}")), Image.open(f"back/{back}"))


def test_two_processes_write_the_same() -> None:
    encoded()
    result = run("encode", "in", "--output-dir", "two", *FAST[:-1], "2")
    assert result.exit_code == 0
    assert tree("two") == tree("out")
    for name in tree("out"):
        assert Path("two", name).read_bytes() == Path("out", name).read_bytes()


def test_what_is_done_is_skipped() -> None:
    encoded()
    before = {name: os.stat(f"out/{name}").st_ino for name in tree("out")}
    picture("in/new.png")
    os.remove("out/sub/b.said")
    assert encoded().stderr.startswith("2 done, 2 skipped; ")
    for name in ("a.said", "sub/deep/c.said"):
        assert os.stat(f"out/{name}").st_ino == before[name]
    assert encoded().stderr == "4 skipped\n"
    assert encoded("--quiet").stderr == ""
    assert encoded("--force").stderr.startswith("4 done; ")


def test_everything_else_goes_on_after_a_failure() -> None:
    Path("in/bad.jpg").write_text("no image")
    Path("in/notes.txt").touch()
    picture("in/a.webp")
    result = run("encode", "in", "gone", "--output-dir", "out", *FAST)
    assert result.exit_code == 1
    first, *errors = result.stderr.splitlines()
    assert first.startswith("2 done, 4 failed; ")
    assert first.endswith("; 1 of other kinds (.txt) left alone")
    twins = "would both become out/a.said; rename one, or give each an output folder of its own."
    assert errors == [
        "Error: gone cannot be read: No such file or directory.",
        f"Error: in/a.png and in/a.webp {twins}",
        f"Error: in/a.webp and in/a.png {twins}",
        "Error: in/bad.jpg is not an image that Pillow can open.",
    ]
    assert tree("out") == ["sub/b.said", "sub/deep/c.said"]
    assert run("encode", "in", "--output-dir", "out", "--quiet", *FAST).stderr.count("Error: ") == 3


def test_sources_are_deleted_only_after_a_comparison() -> None:
    encoded()
    picture("in/a.png")
    result = encoded("--delete-source")
    assert result.exit_code == 1
    assert "in/a.png: out/a.said exists already and does not hold the image of in/a.png" in result.stderr
    assert tree("in") == ["a.png"]
    assert run("verify", "out", "--jobs", "1").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("encode", "empty"), "empty: there is no file to work on."),
        (("decode", "in"), "in: there is no file to work on but 3 of other kinds (.png, .webp, .tif)."),
        (("encode", "in", "--model", "none"), "There is no model none; installed: "),
        (
            ("decode", "in", "--suffix", ".xyz"),
            "*.xyz: there is no image format with the suffix .xyz to write.",
        ),
        (
            ("decode", "in", "--suffix", "xyz"),
            "*.xyz: there is no image format with the suffix .xyz to write.",
        ),
    ],
)
def test_when_there_is_nothing_to_do(arguments: tuple[str, ...], sentence: str) -> None:
    os.mkdir("empty")
    result = run(*arguments, "--output-dir", "out")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {sentence}")
    assert result.stderr.count("\n") == 1
    assert not os.path.exists("out")


def test_a_new_output_folder_goes_where_nothing_comes_into_it() -> None:
    os.mkdir("bad")
    Path("bad/a.said").write_bytes(b"no such file")
    assert run("decode", "bad", "--output-dir", "out").exit_code == 1
    assert not os.path.exists("out")
    assert run("decode", "bad", "--output-dir", "new/inner/out").exit_code == 1
    assert not os.path.exists("new")
    os.mkdir("out")
    assert run("decode", "bad", "--output-dir", "out/inner").exit_code == 1
    assert os.listdir("out") == []


def test_output_folders_that_cannot_be() -> None:
    Path("file").touch()
    result = run("encode", "in", "--output-dir", "file")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: file is no folder; --output-dir needs one, or the name of a new one.\n",
    )
    result = run("encode", "in", "--output-dir", "file/out")
    assert (result.exit_code, result.stderr) == (1, "Error: file/out cannot be made: Not a directory.\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("encode", "a.png", "b.png", "c.png"),
        ("encode", "a.png", "--jobs", "2"),
        ("encode", "a.png", "--delete-source"),
        ("encode", "a.png", "--dask", "tcp://localhost:1"),
        ("decode", "a.said", "--suffix", ".png"),
        ("encode", "in", "--output-dir", "out", "--jobs", "0"),
        ("encode", "in", "--output-dir", "out", "--jobs", "2", "--dask", "tcp://localhost:1"),
        ("encode", "in", "--output-dir", "out", "--quiet", "--verbose"),
        ("encode", "in", "--output-dir", "out", "--delete-source", "--no-verify"),
        ("encode", "in", "--output-dir", "out", "--delete-source", "--residual", "none"),
        ("decode", "in", "--output-dir", "out", "--delete-source", "--lossy"),
        ("decode", "in", "--output-dir", "out", "--region", "0,0,1,1"),
        ("decode", "in", "--output-dir", "out", "--boxes-as-metadata"),
        ("verify",),
        ("verify", "-", "--dask", "tcp://localhost:1"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert not os.path.exists("out")


def test_a_folder_needs_an_output_folder() -> None:
    for command in ("encode", "decode"):
        result = run(command, "in")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "Error: in is a folder; --output-dir OUT says where its files shall go.\n"


def test_where_the_time_goes() -> None:
    lines = encoded("--verbose").stderr.splitlines()
    (line,) = [line for line in lines if line.startswith("out/a.said: ")]
    size, before = os.path.getsize("out/a.said"), os.path.getsize("in/a.png")
    told = re.escape(f"out/a.said: {size:,} bytes, {size / before:.1%} of the input's {before:,}; ")
    times = r"reading [\d.]+ s, coding [\d.]+ s, verifying [\d.]+ s, writing [\d.]+ s"
    assert re.fullmatch(told + times, line)
    assert lines[-1].startswith("of all workers together: reading ")
    os.utime("out/a.said", (5, 5))
    assert "out/a.said: there already, and holds the image; " in encoded("--verbose").stderr
    assert re.search(
        r"out/a.said: [\d,]+ bytes, whole; reading", run("verify", "out", "--verbose", "--jobs", "1").stderr
    )


def test_standard_input_is_verified() -> None:
    encoded()
    data = Path("out/a.said").read_bytes()
    for arguments in (("-",), ("-", "out")):
        result = CliRunner().invoke(main, ["verify", *arguments], input=data)
        assert result.exit_code == 0, result.stderr
    result = CliRunner().invoke(main, ["verify", "-"], input=data[:-1])
    assert result.exit_code == 1
    assert "Error: standard input: The file is damaged" in result.stderr


def test_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    run_all = running.run

    def interrupted(*arguments: object) -> object:
        yield next(run_all(*arguments))  # type: ignore[arg-type, call-overload]
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "run", interrupted)
    result = encoded()
    assert result.exit_code == 1
    first, last = result.stderr.splitlines()
    assert first.startswith("1 done; ")
    assert last == "Error: Interrupted. The same command goes on from here."


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_kill_loses_nothing(end: signal.Signals) -> None:
    for i in range(20):
        picture(f"in/more/{i}.png", 64)
    code = "from saidcodec.cli import main; main()"
    command = [sys.executable, "-c", code, "encode", "in", "--output-dir", "out", *FAST[:-1], "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (os.path.isdir("out") and any(name.endswith(".said") for name in tree("out"))):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(end)
    process.wait()
    finished = {name: os.stat(f"out/{name}").st_ino for name in tree("out") if name.endswith(".said")}
    assert 0 < len(finished) < 23
    result = encoded()
    assert result.exit_code == 0, result.stderr
    assert len([name for name in tree("out") if name.endswith(".said")]) == 23
    for name, inode in finished.items():
        assert os.stat(f"out/{name}").st_ino == inode, "done is done"
    assert run("verify", "out", "--quiet", "--jobs", "1").exit_code == 0


def test_a_bar_is_shown_to_those_who_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "watched", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    result = encoded("--verbose")
    assert "3/3 files, " in result.stderr
    assert "MP/s," in result.stderr
    assert "left" in result.stderr
    assert "out/a.said: " in result.stderr
    assert "files, " not in encoded("--quiet", "--force").stderr


def test_rich_is_imported_only_for_a_bar() -> None:
    code = (
        "import sys\n"
        "from saidcodec.cli import main\n"
        f"main(['encode', 'in', '--output-dir', 'out', *{FAST}], standalone_mode=False)\n"
        "main(['encode', 'in/a.png', 'a.said', '--model', 'flat', '--quiet'], standalone_mode=False)\n"
        "print(*{'rich', 'distributed', 'dask', 'torch'} & set(sys.modules))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.stdout == "\n", result.stderr


def test_a_scheduler_that_is_not_there() -> None:
    pytest.importorskip("distributed")
    result = run("encode", "in", "--output-dir", "out", "--dask", "nowhere")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: There is no Dask scheduler at nowhere: ")
    assert result.stderr.count("\n") == 1
    assert not os.path.exists("out")


def test_what_png_cannot_hold_becomes_tiff_as_for_one_file() -> None:
    Image.new("CMYK", (9, 9), (1, 2, 3, 4)).save("in/inks.tif")
    pages = [Image.fromarray(RNG.integers(0, 60000, (8, 9)).astype(np.uint16)) for _ in range(2)]
    pages[0].save("in/deep.tif", save_all=True, append_images=pages[1:])
    pages[0].save("in/one.tif")
    encoded()
    Path("out/bad.said").write_bytes(b"no image")
    result = run("decode", "out", "--output-dir", "back", "--jobs", "1")
    assert result.stderr.splitlines()[1:] == ["Error: out/bad.said: This is not a .said file."]
    assert tree("back") == ["a.png", "deep.tif", "inks.tif", "one.png", "sub/b.png", "sub/deep/c.png"]
    for name in ("deep.tif", "inks.tif"):
        assert run("compare", f"in/{name}", f"back/{name}").exit_code == 0
    assert run("decode", "out", "--output-dir", "back", "--jobs", "1").stderr.startswith(
        "6 skipped, 1 failed"
    )
    result = run("decode", "out/inks.said", "--output-dir", "png", "--suffix", "png", "--jobs", "1")
    assert "PNG cannot hold an image of mode CMYK; .tif can." in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_files_of_folders_that_cannot_be_read_are_named_and_devices_left_alone() -> None:
    os.symlink("gone.png", "in/broken.png")
    os.mkfifo("in/pipe.png")
    result = encoded()
    first, *errors = result.stderr.splitlines()
    assert first.endswith("; 1 of other kinds (.png) left alone")
    assert errors == ["Error: in/broken.png cannot be read: No such file or directory."]


def test_a_path_is_needed() -> None:
    result = run("encode", "--output-dir", "out")
    assert result.exit_code == 2
    assert "Error: Missing argument 'PATH...'." in result.stderr
