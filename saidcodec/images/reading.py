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
from saidcodec.images.depth import check_depth
from saidcodec.images.metadata import metadata_of
from saidcodec.images.modes import presented
from saidcodec.images.opening import frames_of, open_image
from saidcodec.picture import Picture

if TYPE_CHECKING:
    from PIL.Image import Image


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
    name = arguments.name_of(image)
    if isinstance(image, (str, os.PathLike)):
        return from_file(files.read_path(image), name)
    if hasattr(image, "read"):
        return from_file(arguments.read_open(image), name)
    raise TypeError(
        "An image must be given as a uint8 array, a Pillow image, a path or an open binary file, "
        f"not as {arguments.kind_of(image)}."
    )


def from_file(data: bytes, name: str | None) -> Picture:
    """The contents of an image file, called ``name`` in messages if it has one.

    Raises ImageError, LimitError.
    """
    with about(name):
        return from_pillow(open_image(io.BytesIO(data), name or "The file"))


def from_pillow(image: Image, *, whole: bool = True) -> Picture:
    """An image of Pillow's.  Raises ImageError, LimitError.

    ``whole`` refuses an image that has more frames than the current one.
    """
    check_size(image.width, image.height)
    try:
        if whole and frames_of(image) > 1:
            raise ImageError("Animations and images of several pages cannot be encoded yet.")
        check_depth(image)
        image.load()  # first of all, because some formats keep their metadata behind the pixels
        metadata = metadata_of(image)
        return Picture(*presented(image), metadata)
    except (ImageError, MemoryError, SaidWarning):
        raise
    except Exception as error:  # Pillow's readers raise nearly everything on damaged files
        raise ImageError(f"The image cannot be read: {reason(error)}.") from None
