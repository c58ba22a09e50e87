"""Bytes ⇄ the groups and the index of an archive (archive_spec.md, sections 2 to 4).

    signature 4 | version 1 | groups | index

A group is a head, which says everything but pixels, and the streams of its runs.  The index comes last and
ends with its own length, so that it is found from the end; without it the groups can be walked through.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from saidcodec.archive.names import check_label, pack_names, parse_names
from saidcodec.entropy.bank import Rows, bank
from saidcodec.errors import CorruptError, FormatError, LimitError, TruncatedError, VersionError
from saidcodec.format import container
from saidcodec.format.cursor import Cursor, inflated, varint
from saidcodec.format.header import ARCHIVE_SIGNATURE, Header, Metadata
from saidcodec.format.metadata import MOST_METADATA, items_of, metadata_of
from saidcodec.format.tiling import Tiling
from saidcodec.models import ID_BYTES

SIGNATURE = ARCHIVE_SIGNATURE
VERSION = (0, 1)
START = len(SIGNATURE) + 1  # where the first group begins
GROUP, INDEX = 1, 2  # first bytes of the two kinds of blocks
CHECK_BYTES = 4
END = b"\r\nS\xd3"
TRAILER_BYTES = 4 + len(END)  # the index's length, and the end mark
MOST_IMAGES = 1 << 16  # of a group
MOST_SHARED_PIXELS = 1 << 24  # of all shared images of a group
MOST_IMAGE_PIXELS = 1 << 14  # of one of them
SEPARATOR = "\n"
MOST_FACTS = MOST_METADATA  # bytes, unpacked
WRONG_INDEX = "The archive's index is wrong: it does not fit the groups."

Kind = Header | None  # of a shared image; None: a whole .said file


@dataclass(frozen=True)
class Head:
    """All that a group says but its pixels.

    ``model``: the id of the shared images' model.  ``kinds``: which there are; ``kind`` [images]: the number
    of each image's.  ``together``: how many shared images make a run.  ``rows``: the calibration, or None.
    ``lengths`` [runs]: bytes of the runs.  ``labels`` [images], or None where there are none.  ``metadata``
    [images]: that of shared images.  ``said``: the SAID sections of the grey and of the coloured shared
    images.
    """

    model: str
    kinds: tuple[Kind, ...]
    kind: tuple[int, ...]
    together: int
    rows: Rows | None
    lengths: tuple[int, ...]
    names: tuple[str, ...]
    labels: tuple[str, ...] | None
    metadata: tuple[Metadata, ...]
    said: tuple[bytes, bytes]

    def __len__(self) -> int:
        return len(self.kind)

    def header(self, image: int) -> Kind:
        """The header of a shared image, None for a whole file."""
        return self.kinds[self.kind[image]]

    @cached_property
    def runs(self) -> list[range]:
        """The images of each run."""
        return runs_of([self.header(image) is not None for image in range(len(self))], self.together)


def runs_of(shared: Sequence[bool], together: int) -> list[range]:
    """Which images make a run: up to ``together`` shared ones next to each other, or one whole file."""
    found: list[range] = []
    for image, one in enumerate(shared):
        last = found[-1] if found else None
        if one and last is not None and shared[last.start] and len(last) < together:
            found[-1] = range(last.start, image + 1)
        else:
            found.append(range(image, image + 1))
    return found


def is_shareable(header: Header) -> bool:
    """Whether images of such a header may share a run."""
    single = Tiling.of(header).count_bands() == 1
    return (
        single and not (header.adaptive or header.wide) and header.width * header.height <= MOST_IMAGE_PIXELS
    )


def pack_group(head: Head, runs: Sequence[bytes]) -> bytes:
    """The bytes of a group, ``runs`` being the bytes of each run."""
    facts = zlib.compress(facts_of(head), 9)
    parts = b"".join(varint(len(part)) + part for part in (facts, *head.said))
    body = b"".join(runs)
    packed = bytes([GROUP]) + varint(len(parts)) + varint(len(body)) + parts
    return packed + checksum(packed) + body


def facts_of(head: Head) -> bytes:
    """What is compressed of a group's head."""
    kinds = [b"" if kind is None else container.head_of(kind, Metadata()) for kind in head.kinds]
    out = varint(len(head)) + varint(head.together) + bytes.fromhex(head.model) + varint(len(kinds))
    out += b"".join(varint(len(kind)) + kind for kind in kinds)
    if len(kinds) > 1:
        out += b"".join(map(varint, head.kind))
    out += pack_rows(head.rows)
    least = min(head.lengths)
    out += varint(least) + b"".join(varint(length - least) for length in head.lengths)
    out += pack_names(head.names)
    labels = b"" if head.labels is None else SEPARATOR.join((*head.labels, "")).encode()
    out += varint(len(labels)) + labels
    blobs = [items_of(one) for one in head.metadata]
    distinct = [*dict.fromkeys(blob for blob in blobs if blob)]
    out += varint(len(distinct)) + b"".join(varint(len(blob)) + blob for blob in distinct)
    if distinct:
        number = {blob: i for i, blob in enumerate([b"", *distinct])}
        out += b"".join(varint(number[blob]) for blob in blobs)
    return out


