"""Pillow opens and saves .said files after ``saidcodec.plugins.pillow.register()``.

``Image.open`` decodes pixels only when they are needed.  ``save`` takes the options of ``saidcodec.encode``
(model, residual, max_error, glimpses, threads) and Pillow's ``icc_profile``, ``exif``, ``xmp``.
"""

from __future__ import annotations

import io
from typing import IO, Any

from PIL import Image, ImageFile

from saidcodec import codec, images
from saidcodec.errors import SaidError
from saidcodec.format import container
from saidcodec.format.header import SIGNATURE, Metadata

FORMAT = "SAID"
OPTIONS = ("model", "residual", "max_error", "glimpses", "threads")


class SaidImageFile(ImageFile.ImageFile):
    """A .said file that Pillow has opened.  Damage raises OSError, as with Pillow's own formats."""

    format = FORMAT
    format_description = "SAID image"

    def _open(self) -> None:
        assert self.fp is not None
        self._data: bytes | None = self.fp.read()
        try:
            file = container.unpack(self._data, residual=False)
        except SaidError as error:
            raise OSError(str(error)) from error
        self._size = (file.header.width, file.header.height)
        self._mode = file.header.mode
        self.info.update(images.info_of(file.metadata))

    def load(self) -> Any:
        if self._data is not None:
            try:
                pixels = codec.decode(self._data)
            except SaidError as error:
                raise OSError(str(error)) from error
            self._data = None
            if self.fp is not None and self._exclusive_fp:
                self.fp.close()
            self.fp = io.BytesIO(pixels.tobytes())
            self.tile = [ImageFile._Tile("raw", (0, 0, *self.size), 0, self.mode)]
        return super().load()

    def load_seek(self, pos: int) -> None:
        """Being here keeps Pillow from mapping the file itself into memory as if it held pixels."""


def accept(prefix: bytes) -> bool:
    return prefix.startswith(SIGNATURE)


def save(image: Image.Image, file: IO[bytes], name: str | bytes) -> None:
    """Write an image as .said.  Raises OSError where it cannot be encoded."""
    options: dict[str, Any] = getattr(image, "encoderinfo", {})
    try:
        _, _, own = images.from_pillow(image)
        exif = options.get("exif", own.exif)
        if isinstance(exif, Image.Exif):
            exif = exif.tobytes()
        metadata = Metadata(
            options.get("icc_profile", own.icc) or b"",
            (exif or b"").removeprefix(images.EXIF_PREFIX),
            options.get("xmp", own.xmp) or b"",
        )
        chosen = {key: options[key] for key in OPTIONS if key in options}
        file.write(codec.encode(image, metadata=metadata, **chosen))
    except SaidError as error:
        raise OSError(str(error)) from error


def register() -> None:
    """Make ``Image.open`` and ``Image.save`` know ".said" files."""
    Image.register_open(FORMAT, SaidImageFile, accept)
    Image.register_save(FORMAT, save)
    Image.register_extension(FORMAT, ".said")
    Image.register_mime(FORMAT, "image/x-said")
