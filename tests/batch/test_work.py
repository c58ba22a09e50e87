"""Encoding, decoding and verifying: what becomes of a job, and that nothing is lost."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from commands import work_in
from PIL import Image, PngImagePlugin

import saidcodec
from saidcodec import codec, files
from saidcodec.batch import decoding, encoding, running
from saidcodec.batch import work as batch_work
from saidcodec.batch.decoding import Decoding, Verifying
from saidcodec.batch.encoding import Encoding
from saidcodec.batch.jobs import Job, plan
from saidcodec.batch.work import Outcome, State, Writing
from saidcodec.errors import CorruptError, FileError, ModelError

RNG = np.random.default_rng(3)
OTHER_TIME = 1_600_000_000_000_000_000


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, and a model that paints flat colours."""
    work_in(tmp_path, monkeypatch)
    return tmp_path


def picture(name: str, **options: object) -> np.ndarray:
    pixels = RNG.integers(0, 256, (6, 9, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(name, **options)
    return pixels


def encoder(**options: object) -> Encoding:
    return Encoding(model="flat", glimpses=0, **options)  # type: ignore[arg-type]


def done(work: Writing, *paths: str) -> list[Outcome]:
    """The outcomes of work on paths, to the folder "out", in this process."""
    found = plan(paths, "out", work.wanted(), work.ending)
    assert not found.failures
    return [*running.run(work, found.jobs, running.Here())]


def only(outcomes: list[Outcome]) -> Outcome:
    (outcome,) = outcomes
    return outcome


def old(target: str) -> None:
    os.utime(target, ns=(OTHER_TIME, OTHER_TIME))


def test_a_file_is_encoded_and_decoded() -> None:
    pixels = picture("a.png")
    found = only(done(encoder(), "a.png"))
    data = Path("out/a.said").read_bytes()
    assert (found.state, found.error, found.notes) == (State.DONE, "", [])
    assert (found.read, found.written, found.pixels) == (os.path.getsize("a.png"), len(data), 54)
    assert list(found.seconds) == ["reading", "coding", "verifying", "writing"]
    assert data == codec.encode(pixels, model="flat", glimpses=0)
    assert os.stat("out/a.said").st_mtime_ns == os.stat("a.png").st_mtime_ns
    found = only(done(Decoding(), "out/a.said"))
    assert (found.state, found.written) == (State.DONE, os.path.getsize("out/a.png"))
    np.testing.assert_array_equal(np.asarray(Image.open("out/a.png")), pixels)
    assert sorted(os.listdir("out")) == ["a.png", "a.said"]


def test_small_images_together_are_the_same_as_alone() -> None:
    for i in range(4):
        picture(f"{i}.png")
    Image.fromarray(RNG.integers(0, 4, (129, 129)).astype(np.uint8)).save("large.png")
    names = ["0.png", "1.png", "large.png", "2.png", "3.png"]
    jobs = plan(names, "out", frozenset(), Encoding().ending).jobs
    outcomes = encoder().run(jobs, 1)
    assert [outcome.job.source for outcome in outcomes] == names
    assert all(outcome.seconds["coding"] > 0 for outcome in outcomes)
    for outcome in outcomes:
        assert outcome.state is State.DONE
        alone = saidcodec.encode(outcome.job.source, model="flat", glimpses=0)
        assert Path(outcome.job.target).read_bytes() == alone


def test_one_bad_image_among_small_ones() -> None:
    picture("a.png")
    picture("c.png")
    Path("b.png").write_text("no image")
    Image.new("LAB", (3, 3)).save("d.tif")
    found = encoder().run(
        plan(["a.png", "b.png", "c.png", "d.tif"], "out", frozenset(), Encoding().ending).jobs, 1
    )
    assert [outcome.state is State.DONE for outcome in found] == [True, False, True, False]
    assert found[1].error == "b.png is not an image that Pillow can open."
    assert found[3].error.startswith("d.tif: Images of mode LAB")
    assert sorted(os.listdir("out")) == ["a.said", "c.said"]


def test_what_is_not_kept_is_noted_once() -> None:
    for name in ("a.webp", "b.webp"):
        picture(name, lossless=True, exif=b"Exif\0\0garbage bytes")
    found = done(encoder(), "a.webp", "b.webp")
    assert [outcome.notes for outcome in found] == [[], []]
    for outcome in done(Decoding(suffix=".tif"), "out/a.said", "out/b.said"):
        (note,) = outcome.notes
        assert note == f"{outcome.job.source}: TIFF cannot hold the image's EXIF: it is not valid."


def test_a_target_of_another_time_is_compared() -> None:
    picture("a.png")
    done(encoder(), "a.png")
    before = os.stat("out/a.said").st_ino
    old("out/a.said")
    found = only(done(encoder(), "a.png"))
    assert (found.state, found.written) == (State.SKIPPED, os.path.getsize("out/a.said"))
    picture("a.png")
    sentence = "out/a.said exists already and does not hold the image of a.png; --force overwrites it."
    assert only(done(encoder(), "a.png")).error == f"a.png: {sentence}"
    data = Path("out/a.said").read_bytes()
    Path("out/a.said").write_bytes(data[:-1])
    assert only(done(encoder(), "a.png")).error == f"a.png: {sentence}"
    assert os.stat("out/a.said").st_ino == before
    assert only(done(encoder(force=True), "a.png")).state is State.DONE
    np.testing.assert_array_equal(saidcodec.decode("out/a.said"), np.asarray(Image.open("a.png")))


def test_a_decoded_target_of_another_time_is_compared() -> None:
    picture("a.png")
    done(encoder(), "a.png")
    done(Decoding(), "out/a.said")
    old("out/a.png")
    assert only(done(Decoding(), "out/a.said")).state is State.SKIPPED
    picture("out/a.png")
    assert "does not hold the image" in only(done(Decoding(), "out/a.said")).error
    Path("out/a.png").write_bytes(b"text")
    assert "does not hold the image" in only(done(Decoding(), "out/a.said")).error
    assert only(done(Decoding(force=True), "out/a.said")).state is State.DONE


def test_a_lossy_target_is_compared_as_far_as_it_promises() -> None:
    Image.fromarray(RNG.integers(100, 120, (6, 9, 3)).astype(np.uint8)).save("a.png")
    done(encoder(max_error=9), "a.png")
    old("out/a.said")
    assert only(done(encoder(max_error=9), "a.png")).state is State.SKIPPED
    assert only(done(encoder(max_error=0), "a.png")).state is State.FAILED
    assert only(done(encoder(residual="none"), "a.png")).state is State.FAILED


def test_what_another_process_finished_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    picture("a.png")
    job = only(done(encoder(), "a.png")).job
    again = encoder().one(job, 1)  # as a cluster repeats a job whose worker it lost
    assert (again.state, again.written) == (State.DONE, os.path.getsize("out/a.said"))
    os.remove("out/a.said")
    write = files.write

    def overtaken(target: str, force: bool, save: Callable[[BinaryIO], object]) -> None:
        write(target, force, save)
        write(target, force, save)

    monkeypatch.setattr(files, "write", overtaken)
    again = encoder().one(job, 1)
    assert (again.state, again.error) == (State.DONE, "")


def test_files_are_verified_before_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    picture("a.png")
    wrong = codec.encode(np.zeros((6, 9, 3), np.uint8), model="flat")
    monkeypatch.setattr(codec, "encode", lambda *_, **__: wrong)
    assert "does not decode to the image" in only(done(encoder(), "a.png")).error
    assert not os.path.exists("out/a.said")
    assert only(done(encoder(verify=False), "a.png")).state is State.DONE


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "a.png: There is not enough memory for this image; fewer --jobs take less."),
        (OSError(28, "No space left on device", "b"), "b: No space left on device."),
        (KeyError("x"), "a.png: KeyError: 'x'; this is a fault of saidcodec, please report it."),
    ],
)
def test_every_error_is_a_sentence(error: Exception, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    picture("a.png")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(codec, "encode", fail)
    assert only(done(encoder(), "a.png")).error == sentence


def test_sources_are_deleted_when_their_targets_hold_them() -> None:
    picture("a.png")
    picture("b.png")
    done(encoder(), "a.png")  # and "b.png" has no target yet
    found = done(encoder(delete_source=True), "a.png", "b.png")
    assert sorted(outcome.state.value for outcome in found) == ["done", "skipped"]
    assert sorted(os.listdir()) == ["out"]
    found = done(Decoding(delete_source=True), "out")
    assert [outcome.state for outcome in found] == [State.DONE] * 2
    assert sorted(os.listdir("out")) == ["a.png", "b.png"]


def kept(work: Writing, source: str) -> str:
    """The sentence of a source that is not deleted."""
    before = Path(source).read_bytes()
    found = only(done(work, source))
    assert Path(source).read_bytes() == before
    assert found.state is State.FAILED
    return found.error


def test_sources_are_kept_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    deleting = encoder(delete_source=True)
    picture("a.png")
    with monkeypatch.context() as patch:
        patch.setattr(encoding, "read_back", lambda target: b"bad disk")
        assert "out/a.said is not what was written to it" in kept(deleting, "a.png")
    picture("a.png")
    assert "does not hold the image" in kept(deleting, "a.png")
    os.remove("out/a.said")
    with monkeypatch.context() as patch:
        patch.setattr(Job, "unchanged", lambda job: False)
        assert kept(deleting, "a.png") == "a.png was not deleted: it changed meanwhile."
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", lambda path: os.rmdir(path))
        assert kept(deleting, "a.png") == "a.png was not deleted: Not a directory."
    unverified = encoder(delete_source=True, verify=False, force=True)
    assert kept(unverified, "a.png") == "a.png was not deleted: out/a.said does not hold all of it."


def test_sources_with_more_than_their_targets_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    picture("a.webp", lossless=True, xmp=b"<x/>")
    done(encoder(), "a.webp")
    sentence = "out/a.said was not deleted: out/a.ppm does not hold all of it."
    assert kept(Decoding(delete_source=True, suffix=".ppm"), "out/a.said") == sentence
    from_file = encoding.images.from_file

    def losing(data: bytes, name: str) -> object:
        warnings.warn("The image's EXIF cannot be kept.", saidcodec.SaidWarning, stacklevel=2)
        return from_file(data, name)

    monkeypatch.setattr(encoding.images, "from_file", losing)
    sentence = "a.webp was not deleted: out/a.said does not hold all of it."
    assert kept(encoder(delete_source=True, force=True), "a.webp") == sentence


def test_a_target_that_is_there_already_is_read_back_before_its_source_is_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    picture("a.png")
    done(encoder(), "a.png")
    read: list[str] = []

    def failing(target: str) -> bytes:
        read.append(target)
        raise FileError("The disk is gone.")

    for module, work, source in (
        (encoding, encoder(delete_source=True), "a.png"),
        (decoding, Decoding(delete_source=True), "out/a.said"),
    ):
        done(Decoding(), "out/a.said")
        monkeypatch.setattr(module, "read_back", failing)
        assert "The disk is gone." in kept(work, source)
    assert read == ["out/a.said", "out/a.png"]


def test_a_target_that_cannot_be_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileError, match="gone cannot be read back: No such file"):
        batch_work.read_back("gone")
    Path("a").write_bytes(b"data")
    assert batch_work.read_back("a") == b"data"


