"""Pillow opens and saves .said files after ``saidcodec.register()``.

``Image.open`` reads the head of the file only; pixels are decoded when they are needed.  From then on
``info["boxes"]`` lists the boxes of the glimpses, if there are any.  ``draft``, and with it ``thumbnail``,
lets a smaller image be decoded, so that a large one is never held in full.  ``save`` takes the options of
``saidcodec.encode`` (model, residual, max_error, glimpses, effort, threads) and Pillow's ``icc_profile``,
``exif``, ``xmp``.  Of an image with several frames it saves the current one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from PIL import Image, ImageFile, ImagePalette

from saidcodec import arguments, codec, images, inspection, thumbnails
from saidcodec.errors import SaidError
from saidcodec.format import container
from saidcodec.format.header import OLD_SIGNATURE, SIGNATURE, Metadata

FORMAT = "SAID"
OPTIONS = ("model", "residual", "max_error", "glimpses", "effort", "threads")


@contextmanager
def as_os_error() -> Iterator[None]:
    """Damage raises OSError, as with Pillow's own formats."""
    try:
        yield
    except SaidError as error:
        raise OSError(str(error)) from error


class SaidImageFile(ImageFile.ImageFile):
    """A .said file that Pillow has opened."""

    format = FORMAT
    format_description = "SAID image"

    def _open(self) -> None:
        assert self.fp is not None
        with as_os_error(), arguments.opened(self.fp) as contents:
            file = container.unpack(contents, whole=False)
        self._size = (file.header.width, file.header.height)
        self._presentation = file.header.presentation
        self._mode = self._presentation.mode
        self.info.update(images.info_of(file.metadata))
        self.info.update(images.transparency_of(self._presentation))
        if palette := self._presentation.palette:
            mode = "RGBA" if palette.channels == 4 else "RGB"
            self.palette = ImagePalette.raw(mode, palette.colours)
            self.palette.mode = mode
        self._reduce_by(1)

    def _reduce_by(self, factor: int) -> None:
        self._factor = factor
        self.tile = [ImageFile._Tile(FORMAT, (0, 0, *self.size), 0, (factor,))]

    def draft(
        self, mode: str | None, size: tuple[int, int] | None
    ) -> tuple[str, tuple[int, int, float, float]] | None:
        """Let ``load`` give the image reduced by the largest whole factor that leaves it no smaller than
        ``size``; returns the mode, which has no palette or bits then, and
        where the image then lies in the reduced one."""
        if size is None or len(self.tile) != 1 or self._factor > 1:
            return None
        width, height = self.size
        factor = max(1, min(width // max(1, size[0]), height // max(1, size[1])))
        self._size = (-(-width // factor), -(-height // factor))
        self._reduce_by(factor)
        if factor > 1 and self._presentation.mode != (smooth := self._presentation.smooth().mode):
            self._mode, self.palette = smooth, None
            self.info.pop("transparency", None)
        return self.mode, (0, 0, width / factor, height / factor)

    def load_end(self) -> None:
        """Add the boxes to ``info``, in pixels of the image as it was loaded."""
        assert self.fp is not None
        self.fp.seek(0)
        with as_os_error():
            boxes = inspection.features(self.fp).boxes
        boxes[:, 2:] += self._factor - 1
        if len(boxes):
            self.info["boxes"] = [tuple(box) for box in (boxes // self._factor).tolist()]

    def verify(self) -> None:
        """Decode the file and compare its checksums.  Raises OSError on any damage."""
        if self.fp is not None and self.tile:
            self.fp.seek(0)
            decoded(self.fp)
        super().verify()


class Decoder(ImageFile.PyDecoder):
    """Gives Pillow the pixels of a whole file, reduced by the factor that it is made with."""

    _pulls_fd = True

    def decode(self, buffer: object) -> tuple[int, int]:
        assert self.fd is not None
        self.set_as_raw(decoded(self.fd, *self.args), "1;8" if self.mode == "1" else None)
        return -1, 0


def decoded(file: IO[bytes], factor: int = 1) -> bytes:
    """All samples of a .said file, or of squares of ``factor`` pixels a side.  Raises OSError."""
    with as_os_error():
        pixels = codec.decode_image(file).pixels if factor == 1 else thumbnails.decode(file, factor)
    return pixels.tobytes()


def accept(prefix: bytes) -> bool:
    return prefix.startswith((SIGNATURE, OLD_SIGNATURE))


def save(image: Image.Image, file: IO[bytes], name: str | bytes) -> None:
    """Write an image as .said.  Raises OSError where it cannot be encoded."""
    options: dict[str, Any] = getattr(image, "encoderinfo", {})
    with as_os_error():
        picture = images.from_pillow(image, whole=False)
        own = picture.metadata
        exif = options.get("exif", own.exif)
        if isinstance(exif, Image.Exif):
            exif = exif.tobytes()
        metadata = Metadata(
            options.get("icc_profile", own.icc) or b"",
            (exif or b"").removeprefix(images.EXIF_PREFIX),
            options.get("xmp", own.xmp) or b"",
        )
        chosen = {key: options[key] for key in OPTIONS if key in options}
        file.write(codec.encode(picture, metadata=metadata, **chosen))


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
