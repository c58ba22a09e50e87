"""Bytes ⇄ header, metadata and streams (bitstream_spec.md, section 2).

    signature 3 | layout 1 | [extension 1] | [form 1 [1]] | sides v [v] | [model 2] | [max error v]
    [tiling 1] | [key v...] | [palette] | [metadata: length v, body] | [lengths of the streams v]
    the stream of each band

v is a little-endian base-128 number of at most five bytes.  Lengths are there where the header allows
several bands; a file with one band, which is a small one, saves them.  Checksums lie inside the streams.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

from saidcodec.errors import CorruptError, FormatError, LimitError, TruncatedError, VersionError
from saidcodec.format.colour import DIFFERENCES
from saidcodec.format.cursor import Cursor, inflated, varint
from saidcodec.format.form import NO_SUCH_THING, facts_of, number_of, read_form
from saidcodec.format.header import (
    ARCHIVE_SIGNATURE,
    IS_SEQUENCE,
    LARGEST_TILE,
    LAST_OLD,
    MOST_BAND_PIXELS,
    MOST_DECIDED_WIDTH,
    MOST_PIXELS,
    MOST_SIDE,
    OLD_SIGNATURE,
    SIGNATURE,
    SMALLEST_TILE,
    VERSION,
    Header,
    Metadata,
    ResidualCoder,
)
from saidcodec.format.metadata import MOST_METADATA, items_of, metadata_of
from saidcodec.format.tiling import Tiling, choose_tiling
from saidcodec.window import Bytes

if TYPE_CHECKING:
    from saidcodec.format.frames import FrameTable
    from saidcodec.format.palette import Palette

MOST_ERROR, MOST_WIDE_ERROR = 255, (1 << 15) - 1  # of a sample
MODEL_BYTES = 2  # of the model's id; the checksums cover all of it
HEAD_CHECK_BYTES = 2
# Layout, from the lowest bit: mode 3, residual coder 2, and whether there are
HAS_METADATA, IS_NEAR_LOSSLESS, HAS_EXTENSION = 1 << 5, 1 << 6, 1 << 7
# Extension: whether the tiling is given, whether adaptation is not what it usually is, and whether planes are
# coded by decisions, and with weights for each parity.
HAS_TILING, IS_UNUSUALLY_ADAPTIVE, IS_DECIDED, IS_BY_PARITY = 1 << 0, 1 << 1, 1 << 2, 1 << 3


class Container(NamedTuple):
    """A whole file, or as much of it as is there.

    ``size``: its bytes, of which ``metadata_bytes`` are metadata.  ``head``: its bytes up to the streams'
    lengths.  ``streams``: one for each band; where ``complete`` is False only the first ones, the last of
    them cut off.  What was unpacked from a window has streams that are windows.
    """

    header: Header
    metadata: Metadata
    size: int
    metadata_bytes: int
    head: bytes
    streams: tuple[Bytes, ...]
    complete: bool


def head_of(header: Header, metadata: Metadata) -> bytes:
    """A file's bytes up to the streams' lengths.  Raises LimitError on too much metadata."""
    packed = pack_metadata(metadata)
    tiling = (header.side, header.most_bands)
    extension = 0
    if tiling != choose_tiling(header.width, header.height):
        extension |= HAS_TILING
    if header.adaptive != header.usually_adaptive:
        extension |= IS_UNUSUALLY_ADAPTIVE
    extension |= IS_DECIDED * header.decided | IS_BY_PARITY * header.by_parity
    number, form = number_of(header)
    layout = number | header.coder << 3
    layout |= HAS_METADATA * bool(packed) | IS_NEAR_LOSSLESS * bool(header.max_error)
    layout |= HAS_EXTENSION * bool(extension)
    head = SIGNATURE + bytes([layout, extension][: 1 + bool(extension)]) + form
    square = header.width == header.height
    head += varint(2 * (header.width - 1) + (not square)) + (b"" if square else varint(header.height - 1))
    head += bytes.fromhex(header.model)[:MODEL_BYTES]
    head += varint(header.max_error) if header.max_error else b""
    head += bytes([DIFFERENCES.index(header.differences)]) if header.has_order else b""
    if extension & HAS_TILING:
        side, bands = (
            number.bit_length() - 1 for number in (header.side // SMALLEST_TILE, header.most_bands)
        )
        head += bytes([side | bands << 4])
    return head + facts_of(header) + packed


def head_check(head: bytes, model: str) -> bytes:
    """CRC-16 of the whole id of the model and of a file's head; two bytes."""
    start = binascii.crc_hqx(bytes.fromhex(model), 0xFFFF)
    return binascii.crc_hqx(head, start).to_bytes(HEAD_CHECK_BYTES, "little")


