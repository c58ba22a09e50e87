"""Bytes of a file that are read when they are needed."""

import io
from pathlib import Path

import pytest
from factory import Recorder

from saidcodec.errors import FileError
from saidcodec.window import Window, window_of


def test_slices_read_nothing_until_their_bytes_are_wanted() -> None:
    file = Recorder(bytes(range(100)))
    window = window_of(file)
    assert window is not None
    part = window[10:50][5:-30]
    assert (len(window), len(part), file.count) == (100, 5, 0)
    assert bytes(part) == bytes(range(15, 20))
    assert file.count == 5
    assert bytes(part[3:1]) == b""


def test_a_window_begins_where_the_file_stands() -> None:
    file = io.BytesIO(b"before it, it")
    file.seek(11)
    window = window_of(file)
    assert window is not None
    assert bytes(window) == b"it"
    window.rewind()
    assert file.tell() == 11


def test_files_that_read_little_at_a_time() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 2))

    assert bytes(Window(Slow(b"seven b"), 0, 7)) == b"seven b"


def test_what_has_no_window(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    with open(tmp_path / "text") as text:
        assert window_of(text) is None  # type: ignore[arg-type]
    assert window_of(text) is None  # type: ignore[arg-type]


def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"sixteen bytes --")
    with path.open("r+b") as file:
        window = window_of(file)
        assert window is not None
        file.truncate(3)
        with pytest.raises(FileError, match="shorter"):
            bytes(window)
    with pytest.raises(FileError, match="cannot be read"):
        bytes(window)
