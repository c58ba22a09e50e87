"""Pillow opens and saves .said files after ``saidcodec.register()``.

``Image.open`` reads the head of the file only; pixels are decoded when they are needed.  From then on
``info["boxes"]`` lists the boxes of objects, if there are any.  ``draft``, and with it ``thumbnail``,
lets a smaller image be decoded, so that a large one is never held in full.  Of images of more than 8 bits a
sample it opens grey ones, in mode I;16.  Metadata is in ``info`` under the
names that Pillow uses for PNG and JPEG files: icc_profile, exif, xmp, dpi or aspect, comment, gamma,
chromaticity, srgb, and texts under their own keys.  ``save`` takes it from there.  It also takes the options
of ``saidcodec.encode`` (model, residual, max_error, glimpses, effort, threads) and Pillow's ``icc_profile``,
``exif``, ``xmp``, ``dpi``, ``comment``.  Of an image with several frames it saves the current one; with
``save_all`` all of them and those of ``append_images``, with ``duration`` (milliseconds) and ``loop`` (how
often they are shown; 0: for ever).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from PIL import Image, ImageFile, ImagePalette

from saidcodec import arguments, codec, images, inspection, thumbnails
from saidcodec.errors import SaidError
from saidcodec.format import container
from saidcodec.format.header import OLD_SIGNATURE, SIGNATURE, WIDE_MODES, Header, Metadata, Mode, Unit
from saidcodec.frames import Frames
from saidcodec.images import resolution
from saidcodec.picture import Picture
from saidcodec.sequences import encode_all

FORMAT = "SAID"
DEEP = "I;16"  # the one mode of Pillow's with samples of 16 bits
NO_MODE = "Pillow has no mode for {} images; saidcodec.decode gives their samples as an array of uint16."
OPTIONS = ("model", "residual", "max_error", "glimpses", "effort", "threads")


@contextmanager
def as_os_error() -> Iterator[None]:
    """Damage raises OSError, as with Pillow's own formats."""
    try:
        yield
    except SaidError as error:
        raise OSError(str(error)) from error


def check_mode(header: Header) -> None:
    """Raises OSError where Pillow has no mode for such an image."""
    mode = header.presentation.mode
    if header.wide and mode != DEEP:
        raise OSError(NO_MODE.format(mode))


