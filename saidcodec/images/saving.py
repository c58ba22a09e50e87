"""Pixels and metadata → files of other formats."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from saidcodec.errors import FileError, ImageError, reason, warn_of_loss
from saidcodec.format.header import Metadata, Mode, Resolution
from saidcodec.images import deep_saving
from saidcodec.images.holding import advice
from saidcodec.images.metadata import (
    comment_for,
    info_of,
    lost_parts,
    metadata_of,
    png_chunks_of,
    with_comment_as_text,
)
from saidcodec.images.modes import palette_of, pillow_of, visible
from saidcodec.images.opening import open_image
from saidcodec.images.tags import EXIF_PREFIX, file_tags, parsed_exif, with_valid_exif
from saidcodec.picture import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

STRIP_PIXELS = 1 << 20  # that are compared at a time, for the sake of memory
FORMATS_THAT_READ_EXIF = ("TIFF", "AVIF")  # others write its bytes whatever they are
JPEG = ("JPEG", "MPO")
JPEG_START, JFIF_DENSITY = b"\xff\xd8\xff\xe0", 13  # the first markers, and where the resolution stands
MOST_JPEG_COMMENT = 65533  # bytes of a marker, less its length
FORMATS_WITH_ALPHA = ("TIFF", "WEBP")  # in which nothing else, such as a palette, makes pixels transparent
NO_SUCH_MODE = "cannot write mode "  # how Pillow begins to say what the sentence around it says already


def format_of(target: str) -> str:
    """Pillow's name of the format that a path's suffix asks for; PNG for "-".  Raises FileError."""
    suffix = os.path.splitext(target)[1].lower()
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


def save_any(frames: Sequence[Picture], plays: int, file: BinaryIO, name: str, lossy: bool) -> None:
    """``save`` or, unless it may be ``lossy``, ``save_exactly`` of one frame; of several ``save_frames``."""
    if len(frames) > 1:
        from saidcodec.images.saving_frames import save_frames

        save_frames(frames, plays, file, name, lossy=lossy)
    elif lossy:
        save(frames[0], file, name)
    else:
        save_exactly(frames[0], file, name)


def save_exactly(picture: Picture, file: BinaryIO, name: str) -> None:
    """``save``, then read back and compare.

    Raises ImageError where the format does not give the same pixels back.
    """
    if picture.pixels.dtype == np.uint16:
        deep_saving.save_exactly(picture, file, name)
        return
    written = write(picture, file, name)
    file.flush()  # a full disk is not the format's fault
    wanted = to_pillow(written)
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
            f"{name} cannot hold this {kind} exactly; {advice([picture])}, and --lossy allows the loss."
        )
    palette = picture.presentation.palette and not (turned.mode == "P" and same_palette(back, turned))
    warn_of_lost_parts(written.metadata, back, file, name, ["palette"] if palette else [])


def save(picture: Picture, file: BinaryIO, name: str) -> None:
    """Write an image in Pillow's format ``name``, losslessly where it can.

    Of samples of 16 bits a format of 8 gets the upper ones, and JPEG the colours of a palette.  What the
    format does not keep of the metadata is named by a SaidWarning.  Raises ImageError.
    """
    if picture.presentation.palette and name in JPEG:
        picture = picture.smooth()
    if picture.pixels.dtype == np.uint16 and name not in deep_saving.FORMATS:
        picture = deep_saving.in_bytes(picture)
    metadata = write(picture, file, name).metadata
    if metadata != Metadata():
        with suppress(ImageError, OSError, ValueError):
            back = open_image(file, name)
            back.load()
            warn_of_lost_parts(metadata, back, file, name)


def warn_of_lost_parts(
    metadata: Metadata, back: Image, file: BinaryIO, name: str, others: Sequence[str] = ()
) -> None:
    """Name what an image that was read back lacks of its metadata, after ``others`` that it lacks."""
    found: Sequence[str] = ()
    if metadata != Metadata():
        file.seek(0)
        png = png_chunks_of(file.read()) if name == "PNG" else None
        if name in JPEG and metadata.resolution:
            from saidcodec.images.resolution import is_square

            if is_square(metadata.resolution):  # which is written, but not read
                metadata = metadata._replace(resolution=None)
        found = lost_parts(metadata, metadata_of(back, png))
    if lost := [*others, *found]:
        *most, last = lost
        warn_of_loss(f"{name} does not keep the image's {' and '.join([', '.join(most), last][not most :])}.")


def same_pixels(image: Image, wanted: Image) -> bool:
    """Whether every visible and hidden sample is the same; an opaque alpha may come and go."""
    if image.size != wanted.size:
        return False
    image, wanted = visible(image), visible(wanted)
    if image.mode != wanted.mode:
        if Mode.CMYK in (image.mode, wanted.mode):  # inks are no light
            return False
        image, wanted = image.convert("RGBA"), wanted.convert("RGBA")
    rows = max(1, STRIP_PIXELS // image.width)
    strips = [(0, y, image.width, min(y + rows, image.height)) for y in range(0, image.height, rows)]
    return all(image.crop(strip).tobytes() == wanted.crop(strip).tobytes() for strip in strips)


def same_palette(image: Image, wanted: Image) -> bool:
    """Whether an image has the indices and the palette of another of mode P; more entries do not count."""
    if image.mode != "P":
        return False
    pixels, own = np.asarray(image), np.asarray(wanted)
    shown, entries = (palette_of(one, int(own.max())).shown() for one in (image, wanted))
    return np.array_equal(pixels, own) and np.array_equal(shown[: len(entries)], entries)


def turned_as(back: Image, image: Image) -> Image:
    """``image`` as Pillow shows it when it reads ``back``: of TIFF files it turns the pixels itself."""
    exif = image.info.get("exif", b"")
    if back.format != "TIFF" or parsed_exif(exif.removeprefix(EXIF_PREFIX)) is None:
        return image
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def write(picture: Picture, file: BinaryIO, name: str) -> Picture:
    """Write an image in Pillow's format ``name``, losslessly where it can; returns what was written.

    What is transparent by a palette or a key becomes so by alpha where the format has nothing else.
    Metadata that is no valid EXIF is left out with a SaidWarning where the format needs it to be valid.
    Raises ImageError.
    """
    metadata = picture.metadata
    if picture.pixels.dtype == np.uint16:
        return picture._replace(metadata=deep_saving.save(picture, file, name))
    if name in FORMATS_THAT_READ_EXIF:
        metadata = with_valid_exif(metadata, name)
        picture = picture._replace(metadata=metadata)
    if name in FORMATS_WITH_ALPHA:
        picture = picture.with_alpha()
    image = pillow_of(picture.pixels, picture.presentation)  # no metadata: some writers take from it
    try:
        options = saving_options(metadata, name, image.size)
        if name == "PNG":
            if image.mode == "1" and image.info.get("transparency"):  # 255 for Pillow, which would write that
                options["transparency"] = 1
            image.save(Written(file, "image.png"), **options)
        elif name == "JPEG2000":  # whose writer goes on for ever where it cannot write
            buffer = io.BytesIO()
            image.save(buffer, name, **options)
            file.write(buffer.getvalue())
        else:
            image.save(Written(file), name, **options)
    except MemoryError:
        raise
    except Exception as error:  # Pillow's writers raise nearly everything on what they do not know
        if isinstance(error, OSError) and error.errno is not None:  # the disk's fault, not the format's
            raise
        sentence = f"{name} cannot hold an image of mode {image.mode}{why(error)}"
        raise ImageError(f"{sentence}; {advice([picture])}.") from None
    if name == "PNG":
        add_png_chunks(metadata, file, image.mode)
    if name in JPEG and metadata.resolution:
        set_jfif_resolution(metadata.resolution, file)
    return picture


def why(error: Exception) -> str:
    """What a writer of Pillow's says on purpose, and no sentence has said before, after a colon."""
    said = isinstance(error, (OSError, ValueError)) and not reason(error).startswith(NO_SUCH_MODE)
    return f": {reason(error)}" if said else ""


