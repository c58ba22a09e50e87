"""Pillow opens and saves .said files after ``saidcodec.plugins.pillow.register()``.

``Image.open`` decodes pixels only when they are needed.  ``save`` takes the options of ``saidcodec.encode``
(model, residual, max_error, glimpses, effort, threads) and Pillow's ``icc_profile``, ``exif``, ``xmp``.  Of
an image with several frames it saves the current one.
"""

from __future__ import annotations

from typing import IO, Any

from PIL import Image, ImageFile

from saidcodec import codec, images
from saidcodec.errors import SaidError
from saidcodec.format import container
from saidcodec.format.header import OLD_SIGNATURE, SIGNATURE, Metadata

FORMAT = "SAID"
OPTIONS = ("model", "residual", "max_error", "glimpses", "effort", "threads")


class SaidImageFile(ImageFile.ImageFile):
    """A .said file that Pillow has opened.  Damage raises OSError, as with Pillow's own formats."""

    format = FORMAT
    format_description = "SAID image"

    def _open(self) -> None:
        assert self.fp is not None
        try:
            file = container.unpack(self.fp.read(), whole=False)
        except SaidError as error:
            raise OSError(str(error)) from error
        self._size = (file.header.width, file.header.height)
        self._mode = file.header.mode
        self.info.update(images.info_of(file.metadata))
        self.tile = [ImageFile._Tile(FORMAT, (0, 0, *self.size), 0, self.mode)]

    def verify(self) -> None:
        """Decode the file and compare its checksums.  Raises OSError on any damage."""
        if self.fp is not None and self.tile:
            self.fp.seek(0)
            decoded(self.fp)
        super().verify()


class Decoder(ImageFile.PyDecoder):
    """Gives Pillow the pixels of a whole file."""

    _pulls_fd = True

    def decode(self, buffer: object) -> tuple[int, int]:
        assert self.fd is not None
        self.set_as_raw(decoded(self.fd))
        return -1, 0


def decoded(file: IO[bytes]) -> bytes:
    """All samples of a .said file.  Raises OSError."""
    try:
        return codec.decode(file.read()).tobytes()
    except SaidError as error:
        raise OSError(str(error)) from error


def accept(prefix: bytes) -> bool:
    return prefix.startswith((SIGNATURE, OLD_SIGNATURE))


def save(image: Image.Image, file: IO[bytes], name: str | bytes) -> None:
    """Write an image as .said.  Raises OSError where it cannot be encoded."""
    options: dict[str, Any] = getattr(image, "encoderinfo", {})
    try:
        pixels, _, own = images.from_pillow(image, whole=False)
        exif = options.get("exif", own.exif)
        if isinstance(exif, Image.Exif):
            exif = exif.tobytes()
        metadata = Metadata(
            options.get("icc_profile", own.icc) or b"",
            (exif or b"").removeprefix(images.EXIF_PREFIX),
            options.get("xmp", own.xmp) or b"",
        )
        chosen = {key: options[key] for key in OPTIONS if key in options}
        file.write(codec.encode(pixels, metadata=metadata, **chosen))
    except SaidError as error:
        raise OSError(str(error)) from error


def save_all(image: Image.Image, file: IO[bytes], name: str | bytes) -> None:
    """Write an image of one frame as .said.  Raises OSError where there are more."""
    more = getattr(image, "encoderinfo", {}).get("append_images") or ()
    frames = sum(images.frames_of(one) for one in (image, *more))
    if frames > 1:
        raise OSError(f"A .said file holds one frame, not {frames}; save each into a file of its own.")
    save(image, file, name)


def register() -> None:
    """Make ``Image.open`` and ``Image.save`` know ".said" files."""
    Image.register_open(FORMAT, SaidImageFile, accept)
    Image.register_decoder(FORMAT, Decoder)
    Image.register_save(FORMAT, save)
    Image.register_save_all(FORMAT, save_all)
    Image.register_extension(FORMAT, ".said")
    Image.register_mime(FORMAT, "image/x-said")