class SaidImageFile(ImageFile.ImageFile):
    """A .said file that Pillow has opened."""

    format = FORMAT
    format_description = "SAID image"
    n_frames = 1  # these are a copy's, too, which is an image of one frame
    _frame, _several = 0, False

    def _open(self) -> None:
        assert self.fp is not None
        with as_os_error(), arguments.opened(self.fp) as contents:
            file = container.unpack(contents, whole=False)
            several = container.split(contents, whole=False) is not None
        check_mode(file.header)
        self.info.update(images.info_of(file.metadata))
        self._show(file.header)
        self._reduce_by(1)
        if several:
            self._open_frames()

    def _show(self, header: Header) -> None:
        """Take the size, the mode and what belongs to it of the image that is decoded next."""
        self._size = (header.width, header.height)
        self._presentation = header.presentation
        self._mode, self.palette = self._presentation.mode, None
        self.info.pop("transparency", None)
        self.info.update(images.transparency_of(self._presentation))
        if palette := self._presentation.palette:
            mode = "RGBA" if palette.channels == 4 else "RGB"
            self.palette = ImagePalette.raw(mode, palette.colours)
            self.palette.mode = mode

    def _open_frames(self) -> None:
        assert self.fp is not None
        self._several, self._file, self._close_exclusive_fp_after_loading = True, self.fp, False
        with as_os_error():
            self._frames = Frames(self.fp)
        self.n_frames = len(self._frames)
        self.info["loop"] = self._frames.plays
        self.info["duration"] = self._frames.durations[0]

    @property
    def is_animated(self) -> bool:
        return self.n_frames > 1

    def seek(self, frame: int) -> None:
        """Go to a frame, whose pixels are decoded when they are needed.  Raises EOFError."""
        if not self._seek_check(frame):
            return
        self._frame, self.fp = frame, self._file
        with as_os_error():
            header = self._frames.header(frame)
        check_mode(header)
        self._im = None  # Pillow would decode into the memory of the frame before
        self._show(header)
        self.info["duration"] = self._frames.durations[frame]
        self._reduce_by(1)

    def tell(self) -> int:
        return self._frame

    def load(self) -> Any:
        if self._several and self.tile:
            with as_os_error():
                picture = self._frames.frame(self._frame)
            self.fp = io.BytesIO(picture.pixels.tobytes())
            self.tile = [ImageFile._Tile("raw", (0, 0, *self.size), 0, picture.presentation.mode)]
        return super().load()

    def _reduce_by(self, factor: int) -> None:
        self._factor = factor
        self.tile = [ImageFile._Tile(FORMAT, (0, 0, *self.size), 0, (factor,))]

    def draft(
        self, mode: str | None, size: tuple[int, int] | None
    ) -> tuple[str, tuple[int, int, float, float]] | None:
        """Let ``load`` give the image reduced by the largest whole factor that leaves it no smaller than
        ``size``; returns the mode, which has no palette or bits then, and where the image then lies in the
        reduced one.  None where it is only to be had whole: a key of 16 bits would become alpha."""
        smooth = self._presentation.smooth().mode
        fixed = self._factor > 1 or self._several or smooth == WIDE_MODES[Mode.LA]
        if size is None or len(self.tile) != 1 or fixed:
            return None
        width, height = self.size
        factor = max(1, min(width // max(1, size[0]), height // max(1, size[1])))
        self._size = (-(-width // factor), -(-height // factor))
        self._reduce_by(factor)
        if factor > 1 and self._presentation.mode != smooth:
            self._mode, self.palette = smooth, None
            self.info.pop("transparency", None)
        return self.mode, (0, 0, width / factor, height / factor)

    def load_end(self) -> None:
        """Add the boxes to ``info``, in pixels of the image as it was loaded; of several frames, none."""
        if self._several:
            return
        assert self.fp is not None
        self.fp.seek(0)
        with as_os_error():
            boxes = inspection.features(self.fp).objects.boxes
        boxes[:, 2:] += self._factor - 1
        if len(boxes):
            self.info["boxes"] = [tuple(box) for box in (boxes // self._factor).tolist()]

    def verify(self) -> None:
        """Decode the file and compare its checksums.  Raises OSError on any damage."""
        if self.fp is not None and self.tile:
            if self._several:
                with as_os_error():
                    for _ in self._frames:
                        pass
            else:
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
        metadata = chosen_metadata(picture.metadata, options)
        file.write(codec.encode(picture, metadata=metadata, **chosen(options)))


def chosen(options: dict[str, Any]) -> dict[str, Any]:
    """Options of ``encode`` among those of ``save``."""
    return {key: options[key] for key in OPTIONS if key in options}


def chosen_metadata(own: Metadata, options: dict[str, Any]) -> Metadata:
    """An image's own metadata, but for what the options of ``save`` say."""
    found = dict[str, Any]()
    for key, part in (("icc_profile", "icc"), ("xmp", "xmp"), ("comment", "comment"), ("exif", "exif")):
        if key in options:
            found[part] = options[key] or b""
    if isinstance(found.get("exif"), Image.Exif):
        found["exif"] = found["exif"].tobytes()
    if isinstance(found.get("comment"), str):
        found["comment"] = found["comment"].encode()
    if "exif" in found:
        found["exif"] = found["exif"].removeprefix(images.EXIF_PREFIX)
    if "dpi" in options:
        found["resolution"] = resolution.resolution(Unit.INCH, *options["dpi"]) if options["dpi"] else None
    return own._replace(**found)


def save_all(image: Image.Image, file: IO[bytes], name: str | bytes) -> None:
    """Write all frames of an image and of those in ``append_images``.  Raises OSError where one cannot be
    encoded."""
    options: dict[str, Any] = getattr(image, "encoderinfo", {})
    frames = images.ImageFrames((image, *(options.get("append_images") or ())))
    if frames.count == 1:
        save(image, file, name)
        return
    plays = options.get("loop", frames.plays if images.frames_of(image) > 1 else 0)

    def shown() -> Iterator[Picture]:
        duration = options.get("duration")
        each = duration if isinstance(duration, (list, tuple)) else [duration] * frames.count
        for one, milliseconds in zip(frames, each, strict=True):
            found = one._replace(metadata=chosen_metadata(one.metadata, options))
            yield found if milliseconds is None else found._replace(duration=milliseconds)

    def encode(picture: Picture) -> bytes:
        return codec.encode(picture, **chosen(options))

    exact = not options.get("max_error") and options.get("residual") != "none"
    with as_os_error():
        file.write(encode_all(shown(), plays, encode, exact))


def register() -> None:
    """Make ``Image.open`` and ``Image.save`` know ".said" files."""
    Image.register_open(FORMAT, SaidImageFile, accept)
    Image.register_decoder(FORMAT, Decoder)
    Image.register_save(FORMAT, save)
    Image.register_save_all(FORMAT, save_all)
    Image.register_extension(FORMAT, ".said")
    Image.register_mime(FORMAT, "image/x-said")
