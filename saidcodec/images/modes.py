"""Modes of Pillow images ⇄ presentations of .said files: palettes, keys, what has to be converted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from saidcodec.errors import ImageError, warn_of_loss
from saidcodec.format.form import MOST_KEY
from saidcodec.format.header import MODES, Mode
from saidcodec.format.presentation import Presentation
from saidcodec.images.arrays import from_array

if TYPE_CHECKING:
    from PIL.Image import Image

    from saidcodec.format.palette import Palette

GREY = ("I;16", "I;16L", "I;16B", "I;16N")  # with 16 bits a sample
EQUIVALENT = {"La": "LA", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB"}
KEYED = {"1": 1, "L": 1, "RGB": 3}  # modes of 8 bits in which a colour may be transparent, and its numbers
ENTRIES = 256  # as many as an index can name
TRANSPARENCY = "transparency"  # Pillow's name of a key, and of what is transparent in a palette


Present = Callable[["Image"], tuple[np.ndarray, Presentation]]


def presented(image: Image) -> tuple[np.ndarray, Presentation]:
    """The samples of a loaded image, and what they mean.

    What Pillow shows in a mode that cannot be encoded is converted where no visible pixel changes.  What
    cannot be kept is named by a SaidWarning.  Raises ImageError.
    """
    if image.mode == "P":
        indices = np.array(image)
        return indices, Presentation("P", palette_of(image, int(indices.max())))
    if image.mode == "PA":
        warn_of_loss("The image's palette is not kept: its mode PA comes back as RGBA.")
    if image.mode in EQUIVALENT:
        image = image.convert(EQUIVALENT[image.mode])
    if image.mode not in (*MODES, "1", Mode.CMYK):
        raise ImageError(f"Images of mode {image.mode} (not 8-bit grey, RGB or CMYK) cannot be encoded yet.")
    pixels, _ = from_array(np.asarray(image))
    return pixels, Presentation(image.mode, key=key_of(image))


def in_colours(image: Image) -> Image:
    """The image in one of MODES, with every visible pixel as it was.  Raises ImageError."""
    image = visible(image)
    if image.mode in EQUIVALENT:
        image = image.convert(EQUIVALENT[image.mode])
    if image.mode not in MODES:
        raise ImageError(f"Several frames of mode {image.mode} cannot be encoded yet.")
    return image


def palette_of(image: Image, last: int) -> Palette:
    """The palette of an image of mode P, up to its last entry or the largest index."""
    from saidcodec.format.palette import Palette  # which few images have

    channels = len(image.im.getpalettemode())
    mode = "RGBA" if channels == 4 else "RGB"
    colours = bytes(image.im.getpalette(mode, mode))
    if len(colours) <= last * channels:  # Pillow shows something there, too
        every = image.crop((0, 0, 1, 1)).resize((ENTRIES, 1))
        every.frombytes(bytes(range(ENTRIES)))
        every.info.pop(TRANSPARENCY, None)
        shown = every.convert(mode).tobytes()
        colours += shown[len(colours) : (last + 1) * channels]
    count = len(colours) // channels
    transparency = image.info.get(TRANSPARENCY)
    if isinstance(transparency, int) and not 0 <= transparency < count:
        transparency = None  # nothing is
    if isinstance(transparency, bytes):
        transparency = transparency[:count] or None
    elif transparency is not None and not isinstance(transparency, int):
        warn_of_loss("The image's transparency cannot be kept: it is none that a palette has.")
        transparency = None
    return Palette(colours, channels, transparency)


def key_of(image: Image) -> tuple[int, ...] | None:
    """The colour that stands for transparency in an image without alpha and palette."""
    found = image.info.get(TRANSPARENCY)
    numbers = 1 if image.mode in GREY else KEYED.get(image.mode)
    if numbers is None or found is None:
        return None
    key = (found,) if isinstance(found, int) else tuple(found)
    if len(key) != numbers or not all(isinstance(n, int) and 0 <= n <= MOST_KEY for n in key):
        warn_of_loss("The image's transparency cannot be kept: it is no colour.")
        return None
    return key


def pillow_of(pixels: np.ndarray, presentation: Presentation) -> Image:
    """Samples and what they mean → a Pillow image."""
    from PIL import Image

    if presentation.mode in ("P", Mode.CMYK):
        size = pixels.shape[1], pixels.shape[0]
        image = Image.frombytes(presentation.mode, size, np.ascontiguousarray(pixels).data)
    else:
        image = Image.fromarray(pixels)
    if palette := presentation.palette:
        image.putpalette(palette.colours, "RGBA" if palette.channels == 4 else "RGB")
    image.info.update(transparency_of(presentation))
    return image


def transparency_of(presentation: Presentation) -> dict[str, int | bytes | tuple[int, ...]]:
    """What is transparent, if anything is, under Pillow's name."""
    found: int | bytes | tuple[int, ...] | None = presentation.key
    if presentation.palette:
        found = presentation.palette.transparency
    elif presentation.key is not None and len(presentation.key) == 1:
        found = presentation.key[0]
    return {} if found is None else {TRANSPARENCY: found}


def visible(image: Image) -> Image:
    """The image without a palette, a key and bits, with every visible pixel as it was."""
    if image.mode == "P":
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode in KEYED and TRANSPARENCY in image.info:
        return image.convert("RGBA" if image.mode == "RGB" else "LA")
    return image.convert("L") if image.mode == "1" else image
