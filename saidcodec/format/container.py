"""Bytes ⇄ header and sections (bitstream_spec.md, section 2).

    signature 4 | version 1 | layout 1 | width-1 v | height-1 v | model 4 | [max error v] | tiling 1
    [metadata: length v, body] | SAID section: length v, body | head checksum 2
    [residual section: [length v], body] | pixel checksum 4

The residual's length is there where the header allows several bands; a file with one band, which is a
small one, saves it.  v is a little-endian base-128 number of at most five bytes.  Layout, from the lowest
bit: channels 2, replicated grey 1, metadata 1, residual coder 2, near-lossless 1, adaptive 1.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from saidcodec.errors import CorruptError, FormatError, LimitError, TruncatedError, VersionError
from saidcodec.format.header import (
    LARGEST_TILE,
    MODES,
    MOST_BAND_PIXELS,
    MOST_PIXELS,
    MOST_SIDE,
    SIGNATURE,
    SMALLEST_TILE,
    VERSION,
    Header,
    Metadata,
    Mode,
    ResidualCoder,
)
from saidcodec.format.tiling import Tiling

MOST_METADATA = 1 << 26  # bytes, unpacked
VARINT_BYTES = 5  # 35 bits: the incompressible residual of the largest image needs 31
CHECKSUM_BYTES = 4
KINDS = {1: "icc", 2: "exif", 3: "xmp"}
CRITICAL = 0x80


@dataclass(frozen=True)
class Container:
    """A whole file, or as much of it as is there: ``streams``, of the residual of each band, is None where
    that is missing."""

    header: Header
    metadata: Metadata
    said: bytes
    streams: tuple[bytes, ...] | None
    checksum: int
    sizes: dict[str, int] = field(default_factory=dict)  # bytes of "said", "residual", "metadata"


def varint(value: int) -> bytes:
    """A number v of the specification's section 2: base 128, the lowest seven bits first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def pack(header: Header, metadata: Metadata, said: bytes, streams: Sequence[bytes], checksum: int) -> bytes:
    """The file's bytes; ``streams`` empty if the coder is none.  Raises LimitError on too much metadata."""
    packed = pack_metadata(metadata)
    layout = (
        MODES.index(header.mode)
        | header.replicated << 2
        | bool(packed) << 3
        | header.coder << 4
        | bool(header.max_error) << 6
        | header.adaptive << 7
    )
    tiling = (header.side // SMALLEST_TILE).bit_length() - 1 | (header.most_bands.bit_length() - 1) << 4
    head = SIGNATURE + bytes([VERSION[0] << 4 | VERSION[1], layout])
    head += varint(header.width - 1) + varint(header.height - 1) + bytes.fromhex(header.model)
    head += varint(header.max_error) if header.max_error else b""
    head += bytes([tiling]) + packed + varint(len(said)) + said
    head += binascii.crc_hqx(head, 0xFFFF).to_bytes(2, "little")
    if header.coder:
        body = b"".join(varint(len(stream)) for stream in streams[:-1]) + b"".join(streams)
        head += (varint(len(body)) if header.most_bands > 1 else b"") + body
    return head + checksum.to_bytes(CHECKSUM_BYTES, "little")


def pack_metadata(metadata: Metadata) -> bytes:
    items = b""
    for kind, name in KINDS.items():
        if value := getattr(metadata, name):
            items += bytes([kind]) + varint(len(value)) + value
    if not items:
        return b""
    if len(items) > MOST_METADATA:
        raise LimitError(f"The image's metadata has more than the limit of {MOST_METADATA} bytes.")
    body = zlib.compress(items, 9)
    return varint(len(body)) + body


class Cursor:
    """Reads a file's bytes from the front; TruncatedError where they end too early."""

    def __init__(self, data: bytes):
        self.data = data
        self.at = 0

    def take(self, n: int) -> bytes:
        if self.at + n > len(self.data):
            raise TruncatedError(
                f"The file is truncated: it ends after {len(self.data)} bytes, before byte {self.at + n}."
            )
        self.at += n
        return self.data[self.at - n : self.at]

    def varint(self) -> int:
        value = 0
        for i in range(VARINT_BYTES):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << 7 * i
            if byte < 0x80:
                if i and not byte:
                    raise CorruptError("A number in the file is written in more bytes than it needs.")
                return value
        raise LimitError("A number in the file is longer than five bytes.")


def unpack(data: bytes, *, residual: bool = True) -> Container:
    """Parse a file; with ``residual`` False what follows the head checksum may be missing.

    Raises FormatError, VersionError, TruncatedError, CorruptError or LimitError; allocates nothing
    beyond slices of ``data`` and the bounded metadata.
    """
    cursor = Cursor(data)
    header, has_metadata = read_header(cursor)
    start = cursor.at
    packed = cursor.take(cursor.varint()) if has_metadata else b""
    sizes = {"metadata": cursor.at - start}
    said = cursor.take(cursor.varint())
    sizes["said"] = len(said)
    if binascii.crc_hqx(data[: cursor.at], 0xFFFF) != int.from_bytes(cursor.take(2), "little"):
        raise CorruptError("The file is damaged: the checksum of its head does not match.")
    metadata = unpack_metadata(packed) if has_metadata else Metadata()
    streams: tuple[bytes, ...] | None = None
    checksum = 0
    try:
        body = cursor.take(residual_length(header, cursor))
        checksum = int.from_bytes(cursor.take(CHECKSUM_BYTES), "little")
        if cursor.at != len(data):
            raise CorruptError(f"The file has {len(data) - cursor.at} bytes too many at its end.")
        streams = split_streams(body, Tiling.of(header).count_bands()) if header.coder else ()
        sizes["residual"] = len(body)
    except TruncatedError:
        if residual:
            raise
        sizes["residual"] = len(data) - cursor.at
    return Container(header, metadata, said, streams, checksum, sizes)


def read_header(cursor: Cursor) -> tuple[Header, bool]:
    if not cursor.data:
        raise FormatError("The file is empty.")
    if not cursor.data.startswith(SIGNATURE[: len(cursor.data)]):
        raise FormatError("This is not a .said file.")
    cursor.take(len(SIGNATURE))
    version = divmod(cursor.take(1)[0], 16)
    if version != VERSION:
        raise VersionError(
            f"The file is of version {version[0]}.{version[1]}; this program reads {VERSION[0]}.{VERSION[1]}."
        )
    layout = cursor.take(1)[0]
    mode, coder = Mode(MODES[layout & 3]), layout >> 4 & 3
    replicated = bool(layout & 4)
    adaptive = bool(layout & 0x80)
    unfit = adaptive and not ResidualCoder(coder).has_network
    unfit = unfit or (bool(layout & 0x40) and coder == ResidualCoder.MIXED)
    if unfit or (replicated and mode in (Mode.L, Mode.LA)):
        raise CorruptError("The file's header asks for something that does not exist.")
    width, height = cursor.varint() + 1, cursor.varint() + 1
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        raise LimitError(f"The file claims {width}×{height} pixels, more than the limit of {MOST_PIXELS}.")
    model = cursor.take(4).hex()
    max_error = cursor.varint() if layout & 0x40 else 0
    if layout & 0x40 and not 1 <= max_error <= 255:
        raise CorruptError("The file's header gives an impossible error bound.")
    tiling = cursor.take(1)[0]
    side, bands = SMALLEST_TILE << (tiling & 15), 1 << (tiling >> 4)
    if side > LARGEST_TILE:
        raise LimitError(
            f"The file claims tiles of {side} pixels a side, more than the limit of {LARGEST_TILE}."
        )
    coded = ResidualCoder(coder), max_error, model, side, bands, adaptive
    header = Header(width, height, mode, replicated, *coded)
    if Tiling.of(header).most_pixels() > MOST_BAND_PIXELS:
        raise LimitError(f"The file claims bands of more than the limit of {MOST_BAND_PIXELS} pixels.")
    return header, bool(layout & 8)


def unpack_metadata(packed: bytes) -> Metadata:
    unpacker = zlib.decompressobj()
    try:
        body = unpacker.decompress(packed, MOST_METADATA)
    except zlib.error:
        raise CorruptError("The file's metadata is damaged.") from None
    if len(body) == MOST_METADATA and not unpacker.eof:
        raise LimitError(f"The file's metadata unpacks to more than {MOST_METADATA} bytes.")
    if not unpacker.eof or unpacker.unused_data:
        raise CorruptError("The file's metadata is damaged.")
    try:
        return Metadata(**dict(metadata_items(body)))
    except TruncatedError:
        raise CorruptError("The file's metadata ends within an item.") from None


def metadata_items(body: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, value) of every known item; unknown ones are skipped unless they are critical."""
    cursor = Cursor(body)
    found = set()
    while cursor.at < len(body):
        kind = cursor.take(1)[0]
        value = cursor.take(cursor.varint())
        if kind & CRITICAL:
            raise VersionError("The file holds a critical item that this program does not know.")
        if kind in KINDS:
            if kind in found:
                raise CorruptError("The file holds the same kind of metadata twice.")
            found.add(kind)
            yield KINDS[kind], value


def residual_length(header: Header, cursor: Cursor) -> int:
    """Bytes of the residual section that follows; what a single band has left before the checksum."""
    if not header.coder:
        return 0
    if header.most_bands > 1:
        return cursor.varint()
    return max(0, len(cursor.data) - cursor.at - CHECKSUM_BYTES)


def split_streams(body: bytes, count: int) -> tuple[bytes, ...]:
    if count - 1 > len(body):
        raise CorruptError("The residual section is shorter than its own table of lengths.")
    cursor = Cursor(body)
    try:
        lengths = [cursor.varint() for _ in range(count - 1)]
        streams = [cursor.take(length) for length in lengths]
    except TruncatedError:
        raise CorruptError("The residual section's lengths do not add up.") from None
    return (*streams, body[cursor.at :])
