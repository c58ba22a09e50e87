"""Bits a sample: of a file, read from its own header where Pillow shows eight whatever there are, and of a
Pillow image."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from saidcodec.images.opening import file_behind, opened_from

if TYPE_CHECKING:
    from PIL.Image import Image

CODESTREAM_JP2 = b"\xff\x4f\xff\x51"
CODESTREAM_JXL = b"\xff\x0a"
HEAD = 4096  # bytes of a codestream or a property that are read to find its depth
# Boxes that hold further boxes, and how many bytes of their own come first.
NESTING = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"jp2h": 0}
BOXED = (b"ftyp", b"jP  ", b"JXL ")  # kinds of the first box of HEIF and AVIF, JPEG 2000 and JPEG XL
BITS_PER_SAMPLE = 258  # a tag of TIFF files
BC6H = 6  # DirectDraw's compression of samples of 16 bits

# JPEG XL's variable-length numbers: (width in bits, what is added) for each of the four selectors.
Choices = tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]
SIDE: Choices = ((9, 1), (13, 1), (18, 1), (30, 1))
PREVIEW_SIDE: Choices = ((6, 1), (8, 65), (10, 321), (12, 1345))
PREVIEW_EIGHTHS: Choices = ((0, 16), (0, 32), (5, 1), (9, 33))
TICKS: Choices = ((0, 100), (0, 1000), (10, 1), (30, 1))
TICK_UNITS: Choices = ((0, 1), (0, 1001), (8, 1), (10, 1))
LOOPS: Choices = ((0, 0), (3, 0), (16, 0), (32, 0))
INTEGER_DEPTH: Choices = ((0, 8), (0, 10), (0, 12), (6, 1))
FLOAT_DEPTH: Choices = ((0, 32), (0, 16), (0, 24), (6, 1))


def is_deep(image: Image) -> bool:
    """Whether an image has more than eight bits a sample, also where Pillow drops bits silently.

    An image that Pillow has read from a stream without a name has forgotten the stream, and sometimes how
    deep its samples were.  It is taken as what it holds now.
    """
    return tiles_are_deep(image) or tags_are_deep(image) or file_is_deep(image)


def tiles_are_deep(image: Image) -> bool:
    """Whether the parts of a file that are still to be read hold more than eight bits a sample."""
    for tile in getattr(image, "tile", ()):
        codec, args = tile[0], tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        deep_ppm = codec.startswith("ppm") and len(args) > 1 and args[1] > 255
        deep_dds = codec == "bcn" and args[0] == BC6H
        deep = codec.lower() == "sgi16" or any(
            isinstance(a, str) and re.search(r";16[BLN]$", a) for a in args
        )
        if deep or deep_ppm or deep_dds:
            return True
    return False


def tags_are_deep(image: Image) -> bool:
    """Whether a TIFF file's own tags say so."""
    bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, 8)
    return max(bits if isinstance(bits, tuple) else (bits,)) > 8


def file_is_deep(image: Image) -> bool:
    """Whether the file behind an image says so, as far as it is at hand."""
    with suppress(OSError, ValueError), file_behind(image) as file:
        if file is None:
            return False
        if bits_in(file) > 8:
            return True
        if not getattr(image, "tile", ()):  # read already
            opened = opened_from(file)
            return opened is not None and tiles_are_deep(opened)
    return False


def bits_in(file: IO[bytes]) -> int:
    """Bits of the deepest sample of a JPEG 2000, JPEG XL, AVIF or HEIF file; 8 for files of other formats.

    ``file`` must be seekable; its position afterwards is anywhere.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(HEAD)
    try:
        if head.startswith(CODESTREAM_JP2):
            return max(jpeg_2000(head))
        if head.startswith(CODESTREAM_JXL):
            return jpeg_xl(head)
        if head[4:8] in BOXED:
            return max(boxed(file, 0, end), default=8)
    except (struct.error, IndexError, ValueError):  # cut off: reading the pixels will say so
        pass
    return 8


def boxed(file: IO[bytes], start: int, end: int) -> Iterator[int]:
    """Every depth that the boxes between two positions name."""
    for kind, first, last in boxes(file, start, end):
        if kind in NESTING:
            yield from boxed(file, first + NESTING[kind], last)
            continue
        file.seek(first)
        body = file.read(min(HEAD, last - first))
        if kind == b"pixi":  # HEIF: bits of every channel
            yield from body[5 : 5 + body[4]]
        elif kind == b"av1C":  # AV1: two flags
            yield 8 + 2 * (body[2] >> 6 & 1) + 2 * (body[2] >> 5 & 1)
        elif kind == b"hvcC":  # HEVC: luma and chroma, less 8
            yield from (8 + (body[17] & 7), 8 + (body[18] & 7))
        elif kind == b"pclr":  # JPEG 2000: bits of every column of the palette, less 1
            yield from (1 + (bits & 127) for bits in body[3 : 3 + body[2]])
        elif kind == b"jp2c":
            yield from jpeg_2000(body)
        elif kind == b"jxlc":
            yield jpeg_xl(body)
        elif kind == b"jxlp" and body[4:6] == CODESTREAM_JXL:  # the first part, after its number
            yield jpeg_xl(body[4:])


def boxes(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the contents of every box between two positions."""
    while start + 8 <= end:
        file.seek(start)
        length, kind = struct.unpack(">I4s", file.read(8))
        first = start + 8
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
            first += 8
        last = min(start + length, end) if length else end
        if last < first:
            return
        yield kind, first, last
        start = last


def jpeg_2000(head: bytes) -> list[int]:
    """Bits of every component of a JPEG 2000 codestream."""
    (components,) = struct.unpack_from(">H", head, 40)
    return [1 + (head[42 + 3 * i] & 127) for i in range(min(components, (len(head) - 42) // 3))] or [8]


def jpeg_xl(head: bytes) -> int:
    """Bits a sample of a JPEG XL codestream."""
    bits = Bits(head[len(CODESTREAM_JXL) :])
    bits.skip_size(SIDE)
    if bits.take(1):  # everything as usual
        return 8
    if bits.take(1):  # further fields
        bits.take(3)  # orientation
        if bits.take(1):
            bits.skip_size(SIDE)
        if bits.take(1):
            bits.skip_size(PREVIEW_SIDE, PREVIEW_EIGHTHS)
        if bits.take(1):
            for choices in (TICKS, TICK_UNITS, LOOPS):
                bits.number(choices)
            bits.take(1)
    return bits.number(FLOAT_DEPTH if bits.take(1) else INTEGER_DEPTH)


class Bits:
    """Reads bits from the lowest on, as JPEG XL's headers are written."""

    def __init__(self, data: bytes):
        self.left = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self.left & ((1 << count) - 1)
        self.left >>= count
        return value

    def number(self, choices: Choices) -> int:
        width, least = choices[self.take(2)]
        return least + self.take(width)

    def skip_size(self, sides: Choices, eighths: Choices | None = None) -> None:
        """Skip a height and, unless a ratio stands for it, a width; ``eighths`` None: five bits each."""
        in_eighths = self.take(1)

        def skip_side() -> None:
            if not in_eighths:
                self.number(sides)
            elif eighths is None:
                self.take(5)
            else:
                self.number(eighths)

        skip_side()
        if not self.take(3):
            skip_side()
