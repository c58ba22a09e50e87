"""Outputs appear whole or not at all."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

import pytest

from saidcodec import files
from saidcodec.errors import FileError, ImageError


def put(target: Path, data: bytes = b"data", force: bool = False) -> None:
    files.write(str(target), force, lambda file: file.write(data))


def test_written_and_read(tmp_path: Path) -> None:
    put(tmp_path / "a")
    assert files.read_bytes(str(tmp_path / "a")) == b"data"
    assert os.listdir(tmp_path) == ["a"]


def test_existing_files_are_kept_without_force(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileError, match="exists already; --force"):
        put(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"old"
    put(tmp_path / "a", force=True)
    assert (tmp_path / "a").read_bytes() == b"data"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "a"

    def save(file: BinaryIO) -> None:
        file.write(b"mine")
        target.write_bytes(b"theirs")

    with pytest.raises(FileError, match="File exists"):
        files.write(str(target), False, save)
    assert target.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    "error", [ImageError("no"), OSError(28, "No space left on device"), KeyboardInterrupt()]
)
def test_nothing_stays_of_a_failure(tmp_path: Path, error: BaseException) -> None:
    def save(file: BinaryIO) -> None:
        file.write(b"half")
        raise error

    (tmp_path / "old").write_bytes(b"old")
    for name, force in (("new", False), ("old", True)):
        with pytest.raises((ImageError, FileError, KeyboardInterrupt)):
            files.write(str(tmp_path / name), force, save)
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        put(tmp_path / "new")
        (tmp_path / "old").touch()
        (tmp_path / "old").chmod(0o604)
        put(tmp_path / "old", force=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o604


def test_links_stay_links(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "file").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(folder / "file")
    put(link, force=True)
    assert link.is_symlink()
    assert (folder / "file").read_bytes() == b"data"
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "link"]
    assert os.listdir(folder) == ["file"]


def test_dangling_links_are_not_followed_without_force(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(FileError, match="exists already"):
        put(tmp_path / "link")


def test_devices_are_written_to_and_stay(tmp_path: Path) -> None:
    for force in (False, True):
        put(Path(os.devnull), force=force)
    assert not Path(os.devnull).is_file()


def test_what_cannot_be_written(tmp_path: Path) -> None:
    for target, reason in (
        (tmp_path, "it is a folder"),
        (tmp_path / "gone" / "a", "its folder does not exist"),
        (tmp_path / "x\0y", "null"),
    ):
        with pytest.raises(FileError, match=reason):
            put(target)
    with pytest.raises(FileError, match="cannot be written"):
        put(tmp_path / ("x" * 300))
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_read(tmp_path: Path) -> None:
    for source, reason in (
        (tmp_path / "gone", "No such file"),
        (tmp_path, "Is a directory"),
        ("x\0y", "null"),
    ):
        with pytest.raises(FileError, match=f"cannot be read: .*{reason}"):
            files.read_bytes(str(source))


def test_inputs_and_outputs_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to("a")
    os.link(tmp_path / "a", tmp_path / "twin")
    for name in ("a", "link", "twin", "../" + tmp_path.name + "/a"):
        with pytest.raises(FileError, match="the input itself"):
            files.check_apart(str(tmp_path / "a"), str(tmp_path / name))
    for source, target in (
        (tmp_path / "a", tmp_path / "b"),
        ("-", "-"),
        (os.devnull, os.devnull),
        ("x\0y", "b"),
    ):
        files.check_apart(str(source), str(target))


def test_suffixes(tmp_path: Path) -> None:
    for target in ("a.said", "b.SAID", files.STANDARD, os.devnull):
        files.check_suffix(target, ".said")
    for target in ("a.png", "said", "a.said.png"):
        with pytest.raises(FileError, match=r"must end in \.said"):
            files.check_suffix(target, ".said")