def pack_rows(rows: Rows | None) -> bytes:
    """The rows for which others stand in: how far each lies behind the one before it, and its stand-in."""
    changed = [(row, other) for row, other in enumerate(rows or ()) if row != other]
    out, last = varint(len(changed)), 0
    for row, other in changed:
        out += varint(row - last) + varint(other)
        last = row
    return out


def read_signature(data: bytes) -> None:
    """Raises FormatError, TruncatedError or VersionError unless an archive begins so."""
    if not data:
        raise FormatError("The file is empty.")
    if not data.startswith(SIGNATURE[: len(data)]):
        raise FormatError("This is not an archive (.saids).")
    if len(data) < START:
        raise TruncatedError(f"The archive is cut off within its first {START} bytes: nothing of it is left.")
    version = divmod(data[len(SIGNATURE)], 16)
    if version != VERSION:
        raise VersionError(
            f"The archive is of version {version[0]}.{version[1]}; "
            f"this program reads {VERSION[0]}.{VERSION[1]}."
        )


def read_group(data: bytes, start: int) -> tuple[Head, int]:
    """The head of the group that begins at ``start`` of an archive, and where its runs begin.

    Raises TruncatedError, CorruptError, LimitError or VersionError.  The runs may be cut off.
    """
    cursor = Cursor(data)
    cursor.at = start
    if cursor.take(1)[0] != GROUP:
        raise CorruptError("A group of the archive is damaged: it does not begin as groups do.")
    size, body = cursor.varint(), cursor.varint()
    front = cursor.at
    cursor.take(size)
    end = cursor.at
    if cursor.take(CHECK_BYTES) != checksum(data[start:end]):
        raise CorruptError("A group of the archive is damaged: the checksum of its head does not match.")
    inner = Cursor(data[front:end])
    try:
        facts, grey, coloured = (inner.take(inner.varint()) for _ in range(3))
        if inner.at != size:
            raise CorruptError("The head of a group has bytes too many.")
        head = parse_facts(inflated(facts, "The head of a group", MOST_FACTS), (grey, coloured))
    except TruncatedError:
        raise CorruptError("The head of a group ends within a field.") from None
    if sum(head.lengths) != body:
        raise CorruptError("The lengths of a group's runs do not add up.")
    return head, cursor.at


def parse_facts(facts: bytes, said: tuple[bytes, bytes]) -> Head:
    cursor = Cursor(facts)
    count, together = within(cursor.varint(), MOST_IMAGES), within(cursor.varint(), MOST_IMAGES)
    model = cursor.take(ID_BYTES).hex()
    parts = [cursor.take(cursor.varint()) for _ in range(within(cursor.varint(), count))]
    kinds = tuple(parse_kind(part, model) for part in parts)
    kind = tuple(cursor.varint() for _ in range(count)) if len(kinds) > 1 else (0,) * count
    if max(kind) >= len(kinds):
        raise CorruptError("An image of a group is of a kind that there is not.")
    headers = [kinds[number] for number in kind]
    pixels = sum(one.width * one.height for one in headers if one)
    if pixels > MOST_SHARED_PIXELS:
        raise LimitError(f"A group claims {pixels} pixels, more than the limit of {MOST_SHARED_PIXELS}.")
    rows = parse_rows(cursor)
    least, runs = cursor.varint(), len(runs_of([one is not None for one in headers], together))
    lengths = tuple(least + cursor.varint() for _ in range(runs))
    names = parse_names(cursor, count)
    labels = parse_labels(cursor.take(cursor.varint()), count)
    distinct = [Metadata()]
    for _ in range(within(cursor.varint(), count, 0)):
        distinct.append(metadata_of(cursor.take(cursor.varint())))
    which = [cursor.varint() for _ in range(count)] if len(distinct) > 1 else [0] * count
    if max(which) >= len(distinct):
        raise CorruptError("An image of a group has metadata that there is not.")
    if cursor.at != len(facts):
        raise CorruptError("The head of a group has bytes too many.")
    metadata = tuple(distinct[number] for number in which)
    return Head(model, kinds, kind, together, rows, lengths, names, labels, metadata, said)


