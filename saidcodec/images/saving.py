"""Pixels and metadata → files of other formats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from saidcodec.errors import FileError, ImageError, reason, warn_of_loss
from saidcodec.format.header import Metadata, Mode
from saidcodec.images.metadata import INFO_KEYS, METADATA_NAMES, info_of
from saidcodec.images.modes import palette_of, pillow_of, visible
from saidcodec.images.opening import open_image
from saidcodec.images.tags import EXIF_PREFIX, XMP_TAG, descriptive_tags, parsed_exif
from saidcodec.picture import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

STRIP = 256  # rows that are compared at a time, for the sake of memory
FORMATS_THAT_READ_EXIF = ("TIFF", "AVIF")  # others write its bytes whatever they are
LOSSLESS_FORMATS, CMYK_FORMATS = ".png, .webp and .tif", ".tif"


def format_of(target: str) -> str:
    """Pillow's name of the format that a path's suffix asks for; PNG for "-".  Raises FileError."""
    suffix = Path(target).suffix.lower()
    if target == "-" or suffix == ".png":
        return "PNG"
    from PIL import Image

    Image.preinit()  # the common formats; the others take a tenth of a second
    if suffix not in Image.EXTENSION:
        Image.init()
    name = Image.EXTENSION.get(suffix)
    if name is None or name not in Image.SAVE:
        raise FileError(f"{target}: there is no image format with the suffix {suffix or '(none)'} to write.")
    return name


def to_pillow(picture: Picture) -> Image:
    """A Pillow image that carries the metadata in ``info``."""
    image = pillow_of(picture.pixels, picture.presentation)
    image.info.update(info_of(picture.metadata))
    return image


def save_exactly(picture: Picture, file: BinaryIO, name: str) -> None:
    """``save``, then read back and compare.

    Raises ImageError where the format does not give the same pixels back.  What it does not keep of the
    metadata is named by a SaidWarning.
    """
    picture = save(picture, file, name)
    wanted = to_pillow(picture)
    try:
        back = open_image(file, name)
        back.load()
        turned = turned_as(back, wanted)
        same = same_pixels(back, turned)
    except (ImageError, OSError, ValueError):
        same = False
    if not same:
        kind = f"{wanted.width}×{wanted.height} {wanted.mode} image"
        raise ImageError(
            f"{name} cannot hold this {kind} exactly; {formats_for(wanted)} can, and --lossy allows the loss."
        )
    kept = {*back.info, *(wanted.info if name == "TIFF" else ())}  # TIFF has tags for all of them
    lost = [METADATA_NAMES[part] for part, key in INFO_KEYS.items() if key in wanted.info and key not in kept]
    if wanted.mode == "P" and not same_palette(back, turned):
        lost.insert(0, "palette")
    if lost:
        warn_of_loss(f"{name} does not keep the image's {' and '.join(lost)}.")


def same_pixels(image: Image, wanted: Image) -> bool:
    """Whether every visible and hidden sample is the same; an opaque alpha may come and go."""
    if image.size != wanted.size:
        return False
    image, wanted = visible(image), visible(wanted)
    if image.mode != wanted.mode:
        if Mode.CMYK in (image.mode, wanted.mode):  # inks are no light
            return False
        image, wanted = image.convert("RGBA"), wanted.convert("RGBA")
    strips = [(0, y, image.width, min(y + STRIP, image.height)) for y in range(0, image.height, STRIP)]
    return all(image.crop(strip).tobytes() == wanted.crop(strip).tobytes() for strip in strips)


def same_palette(image: Image, wanted: Image) -> bool:
    """Whether an image has the indices and the palette of another of mode P; more entries do not count."""
    if image.mode != "P":
        return False
    pixels, own = np.asarray(image), np.asarray(wanted)
    shown, entries = (palette_of(one, int(own.max())).shown() for one in (image, wanted))
    return np.array_equal(pixels, own) and np.array_equal(shown[: len(entries)], entries)


def formats_for(image: Image) -> str:
    """The suffixes of formats that hold such an image."""
    return CMYK_FORMATS if image.mode == Mode.CMYK else LOSSLESS_FORMATS


def turned_as(back: Image, image: Image) -> Image:
    """``image`` as Pillow shows it when it reads ``back``: of TIFF files it turns the pixels itself."""
    exif = image.info.get("exif", b"")
    if back.format != "TIFF" or parsed_exif(exif.removeprefix(EXIF_PREFIX)) is None:
        return image
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def save(picture: Picture, file: BinaryIO, name: str) -> Picture:
    """Write an image in Pillow's format ``name``, losslessly where it can; returns what was written.

    Metadata that is no valid EXIF is left out with a SaidWarning where the format needs it to be valid.
    Raises ImageError.
    """
    metadata = picture.metadata
    if metadata.exif and name in FORMATS_THAT_READ_EXIF and parsed_exif(metadata.exif) is None:
        warn_of_loss(f"{name} cannot hold the image's EXIF: it is not valid.")
        metadata = replace(metadata, exif=b"")
        picture = picture._replace(metadata=metadata)
    image = to_pillow(picture)
    try:
        image.save(file, name, **saving_options(metadata, name, image.size))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's writers raise nearly everything on what they do not know
        if isinstance(error, OSError) and error.errno is not None:  # the disk's fault, not the format's
            raise
        sentence = f"A {image.mode} image cannot be written as {name}: {reason(error)}"
        raise ImageError(f"{sentence}; {formats_for(image)} can hold it.") from None
    return picture


def saving_options(metadata: Metadata, name: str, size: tuple[int, int]) -> dict[str, Any]:
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
    if name in ("JPEG", "MPO"):
        options.update(quality=95)
    if name == "AVIF":  # exact for most grey images
        options.update(quality=100, subsampling="4:4:4")
    if name == "ICO":
        options.update(sizes=[size])
    return options


def tiff_options(metadata: Metadata) -> dict[str, Any]:
    """TIFF keeps EXIF and XMP among its own tags."""
    from PIL import Image

    parsed = parsed_exif(metadata.exif) if metadata.exif else None
    tags = descriptive_tags(parsed) if parsed else Image.Exif()
    if metadata.xmp:
        tags[XMP_TAG] = metadata.xmp
    return {"exif": tags} if len(tags) else {}
