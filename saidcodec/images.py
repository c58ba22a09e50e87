"""Pillow images ⇄ arrays: which images can be encoded, and how they come back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from saidcodec.errors import FileError, ImageError, LimitError
from saidcodec.format.header import MODES, MOST_PIXELS, Metadata

if TYPE_CHECKING:
    from PIL.Image import Exif, Image

EQUIVALENT = {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB"}
# Formats whose further frames are other views of the same photograph.
FIRST_FRAME_IS_ALL = ("MPO",)
# Tags of a TIFF file that say how its pixels are stored, and ICC and XMP: no part of an image's EXIF.
PIXEL_TAGS = (
    *range(254, 260),
    262,
    266,
    273,
    *range(277, 280),
    284,
    317,
    *range(320, 326),
    330,
    338,
    339,
    347,
)
JPEG_TAGS = (*range(512, 522), *range(529, 533))
ICC_TAG, XMP_TAG = 34675, 700
STORAGE_TAGS = frozenset((*PIXEL_TAGS, *JPEG_TAGS, ICC_TAG, XMP_TAG))
EXIF_PREFIX = b"Exif\0\0"


def from_any(image: Any) -> tuple[np.ndarray, str, Metadata]:
    """A Pillow image or an array → (uint8 pixels H×W or H×W×C, mode, metadata).  Raises ImageError."""
    if isinstance(image, np.ndarray):
        return (*from_array(image), Metadata())
    return from_pillow(image)


def from_array(pixels: np.ndarray) -> tuple[np.ndarray, str]:
    """Check a uint8 array H×W, H×W×1, ×2, ×3 or ×4.  Raises ImageError."""
    if pixels.dtype != np.uint8:
        raise ImageError(f"Only 8-bit images can be encoded, not arrays of {pixels.dtype}.")
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] > len(MODES) or not pixels.size:
        raise ImageError(f"An array of shape {pixels.shape} is no image.")
    channels = pixels.shape[2]
    return pixels[..., 0] if channels == 1 else pixels, MODES[channels - 1]


def from_pillow(image: Image) -> tuple[np.ndarray, str, Metadata]:
    """An image of Pillow's → (pixels, mode, metadata).  Raises ImageError, LimitError."""
    if image.width * image.height > MOST_PIXELS:
        raise LimitError(f"The image has {image.width}×{image.height} pixels; the limit is {MOST_PIXELS}.")
    try:
        check_depth(image)
        image.load()  # first of all, because some formats keep their metadata behind the pixels
        metadata = metadata_of(image)
        image = in_mode(image)
        pixels = np.asarray(image)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise nearly everything on damaged files
        raise ImageError(f"The image cannot be read: {reason(error)}.") from None
    if not pixels.size:
        raise ImageError("The image has no pixels.")
    return pixels, image.mode, metadata


def check_depth(image: Image) -> None:
    """Refuse several frames, and more than eight bits a sample where Pillow would drop bits silently."""
    if image.format not in FIRST_FRAME_IS_ALL and getattr(image, "n_frames", 1) > 1:
        raise ImageError("Animations and images of several pages cannot be encoded yet.")
    for tile in getattr(image, "tile", ()):
        codec, args = tile[0], tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        deep_ppm = codec.startswith("ppm") and len(args) > 1 and args[1] > 255
        deep = codec.lower() == "sgi16" or any(
            isinstance(a, str) and re.search(r";16[BLN]$", a) for a in args
        )
        if deep or deep_ppm:
            raise ImageError("Images of more than 8 bits a sample cannot be encoded yet.")


def in_mode(image: Image) -> Image:
    """The image in one of the modes that can be encoded, with every visible pixel as it was."""
    if image.mode == "P":
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode in ("1", "L", "RGB") and "transparency" in image.info:  # a colour that stands for nothing
        return image.convert("RGBA" if image.mode == "RGB" else "LA")
    if image.mode in EQUIVALENT:
        return image.convert(EQUIVALENT[image.mode])
    if image.mode not in MODES:
        raise ImageError(f"Images of mode {image.mode} (not 8-bit grey or RGB) cannot be encoded yet.")
    return image


