"""A .said file as an array of which only what is asked for is decoded."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Lock
from types import EllipsisType
from typing import SupportsIndex

import numpy as np
from numpy.typing import DTypeLike

from saidcodec import arguments, codec
from saidcodec.arguments import Source
from saidcodec.closing import Closing
from saidcodec.codec import AnyModel
from saidcodec.errors import about, warn_of_loss
from saidcodec.format import container
from saidcodec.parallel import cores

Index = SupportsIndex | slice | EllipsisType
SPATIAL = 2  # axes: rows and columns


class Reader(Closing):
    """A file that stays open, for many parts of one image.

        with saidcodec.Reader("mosaic.said") as image:
            part = image[500:756, 3000:3256]

    It has what an array of the image would have: ``shape``, ``ndim``, ``dtype`` (uint8, uint16 or bool), and
    parts by whole numbers and slices, so that Dask, napari and others can take it for one.  A part costs the
    bands of rows that it touches.  ``mode``: Pillow's name; of an image with a palette that of its colours.
    ``metadata``: a ``Metadata``.  Several threads may use it.  Of a file of several frames it is the first,
    with a SaidWarning.

    ``source``, ``model`` and ``threads`` as for ``decode``; an open file must stay open as long.  Raises what
    ``decode`` raises, IndexError and TypeError as arrays do.
    """

    def __init__(self, source: Source, *, model: AnyModel | None = None, threads: int | None = None):
        self._threads = arguments.checked_threads(threads) or cores()
        self._name = arguments.name_of(source)
        self._lock = Lock()
        with ExitStack() as stack, about(self._name):
            contents = stack.enter_context(arguments.opened(source))
            if several := container.split(contents, whole=False):
                count = len(several[0].frames)
                warn_of_loss(f"Only the first of the file's {count} frames is read; Frames reads them all.")
            self._file = container.unpack(contents, whole=False)
            self._model = codec.opened_model(self._file, model)
            self._held = stack.pop_all()
        header = self._file.header
        shown = header.presentation.smooth().mode
        self.mode = shown if header.palette else header.presentation.mode
        self.dtype = np.dtype(np.bool_ if header.depth == 1 else np.uint16 if header.wide else np.uint8)
        self.metadata = self._file.metadata
        channels = len(shown if header.palette else header.mode)
        self.shape = (header.height, header.width, channels)[: SPATIAL + (channels > 1)]
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Index | tuple[Index, ...]) -> np.ndarray:
        keys = full(key if isinstance(key, tuple) else (key,), self.ndim)
        wanted = [np.arange(side)[key] for side, key in zip(self.shape, keys, strict=True)]
        shape = tuple(side for one in wanted for side in one.shape)
        if 0 in shape:
            return np.empty(shape, self.dtype)
        rows, columns = (slice(int(one.min()), int(one.max()) + 1) for one in wanted[:SPATIAL])
        with about(self._name), self._lock:  # a file has one position
            samples = codec.read_place(self._file, self._model, (rows, columns), self._threads)
        pixels = self._file.header.presentation.colours(samples)
        wanted[:SPATIAL] = wanted[0] - rows.start, wanted[1] - columns.start
        for axis in reversed(range(self.ndim)):
            pixels = pixels.take(wanted[axis], axis)
        return pixels

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        """The whole image, for NumPy."""
        if copy is False:
            raise ValueError("An image that has to be decoded cannot be given without a copy.")
        return self[...].astype(self.dtype if dtype is None else dtype, copy=False)


def full(keys: tuple[Index, ...], axes: int) -> list[SupportsIndex | slice]:
    """A key for every axis.  Raises IndexError, TypeError."""
    for key in keys:
        if isinstance(key, bool) or not (isinstance(key, (slice, EllipsisType)) or hasattr(key, "__index__")):
            raise TypeError(f"Parts are named by whole numbers and slices, not by {arguments.kind_of(key)}.")
    left = axes - sum(key is not ... for key in keys)
    if left < 0 or keys.count(...) > 1:
        raise IndexError(f"An image of {axes} axes has no part with {len(keys)} numbers or slices.")
    at = keys.index(...) if ... in keys else len(keys)
    found = [*keys[:at], *[slice(None)] * left, *keys[at + 1 :]]
    return [key for key in found if not isinstance(key, EllipsisType)]