def test_verifying() -> None:
    picture("a.png")
    done(encoder(), "a.png")
    data = Path("out/a.said").read_bytes()
    Path("out/b.said").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    Path("out/c.txt").touch()
    found = plan(["out"], None, Verifying().wanted())
    good, bad = running.run(Verifying(), found.jobs, running.Here())
    assert (good.state, good.read, good.pixels) == (State.DONE, len(data), 54)
    assert bad.state is State.FAILED
    assert bad.error.startswith("out/b.said: The file is damaged or truncated")


def test_options_that_no_file_could_have() -> None:
    with pytest.raises(FileError, match=r"no image format with the suffix \.xyz"):
        Decoding(suffix=".xyz").check()
    for work in (Encoding(model="nothing"), Decoding(model="nothing"), Verifying(model="nothing")):
        with pytest.raises(ModelError, match="no model nothing"):
            work.check()
    for work in (Encoding(), Decoding(), Decoding(suffix=".webp"), Verifying()):
        work.check()


def test_suffixes_of_images() -> None:
    found = encoding.image_suffixes()
    assert {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif", ".bmp"} <= found
    assert not {".said", ".mpg", ".h5", ".txt", ".pdf"} & found


def test_a_target_that_cannot_be_written() -> None:
    picture("a.png")
    Path("out").mkdir()
    Path("out/sub").touch()
    job = Job("a.png", "out/sub/a.said", 5, OTHER_TIME)
    assert encoder().one(job, 1).error == "a.png: out/sub/a.said cannot be written: File exists."


def test_decoding_is_checked_as_always(monkeypatch: pytest.MonkeyPatch) -> None:
    picture("a.png")
    done(encoder(), "a.png")
    assert "JPEG cannot hold" in only(done(Decoding(suffix=".jpg"), "out/a.said")).error
    assert only(done(Decoding(suffix=".jpg", lossy=True), "out/a.said")).state is State.DONE

    def broken(*_: object, **__: object) -> None:
        raise CorruptError("bad")

    monkeypatch.setattr(decoding, "decode_all", broken)
    assert only(done(Decoding(), "out/a.said")).error == "out/a.said: bad"


def test_a_source_with_more_than_pixels_and_metadata_is_kept() -> None:
    info = PngImagePlugin.PngInfo()
    info.add(b"prVt", b"private")
    Image.fromarray(np.zeros((3, 4), np.uint8)).save("a.png", pnginfo=info)
    found = only(done(encoder(delete_source=True), "a.png"))
    assert found.error == "a.png was not deleted: out/a.said does not hold all of it."
    assert found.notes == ["a.png: a .said file does not keep PNG chunks prVt."]
    assert Path("a.png").exists()
