"""Names of images in an archive: paths below the folder that was packed, the same on every system."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import category

from saidcodec.errors import CorruptError, LimitError, SaidError
from saidcodec.format.cursor import Cursor, varint

MOST_NAME = 4096  # bytes in UTF-8, of a label, too
MOST_NAMES = 1 << 26  # bytes of all names of a group
SEPARATOR = b"\n"


def check_name(name: str, error: type[SaidError]) -> None:
    """Refuse a name that could lead out of a folder, or that some systems cannot have; raises ``error``."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise error(f"The name {name!r} is not valid text; give the file another name.") from None
    if size > MOST_NAME:
        raise error(f"A name has {size} bytes, more than the limit of {MOST_NAME}.")
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise error(f"The name {name!r} leads out of the archive or to nowhere.")
    if "\\" in name or has_controls(name):
        raise error(
            f"The name {name!r} holds a character that names cannot have; give the file another name."
        )


def check_label(label: str, error: type[Exception]) -> None:
    """Refuse a label that is no line of text, or too long; raises ``error``."""
    if has_controls(label):
        raise error(f"The label {label!r} holds a character that labels cannot have.")
    if len(label.encode()) > MOST_NAME:
        raise error(f"A label has more than the limit of {MOST_NAME} bytes.")


def has_controls(text: str) -> bool:
    """Whether a text holds control characters, which a terminal might obey, or halves of characters."""
    return any(category(character) in ("Cc", "Cs") for character in text)


def pack_names(names: Sequence[str]) -> bytes:
    """Of each name how many bytes it shares with the beginning of the one before it; then what is left."""
    shared, rest, last = b"", b"", b""
    for name in names:
        own = name.encode()
        common = shared_start(last, own)
        shared += varint(common)
        rest += own[common:] + SEPARATOR
        last = own
    return shared + varint(len(rest)) + rest


def shared_start(one: bytes, other: bytes) -> int:
    """How many bytes at their beginning two byte strings have in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def parse_names(cursor: Cursor, count: int) -> tuple[str, ...]:
    """The names that ``pack_names`` packed.  Raises CorruptError, TruncatedError, LimitError."""
    shared = [cursor.varint() for _ in range(count)]
    *rests, end = cursor.take(cursor.varint()).split(SEPARATOR)
    if len(rests) != count or end:
        raise CorruptError("A group does not have one name for each image.")
    names, last, total = [], b"", 0
    for common, rest in zip(shared, rests, strict=True):
        if common > len(last):
            raise CorruptError("A name in the archive begins as no name before it.")
        last = last[:common] + rest
        total += len(last)
        if total > MOST_NAMES:
            raise LimitError(f"The names of a group have more than the limit of {MOST_NAMES} bytes.")
        try:
            name = last.decode()
        except UnicodeDecodeError:
            raise CorruptError("A group holds text that is not UTF-8.") from None
        if name:
            check_name(name, CorruptError)
        names.append(name)
    return tuple(names)
