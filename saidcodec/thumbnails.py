"""Small pictures of images: an image is decoded band by band and never held in full."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from saidcodec import arguments, codec
from saidcodec.arguments import Source
from saidcodec.errors import about
from saidcodec.format import container
from saidcodec.format.container import Container
from saidcodec.format.header import Header, Mode
from saidcodec.format.tiling import Tiling
from saidcodec.models import Model
from saidcodec.parallel import cores

REDUCING_GAP = 3  # what is resampled has at least so many times the pixels of a side, for the filter's sake


def decode(
    data: Source, factor: int, *, model: codec.AnyModel | None = None, threads: int | None = None
) -> np.ndarray:
    """The image of a .said file in squares of ``factor`` pixels a side, as ``reduced`` gives it.

    Raises what ``codec.decode`` raises.
    """
    with about(arguments.name_of(data)), arguments.opened(data) as contents:
        file = container.unpack(contents)
        found = codec.opened_model(file, model)
        with codec.damage():
            return reduced(file, found, factor, threads)


def thumbnail(file: Container, model: Model | None, size: int, threads: int | None = None) -> np.ndarray:
    """The image reduced until no side is longer than ``size`` pixels, uint8 or uint16; ``model`` as
    ``codec.opened_model`` gives it.  Raises CorruptError, TruncatedError."""
    width, height = file.header.width, file.header.height
    factor = max(1, max(width, height) // (REDUCING_GAP * size))
    small = reduced(file, model, factor, threads)
    return fitted(small, file.header, size, (width / factor, height / factor))


def fitted(
    pixels: np.ndarray, header: Header, size: int, extent: tuple[float, float] | None = None
) -> np.ndarray:
    """Pixels of an image without palette and bits, resampled so that no side is longer than ``size``.

    ``extent``: width and height of the image in them, where the last column and row are in part beyond it.
    """
    width, height = extent or (pixels.shape[1], pixels.shape[0])
    longest = max(width, height)
    if longest <= size:
        return pixels
    from PIL import Image

    from saidcodec.images.modes import pillow_of

    target = (max(1, round(width * size / longest)), max(1, round(height * size / longest)))
    if pixels.dtype == np.uint16:
        return resampled(pixels, target, (width, height))
    image = pillow_of(pixels, header.presentation.smooth())
    return np.asarray(image.resize(target, Image.Resampling.BICUBIC, (0, 0, width, height)))


def resampled(pixels: np.ndarray, target: tuple[int, int], extent: tuple[float, float]) -> np.ndarray:
    """uint16 H×W or H×W×C as Pillow would resample them, which has no mode for colours of 16 bits."""
    from PIL import Image

    channels = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32)
    has_alpha = channels.shape[2] in (2, 4)
    if has_alpha:
        channels[..., :-1] *= channels[..., -1:]
    found = np.stack(
        [
            np.asarray(Image.fromarray(channel).resize(target, Image.Resampling.BICUBIC, (0, 0, *extent)))
            for channel in np.moveaxis(channels, 2, 0)
        ],
        -1,
    )
    if has_alpha:
        found[..., :-1] /= np.maximum(found[..., -1:], 1)
    found = np.clip(np.rint(found), 0, np.iinfo(np.uint16).max).astype(np.uint16)
    return found.reshape(*found.shape[:2], *pixels.shape[2:])


def reduced(file: Container, model: Model | None, factor: int, threads: int | None = None) -> np.ndarray:
    """The image in squares of ``factor`` pixels a side, of each the mean, uint8 or uint16.

    Those of the last column and row may be smaller.  Raises CorruptError, TruncatedError.
    """
    sums = Sums(file.header, factor)
    for top, pixels in parts_of(file, model, threads or cores()):
        sums.add(top, file.header.presentation.smoothed(pixels))
    return sums.means()


def parts_of(file: Container, model: Model | None, threads: int) -> Iterator[tuple[int, np.ndarray]]:
    """The image as many bands at a time as there are threads: the first row of each part, and its samples."""
    tiling = Tiling.of(file.header)
    said = codec.read_said(file, model, whole=True) if model else None
    for first in range(0, tiling.count_bands(), threads):
        numbers = range(first, min(first + threads, tiling.count_bands()))
        if model and said:
            yield codec.read_bands(file, model, said, numbers, threads)
        else:
            rows = slice(tiling.band(numbers[0]).rows.start, tiling.band(numbers[-1]).rows.stop)
            place = rows, slice(0, file.header.width)
            yield rows.start, codec.read_place(file, None, place, threads)


class Sums:
    """Sums over squares of pixels.  Colours count as much as their alpha."""

    def __init__(self, header: Header, factor: int):
        self.header = header
        self.factor = factor
        mode = header.presentation.smooth().mode.removesuffix(";16")
        self.dtype = np.uint16 if header.wide else np.uint8
        self.has_alpha = mode in (Mode.LA, Mode.RGBA)
        shape = (-(-header.height // factor), -(-header.width // factor), len(mode))
        self.sums = np.zeros(shape, np.int64)

    def add(self, top: int, pixels: np.ndarray) -> None:
        """Rows of the image from the row ``top`` on, [h, w] or [h, w, channels]."""
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        if self.has_alpha:
            alpha = pixels[..., -1:].astype(np.uint32)
            pixels = np.concatenate([pixels[..., :-1] * alpha, alpha], -1)
        first = top // self.factor
        edges = [*range((first + 1) * self.factor - top, len(pixels), self.factor), len(pixels)]
        columns = np.arange(0, self.header.width, self.factor)
        for row, (start, stop) in enumerate(pairwise([0, *edges]), first):
            whole = pixels[start:stop].sum(0, dtype=np.int64)
            self.sums[row] += np.add.reduceat(whole, columns, axis=0)

    def means(self) -> np.ndarray:
        """[h, w] or [h, w, channels]; where all is transparent the colour is 0."""
        height, width = (
            np.minimum(self.factor, side - np.arange(0, side, self.factor))
            for side in (self.header.height, self.header.width)
        )
        count = np.outer(height, width)[..., None]
        if self.has_alpha:
            alpha = self.sums[..., -1:]
            colours = (self.sums[..., :-1] + alpha // 2) // np.maximum(alpha, 1)
            means = np.concatenate([colours, (alpha + count // 2) // count], -1)
        else:
            means = (self.sums + count // 2) // count
        means = means.astype(self.dtype)
        return means[..., 0] if means.shape[2] == 1 else means
