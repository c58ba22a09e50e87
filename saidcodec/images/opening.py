"""Files of images, opened with Pillow."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import IO, TYPE_CHECKING, BinaryIO, NamedTuple

from saidcodec.errors import ImageError, reason
from saidcodec.images.arrays import check_size

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.TiffImagePlugin import TiffImageFile

# Formats whose further frames are other views of the same photograph.
FIRST_FRAME_IS_ALL = ("MPO",)
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# How Pillow unpacks grey of 2 and 4 bits, and what it multiplies the samples by.
SHALLOW = {"L;2": 85, "L;4": 17}


class ImageFile(NamedTuple):
    """The contents of an image file, and its name in messages if it has one."""

    data: bytes
    name: str | None


def open_image(source: os.PathLike[str] | BinaryIO, name: str) -> Image:
    """Open a file, called ``name`` in messages; its pixels are read later.  Raises ImageError, LimitError."""
    try:
        if isinstance(source, os.PathLike):
            with open(source, "rb") as file:
                opened = opened_from(file, os.fspath(source))
        else:
            opened = opened_from(source)
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise ImageError(f"{name} cannot be read as an image: {reason(error)}.") from None
    if opened is None:
        raise ImageError(f"{name} is not an image that Pillow can open.")
    check_size(opened.width, opened.height, name)
    scale_key(opened)
    return opened


def scale_key(image: Image) -> None:
    """Scale the transparent grey of a PNG file of 2 or 4 bits to 8: Pillow scales the samples alone."""
    key, tiles = image.info.get("transparency"), getattr(image, "tile", ())
    factor = SHALLOW.get(tiles[0][3]) if image.format == "PNG" and tiles else None
    if factor and isinstance(key, int):
        image.info["transparency"] = (key & 255 // factor) * factor


def opened_from(file: IO[bytes], path: str | None = None) -> Image | None:
    """What ``Image.open`` does, without its limit on pixels, which is a setting of the whole process.

    ``path`` lets the image open its file anew and close it when its pixels are read.  None where no reader
    of Pillow's knows the format.
    """
    from PIL import Image

    file.seek(0)
    prefix = file.read(16)
    tried: set[str] = set()
    # The reader of PNG is there in a third of the time of the common formats, and these in a tenth of all.
    first = (learn_png,) if prefix.startswith(PNG_SIGNATURE) else ()
    for learn_formats in (*first, Image.preinit, Image.init):
        learn_formats()
        for name in [name for name in Image.ID if name not in tried]:
            tried.add(name)
            factory, accept = Image.OPEN[name]
            if name == "TIFF":
                factory = tiff_of_any_size()
            with suppress(SyntaxError, IndexError, TypeError, struct.error):
                accepted = accept(prefix) if accept else True
                if not accepted or isinstance(accepted, str):  # a string says which library is missing
                    continue
                file.seek(0)
                return factory(file, "") if path is None else factory(path, path)  # type: ignore[arg-type]
    return None


@lru_cache(maxsize=1)
def tiff_of_any_size() -> type[TiffImageFile]:
    """Pillow's reader of TIFF files without the limit on pixels that it has beside that of ``Image.open``."""
    from PIL import Image
    from PIL.TiffImagePlugin import TiffImageFile

    class AnySize(TiffImageFile):
        def load_prepare(self) -> None:
            if self._im is None:
                self.im = Image.new(self.mode, self._tile_size, None).im
            super().load_prepare()

    return AnySize


def learn_png() -> None:
    """Let Pillow know PNG."""
    from PIL import PngImagePlugin  # noqa: F401


@contextmanager
def file_behind(image: Image) -> Iterator[IO[bytes] | None]:
    """The file that a Pillow image was opened from, where it is still at hand."""
    file, path = getattr(image, "fp", None), getattr(image, "filename", "")
    contents = getattr(image, "fc", None)  # where the JPEG XL plugin keeps the whole file
    if isinstance(contents, bytes):
        yield io.BytesIO(contents)
    elif file is not None and not getattr(file, "closed", False):
        place = file.tell()
        try:
            yield file
        finally:
            file.seek(place)
    elif path and os.path.isfile(path):
        with open(path, "rb") as opened:
            yield opened
    else:
        yield None


def frames_of(image: Image) -> int:
    """How many pictures an image holds that differ from each other.  Raises ImageError on damage."""
    try:
        return 1 if image.format in FIRST_FRAME_IS_ALL else getattr(image, "n_frames", 1)
    except Exception as error:  # some readers look at the whole file only now
        raise ImageError(f"The image cannot be read: {reason(error)}.") from None
