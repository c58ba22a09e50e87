"""Reading inputs and writing outputs whole: a temporary file, then a rename; nothing is ever half there."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, BinaryIO

from saidcodec.errors import FileError

STANDARD = "-"


def name_of(source: str) -> str:
    """An input's name in messages."""
    return "standard input" if source == STANDARD else source


def read_bytes(source: str) -> bytes:
    """All of a file, or of standard input for "-".  Raises FileError."""
    if source != STANDARD:
        return read_path(source)
    if sys.stdin is None:
        raise FileError("Standard input cannot be read: it is closed.")
    try:
        return sys.stdin.buffer.read()
    except (OSError, ValueError) as error:
        raise FileError(f"Standard input cannot be read: {reason(error)}.") from None


def read_path(path: str | os.PathLike[str]) -> bytes:
    """All of a file.  Raises FileError."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise FileError(f"{os.fspath(path)} cannot be read: {reason(error)}.") from None


@contextmanager
def open_path(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file that is open for reading.  Raises FileError."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb"))
        except (OSError, ValueError) as error:
            raise FileError(f"{os.fspath(path)} cannot be read: {reason(error)}.") from None
        yield file


def check_apart(source: str, target: str) -> None:
    """Refuse an output that would replace its own input.  Raises FileError."""
    if STANDARD in (source, target) or is_device(target):
        return
    try:
        same = os.path.realpath(source) == os.path.realpath(target) or os.path.samefile(source, target)
    except (OSError, ValueError):  # one of them is not there
        return
    if same:
        raise FileError(f"{target} is the input itself; give the output another name.")


def check_suffix(target: str, suffix: str) -> None:
    """Refuse an output whose name has another suffix; devices and pipes may have any.  Raises FileError."""
    if target != STANDARD and not target.lower().endswith(suffix) and not is_device(target):
        raise FileError(f"{target} cannot be written: the name of a {suffix} file must end in {suffix}.")


def check_free(target: str, force: bool) -> None:
    """Refuse an output that exists or that has no folder, before any work is done.  Raises FileError.

    Devices and pipes exist to be written to, so they are never refused.
    """
    if target == STANDARD:
        return
    try:
        if os.path.isdir(target):
            raise FileError(f"{target} cannot be written: it is a folder.")
        if os.path.lexists(target) and not force and not is_device(target):
            raise FileError(f"{target} exists already; --force overwrites it.")
        if not os.path.isdir(folder_of(target)):
            raise FileError(f"{target} cannot be written: its folder does not exist.")
    except (OSError, ValueError) as error:
        raise FileError(f"{target} cannot be written: {reason(error)}.") from None


def write(target: str, force: bool, save: Callable[[BinaryIO], Any]) -> None:
    """Let ``save`` fill a file that appears under ``target`` only when it is whole.  Raises FileError."""
    check_free(target, force)
    if target == STANDARD or is_device(target):
        buffer = io.BytesIO()
        save(buffer)
        write_device(target, buffer.getvalue())
        return
    part = os.path.join(folder_of(target), f".saidcodec-{os.urandom(8).hex()}.part")
    try:
        with open(part, "x+b") as file:
            save(file)
        put(part, os.path.realpath(target), force)
    except (OSError, ValueError) as error:
        raise FileError(f"{target} cannot be written: {reason(error)}.") from None
    finally:
        with suppress(OSError):
            os.unlink(part)


def write_device(target: str, data: bytes) -> None:
    """Write to standard output or to a device.  Raises FileError."""
    if target == STANDARD:
        check_output()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        with open(target, "wb") as file:
            file.write(data)
    except OSError as error:
        raise FileError(f"{target} cannot be written: {reason(error)}.") from None


def check_output() -> None:
    """Refuse to write to standard output that was closed before the program began.  Raises FileError."""
    if sys.stdout is None:
        raise FileError("Standard output cannot be written: it is closed.")


def put(part: str, target: str, force: bool) -> None:
    """Give a finished file its name; without ``force`` only if nobody has taken the name meanwhile."""
    if force:
        with suppress(FileNotFoundError):
            os.chmod(part, stat.S_IMODE(os.stat(target).st_mode))
    else:
        try:
            os.link(part, target)  # whole or not at all, whatever happens meanwhile
            return
        except FileExistsError:
            raise
        except OSError:  # this file system has no hard links
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.replace(part, target)


def is_device(target: str) -> bool:
    """Whether something is there that is neither a file nor a folder."""
    return os.path.exists(target) and not os.path.isfile(target) and not os.path.isdir(target)


def make_folder(path: str) -> None:
    """Make a folder, if it is not there.  Raises FileError."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise FileError(f"{path} cannot be made: {reason(error)}.") from None


def folder_of(target: str) -> str:
    """Where a file really lies, behind all symbolic links."""
    return os.path.dirname(os.path.realpath(target))


def reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).rstrip(".")
