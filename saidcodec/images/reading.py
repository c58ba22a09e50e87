"""What users give (arrays, Pillow images, files) → pixels, mode and metadata."""

from __future__ import annotations

import io
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from saidcodec import arguments, files
from saidcodec.errors import ImageError, SaidWarning, about, reason
from saidcodec.images.arrays import check_size, from_array
from saidcodec.images.deep import deep_array
from saidcodec.images.metadata import metadata_of, png_chunks_of
from saidcodec.images.modes import Present, key_of, presented
from saidcodec.images.opening import ImageFile, frames_of, open_image
from saidcodec.picture import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

    from saidcodec.images.png_chunks import PngChunks


def from_any(image: Any) -> Picture:
    """Whatever ``encode`` takes.

    ``image``: an array, a Pillow image, or the path or open binary file of one; a Picture, which stays.  Of a
    Pillow image that has several frames the current one is taken, as in Pillow's own ``save``; the first with
    a SaidWarning.
    Raises TypeError, ImageError, LimitError, FileError.
    """
    if isinstance(image, Picture):
        return image
    if isinstance(image, np.ndarray):
        return Picture(*from_array(image))
    from PIL import Image

    if isinstance(image, Image.Image):
        frames = frames_of(image)
        if frames > 1 and image.tell() == 0:  # nobody has chosen a frame
            sentence = f"Only the first of the image's {frames} frames is encoded."
            warnings.warn(sentence, SaidWarning, stacklevel=3)
        return from_pillow(image, whole=False)
    if hasattr(image, "__array_interface__") or hasattr(image, "__array__"):
        return Picture(*from_array(image))
    file = taken(image)
    if isinstance(file, ImageFile):
        return from_file(file.data, file.name)
    raise TypeError(
        "An image must be given as an array of uint8, uint16 or bool, a Pillow image, a path or an open "
        f"binary file, not as {arguments.kind_of(image)}."
    )


def taken(image: Any) -> Any:
    """The contents of a path or of an open binary file; anything else as it is.  Raises FileError."""
    if isinstance(image, (str, os.PathLike)):
        return ImageFile(files.read_path(image), arguments.name_of(image))
    if hasattr(image, "read") and not hasattr(image, "__array_interface__"):
        return ImageFile(arguments.read_open(image), arguments.name_of(image))
    return image


def from_file(data: bytes, name: str | None) -> Picture:
    """The contents of an image file, called ``name`` in messages if it has one.

    Raises ImageError, LimitError.
    """
    with about(name):
        return from_pillow(open_image(io.BytesIO(data), name or "The file"), png=png_chunks_of(data))


def from_pillow(
    image: Image, *, whole: bool = True, present: Present = presented, png: PngChunks | None = None
) -> Picture:
    """An image of Pillow's.  Raises ImageError, LimitError.

    ``whole`` refuses an image that has more frames than the current one.  ``present`` gives the samples of a
    loaded image of 8 bits, and what they mean.  ``png``: what its PNG file says; of an image without one,
    what Pillow tells of it is kept.
    """
    check_size(image.width, image.height)
    try:
        if whole and frames_of(image) > 1:
            raise ImageError("It has several frames; an image of one is needed here.")
        deep = deep_array(image)
        image.load()  # first of all, because some formats keep their metadata behind the pixels
        metadata = metadata_of(image, png)
        if deep is not None:
            pixels, presentation = from_array(deep)
            presentation = presentation._replace(key=key_of(image))
        else:
            pixels, presentation = present(image)
        if png and png.chunks:
            from saidcodec.images.png_chunks import for_mode

            metadata = metadata._replace(chunks=for_mode(png, presentation.mode))
        return Picture(pixels, presentation, metadata)
    except (ImageError, MemoryError, SaidWarning):
        raise
    except Exception as error:  # Pillow's readers raise nearly everything on damaged files
        raise ImageError(f"The image cannot be read: {reason(error)}.") from None
