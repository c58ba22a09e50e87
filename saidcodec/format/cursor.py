"""Numbers and bytes at the front of a file (bitstream_spec.md, section 2)."""

from __future__ import annotations

import zlib

from saidcodec.errors import CorruptError, LimitError, TruncatedError
from saidcodec.window import Bytes

VARINT_BYTES = 5  # 35 bits: the incompressible residual of the largest image needs 31


def varint(value: int) -> bytes:
    """A number v of the specification's section 2: base 128, the lowest seven bits first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


class Cursor:
    """Reads a file's bytes from the front; TruncatedError where they end too early."""

    def __init__(self, data: Bytes):
        self.data = data
        self.at = 0

    def take(self, n: int) -> bytes:
        return bytes(self.skip(n))

    def skip(self, n: int) -> Bytes:
        """The next bytes, which nobody reads yet where the data is a window."""
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


def inflated(packed: bytes, what: str, most: int) -> bytes:
    """The contents of exactly one zlib stream, ``what`` being their name in messages.

    Raises CorruptError; LimitError where they are more than ``most`` bytes.
    """
    unpacker = zlib.decompressobj()
    try:
        body = unpacker.decompress(packed, most)
    except zlib.error:
        raise CorruptError(f"{what} is damaged.") from None
    if len(body) == most and not unpacker.eof:
        raise LimitError(f"{what} unpacks to more than {most} bytes.")
    if not unpacker.eof or unpacker.unused_data:
        raise CorruptError(f"{what} is damaged.")
    return body