def pack(header: Header, head: bytes, streams: Sequence[bytes]) -> bytes:
    """The file's bytes; ``head`` as ``head_of`` gives it."""
    lengths = [varint(len(stream)) for stream in streams] if header.most_bands > 1 else []
    return b"".join([head, *lengths, *streams])


def pack_metadata(metadata: Metadata) -> bytes:
    items = items_of(metadata)
    if not items:
        return b""
    if len(items) > MOST_METADATA:
        raise LimitError(f"The image's metadata has more than the limit of {MOST_METADATA} bytes.")
    body = zlib.compress(items, 9)
    return varint(len(body)) + body


def is_sequence(data: Bytes) -> bool:
    """Whether a file begins as one of several frames does."""
    start = len(SIGNATURE)
    return bytes(data[start : start + len(IS_SEQUENCE)]) == IS_SEQUENCE


def split(data: Bytes, *, whole: bool = True) -> tuple[FrameTable, list[Bytes]] | None:
    """The table of a file of several frames, and the file of each, of no bytes for those that are SAME; None
    for a file of one image.  Unless it must be ``whole``, the files may be cut off or missing.

    Raises FormatError, VersionError, TruncatedError, CorruptError or LimitError.
    """
    if not is_sequence(data):
        return None
    from saidcodec.format.frames import read_table  # which few files have

    cursor = Cursor(data)
    check_signature(cursor)
    table = read_table(cursor)
    ends = [*accumulate((frame.length for frame in table.frames), initial=cursor.at)]
    if whole and ends[-1] > len(data):
        raise TruncatedError(
            f"The file is truncated: it ends after {len(data)} bytes, before byte {ends[-1]}."
        )
    if ends[-1] < len(data):
        raise CorruptError(f"The file has {len(data) - ends[-1]} bytes too many at its end.")
    return table, [data[start:end] for start, end in pairwise(ends)]


def unpack(data: Bytes, *, whole: bool = True) -> Container:
    """Parse a file, of several frames the first one's; unless it must be ``whole``, streams may be cut off
    or missing.

    Raises FormatError, VersionError, TruncatedError, CorruptError or LimitError; allocates nothing
    beyond slices of ``data``, the bounded metadata and the bounded table of frames.
    """
    several = split(data, whole=whole)
    return unpack_image(several[1][0] if several else data, whole=whole)


def unpack_image(data: Bytes, *, whole: bool = True, before: Palette | None = None) -> Container:
    """Parse a file of one image; ``before``: the palette of the frame before, if it is that of a rectangle.

    Raises FormatError, VersionError, TruncatedError, CorruptError or LimitError; allocates nothing
    beyond slices of ``data`` and the bounded metadata.
    """
    cursor = Cursor(data)
    header, has_metadata = read_header(cursor, before)
    start = cursor.at
    packed = cursor.take(cursor.varint()) if has_metadata else b""
    metadata, metadata_bytes = unpack_metadata(packed) if has_metadata else Metadata(), cursor.at - start
    head = bytes(data[: cursor.at])
    lengths = [len(data) - cursor.at]
    if header.most_bands > 1:
        count = Tiling.of(header).count_bands()
        if count > len(data):
            raise TruncatedError(f"The file is truncated: {len(data)} bytes cannot hold {count} bands.")
        lengths = [cursor.varint() for _ in range(count)]
    streams: list[Bytes] = []
    try:
        streams += (cursor.skip(length) for length in lengths)
        complete = True
    except TruncatedError:
        if whole:
            raise
        streams.append(data[cursor.at :])
        complete = False
    if complete and cursor.at != len(data):
        raise CorruptError(f"The file has {len(data) - cursor.at} bytes too many at its end.")
    return Container(header, metadata, len(data), metadata_bytes, head, tuple(streams), complete)


