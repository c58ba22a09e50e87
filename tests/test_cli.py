"""The command line: what it writes, what it says, and its exit status."""

import io
import json
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from commands import run, work_in
from factory import random_tensors
from PIL import Image

import saidcodec
from saidcodec import codec, inspection, models
from saidcodec.cli import LIBRARIES
from saidcodec.errors import LimitError
from saidcodec.format.header import OLD_SIGNATURE, SIGNATURE
from saidcodec.residual import core, engine

RNG = np.random.default_rng(11)
SHAPES = {"L": (6, 9), "LA": (6, 9, 2), "RGB": (6, 9, 3), "RGBA": (6, 9, 4)}
Arguments = Sequence[str | Path]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, and a folder beside it with a model that paints flat colours."""
    return work_in(tmp_path, monkeypatch, description="Paints.")


def done(*arguments: str | Path, data: bytes = b"") -> Result:
    """A command that succeeds and says nothing on standard error."""
    quiet = ("--quiet",) if arguments[0] == "encode" else ()
    result = run(*arguments, *quiet, data=data)
    assert (result.exit_code, result.stderr) == (0, ""), result.stderr
    return result


def refused(*arguments: str | Path, data: bytes = b"") -> str:
    """The one line that a failing command says."""
    before = snapshot()
    result = run(*arguments, data=data)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.endswith(".\n")
    assert result.stderr.count("\n") == 1
    assert snapshot() == before
    return result.stderr


def snapshot() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}


def picture(name: str = "in.png", mode: str = "RGB") -> np.ndarray:
    pixels = RNG.integers(0, 256, SHAPES[mode]).astype(np.uint8)
    Image.fromarray(pixels).save(name)
    return pixels


def encoded(*options: str) -> np.ndarray:
    pixels = picture()
    done("encode", "in.png", "it.said", "--model", "flat", *options)
    return pixels


@pytest.mark.parametrize("mode", SHAPES)
@pytest.mark.parametrize("residual", ["context", "gaussian"])
def test_round_trip(mode: str, residual: str) -> None:
    pixels = picture(mode=mode)
    done("encode", "in.png", "it.said", "--model", "flat", "--residual", residual)
    done("decode", "it.said", "out.png")
    image = Image.open("out.png")
    assert image.mode == mode
    np.testing.assert_array_equal(np.asarray(image), pixels)
    assert sorted(os.listdir()) == ["in.png", "it.said", "out.png"]


def test_bound_on_the_error() -> None:
    pixels = encoded("--max-error", "5")
    done("decode", "it.said")
    assert abs(np.asarray(Image.open("it.png")).astype(int) - pixels).max() <= 5


def test_the_suffix_picks_the_format() -> None:
    pixels = encoded()
    for name, format_ in (("a.webp", "WEBP"), ("b.TIF", "TIFF"), ("c.ppm", "PPM"), ("d.bmp", "BMP")):
        done("decode", "it.said", name)
        image = Image.open(name)
        assert image.format == format_
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), pixels)
    assert "no image format with the suffix .xyz" in refused("decode", "it.said", "e.xyz")


def test_standard_input_and_output() -> None:
    pixels = picture()
    said = done("encode", "-", "-", "--model", "flat", data=Path("in.png").read_bytes()).stdout_bytes
    assert said.startswith(SIGNATURE)
    for arguments in (("decode", "-"), ("decode", "-", "-")):
        Path("back.png").write_bytes(done(*arguments, data=said).stdout_bytes)
        np.testing.assert_array_equal(np.asarray(Image.open("back.png")), pixels)
    assert json.loads(done("inspect", "-", "--json", data=said).stdout)["width"] == 9


def test_metadata_survives() -> None:
    tags = Image.Exif()
    tags[0x010F] = "A camera"
    Image.new("RGB", (4, 4)).save("in.jpg", exif=tags, icc_profile=b"profile", xmp=b"<x/>")
    done("encode", "in.jpg", "it.said", "--model", "flat")
    for command, name in (("decode", "out.png"), ("preview", "seen.webp")):
        done(command, "it.said", name)
        image = Image.open(name)
        assert image.getexif()[0x010F] == "A camera"
        assert image.info["icc_profile"] == b"profile"
        assert image.info["xmp"] == b"<x/>"


def test_existing_outputs_are_refused_without_force() -> None:
    pixels = encoded()
    for arguments in (
        ("encode", "in.png", "it.said", "--model", "flat"),
        ("decode", "it.said", "in.png"),
        ("preview", "it.said", "in.png"),
        ("inspect", "it.said", "--picture", "in.png"),
    ):
        assert "exists already; --force overwrites it" in refused(*arguments)
    Path("it.png").write_bytes(b"old")
    assert "it.png exists already" in refused("decode", "it.said")
    done("decode", "it.said", "--force")
    np.testing.assert_array_equal(np.asarray(Image.open("it.png")), pixels)


def test_outputs_that_cannot_be_written() -> None:
    encoded()
    assert "its folder does not exist" in refused("decode", "it.said", "gone/a.png")
    assert "its folder does not exist" in refused("encode", "in.png", "gone/a.said")
    os.mkdir("sub.png")
    assert "it is a folder" in refused("decode", "it.said", "sub.png", "--force")


def test_inputs_that_cannot_be_read() -> None:
    Path("text.png").write_text("no image")
    Path("empty.png").touch()
    picture()
    Path("cut.png").write_bytes(Path("in.png").read_bytes()[:-60])
    assert "gone.png cannot be read: No such file" in refused("encode", "gone.png", "it.said")
    assert "text.png is not an image" in refused("encode", "text.png", "it.said")
    assert "empty.png is not an image" in refused("encode", "empty.png", "it.said")
    assert "cannot be read" in refused("encode", "cut.png", "it.said", "--model", "flat")
    assert "--output-dir" in refused("encode", ".", "it.said")
    Image.new("LAB", (3, 3)).save("deep.tif")
    assert "mode LAB" in refused("encode", "deep.tif", "it.said")


@pytest.mark.parametrize(
    "command", [("decode", "bad.said", "o.png"), ("preview", "bad.said", "o.png"), ("inspect", "bad.said")]
)
def test_damaged_files(command: Arguments) -> None:
    encoded()
    good = Path("it.said").read_bytes()
    head = SIGNATURE + b"\x02" + b"\xfe\xff\xff\xff\x0f"
    for data, sentence in (
        (b"", "is empty"),
        (Path("in.png").read_bytes(), "not a .said file"),
        (good[:12], "truncated"),
        (OLD_SIGNATURE + b"\x05" + good[3:], "version 0.5; this program reads 0.11"),
        (good[:12] + bytes([good[12] ^ 1]) + good[13:], "damaged"),
        (head + bytes(20), "2147483648×2147483648 pixels"),
    ):
        Path("bad.said").write_bytes(data)
        assert sentence in refused(*command)


def test_a_file_with_more_at_its_end_or_less_is_refused() -> None:
    encoded()
    good = Path("it.said").read_bytes()
    for data in (good + b"\0", good + good, good[:-1]):
        Path("bad.said").write_bytes(data)
        sentence = refused("decode", "bad.said", "o.png")
        assert "damaged or truncated" in sentence
        assert "bytes too many at its end" in sentence


def test_a_truncated_file_still_shows_its_glimpses() -> None:
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[10:20, 20:30] = 200, 100, 0
    Image.fromarray(pixels).save("in.png")
    done("encode", "in.png", "it.said", "--model", "flat", "--residual", "gaussian", "--glimpses", "2")
    whole = Path("it.said").read_bytes()
    residual = json.loads(done("inspect", "it.said", "--json").stdout)["bits"]["residual"]
    Path("cut.said").write_bytes(whole[: len(whole) - int(residual / 8) + 8])
    assert "truncated" in refused("decode", "cut.said")
    done("preview", "cut.said", "cut.png")
    done("preview", "it.said", "whole.png")
    assert len(set(Image.open("whole.png").getdata())) > 1
    assert Path("cut.png").read_bytes() == Path("whole.png").read_bytes()
    assert json.loads(done("inspect", "cut.said", "--json").stdout)["glimpses"]


def test_a_model_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = encoded()
    path = models.find("flat").id, Path(os.environ[models.FOLDER_VARIABLE]) / "flat.safetensors"
    monkeypatch.delenv(models.FOLDER_VARIABLE)
    sentence = refused("decode", "it.said")
    assert path[0][:4] in sentence
    assert "--model PATH" in sentence
    done("decode", "it.said", "--model", path[1])
    np.testing.assert_array_equal(np.asarray(Image.open("it.png")), pixels)


def test_models_that_are_unfit() -> None:
    encoded()
    Path("bad.safetensors").write_bytes(b"noise")
    models.save(Path("other.safetensors"), random_tensors(1), {"name": "other"})
    models.save(Path("bare.safetensors"), {"a": np.zeros(1, np.int8)}, {"name": "bare"})
    assert "not a model file" in refused("decode", "it.said", "out.png", "--model", "bad.safetensors")
    assert "needs the model" in refused("decode", "it.said", "out.png", "--model", "other.safetensors")
    assert "no model nothing" in refused("encode", "in.png", "new.said", "--model", "nothing")
    assert "lacks" in refused("encode", "in.png", "new.said", "--model", "bare.safetensors")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("encode",),
        ("encode", "in.png", "o.said", "--residual", "magic"),
        ("encode", "in.png", "o.said", "--max-error", "32768"),
        ("encode", "in.png", "o.said", "--max-error", "-1"),
        ("encode", "in.png", "o.said", "--glimpses", "some"),
        ("encode", "in.png", "o.said", "--glimpses", "-1"),
        ("decode", "a", "b", "c"),
        ("inspect", "it.said", "--nonsense"),
        ("sing",),
    ],
)
def test_wrong_usage(arguments: Arguments) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr
    assert os.listdir() == []


@pytest.mark.parametrize("residual", ["context", "gaussian", "none"])
def test_the_account_adds_up(residual: str) -> None:
    encoded("--glimpses", "3", "--residual", residual)
    account = json.loads(done("inspect", "it.said", "--json").stdout)
    assert set(account) == {
        "width", "height", "mode", "depth", "max_error", "version", "model", "bits", "metadata", "kl_bits",
        "bpp", "glimpses", "objects",
    }  # fmt: skip
    assert (account["width"], account["height"], account["mode"], account["version"]) == (9, 6, "RGB", "0.11")
    assert account["model"] == {"name": "flat", "id": models.find("flat").id}
    bits = account["bits"]
    assert list(bits) == ["header", "base", "boxes", "latents", "residual", "metadata", "total"]
    assert bits["total"] == 8 * Path("it.said").stat().st_size == sum(bits.values()) - bits["total"]
    assert min(bits.values()) >= 0
    assert account["bpp"] == bits["total"] / 54
    for glimpse in account["glimpses"]:
        x0, y0, x1, y1 = glimpse["box"]
        assert 0 <= x0 < x1 <= 9
        assert 0 <= y0 < y1 <= 6
        assert set(glimpse) == {"tile", "box", "bits", "saved_bits"}
    alone = [
        {"box": glimpse["box"], "glimpses": [number], "saved_bits": glimpse["saved_bits"]}
        for number, glimpse in enumerate(account["glimpses"])
    ]
    assert account["objects"] == alone  # of one tile


def test_the_account_for_people() -> None:
    encoded("--glimpses", "2")
    lines = done("inspect", "it.said").stdout.splitlines()
    assert lines[0].startswith("9 x 6 RGB, lossless, version 0.11, model flat")
    assert any("latents" in line for line in lines)


def test_objects_that_lie_in_several_tiles_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded("--glimpses", "2")
    assert "several tiles" not in done("inspect", "it.said").stdout
    joined = [
        {"box": [4, 1, 9, 5], "glimpses": [0, 2], "saved_bits": 7.4},
        {"box": [0, 0, 1, 1], "glimpses": [1], "saved_bits": 1.0},
    ]
    monkeypatch.setattr(inspection, "objects_told", lambda *words: joined)
    lines = done("inspect", "it.said").stdout.splitlines()
    assert lines[-2:] == [
        "2 objects; these lie in several tiles:",
        "  glimpses 1, 3: box [4, 1, 9, 5], saves about 7",
    ]


@pytest.mark.parametrize(
    ("options", "max_error", "told"),
    [
        ((), 0, "RGB, lossless, "),
        (("--max-error", "3"), 3, "RGB, samples within 3, "),
        (("--residual", "none"), None, "RGB, base and glimpses alone, "),
    ],
)
def test_the_account_tells_the_largest_error(
    options: tuple[str, ...], max_error: int | None, told: str
) -> None:
    encoded(*options)
    assert json.loads(done("inspect", "it.said", "--json").stdout)["max_error"] == max_error
    assert told in done("inspect", "it.said").stdout


def test_a_picture_of_the_boxes() -> None:
    encoded("--glimpses", "2")
    done("inspect", "it.said", "--picture", "boxes.png")
    image = Image.open("boxes.png")
    assert min(image.size) * 9 == max(image.size) * 6
    assert max(image.size) >= 512


def test_preview_by_glimpses() -> None:
    encoded("--glimpses", "2")
    done("preview", "it.said", "all.png")
    done("preview", "it.said", "most.png", "--glimpses", "32")
    done("preview", "it.said", "none.png", "--glimpses", "0")
    assert Path("all.png").read_bytes() == Path("most.png").read_bytes()
    assert Image.open("none.png").size == (9, 6)


def test_models_are_listed() -> None:
    (line,) = [line for line in done("models").stdout.splitlines() if line.startswith("flat ")]
    assert line.split() == ["flat", models.find("flat").id, "Paints."]


def test_a_broken_model_file_is_listed_as_such() -> None:
    (Path(os.environ[models.FOLDER_VARIABLE]) / "broken.safetensors").write_bytes(b"noise")
    lines = done("models").stdout.splitlines()
    assert any(line.startswith("flat ") for line in lines)
    assert any(line.startswith("broken ") and "not a model file" in line for line in lines)


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded()

    def starve(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("saidcodec.codec.decode_image", starve)
    assert "not enough memory" in refused("decode", "it.said")


@pytest.mark.usefixtures("interrupts")
def test_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded()

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("saidcodec.images.saving.write", interrupt)
    assert "Interrupted" in refused("decode", "it.said")
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # a second one does not end in a traceback


def test_sentences_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded()

    def fail(*_: object, **__: object) -> None:
        raise LimitError("two\nlines.")

    monkeypatch.setattr("saidcodec.codec.decode_image", fail)
    assert "two lines" in refused("decode", "it.said")


def python(code: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(sys.path)
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


def test_decoding_a_small_file_loads_little() -> None:
    encoded()
    result = python(
        "import sys\n"
        "from saidcodec.cli import main\n"
        "main(['decode', 'it.said'], standalone_mode=False)\n"
        "print(*{'torch', 'imagecodecs'} & set(sys.modules))\n"
    )
    assert (result.stdout, result.stderr) == ("\n", "")


def test_help_loads_less() -> None:
    result = python(
        "import sys\n"
        "from saidcodec.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print(*{'numpy', 'PIL', 'torch'} & set(sys.modules), file=sys.stderr)\n"
    )
    assert "train" in result.stdout
    assert result.stderr == "\n"


def test_training_without_its_extra() -> None:
    result = python(
        "import sys; sys.modules['torch'] = None\nfrom saidcodec.cli import main\nmain(['train', 'said'])"
    )
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert "saidcodec[train]" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_reader_that_goes_away() -> None:
    encoded()
    code = "from saidcodec.cli import main; main(['decode', 'it.said', '-'])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run(
        [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, env=environment
    )
    os.close(write)
    assert result.stderr == b""
    assert result.returncode == 1


def test_the_result_is_told() -> None:
    Image.new("RGB", (120, 100), (1, 2, 3)).save("flat.bmp")
    result = run("encode", "flat.bmp", "--model", "flat")
    assert (result.exit_code, result.stdout) == (0, "")
    size, before = (Path(name).stat().st_size for name in ("flat.said", "flat.bmp"))
    told = re.escape(f"flat.said: {size:,} bytes, {size / before:.1%} of the input's {before:,}, ")
    assert re.fullmatch(told + r"\d+\.\d\d s\n", result.stderr)
    result = run("encode", "-", "--model", "flat", data=Path("flat.bmp").read_bytes())
    assert result.stdout_bytes == Path("flat.said").read_bytes()
    assert result.stderr.startswith("standard output: ")


def test_a_file_that_grows_is_told() -> None:
    Image.fromarray(RNG.integers(0, 256, (99, 99, 3)).astype(np.uint8)).save("in.jpg", quality=5)
    lines = run("encode", "in.jpg", "--model", "flat").stderr.splitlines()
    assert len(lines) == 2
    assert (
        lines[1] == "Note: in.said is larger than the input file, as an exact copy of a lossy file often is."
    )
    near = run("encode", "in.jpg", "near.said", "--model", "flat", "--max-error", "1")
    assert near.stderr.splitlines()[1:] == ["Note: near.said is larger than the input file."]
    done("encode", "in.jpg", "--model", "flat", "--force")


def test_the_output_lies_beside_the_input() -> None:
    pixels = picture("a.b.png")
    done("encode", "a.b.png", "--model", "flat")
    os.remove("a.b.png")
    done("decode", "a.b.said")
    np.testing.assert_array_equal(np.asarray(Image.open("a.b.png")), pixels)


def test_outputs_that_are_the_input_are_refused() -> None:
    encoded()
    os.rename("it.said", "it.png")
    os.symlink("it.png", "link.png")
    os.link("it.png", "same.png")
    os.symlink("in.png", "in.said")
    for arguments in (
        ("decode", "it.png"),
        ("decode", "it.png", "./it.png"),
        ("decode", "it.png", "link.png"),
        ("decode", "it.png", "same.png"),
        ("preview", "it.png", "it.png"),
        ("inspect", "it.png", "--picture", "it.png"),
        ("encode", "in.png", "in.said"),
    ):
        assert "is the input itself" in refused(*arguments, "--force")


def test_the_suffix_of_encoded_files() -> None:
    picture()
    assert "must end in .said" in refused("encode", "in.png", "in.png", "--force")
    assert "must end in .said" in refused("encode", "in.png", "out")
    done("encode", "in.png", "OUT.SAID", "--model", "flat")
    done("encode", "in.png", os.devnull, "--model", "flat")


def test_what_was_encoded_is_decoded_and_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    picture()
    flat = models.find("flat")
    wrong = codec.encode(np.zeros((6, 9, 3), np.uint8), model=flat)
    monkeypatch.setattr("saidcodec.codec.encode", lambda *_, **__: wrong)
    assert "does not decode to the image" in refused("encode", "in.png", "it.said", "--model", "flat")
    done("encode", "in.png", "it.said", "--model", "flat", "--no-verify")
    assert Path("it.said").read_bytes() == wrong


@pytest.mark.parametrize(
    "options", [("--residual", "none"), ("--max-error", "7"), ("--residual", "gaussian")]
)
def test_lossy_files_are_compared_as_far_as_they_promise(options: tuple[str, ...]) -> None:
    encoded(*options)


def test_formats_that_lose_pixels_are_refused() -> None:
    picture(mode="RGBA")
    done("encode", "in.png", "it.said", "--model", "flat")
    for name in ("a.gif", "a.ppm", "a.bmp", "a.avif"):
        sentence = refused("decode", "it.said", name)
        assert name in sentence
        assert ".png" in sentence
        assert "--lossy" in sentence
        done("decode", "it.said", name, "--lossy")
    assert "JPEG cannot hold an image of mode RGBA" in refused("decode", "it.said", "a.jpg", "--lossy")
    done("decode", "it.said", "a.ico")
    assert Image.open("a.ico").size == (9, 6)


def test_inks_go_to_tiff() -> None:
    inks = Image.fromarray(RNG.integers(0, 256, (6, 9, 4)).astype(np.uint8), "RGBA").tobytes()
    Image.frombytes("CMYK", (9, 6), inks).save("in.tif")
    done("encode", "in.tif", "it.said", "--model", "flat")
    done("decode", "it.said")
    assert Image.open("it.tif").tobytes() == inks
    assert refused("decode", "it.said", "a.png") == (
        "Error: a.png: PNG cannot hold an image of mode CMYK; .tif can.\n"
    )
    for arguments, name in ((("it.said", "-"), "it.said"), (("-",), "standard input")):
        result = run("decode", *arguments, data=Path("it.said").read_bytes())
        assert Image.open(io.BytesIO(result.stdout_bytes)).tobytes() == inks
        note = f"Note: Standard output got a TIFF file, because PNG cannot hold what {name} holds.\n"
        assert result.stderr == note


@pytest.mark.skipif(os.name != "posix", reason="ulimit")
def test_a_disk_that_takes_a_part_of_a_file_is_to_blame() -> None:
    Image.new("CMYK", (90, 60)).save("in.tif")
    done("encode", "in.tif", "it.said", "--model", "flat")
    command = f"ulimit -f 1; {sys.executable} -m saidcodec.cli decode it.said a.tif"
    result = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (1, "Error: a.tif cannot be written: File too large.\n")
    assert sorted(os.listdir()) == ["in.tif", "it.said"]


def test_jpeg_files_need_consent() -> None:
    encoded()
    assert "JPEG cannot hold this 9×6 RGB image exactly" in refused("decode", "it.said", "a.jpg")
    done("decode", "it.said", "a.jpg", "--lossy")


def test_jpeg_files_get_the_colours_of_a_palette() -> None:
    indexed = Image.fromarray(RNG.integers(0, 256, (16, 16, 3)).astype(np.uint8)).quantize(2)
    indexed.save("in.png")
    done("encode", "in.png", "it.said", "--model", "flat")
    done("decode", "it.said", "a.jpg", "--lossy")
    found = np.asarray(Image.open("a.jpg")).astype(int)
    assert abs(found - np.asarray(indexed.convert("RGB"))).mean() < 40


def test_lost_metadata_is_noted() -> None:
    Image.new("RGB", (8, 8)).save("in.webp", lossless=True, exif=b"Exif\0\0garbage bytes", xmp=b"<x/>")
    done("encode", "in.webp", "it.said", "--model", "flat")
    done("decode", "it.said", "out.png")
    for name, sentence in (
        ("a.tif", "Note: TIFF cannot hold the image's EXIF: it is not valid."),
        ("a.avif", "Note: AVIF cannot hold the image's EXIF: it is not valid."),
        ("a.ppm", "Note: PPM does not keep the image's EXIF and XMP."),
    ):
        result = run("decode", "it.said", name)
        assert (result.exit_code, result.stderr) == (0, sentence + "\n")


@pytest.mark.parametrize("name", ["10.avif", "12.jp2"])
def test_deep_images(name: str) -> None:
    deep = Path(__file__).with_name("deep") / name
    assert f"{name}: Images of more than 8 bits" in refused("encode", deep, "it.said")
    sentence = refused("encode", "-", "it.said", data=deep.read_bytes())
    assert "standard input: Images of more than 8 bits" in sentence


def test_refusals_name_their_file() -> None:
    encoded()
    Image.new("LAB", (4, 4)).save("lab.tif")
    assert "lab.tif: Images of mode LAB" in refused("encode", "lab.tif", "new.said")
    Path("bad.said").write_bytes(Path("it.said").read_bytes()[:-1])
    for arguments in (("decode", "bad.said"), ("bench", "lab.tif")):
        assert f"{arguments[1]}: " in refused(*arguments)
    Path("bad.said").write_bytes(b"")
    for command in ("preview", "inspect"):
        assert "bad.said: The file is empty" in refused(
            command, "bad.said", *["a.png"][: command == "preview"]
        )
    assert "standard input: The file is empty" in refused("inspect", "-")


def test_bench_says_how_to_get_the_other_codecs(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded()
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    result = run("bench", "in.png", "--model", "flat")
    assert "PNG (optimised)" in result.stdout
    assert "JPEG XL" not in result.stdout
    assert 'come with the extra "benchmarks"' in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="closes streams the way shells do")
@pytest.mark.parametrize(
    ("arguments", "closing", "said"),
    [
        ("encode - x.said", "<&-", "Error: Standard input cannot be read: it is closed.\n"),
        ("decode -", "<&-", "Error: Standard input cannot be read: it is closed.\n"),
        ("encode in.png - --model flat", ">&-", "Error: Standard output cannot be written: it is closed.\n"),
        ("inspect it.said", ">&-", "Error: Standard output cannot be written: it is closed.\n"),
        ("models", ">&-", "Error: Standard output cannot be written: it is closed.\n"),
        ("decode it.said -", ">/dev/full", "Error: Standard output: No space left on device.\n"),
        ("models", ">/dev/full", "Error: Standard output: No space left on device.\n"),
        ("--version", ">&-", "Error: Standard output cannot be written: it is closed.\n"),
        ("decode gone.said", "2>&-", ""),
    ],
)
def test_streams_that_are_closed_or_full(arguments: str, closing: str, said: str) -> None:
    encoded()
    code = "from saidcodec.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = f"exec {sys.executable} -c '{code}' {arguments} {closing}"
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment)
    assert (result.returncode, result.stderr) == (1, said)


def version(monkeypatch: pytest.MonkeyPatch, wanted: str) -> Result:
    """What --version says where the environment asks for an engine."""
    monkeypatch.setenv(engine.ENGINE_VARIABLE, wanted)
    engine.current.cache_clear()
    try:
        return run("--version")
    finally:
        engine.current.cache_clear()


def test_the_version_tells_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    start = f"saidcodec {saidcodec.__version__}, bitstream 0.11, engine "
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    libraries = f"Python {platform.python_version()}, {packages}"
    if core.available():
        told = version(monkeypatch, "core")
        assert told.stdout == f"{start}core ({core.instruction_sets()[0]})\n{libraries}\n"
        told = version(monkeypatch, "reference")
        assert told.stdout == f"{start}reference (NumPy), as SAIDCODEC_ENGINE says\n{libraries}\n"
    told = version(monkeypatch, "fpga")
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr == "Error: SAIDCODEC_ENGINE must be core or reference, not fpga.\n"


def test_the_version_tells_how_to_get_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "library", lambda: None)
    told = version(monkeypatch, "")
    assert "engine reference (NumPy)\nThe C core was not built" in told.stdout
    assert "install a C compiler" in told.stdout


def test_a_core_of_other_sources_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    if not core.available():
        pytest.skip("the core was not built")
    monkeypatch.setattr(core, "INTERFACE", core.INTERFACE + 1)
    core.library.cache_clear()
    try:
        assert not core.available()
    finally:
        monkeypatch.undo()
        core.library.cache_clear()


def boxed(name: str) -> list[list[int]]:
    """A file with two glimpses, and its boxes."""
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[10:20, 20:30] = 200, 100, 0
    data = codec.encode(pixels, model="flat", residual="gaussian", glimpses=2)
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(data)
    return saidcodec.features(data).boxes.tolist()


def test_boxes_of_files_and_folders() -> None:
    wanted = boxed("images/a/one.said")
    boxed("images/two.SAID")
    Path("images/note.txt").write_text("no image")
    found = json.loads(done("boxes", "images", "images/a/one.said").stdout)
    assert [one["file"] for one in found] == ["images/two.SAID", "images/a/one.said", "images/a/one.said"]
    assert [[box["box"] for box in one["boxes"]] for one in found] == [wanted] * 3
    piped = json.loads(done("boxes", "-", data=Path("images/a/one.said").read_bytes()).stdout)
    assert piped == [{**found[1], "file": "standard input"}]
    coco = json.loads(done("boxes", "images", "--format", "coco").stdout)
    assert (len(coco["images"]), len(coco["annotations"])) == (2, 4)
    assert len(done("boxes", "images", "--format", "csv").stdout.splitlines()) == 5


def test_boxes_as_text_files_keep_the_structure() -> None:
    boxed("images/a/one.said")
    boxed("images/two.said")
    done("boxes", "images", "--format", "yolo", "--output-dir", "out")
    assert {str(path.relative_to("out")) for path in Path("out").rglob("*.txt")} == {"a/one.txt", "two.txt"}
    assert all(len(line.split()) == 5 for line in Path("out/two.txt").read_text().splitlines())
    again = run("boxes", "images", "--format", "yolo", "--output-dir", "out")
    assert (again.exit_code, again.stderr.count("exists already; --force overwrites it.")) == (1, 2)
    done("boxes", "images", "--format", "yolo", "--output-dir", "out", "--force")
    shared = run("boxes", "images", "images/a", "images/two.said", "images/a/one.said", "--format", "yolo",
                 "--output-dir", "new")  # fmt: skip
    assert (shared.exit_code, shared.stderr.count("another image's boxes are in")) == (1, 2)


def test_boxes_go_on_after_what_cannot_be_read() -> None:
    boxed("images/good.said")
    Path("images/bad.said").write_text("no image")
    result = run("boxes", "gone.said", "images")
    assert result.exit_code == 1
    assert [one["file"] for one in json.loads(result.stdout)] == ["images/good.said"]
    gone, bad = result.stderr.splitlines()
    assert gone == "Error: gone.said cannot be read: No such file or directory."
    assert bad == "Error: images/bad.said: This is not a .said file."
    Path("empty").mkdir()
    result = run("boxes", "empty", "-", data=b"no image")
    assert (result.exit_code, json.loads(result.stdout)) == (1, [])
    assert result.stderr.splitlines() == [
        "Error: empty has no .said files.",
        "Error: standard input: This is not a .said file.",
    ]


def test_regions_and_sizes() -> None:
    pixels = encoded()
    done("decode", "it.said", "part.png", "--region", "2,1,5,4")
    np.testing.assert_array_equal(np.asarray(Image.open("part.png")), pixels[1:5, 2:7])
    assert "(5, 0) is not inside the image, which has 9×6" in refused(
        "decode", "it.said", "o.png", "--region", "5,0,5,1"
    )
    done("preview", "it.said", "small.png", "--size", "3")
    assert Image.open("small.png").size == (3, 2)


def test_boxes_as_metadata() -> None:
    wanted = boxed("it.said")
    for name, options in (("it.png", ()), ("it.jpg", ("--lossy",))):
        done("decode", "it.said", name, "--boxes-as-metadata", *options)
        assert Image.open(name).info["xmp"].count(b"<mwg-rs:Area") == len(wanted) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            ("decode", "it.said", "--region", region)
            for region in ("1,2,3", "a,0,1,1", "0,0,0,1", "-1,0,1,1")
        ),
        ("preview", "it.said", "o.png", "--size", "0"),
        ("boxes", "it.said", "--format", "yolo"),
        ("boxes", "it.said", "--output-dir", "out"),
    ],
)
def test_wrong_usage_of_regions_and_boxes(arguments: Arguments) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr
