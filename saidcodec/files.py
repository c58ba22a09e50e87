"""Reading inputs and writing outputs whole: a temporary file, then a rename; nothing is lost or half there."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from saidcodec.errors import FileError

STANDARD = "-"


def read_bytes(source: str) -> bytes:
    """All of a file, or of standard input for "-".  Raises FileError."""
    try:
        return sys.stdin.buffer.read() if source == STANDARD else Path(source).read_bytes()
    except OSError as error:
        raise FileError(f"{source} cannot be read: {error.strerror}.") from None


def check_free(target: str, force: bool) -> None:
    """Refuse an existing output before any work is done.  Raises FileError."""
    if target != STANDARD and not force and os.path.lexists(target):
        raise FileError(f"{target} exists already; --force overwrites it.")


def write(target: str, force: bool, save: Callable[[BinaryIO], None]) -> None:
    """Let ``save`` fill a file that appears under ``target`` only when it is whole.  Raises FileError."""
    if target == STANDARD:
        buffer = io.BytesIO()
        save(buffer)
        sys.stdout.buffer.write(buffer.getvalue())
        sys.stdout.buffer.flush()
        return
    check_free(target, force)
    part = None
    try:
        folder = os.path.dirname(os.path.abspath(target))
        handle, part = tempfile.mkstemp(prefix=".saidcodec-", suffix=".part", dir=folder)
        with os.fdopen(handle, "w+b") as file:
            save(file)
        os.chmod(part, 0o666 & ~umask())
        if force:
            os.replace(part, target)
        else:  # a link fails if somebody else has taken the name meanwhile
            os.link(part, target)
    except OSError as error:
        raise FileError(f"{target} cannot be written: {error.strerror or error}.") from None
    finally:
        if part and os.path.exists(part):
            os.unlink(part)


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
