"""What callers may hand to the public functions, and the one sentence for what they may not."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from saidcodec import files
from saidcodec.errors import FileError, RegionError, SaidError
from saidcodec.format.container import MOST_WIDE_ERROR
from saidcodec.format.header import Metadata
from saidcodec.format.metadata import items_of, metadata_of
from saidcodec.format.tiling import Place
from saidcodec.models import Model
from saidcodec.window import Bytes, window_of

Source = bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes]

BUFFERS = (bytes, bytearray, memoryview)
Region = Iterable[int]  # x, y, width, height, in pixels
REGION = {"x": 0, "y": 0, "width": 1, "height": 1}  # the parts, and the least that each may be

RESIDUALS = ("context", "gaussian", "none")
EFFORTS = ("fast", "normal", "best")


def name_of(source: object) -> str | None:
    """The name of the file that a path or an open file stands for, if it has one."""
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else None


def bytes_of(source: Source) -> bytes:
    """The bytes of a .said file that is given as a bytes-like object, a path or an open binary file.

    Raises TypeError for everything else, FileError where the file cannot be read.
    """
    if isinstance(source, BUFFERS):
        return bytes(source)
    if isinstance(source, (str, os.PathLike)):
        return files.read_path(source)
    if hasattr(source, "read"):
        return read_open(source)
    raise TypeError(
        f"A .said file must be given as bytes, a path or an open binary file, not as {kind_of(source)}."
    )


@contextmanager
def opened(source: Source) -> Iterator[Bytes]:
    """The bytes of a .said file; of a path, or an open file that can seek, read only where they are needed.

    An open file that can seek is left where it was.  Raises TypeError and FileError as ``bytes_of`` does.
    """
    if isinstance(source, (str, os.PathLike)):
        with files.open_path(source) as file:
            yield window_of(file) or read_open(file)
        return
    window = None if isinstance(source, BUFFERS) or not hasattr(source, "read") else window_of(source)
    if window is None:
        yield bytes_of(source)
        return
    try:
        yield window
    finally:
        window.rewind()


def read_open(file: IO[bytes]) -> bytes:
    """What is left to read of an open file.  Raises TypeError in text mode, FileError."""
    try:
        data: object = file.read()
    except (OSError, ValueError) as error:
        raise FileError(f"{name_of(file) or 'The file'} cannot be read: {files.reason(error)}.") from None
    if not isinstance(data, (bytes, bytearray)):
        raise TypeError(f'A file must be open in binary mode ("rb"): reading it gave {kind_of(data)}.')
    return bytes(data)


def check_encoding(
    residual: str,
    max_error: int,
    glimpses: int | None,
    metadata: Metadata | None,
    threads: int | None,
    effort: str = "normal",
) -> tuple[int, int | None, int | None]:
    """Check the options of ``encode``; returns max_error, glimpses and threads as plain integers.

    Raises TypeError for a wrong type, ValueError for a wrong value.
    """
    if residual not in RESIDUALS:
        raise ValueError(f"residual must be one of {', '.join(RESIDUALS)}, not {residual!r}.")
    if effort not in EFFORTS:
        raise ValueError(f"effort must be one of {', '.join(EFFORTS)}, not {effort!r}.")
    check_metadata(metadata)
    return (
        whole("max_error", max_error, 0, MOST_WIDE_ERROR),
        None if glimpses is None else whole("glimpses", glimpses, 0),
        checked_threads(threads),
    )


def check_metadata(metadata: Metadata | None) -> None:
    """Raises TypeError unless ``metadata`` is None or a Metadata of the right types, ValueError where a file
    cannot hold it."""
    if metadata is None:
        return
    if not isinstance(metadata, Metadata):
        raise TypeError(
            f"metadata must be a saidcodec.format.header.Metadata or None, not {kind_of(metadata)}."
        )
    for name in ("icc", "exif", "xmp", "comment"):
        value = getattr(metadata, name)
        if not isinstance(value, bytes):
            raise TypeError(f"metadata.{name} must be bytes, not {kind_of(value)}.")
    if metadata.resolution or metadata.texts or metadata.chunks:
        try:
            own = metadata._replace(icc=b"", exif=b"", xmp=b"", comment=b"")
            same = metadata_of(items_of(own)) == own
        except (AttributeError, TypeError):
            raise TypeError("metadata must hold a Resolution, a tuple of Text and one of chunks.") from None
        except (SaidError, ValueError) as error:
            raise ValueError(f"metadata cannot be written: {error}") from None
        if not same:
            raise TypeError("metadata must hold a Resolution, a tuple of Text and one of chunks.")


def checked_threads(threads: int | None) -> int | None:
    """``threads`` as a plain integer.  Raises TypeError, ValueError."""
    return None if threads is None else whole("threads", threads, 1)


def place_of(region: Region | None, width: int, height: int) -> Place:
    """Rows and columns of a region of an image of ``width`` × ``height`` pixels; of None, all of them.

    Raises RegionError where it is not inside the image; TypeError, ValueError where it is no region.
    """
    if region is None:
        return slice(0, height), slice(0, width)
    parts = tuple(region) if isinstance(region, Iterable) else ()
    if len(parts) != len(REGION):
        raise TypeError("region must be four whole numbers: x, y, width, height.")
    x, y, across, down = (
        whole(f"The region's {name}", value, least)
        for (name, least), value in zip(REGION.items(), parts, strict=True)
    )
    if x + across > width or y + down > height:
        raise RegionError(
            f"The region of {across}×{down} pixels at ({x}, {y}) is not inside the image, "
            f"which has {width}×{height}."
        )
    return slice(y, y + down), slice(x, x + across)


def check_model(model: object) -> None:
    """Raises TypeError unless ``model`` is a Model, a name or a path."""
    if not isinstance(model, (Model, str, os.PathLike)):
        raise TypeError(f"model must be a Model, a name or a path, not {kind_of(model)}.")


def whole(name: str, value: object, least: int, most: int | None = None) -> int:
    """``value`` as a plain integer between the limits.  Raises TypeError, ValueError."""
    wanted = (
        f"a whole number from {least} to {most}" if most is not None else f"a whole number from {least} on"
    )
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be {wanted}, not {kind_of(value)}.")
    found = operator.index(value)
    if found < least or (most is not None and found > most):
        raise ValueError(f"{name} must be {wanted}, not {found}.")
    return found


def kind_of(value: Any) -> str:
    """A value's type as a sentence names it."""
    return "None" if value is None else f"an object of type {type(value).__name__}"
