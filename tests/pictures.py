"""Images, metadata and files that several tests of images use."""

import io
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from saidcodec import images
from saidcodec.format.header import Metadata
from saidcodec.format.presentation import Presentation
from saidcodec.picture import Picture

RNG = np.random.default_rng(5)
SHAPES = {"L": (5, 7), "LA": (5, 7, 2), "RGB": (5, 7, 3), "RGBA": (5, 7, 4)}
XMP = b'<?xpacket begin="\xef\xbb\xbf"?><x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
ORIENTED = 6


def picture_of(pixels: np.ndarray, metadata: Metadata | None = None) -> Picture:
    return Picture(*images.from_array(pixels), metadata or Metadata())


def frame_of(pixels: np.ndarray, mode: str, metadata: Metadata, duration: float = 0) -> Picture:
    """One of several frames."""
    return Picture(pixels, Presentation(mode), metadata, duration)


def pixels_of(mode: str) -> np.ndarray:
    return RNG.integers(0, 256, SHAPES[mode]).astype(np.uint8)


@cache
def icc() -> bytes:
    """A profile, which has the time when it was made."""
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(**more: Any) -> bytes:
    tags = Image.Exif()
    tags[0x010F] = "A camera"
    tags[0x0112] = ORIENTED
    tags.get_ifd(0x8769)[0x9003] = "2001:02:03 04:05:06"
    return tags.tobytes()


def reopened(image: Image.Image, name: str, **options: Any) -> Image.Image:
    file = io.BytesIO()
    image.save(file, name, **options)
    return Image.open(io.BytesIO(file.getvalue()))


def seen(image: Image.Image) -> np.ndarray:
    """What is visible of an image: RGBA, with the colour of transparent pixels wiped out."""
    shown = np.array(image.convert("RGBA"))
    shown[shown[..., 3] == 0] = 0
    return shown


def animation() -> Image.Image:
    frames = [Image.new("RGB", (4, 4), (80 * i, 0, 0)) for i in range(3)]
    return reopened(frames[0], "GIF", save_all=True, append_images=frames[1:])


def deep_png() -> bytes:
    """A PNG of one pixel with 16 bits a channel, which Pillow would show as 8-bit RGB."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compress(b"\0" + b"\x12\x34" * 3)
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def source_with_metadata(name: str) -> Image.Image:
    image = Image.fromarray(RNG.integers(0, 256, (8, 8, 3)).astype(np.uint8))
    options: dict[str, Any] = {"icc_profile": icc(), "exif": exif(), "xmp": XMP}
    if name == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP)
        options["pnginfo"] = info
    if name == "TIFF":
        tags = Image.Exif()
        tags.load(exif())
        del tags[0x0112]  # Pillow turns a TIFF file's pixels itself
        tags[700] = XMP
        options["exif"] = tags
    return reopened(image, name, **options)