def within(number: int, most: int, least: int = 1) -> int:
    """A count as the specification allows it.  Raises LimitError."""
    if not least <= number <= most:
        raise LimitError(f"A group claims {number} of something of which it may have {least} to {most}.")
    return number


def parse_kind(data: bytes, model: str) -> Kind:
    """The header that is the start of a .said file, with the whole id of its model; None if there is none.

    Raises CorruptError and what ``container.read_header`` raises.
    """
    if not data:
        return None
    cursor = Cursor(data)
    header, has_metadata = container.read_header(cursor)
    if cursor.at != len(data) or has_metadata or not is_shareable(header):
        raise CorruptError("A group shares a header that images cannot share.")
    if not model.startswith(header.model):
        raise CorruptError("An image of a group needs another model than the group.")
    return header._replace(model=model)


def parse_rows(cursor: Cursor) -> Rows | None:
    count, row = len(bank().tables), 0
    rows = [*range(count)]
    changed = within(cursor.varint(), count, 0)
    for i in range(changed):
        gap, other = cursor.varint(), cursor.varint()
        row += gap
        if row >= count or other >= count or (i and not gap):
            raise CorruptError("The calibration of a group names a table that there is not.")
        rows[row] = other
    return tuple(rows) if changed else None


def parse_labels(data: bytes, count: int) -> tuple[str, ...] | None:
    """A text for each image; None where there are none."""
    if not data:
        return None
    try:
        *texts, last = data.decode().split(SEPARATOR)
    except UnicodeDecodeError:
        raise CorruptError("A group holds text that is not UTF-8.") from None
    if len(texts) != count or last:
        raise CorruptError("A group does not have one label for each image.")
    for label in texts:
        check_label(label, CorruptError)
    return tuple(texts)


@dataclass(frozen=True)
class Place:
    """Where a group lies: ``start``, ``size`` in bytes, and its number of ``images``."""

    start: int
    size: int
    images: int


def pack_index(places: Sequence[Place]) -> bytes:
    """The index of groups that follow each other, and the end of the archive."""
    entries = b"".join(varint(place.images) + varint(place.size) for place in places)
    index = bytes([INDEX]) + varint(len(places)) + entries
    index += checksum(index)
    return index + len(index).to_bytes(TRAILER_BYTES - len(END), "little") + END


def read_index(data: bytes) -> list[Place]:
    """The groups by the index at the end of an archive.  Raises TruncatedError, CorruptError."""
    size = len(data)
    if size < START + TRAILER_BYTES or data[size - len(END) : size] != END:
        raise TruncatedError("The archive is cut off: it does not end with its index.")
    end = size - TRAILER_BYTES
    start = end - int.from_bytes(data[end : end + TRAILER_BYTES - len(END)], "little")
    wrong = CorruptError(WRONG_INDEX)
    if (
        start < START
        or data[start] != INDEX
        or checksum(data[start : end - CHECK_BYTES]) != data[end - 4 : end]
    ):
        raise wrong
    cursor = Cursor(data[start + 1 : end - CHECK_BYTES])
    places, at = [], START
    try:
        for _ in range(cursor.varint()):
            images, length = cursor.varint(), cursor.varint()
            places.append(Place(at, length, images))
            at += length
    except (TruncatedError, CorruptError, LimitError):
        raise wrong from None
    if at != start or cursor.at != len(cursor.data) or any(not 1 <= p.images <= MOST_IMAGES for p in places):
        raise wrong
    return places


def checksum(data: bytes) -> bytes:
    """CRC-32 of some bytes, as it is written."""
    return zlib.crc32(data).to_bytes(CHECK_BYTES, "little")
