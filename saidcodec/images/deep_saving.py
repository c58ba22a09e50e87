"""Samples of uint16 → 16-bit PNG and TIFF files, which Pillow writes of grey images alone."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

import numpy as np

from saidcodec.errors import ImageError, SaidError, warn_of_loss
from saidcodec.format.header import MODES, Metadata, Resolution
from saidcodec.images.metadata import lost_parts, with_comment_as_text
from saidcodec.images.tags import ICC_TAG, XMP_TAG

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels
LEVEL = 6  # of zlib
MOST_CHUNK = 1 << 20  # bytes of pixels in one
SHORT, LONG, RATIONAL, BYTES = 3, 4, 5, 7  # types of a TIFF file's tags
CODES = {SHORT: "H", LONG: "I", RATIONAL: "I"}  # their numbers, of a rational two
TIFF_LIMIT = 1 << 32  # bytes
DEEP_FORMATS = ".png and .tif"


def save(pixels: np.ndarray, metadata: Metadata, file: BinaryIO, name: str) -> Metadata:
    """Write an image, uint16 H×W or H×W×C, in the format that Pillow calls ``name``; returns the metadata
    written.  What the format does not keep is named by a SaidWarning.  Raises ImageError."""
    if name == "PNG":
        write_png(pixels, metadata, file)
        if metadata.texts or metadata.comment or metadata.resolution or metadata.chunks:
            from saidcodec.images import png_chunks

            channels = pixels.shape[2] if pixels.ndim > 2 else 1
            png_chunks.insert(file, with_comment_as_text(metadata._replace(xmp=b"")), MODES[channels - 1])
        return metadata
    if name == "TIFF" and pixels.shape[2:] == (2,):
        raise ImageError("Grey and alpha of 16 bits a sample are not written as TIFF; .png can hold them.")
    if name != "TIFF":
        raise ImageError(f"{name} cannot hold samples of more than 8 bits; {DEEP_FORMATS} can.")
    if metadata.exif:
        warn_of_loss("A TIFF file of 16 bits a sample does not keep the image's EXIF.")
        metadata = metadata._replace(exif=b"")
    write_tiff(pixels, metadata, file)
    return metadata


def save_exactly(pixels: np.ndarray, metadata: Metadata, file: BinaryIO, name: str) -> None:
    """``save``, then read back and compare.  Raises ImageError."""
    from saidcodec.images.reading import from_file

    written = save(pixels, metadata, file, name)
    file.seek(0)
    try:
        back = from_file(file.read(), None)
    except SaidError as error:
        raise ImageError(f"The {name} file that was written cannot be read: {error}") from None
    if back.pixels.dtype != pixels.dtype or not np.array_equal(back.pixels, pixels):
        raise ImageError(f"{name} does not give the image back.")
    if lost := lost_parts(written, back.metadata):
        warn_of_loss(f"{name} does not keep the image's {' and '.join(lost)}.")


def write_png(pixels: np.ndarray, metadata: Metadata, file: BinaryIO) -> None:
    """Write a PNG file, uint16 H×W or H×W×C."""
    height, width, channels = (*pixels.shape, 1)[:3]
    header = struct.pack(">IIBBBBB", width, height, 16, PNG_COLOURS[channels], 0, 0, 0)
    chunks = [(b"IHDR", header)]
    if metadata.icc:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp))
    body = zlib.compress(filtered(pixels.reshape(height, width, channels)), LEVEL)
    chunks += [(b"IDAT", body[i : i + MOST_CHUNK]) for i in range(0, len(body), MOST_CHUNK)]
    file.write(PNG_SIGNATURE)
    for kind, content in [*chunks, (b"IEND", b"")]:
        check = zlib.crc32(content, zlib.crc32(kind))
        file.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check))


def filtered(pixels: np.ndarray) -> bytes:
    """Rows of uint16 [h, w, channels] as PNG stores them, each with the filter Sub or Paeth, whichever
    leaves the smaller bytes."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2", order="C").view(np.uint8).reshape(height, width, 2 * channels)
    out = np.empty((height, 1 + rows[0].size), np.uint8)
    above = np.zeros_like(rows[0])
    for y, row in enumerate(rows):
        left, corner = np.zeros_like(row), np.zeros_like(row)
        left[1:], corner[1:] = row[:-1], above[:-1]
        a, b, c = (part.astype(np.int16) for part in (left, above, corner))
        to_left, to_above, to_corner = abs(b - c), abs(a - c), abs(a + b - 2 * c)
        nearest = np.where((to_left <= to_above) & (to_left <= to_corner), left, above)
        nearest = np.where((to_corner < to_left) & (to_corner < to_above), corner, nearest)
        tried = {1: row - left, 4: row - nearest}
        kind = min(tried, key=lambda one: int(np.abs(tried[one].view(np.int8).astype(np.int16)).sum()))
        out[y, 0], out[y, 1:] = kind, tried[kind].reshape(-1)
        above = row
    return out.tobytes()