def read_header(cursor: Cursor, before: Palette | None = None) -> tuple[Header, bool]:
    """The header, and whether metadata follows it; ``before`` as for ``unpack_image``."""
    check_signature(cursor)
    layout = cursor.take(1)[0]
    extension = cursor.take(1)[0] if layout & HAS_EXTENSION else 0
    form = read_form(layout & 7, cursor)
    coder = ResidualCoder(layout >> 3 & 3)
    near_lossless = bool(layout & IS_NEAR_LOSSLESS)
    unfit = near_lossless and coder == ResidualCoder.MIXED
    unfit |= bool(layout & HAS_EXTENSION) and extension not in range(1, 16)
    unfit |= bool(extension & IS_UNUSUALLY_ADAPTIVE) and not coder.has_network
    unfit |= bool(extension & IS_DECIDED) and (near_lossless or form.wide)
    unfit |= form.wide and (coder != ResidualCoder.CONTEXT or bool(extension & IS_UNUSUALLY_ADAPTIVE))
    unfit |= form.must_be_exact and (near_lossless or coder == ResidualCoder.NONE)
    if unfit:
        raise CorruptError(NO_SUCH_THING)
    width, height = read_size(cursor)
    model = "" if form.wide else cursor.take(MODEL_BYTES).hex()
    max_error = cursor.varint() if near_lossless else 0
    if near_lossless and not 1 <= max_error <= (MOST_WIDE_ERROR if form.wide else MOST_ERROR):
        raise CorruptError("The file's header gives an impossible error bound.")
    tiling = choose_tiling(width, height)
    header = Header(width, height, form.mode, form.replicated, coder, max_error, model, *tiling)
    header = header._replace(depth=form.depth)
    if header.has_order:
        order = cursor.take(1)[0]
        if order >= len(DIFFERENCES):
            raise CorruptError("The file's header gives an order of channels that there is not.")
        header = header._replace(differences=DIFFERENCES[order])
    if extension & HAS_TILING:
        packed = cursor.take(1)[0]
        header = header._replace(side=SMALLEST_TILE << (packed & 15), most_bands=1 << (packed >> 4))
    if header.side > LARGEST_TILE:
        raise LimitError(
            f"The file claims tiles of {header.side} pixels a side, more than the limit of {LARGEST_TILE}."
        )
    adaptive = not form.wide and header.usually_adaptive != bool(extension & IS_UNUSUALLY_ADAPTIVE)
    decided, by_parity = bool(extension & IS_DECIDED), bool(extension & IS_BY_PARITY)
    if (decided or by_parity) and not adaptive:
        raise CorruptError(NO_SUCH_THING)
    if decided and width > MOST_DECIDED_WIDTH:
        raise LimitError(
            f"The file claims decisions over {width} columns, more than the limit of {MOST_DECIDED_WIDTH}."
        )
    if Tiling.of(header).most_pixels() > MOST_BAND_PIXELS:
        raise LimitError(f"The file claims bands of more than the limit of {MOST_BAND_PIXELS} pixels.")
    key, palette = form.read_facts(cursor, before)
    header = header._replace(
        adaptive=adaptive,
        decided=decided,
        by_parity=by_parity,
        key=key,
        palette=palette,
        ranked=form.ranked,
    )
    return header, bool(layout & HAS_METADATA)


def check_signature(cursor: Cursor) -> None:
    """Raises FormatError, TruncatedError, or VersionError where the file is of another version."""
    if not cursor.data:
        raise FormatError("The file is empty.")
    start = bytes(cursor.data[: len(SIGNATURE)])
    if start[0] >> 4 == SIGNATURE[0] >> 4 and start[1:] == SIGNATURE[1 : len(start)]:
        version = 0, start[0] & 15
    elif OLD_SIGNATURE.startswith(start):
        cursor.take(len(OLD_SIGNATURE))
        version = divmod(cursor.take(1)[0], 16)
        if version > LAST_OLD:
            raise CorruptError(
                "The file's first bytes and the version that they give do not belong together."
            )
    else:
        if start.startswith(ARCHIVE_SIGNATURE[: len(start)]):
            raise FormatError("This is an archive, not a .said file: saidcodec unpack and ls read it.")
        raise FormatError("This is not a .said file.")
    if version != VERSION:
        raise VersionError(
            f"The file is of version {version[0]}.{version[1]}; this program reads {VERSION[0]}.{VERSION[1]}."
        )
    cursor.take(len(SIGNATURE))


def read_size(cursor: Cursor) -> tuple[int, int]:
    """Width and height.  Raises CorruptError, LimitError."""
    across, oblong = divmod(cursor.varint(), 2)
    width = across + 1
    height = cursor.varint() + 1 if oblong else width
    if oblong and width == height:
        raise CorruptError("The file's header gives the same side twice.")
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        raise LimitError(f"The file claims {width}×{height} pixels, more than the limit of {MOST_PIXELS}.")
    return width, height


def unpack_metadata(packed: bytes) -> Metadata:
    return metadata_of(inflated(packed, "The file's metadata", MOST_METADATA))