def metadata_of(image: Image) -> Metadata:
    """ICC profile, EXIF (from its TIFF header on) and XMP of a loaded image, as bytes."""
    info = image.info
    exif = info.get("exif") or b""
    if not exif and (image.format == "TIFF" or "Raw profile type exif" in info):
        tags = descriptive_tags(image.getexif().tobytes())
        exif = tags.tobytes() if len(tags) else b""
    xmp = info.get("xmp") or b""
    return Metadata(
        info.get("icc_profile") or b"",
        exif.removeprefix(EXIF_PREFIX),
        xmp.encode() if isinstance(xmp, str) else xmp,
    )


def descriptive_tags(exif: bytes) -> Exif:
    """EXIF without the tags that say how a TIFF file stores its pixels."""
    from PIL import Image

    tags = Image.Exif()
    tags.load(exif)
    for tag in STORAGE_TAGS.intersection(tags):
        del tags[tag]
    return tags


def open_image(source: Path | BinaryIO, name: str) -> Image:
    """Open a file, called ``name`` in messages; its pixels are read later.  Raises ImageError, LimitError."""
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # the limit of the format takes the place of Pillow's warning
    try:
        return Image.open(source)
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not an image that Pillow can open.") from None
    except Image.DecompressionBombError:
        raise LimitError(f"{name} has more pixels than the limit of {MOST_PIXELS}.") from None
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise ImageError(f"{name} cannot be read as an image: {reason(error)}.") from None


def reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def to_pillow(pixels: np.ndarray, metadata: Metadata) -> Image:
    """Pixels uint8 H×W or H×W×C → a Pillow image that carries the metadata in ``info``."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.info.update(info_of(metadata))
    return image


def info_of(metadata: Metadata) -> dict[str, bytes]:
    """Metadata under Pillow's names."""
    exif = metadata.exif and EXIF_PREFIX + metadata.exif
    named = {"icc_profile": metadata.icc, "exif": exif, "xmp": metadata.xmp}
    return {name: value for name, value in named.items() if value}


def format_of(target: str) -> str:
    """Pillow's name of the format that a path's suffix asks for; PNG for "-".  Raises FileError."""
    from PIL import Image

    if target == "-":
        return "PNG"
    suffix = Path(target).suffix.lower()
    Image.preinit()  # the common formats; the others take a tenth of a second
    if suffix not in Image.EXTENSION:
        Image.init()
    name = Image.EXTENSION.get(suffix)
    if name is None or name not in Image.SAVE:
        raise FileError(f"{target}: there is no image format with the suffix {suffix or '(none)'} to write.")
    return name


def save(pixels: np.ndarray, metadata: Metadata, file: BinaryIO, name: str) -> None:
    """Write an image in Pillow's format ``name``, losslessly where it can.  Raises ImageError."""
    image = to_pillow(pixels, metadata)
    try:
        image.save(file, name, **saving_options(metadata, name))
    except (OSError, ValueError, KeyError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's fault, not the format's
            raise
        raise ImageError(f"A {image.mode} image cannot be written as {name}: {reason(error)}.") from None


def saving_options(metadata: Metadata, name: str) -> dict[str, Any]:
    """Arguments of Pillow's ``save`` that keep the metadata, and the pixels as far as the format can."""
    options: dict[str, Any] = dict(info_of(metadata))
    if metadata.xmp and name == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", options.pop("xmp"))
        options["pnginfo"] = info
    if name == "TIFF":
        options.update(tiff_options(metadata))
    if name == "WEBP":
        options.update(lossless=True, exact=True)
    if name == "JPEG":
        options.update(quality=95)
    return options


def tiff_options(metadata: Metadata) -> dict[str, Any]:
    """TIFF keeps EXIF and XMP among its own tags."""
    from PIL import Image

    tags = descriptive_tags(EXIF_PREFIX + metadata.exif) if metadata.exif else Image.Exif()
    if metadata.xmp:
        tags[XMP_TAG] = metadata.xmp
    return {"exif": tags} if len(tags) else {}