def resolution_tags(resolution: Resolution) -> list[tuple[int, int, list[int] | bytes]]:
    """A TIFF file's tags of a resolution."""
    from saidcodec.images.resolution import UNIT_TAG, as_tags

    tags = as_tags(resolution)
    unit = tags.pop(UNIT_TAG)
    terms = [(tag, RATIONAL, [value.numerator, value.denominator]) for tag, value in sorted(tags.items())]
    return [*terms, (UNIT_TAG, SHORT, [unit])]


def write_tiff(pixels: np.ndarray, metadata: Metadata, file: BinaryIO) -> None:
    """Write a TIFF file of one strip, uint16 H×W or H×W×C, packed by zlib with horizontal differences.

    Raises ImageError where it would be too large.
    """
    height, width, channels = (*pixels.shape, 1)[:3]
    cube = pixels.reshape(height, width, channels)
    differences = cube.copy()
    differences[:, 1:] -= cube[:, :-1]
    body = zlib.compress(differences.astype("<u2").tobytes(), LEVEL)
    colours = 3 if channels > 2 else 1
    tags: list[tuple[int, int, list[int] | bytes]] = [
        (256, LONG, [width]),
        (257, LONG, [height]),
        (258, SHORT, [16] * channels),
        (259, SHORT, [8]),  # zlib
        (262, SHORT, [2 if colours == 3 else 1]),
        (273, LONG, [8]),  # where the strip begins
        (277, SHORT, [channels]),
        (278, LONG, [height]),
        (279, LONG, [len(body)]),
        *(resolution_tags(metadata.resolution) if metadata.resolution else []),
        (317, SHORT, [2]),  # horizontal differences
        *([(338, SHORT, [2])] if channels > colours else []),  # alpha
        *([(XMP_TAG, BYTES, metadata.xmp)] if metadata.xmp else []),
        *([(ICC_TAG, BYTES, metadata.icc)] if metadata.icc else []),
    ]
    start = 8 + len(body) + len(body) % 2
    at = start + 2 + 12 * len(tags) + 4
    entries, values = b"", b""
    for tag, kind, value in tags:
        packed = value if isinstance(value, bytes) else struct.pack(f"<{len(value)}{CODES[kind]}", *value)
        count = len(value) // (1 + (kind == RATIONAL))
        entry = packed.ljust(4, b"\0")
        if len(packed) > 4:
            entry = struct.pack("<I", (at + len(values)) % TIFF_LIMIT)
            values += packed + b"\0" * (len(packed) % 2)
        entries += struct.pack("<HHI", tag, kind, count) + entry
    if at + len(values) >= TIFF_LIMIT:
        raise ImageError("The image is too large for a TIFF file; .png can hold it.")
    file.write(struct.pack("<2sHI", b"II", 42, start) + body + b"\0" * (len(body) % 2))
    file.write(struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0) + values)