class Written:
    """What Pillow writes to.  ``name`` tells it the format, so that no writers of other formats are loaded.

    It has no ``fileno``, by which Pillow does not notice where a full disk takes a part of the bytes alone.
    """

    def __init__(self, file: BinaryIO, name: str = ""):
        self.file, self.name = file, name

    def __getattr__(self, attribute: str) -> Any:
        if attribute == "fileno":
            raise AttributeError(attribute)
        return getattr(self.file, attribute)


def saving_options(metadata: Metadata, name: str, size: tuple[int, int]) -> dict[str, Any]:
    """Arguments of Pillow's ``save`` that keep the metadata, and the pixels as far as the format can."""
    info = info_of(metadata._replace(texts=()))
    options: dict[str, Any] = {key: info[key] for key in ("icc_profile", "exif", "xmp") if key in info}
    if name == "PNG":
        options.pop("xmp", None)  # a text, see add_png_chunks
    if name == "BMP" and "dpi" in info:
        options["dpi"] = info["dpi"]
    comment = comment_for(metadata) if name in (*JPEG, "GIF") else b""
    if comment and not (name in JPEG and len(comment) > MOST_JPEG_COMMENT):
        options["comment"] = comment
    if name == "TIFF" and len(tags := file_tags(metadata)):
        options["exif"] = tags
    if name == "WEBP":
        options.update(lossless=True, exact=True)
        if metadata.resolution and not metadata.exif:
            options["exif"] = file_tags(Metadata(resolution=metadata.resolution))
    if name in JPEG:
        options.update(quality=95)
    if name == "AVIF":  # exact for most grey images
        options.update(quality=100, subsampling="4:4:4")
    if name == "ICO":
        options.update(sizes=[size])
    return options


def add_png_chunks(metadata: Metadata, file: BinaryIO, mode: str) -> None:
    """Put in what Pillow does not write: resolution, texts, XMP, the comment and chunks about colours."""
    if metadata.texts or metadata.comment or metadata.xmp or metadata.resolution or metadata.chunks:
        from saidcodec.images import png_chunks

        png_chunks.insert(file, with_comment_as_text(metadata), mode)


def set_jfif_resolution(resolution: Resolution, file: BinaryIO) -> None:
    """Write a resolution into a JPEG file, exactly: Pillow would round it to pixels an inch."""
    from saidcodec.images.resolution import as_jfif

    file.seek(0)
    head = file.read(JFIF_DENSITY)
    if head.startswith(JPEG_START) and head[6:11] == b"JFIF\0":
        unit, across, down = as_jfif(resolution)
        file.write(struct.pack(">BHH", unit, across, down))
