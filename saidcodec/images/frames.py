"""Images of several frames, as Pillow shows them, one frame at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from saidcodec.errors import ImageError, about, reason, warn_of_loss
from saidcodec.format.header import Metadata
from saidcodec.format.presentation import Presentation
from saidcodec.images.arrays import check_size, from_array, widened
from saidcodec.images.indices import Indices
from saidcodec.images.metadata import png_chunks_of
from saidcodec.images.modes import Present, in_colours, presented
from saidcodec.images.opening import ImageFile, frames_of, open_image
from saidcodec.images.reading import from_pillow
from saidcodec.images.tags import ICC_TAG, XMP_TAG
from saidcodec.parallel import Progress
from saidcodec.picture import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

PAGES = ("TIFF",)  # formats whose frames are images of their own


@dataclass(frozen=True)
class ImageFrames:
    """The frames of Pillow images, one image's after the other's.

    The metadata of animations is that of the first frame.  Each pass over them decodes them anew, so that
    one is held at a time.  Those of one size, unless they are pages, come in one mode, that all fit into: in
    the palette of the first one where it has all colours.
    """

    images: Sequence[Image]
    name: str | None = None
    data: bytes = b""  # of the first image's file
    metadata: Metadata | None = None  # of all frames, instead of their own

    @cached_property
    def plays(self) -> int:
        """How often the frames are shown, 0 for ever."""
        image = self.images[0]
        loop = image.info.get("loop")
        if not isinstance(loop, int) or loop < 0:
            return 1
        return loop + 1 if loop and image.format == "GIF" else loop

    @cached_property
    def count(self) -> int:
        return sum(frames_of(image) - first_of(image) for image in self.images)

    @cached_property
    def common(self) -> Presentation | None:
        """How all frames are shown; None where each is shown in its own way.

        Palettes that cannot be kept are named by a SaidWarning.
        """
        if self.images[0].format in PAGES:
            return None
        sizes, modes, indices, lost = set(), "", None, False
        for number, image in enumerate(self.each()):
            check_size(image.width, image.height)
            with readable():
                image.load()
                sizes.add(image.size)
                if number == 0 and image.mode == "P":
                    indices = Indices(image)
                elif indices and indices.of(image) is None:
                    indices, lost = None, True
                modes += in_colours(image).mode
        if len(sizes) > 1:
            return None
        if lost:
            warn_of_loss("The palettes of the image's frames are not kept: they differ.")
        if indices:
            return Presentation("P", indices.palette)
        return Presentation(("RGB" if "RGB" in modes else "L") + "A" * ("A" in modes))

    def present(self) -> Present:
        """What gives the samples of one frame after the other."""
        common, indices = self.common, None
        if common is None:
            return presented

        def shown(image: Image) -> tuple[np.ndarray, Presentation]:
            nonlocal indices
            if common.palette:
                found = None if indices is None else indices.of(image)
                indices = indices or Indices(image)
                return indices.last if found is None else found, common
            pixels, own = from_array(np.asarray(in_colours(image)))
            if own == common:
                return pixels, own
            mode = common.mode
            return widened(np.atleast_3d(pixels), mode.startswith("RGB"), mode.endswith("A")), common

        return shown

    def each(self) -> Iterator[Image]:
        """The images, each at one frame after the other, and back where they were at the end."""
        for image in self.images:
            before = image.tell()
            try:
                for number in range(first_of(image), frames_of(image)):
                    with readable():
                        image.seek(number)
                    forget_other_pages(image)
                    keep_palette(image)
                    yield image
            finally:
                image.seek(before)

    def told(self, progress: Progress | None) -> Iterator[Picture]:
        """The frames; ``progress`` is told the share of them that is done."""
        for number, one in enumerate(self, 1):
            yield one
            if progress:
                progress(number / self.count)

    def __iter__(self) -> Iterator[Picture]:
        with about(self.name):
            present = self.present()  # before the pass, because it takes one, too
            png, first = png_chunks_of(self.data), None
            for image in self.each():
                pixels, presentation, metadata, _ = from_pillow(image, whole=False, present=present, png=png)
                if self.images[0].format not in PAGES:
                    metadata = first = metadata if first is None else first
                png = None
                metadata = metadata if self.metadata is None else self.metadata
                yield Picture(pixels, presentation, metadata, duration_of(image))


def forget_other_pages(image: Image) -> None:
    """Drop what Pillow has kept of another page, where this one of a TIFF file has none of it."""
    tags = getattr(image, "tag_v2", None)
    for tag, key in ((ICC_TAG, "icc_profile"), (XMP_TAG, "xmp")):
        if tags is not None and tag not in tags:
            image.info.pop(key, None)


def keep_palette(image: Image) -> None:
    """Let Pillow give the palette to the pixels that it reads next: of a PNG file that is read a second time
    it shows black otherwise."""
    if image.format == "PNG" and image.palette is not None:
        image.palette.dirty = 1


@contextmanager
def readable() -> Iterator[None]:
    """Raises ImageError instead of what Pillow's readers raise on damaged files."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise ImageError(f"The image cannot be read: {reason(error)}.") from None


def first_of(image: Image) -> int:
    """The first frame's number: a PNG file may show another image where animations are not shown."""
    return int(bool(getattr(image, "default_image", False)))


def duration_of(image: Image) -> float:
    """Milliseconds for which the current frame is shown."""
    duration = image.info.get("duration", 0)
    return duration if isinstance(duration, (int, float)) and 0 <= duration < 1 << 32 else 0


def several_frames(image: Any) -> ImageFrames | None:
    """The frames of an image file or a Pillow image; None where there is one, or where another than the first
    has been chosen by ``seek``.

    Raises ImageError, LimitError.
    """
    if isinstance(image, ImageFile):
        with about(image.name):
            opened = open_image(io.BytesIO(image.data), image.name or "The file")
            frames = ImageFrames([opened], image.name, image.data)
            if frames_of(opened) < 2:
                return None
    else:
        from PIL import Image

        if not isinstance(image, Image.Image) or frames_of(image) < 2 or image.tell():
            return None
        frames = ImageFrames([image])
    if first_of(frames.images[0]):
        warn_of_loss("The image that stands for the animation where it is not shown is not kept.")
    return frames
