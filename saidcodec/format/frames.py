"""Files of several frames: the table before them ⇄ bytes (bitstream_spec.md, section 2, "Frames").

signature 3 | layout 80 | extension 80 | table: length v, body, CRC-32 | the frames' files
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from saidcodec.errors import CorruptError, LimitError, TruncatedError
from saidcodec.format.cursor import Cursor, varint
from saidcodec.format.header import IS_SEQUENCE, SIGNATURE

MOST_FRAMES = 1 << 16
MOST_NUMBER = (1 << 32) - 1  # plays, ticks, durations
CHECK_BYTES = 4
KEY_BYTES = 4  # as many count as the image has channels
# Flags of a frame, above the two bits of its kind.
HAS_DURATION, HAS_OWN_METADATA = 1 << 2, 1 << 3
KIND_BITS, FLAGS = 3, 15


class FrameKind(IntEnum):
    """A frame is the last one again, an image of its own, or the last one with a rectangle replaced: all of
    it, or all but its pixels of one colour, the key."""

    SAME = 0
    WHOLE = 1
    PART = 2
    MASKED = 3

    @property
    def is_rectangle(self) -> bool:
        return self in (FrameKind.PART, FrameKind.MASKED)


@dataclass(frozen=True)
class Frame:
    """A frame of a file.

    ``duration`` in ticks; ``length`` of its file in bytes; ``x``, ``y``: where a rectangle lies in the last
    frame; ``key``: samples of the colour of MASKED that stands for the last frame's pixels.
    ``own_metadata``: its metadata is that of its own file, otherwise, and always of SAME, that of the first
    frame.
    """

    kind: FrameKind
    duration: int = 0
    length: int = 0
    x: int = 0
    y: int = 0
    own_metadata: bool = False
    key: bytes = bytes(KEY_BYTES)


@dataclass(frozen=True)
class FrameTable:
    """The frames of a file.  ``plays``: how often they are shown, 0 for ever; ``ticks`` in a second."""

    plays: int
    ticks: int
    frames: tuple[Frame, ...]

    def durations(self) -> list[float]:
        """How long each frame is shown, in milliseconds."""
        return [1000 * frame.duration / self.ticks for frame in self.frames]


def pack_table(table: FrameTable) -> bytes:
    packed, last = [varint(table.plays), varint(table.ticks)], 0
    for frame in table.frames:
        timed = frame.duration != last
        packed.append(bytes([frame.kind | HAS_DURATION * timed | HAS_OWN_METADATA * frame.own_metadata]))
        packed.append(varint(frame.duration) if timed else b"")
        packed.append(varint(frame.x) + varint(frame.y) if frame.kind.is_rectangle else b"")
        packed.append(frame.key if frame.kind == FrameKind.MASKED else b"")
        packed.append(varint(frame.length) if frame.kind != FrameKind.SAME else b"")
        last = frame.duration
    return b"".join(packed)


def pack_frames(table: FrameTable, files: Sequence[bytes]) -> bytes:
    """The bytes of a file of several frames; ``files`` of all that are not SAME."""
    packed = pack_table(table)
    check = zlib.crc32(packed).to_bytes(CHECK_BYTES, "little")
    return b"".join([SIGNATURE, IS_SEQUENCE, varint(len(packed)), packed, check, *files])


def read_table(cursor: Cursor) -> FrameTable:
    """The table of a file of several frames, whose signature has been read.

    Raises TruncatedError, CorruptError, LimitError.
    """
    cursor.skip(len(IS_SEQUENCE))
    table = cursor.take(cursor.varint())
    if zlib.crc32(table).to_bytes(CHECK_BYTES, "little") != cursor.take(CHECK_BYTES):
        raise CorruptError("The checksum of the file's table of frames does not match.")
    try:
        return parsed_table(Cursor(table), len(table))
    except TruncatedError:
        raise CorruptError("The file's table of frames ends within a frame.") from None


def parsed_table(cursor: Cursor, size: int) -> FrameTable:
    """Raises TruncatedError, CorruptError, LimitError."""
    plays, ticks = bounded(cursor), bounded(cursor)
    frames, duration = list[Frame](), 0
    while cursor.at < size:
        if len(frames) == MOST_FRAMES:
            raise LimitError(f"The file has more than {MOST_FRAMES} frames.")
        flags = cursor.take(1)[0]
        same = flags & KIND_BITS == FrameKind.SAME
        if flags > FLAGS or (same and flags & HAS_OWN_METADATA):
            raise CorruptError("The file's table of frames asks for something that does not exist.")
        kind = FrameKind(flags & KIND_BITS)
        if flags & HAS_DURATION:
            duration = bounded(cursor)
        x, y = (cursor.varint(), cursor.varint()) if kind.is_rectangle else (0, 0)
        key = cursor.take(KEY_BYTES) if kind == FrameKind.MASKED else bytes(KEY_BYTES)
        length = cursor.varint() if kind != FrameKind.SAME else 0
        frames.append(Frame(kind, duration, length, x, y, bool(flags & HAS_OWN_METADATA), key))
    if not ticks or len(frames) < 2 or frames[0].kind != FrameKind.WHOLE:
        raise CorruptError("The file's table of frames is malformed.")
    return FrameTable(plays, ticks, tuple(frames))


def bounded(cursor: Cursor) -> int:
    number = cursor.varint()
    if number > MOST_NUMBER:
        raise LimitError("A number in the file's table of frames is too large.")
    return number
