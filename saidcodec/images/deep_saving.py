"""Samples of uint16 → 16-bit PNG and TIFF files; Pillow writes such of grey images alone."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from saidcodec.errors import ImageError, SaidError, warn_of_loss
from saidcodec.format.header import MODES, Metadata
from saidcodec.format.presentation import Presentation
from saidcodec.images.holding import advice
from saidcodec.images.metadata import lost_parts, with_comment_as_text
from saidcodec.images.tags import ORIENTATION_TAG, parsed_exif
from saidcodec.picture import Picture

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels
LEVEL = 6  # of zlib
MOST_CHUNK = 1 << 20  # bytes of pixels in one
FORMATS = ("PNG", "TIFF")  # that hold such samples
# How pixels are shown, by the orientation in EXIF
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
}


def save(picture: Picture, file: BinaryIO, name: str) -> Metadata:
    """Write an image, uint16 H×W or H×W×C, in the format that Pillow calls ``name``; returns the metadata
    written.  In a TIFF file a key becomes alpha.  What the format does not keep is named by a SaidWarning.
    Raises ImageError."""
    pixels, metadata = picture.pixels, picture.metadata
    if name == "PNG":
        write_png(pixels, picture.presentation.key, metadata, file)
        if metadata.texts or metadata.comment or metadata.resolution or metadata.chunks:
            from saidcodec.images import png_chunks

            channels = pixels.shape[2] if pixels.ndim > 2 else 1
            png_chunks.insert(file, with_comment_as_text(metadata._replace(xmp=b"")), MODES[channels - 1])
        return metadata
    if name != "TIFF":
        sentence = f"{name} cannot hold samples of more than 8 bits; {advice([picture])}"
        raise ImageError(f"{sentence}{', and --lossy allows the loss' * holds_bytes(picture, name)}.")
    from saidcodec.images import deep_tiff  # which few files need

    return deep_tiff.write([picture.with_alpha()], file)[0]


def save_exactly(picture: Picture, file: BinaryIO, name: str) -> None:
    """``save``, then read back and compare.  Raises ImageError."""
    from saidcodec.images.reading import from_file

    written = save(picture, file, name)
    file.seek(0)
    try:
        back = from_file(file.read(), None)
    except SaidError as error:
        raise ImageError(f"The {name} file that was written cannot be read: {error}") from None
    wanted = picture.with_alpha() if name == "TIFF" else picture
    pixels = turned(wanted) if name == "TIFF" else wanted.pixels
    if not same_pixels(back.pixels, pixels) or back.presentation != wanted.presentation:
        raise ImageError(f"{name} does not give the image back.")
    if lost := lost_parts(written, back.metadata):
        warn_of_loss(f"{name} does not keep the image's {' and '.join(lost)}.")


def in_bytes(picture: Picture) -> Picture:
    """The upper eight bits of each sample; a key becomes alpha, since more colours have its upper bits."""
    picture = picture.with_alpha()
    pixels = (picture.pixels >> 8).astype(np.uint8)
    channels = pixels.shape[2] if pixels.ndim > 2 else 1
    return picture._replace(pixels=pixels, presentation=Presentation(MODES[channels - 1]))


def holds_bytes(picture: Picture, name: str) -> bool:
    """Whether a format can hold the upper eight bits."""
    from saidcodec.images import saving

    try:
        saving.write(in_bytes(picture._replace(pixels=picture.pixels[:1, :1])), io.BytesIO(), name)
    except ImageError:
        return False
    return True


def same_pixels(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two images have the same samples of the same type."""
    return one.dtype == other.dtype and np.array_equal(one, other)


def turned(picture: Picture) -> np.ndarray:
    """The pixels as Pillow shows them when it reads a TIFF file with the picture's EXIF."""
    exif = picture.metadata.exif
    tags = parsed_exif(exif) if exif else None
    turn = TURNS.get(tags.get(ORIENTATION_TAG, 1)) if tags else None
    return picture.pixels if turn is None else turn(picture.pixels)


def write_png(pixels: np.ndarray, key: tuple[int, ...] | None, metadata: Metadata, file: BinaryIO) -> None:
    """Write a PNG file, uint16 H×W or H×W×C; ``key``: the colour that stands for transparency."""
    height, width, channels = (*pixels.shape, 1)[:3]
    header = struct.pack(">IIBBBBB", width, height, 16, PNG_COLOURS[channels], 0, 0, 0)
    chunks = [(b"IHDR", header)]
    if metadata.icc:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp))
    if key:
        chunks.append((b"tRNS", struct.pack(f">{len(key)}H", *key)))
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
