"""TIFF files of one or several pages, of which some have 16 bits a sample: Pillow writes such of grey images
alone."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import BinaryIO

import numpy as np

from saidcodec.errors import ImageError
from saidcodec.format.header import Metadata, Mode
from saidcodec.images.holding import advice
from saidcodec.images.tags import EXIF_IFD, GPS_IFD, ICC_TAG, file_tags, with_valid_exif
from saidcodec.picture import Picture

LEVEL = 6  # of zlib
STRIP_BYTES = 1 << 20  # before they are packed
FIRST_LINK, HEADER_BYTES, TAG_BYTES = 4, 8, 12  # a link says where a directory begins
LIMIT = 1 << 32  # bytes of a file
# Tags of the pixels, and their values
WIDTH, HEIGHT, BITS, COMPRESSION, COLOURS = 256, 257, 258, 259, 262
STRIPS, CHANNELS, ROWS, LENGTHS, PREDICTOR, MORE_CHANNELS = 273, 277, 278, 279, 317, 338
ZLIB, DIFFERENCES, ALPHA = 8, 2, 2
GREY, RGB, INKS = 1, 2, 5


def write(pages: Sequence[Picture], file: BinaryIO) -> list[Metadata]:
    """Write images, uint8 or uint16 H×W or H×W×C, as pages; returns the metadata that was written of each.

    Metadata that is no valid EXIF is left out with a SaidWarning.  Raises ImageError where the file would be
    too large, or where a page has grey and alpha of 16 bits, which few programs read.
    """
    file.write(struct.pack("<2sHI", b"II", 42, 0))
    link, at, written = FIRST_LINK, HEADER_BYTES, list[Metadata]()
    for page in pages:
        if page.pixels.dtype == np.uint16 and page.pixels.shape[2:] == (2,):
            sentence = "TIFF cannot hold grey and alpha of 16 bits a sample in a way that programs read"
            raise ImageError(f"{sentence}; {advice(pages)}.")
        metadata = with_valid_exif(page.metadata, "TIFF")
        strips = [*strips_of(page.pixels)]
        directory, count = directory_of(page, metadata, [*map(len, strips)], at)
        body = b"".join([directory, *strips])
        body += b"\0" * (len(body) % 2)
        if at + len(body) >= LIMIT:
            raise ImageError("The pages are too large for one TIFF file; --frame takes one of them.")
        file.write(body)
        file.seek(link)
        file.write(struct.pack("<I", at))
        file.seek(0, os.SEEK_END)
        link, at = at + 2 + TAG_BYTES * count, at + len(body)
        written.append(metadata)
    return written


def strips_of(pixels: np.ndarray) -> Iterator[bytes]:
    """Some rows at a time of an image: differences of neighbours, packed by zlib."""
    cube = pixels.reshape(*pixels.shape[:2], -1)
    rows = rows_of(cube)
    for top in range(0, len(cube), rows):
        differences = cube[top : top + rows].copy()
        differences[:, 1:] -= cube[top : top + rows, :-1]
        yield zlib.compress(differences.astype(differences.dtype.newbyteorder("<")).tobytes(), LEVEL)


def rows_of(cube: np.ndarray) -> int:
    """Rows of a strip of an image [h, w, channels]."""
    return min(len(cube), max(1, STRIP_BYTES // cube[0].nbytes))


def directory_of(page: Picture, metadata: Metadata, lengths: list[int], at: int) -> tuple[bytes, int]:
    """The directory of a page that begins at a byte of the file, and how many tags it has.

    The page's strips, of these lengths, follow it.
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    pixels = page.pixels
    height, width, channels = (*pixels.shape, 1)[:3]
    if page.presentation.mode == Mode.CMYK:
        colours, meaning = 4, INKS
    else:
        colours, meaning = (3, RGB) if channels > 2 else (1, GREY)
    tags, found = ImageFileDirectory_v2(), file_tags(metadata)
    for tag in found:
        tags[tag] = found.get_ifd(tag) if tag in (EXIF_IFD, GPS_IFD) else found[tag]
    tags[WIDTH], tags[HEIGHT] = width, height
    tags[BITS] = (8 * pixels.itemsize,) * channels
    tags[COMPRESSION], tags[PREDICTOR] = ZLIB, DIFFERENCES
    tags[COLOURS] = meaning
    tags[CHANNELS] = channels
    tags[ROWS] = rows_of(pixels)
    tags[LENGTHS] = lengths
    tags[STRIPS] = [*accumulate(lengths[:-1], initial=0)]  # counted from the end of the directory
    if channels > colours:
        tags[MORE_CHANNELS] = ALPHA
    if metadata.icc:
        tags[ICC_TAG] = metadata.icc
    return tags.tobytes(at), len(tags)
