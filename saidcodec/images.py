"""Pillow images ⇄ arrays: which images can be encoded, and how they come back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saidcodec.container import MODES, MOST_PIXELS, Metadata
from saidcodec.errors import ImageError, LimitError

if TYPE_CHECKING:
    from PIL.Image import Image

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
EQUIVALENT = {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB"}


def from_any(image: Any) -> tuple[np.ndarray, str, Metadata]:
    """A Pillow image or an array → (uint8 pixels H×W or H×W×C, mode, metadata).  Raises ImageError."""
    if isinstance(image, np.ndarray):
        return (*from_array(image), Metadata())
    return from_pillow(image)


def from_array(pixels: np.ndarray) -> tuple[np.ndarray, str]:
    """Check a uint8 array H×W, H×W×1, ×2, ×3 or ×4.  Raises ImageError."""
    if pixels.dtype != np.uint8:
        raise ImageError(f"Only 8-bit images can be encoded, not arrays of {pixels.dtype}.")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    channels = 1 if pixels.ndim == 2 else pixels.shape[-1]
    if pixels.ndim not in (2, 3) or not 1 <= channels <= len(MODES) or not pixels.size:
        raise ImageError(f"An array of shape {pixels.shape} is no image.")
    return pixels, MODES[channels - 1]


def from_pillow(image: Image) -> tuple[np.ndarray, str, Metadata]:
    """An image of Pillow's → (pixels, mode, metadata).  Raises ImageError, LimitError."""
    if getattr(image, "n_frames", 1) > 1:
        raise ImageError("Animations and images of several pages cannot be encoded yet.")
    if image.width * image.height > MOST_PIXELS:
        raise LimitError(f"The image has {image.width}×{image.height} pixels; the limit is {MOST_PIXELS}.")
    metadata = metadata_of(image)
    try:
        image = in_mode(image)
        pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"The image cannot be read: {error}.") from None
    return pixels, image.mode, metadata


def in_mode(image: Image) -> Image:
    """The image in one of the modes that can be encoded, with every visible pixel as it was."""
    if image.mode == "P":
        if "transparency" in image.info:
            return image.convert("RGBA")
        return image.convert("RGB")
    if image.mode in ("L", "RGB") and "transparency" in image.info:  # a colour that stands for nothing
        return image.convert("LA" if image.mode == "L" else "RGBA")
    if image.mode in EQUIVALENT:
        return image.convert(EQUIVALENT[image.mode])
    if image.mode not in CHANNELS:
        raise ImageError(f"Images of mode {image.mode} (not 8-bit grey or RGB) cannot be encoded yet.")
    return image


def metadata_of(image: Image) -> Metadata:
    """ICC profile, EXIF and XMP of an open image, as bytes."""
    icc, exif = image.info.get("icc_profile") or b"", image.info.get("exif") or b""
    if not exif and len(image.getexif()):
        exif = image.getexif().tobytes()
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return Metadata(icc, exif, xmp.encode() if isinstance(xmp, str) else xmp)


def open_image(source: Any, name: str) -> Image:
    """Open a binary file, called ``name`` in messages; its pixels are read later.  ImageError, LimitError."""
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # the limit of the format takes the place of Pillow's warning
    try:
        return Image.open(source)
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not an image that Pillow can open.") from None
    except Image.DecompressionBombError:
        raise LimitError(f"{name} has more pixels than the limit of {MOST_PIXELS}.") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"{name} cannot be read as an image: {error}.") from None


def to_pillow(pixels: np.ndarray, metadata: Metadata) -> Image:
    """Pixels uint8 H×W or H×W×C → a Pillow image that carries the metadata in ``info``."""
    from PIL import Image

    image = Image.fromarray(pixels)
    for key, value in (("icc_profile", metadata.icc), ("exif", metadata.exif), ("xmp", metadata.xmp)):
        if value:
            image.info[key] = value
    return image


def mode_of(pixels: np.ndarray) -> str:
    """The mode of uint8 pixels H×W or H×W×C."""
    return MODES[0] if pixels.ndim == 2 else MODES[pixels.shape[2] - 1]


def format_of(target: str) -> str:
    """Pillow's name of the format that a path's suffix asks for; PNG for "-".  Raises ImageError."""
    from PIL import Image

    suffix = Path(target).suffix.lower()
    if target == "-":
        return "PNG"
    name = Image.registered_extensions().get(suffix)
    if name is None or name not in Image.SAVE:
        raise ImageError(f"{target}: Pillow cannot write a format of suffix {suffix or '(none)'}.")
    return name


def save(pixels: np.ndarray, mode: str, metadata: Metadata, file: Any, name: str) -> None:
    """Write an image in Pillow's format ``name``, losslessly where it can.  Raises ImageError."""
    image = to_pillow(pixels, metadata)
    try:
        image.save(file, name, **saving_options(metadata, name))
    except (OSError, ValueError, KeyError) as error:
        raise ImageError(f"An image of mode {mode} cannot be written as {name}: {error}.") from None


def saving_options(metadata: Metadata, name: str) -> dict[str, Any]:
    """Arguments of Pillow's ``save`` that keep the metadata."""
    options: dict[str, Any] = {}
    if metadata.icc:
        options["icc_profile"] = metadata.icc
    if metadata.exif:
        options["exif"] = metadata.exif
    if metadata.xmp:
        if name == "PNG":
            from PIL.PngImagePlugin import PngInfo

            info = PngInfo()
            info.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8", "replace"))
            options["pnginfo"] = info
        else:
            options["xmp"] = metadata.xmp
    if name == "WEBP":
        options.update(lossless=True, exact=True)
    return options
