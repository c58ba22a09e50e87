"""Bytes of a file that are read when they are needed."""

from __future__ import annotations

from contextlib import suppress
from typing import IO

from saidcodec import files
from saidcodec.errors import FileError


class Window:
    """A stretch of an open file: a slice of it reads nothing, ``bytes`` of it reads it.

    Not for several threads at once, which would move the file's position under each other.
    """

    def __init__(self, file: IO[bytes], start: int, stop: int):
        """From the byte ``start`` of a file that can seek up to ``stop``."""
        self._file = file
        self._start = start
        self._stop = max(start, stop)

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, part: slice) -> Window:
        start, stop, _ = part.indices(len(self))
        return Window(self._file, self._start + start, self._start + stop)

    def __bytes__(self) -> bytes:
        """Raises FileError where the file cannot be read, or has become shorter."""
        found = bytearray()
        try:
            self._file.seek(self._start)
            while len(found) < len(self) and (more := self._file.read(len(self) - len(found))):
                found += more
        except (OSError, ValueError) as error:
            raise FileError(f"The file cannot be read: {files.reason(error)}.") from None
        if len(found) < len(self):
            raise FileError("The file has become shorter while it was read.")
        return bytes(found)

    def rewind(self) -> None:
        """Put the file's position where the window begins."""
        with suppress(OSError, ValueError):  # closed meanwhile
            self._file.seek(self._start)


Bytes = bytes | Window


def window_of(file: IO[bytes]) -> Window | None:
    """What an open file holds from its position on; None where it cannot seek or is not binary."""
    try:
        if not file.seekable() or not isinstance(file.read(0), bytes):
            return None
        start = file.tell()
        return Window(file, start, file.seek(0, 2))
    except (AttributeError, OSError, ValueError):  # who reads it meets the same error, and names it
        return None
