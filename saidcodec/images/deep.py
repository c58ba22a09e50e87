"""Images of 9 to 16 bits a sample, read with all of them: 16-bit PNG, TIFF, PPM and PGM files, and Pillow
images of mode I;16.

Of colours Pillow gives the upper eight bits alone.  The same reader gives the lower ones where it is told
that the bytes of a sample lie in the other order, so that such a file is read twice.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from saidcodec.errors import ImageError
from saidcodec.images.depth import is_deep
from saidcodec.images.modes import GREY
from saidcodec.images.opening import file_behind, frames_of, opened_from

if TYPE_CHECKING:
    from PIL.Image import Image

OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
READERS = ("zip", "raw", "libtiff")  # of Pillow, which unpack samples of 16 bits by the name of their order
UNREADABLE = "Images of more than 8 bits a sample cannot be encoded yet from files of this kind"
READ_ALREADY = (
    "Pillow has reduced the image from more than 8 bits a sample; "
    "give the file, not yet read, or an array of uint16."
)
ADVICE = "16-bit PNG and TIFF files can, and arrays of uint16"


def deep_array(image: Image) -> np.ndarray | None:
    """The samples of an image of more than 8 bits a sample, uint16 H×W or H×W×C; None of any other image.

    Raises ImageError where Pillow drops bits that cannot be had otherwise.
    """
    if image.mode in GREY:
        image.load()
        return np.asarray(image).astype(np.uint16)
    return read_again(image) if is_deep(image) else None


def read_again(image: Image) -> np.ndarray:
    """The samples of an image that Pillow has opened, but not read.  Raises ImageError."""
    tiles: list[Any] = getattr(image, "tile", [])
    if not tiles:
        raise ImageError(READ_ALREADY)
    page, codec, order = image.tell(), tiles[0][0], order_of(tiles[0])
    if image.mode == "F" or ";32" in order:
        raise ImageError(f"Samples of 32 bits or floating-point ones cannot be encoded; {ADVICE}.")
    if image.format == "PNG" and frames_of(image) > 1:  # which Pillow composes in 8 bits
        raise ImageError("Animations of more than 8 bits a sample cannot be encoded yet; TIFF pages can.")
    if len({(tile[0], order_of(tile)) for tile in tiles}) > 1:  # planes of their own, for example
        raise ImageError(f"{UNREADABLE}; {ADVICE}.")
    with file_behind(image) as file:
        if file is None:
            raise ImageError(f"{UNREADABLE}; {ADVICE}.")
        file.seek(0)
        data = file.read()
    if codec == "ppm":
        return binary_ppm(data, image.size, tiles[0][2])
    if codec == "raw" and image.mode == "I" and order == "I;16B":
        return np.asarray(read_as(data, page, "I", order)).astype(np.uint16)
    if codec == "zip" and order == "LA;16B":  # the four bytes of two samples, as if they were four samples
        bytes_of = np.asarray(read_as(data, page, "RGBA", "RGBA"))
        return bytes_of.copy().view(">u2").astype(np.uint16)
    if codec not in READERS or order[:-1] not in ("RGB;16", "RGBA;16") or image.mode != order[:-4]:
        raise ImageError(f"{UNREADABLE}; {ADVICE}.")
    other = order[:-1] + OTHER_ORDER[order[-1]]
    upper, lower = (
        np.asarray(read_as(data, page, image.mode, one)).astype(np.uint16) for one in (order, other)
    )
    return upper << 8 | lower


def order_of(tile: Any) -> str:
    """The name by which Pillow unpacks a part of a file."""
    args = tile[3]
    return args if isinstance(args, str) else str(args[0])


def read_as(data: bytes, page: int, mode: str, order: str) -> Image:
    """A page of a file, unpacked into a mode as if its samples lay in some order."""
    image = opened_from(io.BytesIO(data))
    assert image is not None
    image.seek(page)
    tiles: list[Any] = getattr(image, "tile", [])
    for number, (codec, extents, offset, args) in enumerate(tiles):
        told = order if isinstance(args, str) else (order, *args[1:])
        tiles[number] = type(tiles[number])(codec, extents, offset, told)
    image._mode = mode
    image.load()
    return image


def binary_ppm(data: bytes, size: tuple[int, int], start: int) -> np.ndarray:
    """The samples of a PGM or PPM file with two bytes a sample.  Raises ImageError."""
    width, height = size
    channels = 3 if data[:2] == b"P6" else 1
    count = width * height * channels
    if data[:2] not in (b"P5", b"P6") or len(data) < start + 2 * count:
        raise ImageError("The image cannot be read: it is cut off.")
    samples = np.frombuffer(data, ">u2", count, start).astype(np.uint16)
    return samples.reshape(height, width) if channels == 1 else samples.reshape(height, width, channels)
