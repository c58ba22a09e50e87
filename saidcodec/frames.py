"""The frames of a .said file, one at a time (bitstream_spec.md, section 2, "Frames")."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import accumulate
from typing import SupportsIndex

import numpy as np

from saidcodec import arguments, codec
from saidcodec.arguments import Region, Source
from saidcodec.closing import Closing
from saidcodec.codec import AnyModel
from saidcodec.errors import CorruptError, FormatError, VersionError, about
from saidcodec.format import container
from saidcodec.format.container import Container
from saidcodec.format.frames import Frame, FrameKind, FrameTable
from saidcodec.format.header import Header, Metadata
from saidcodec.format.palette import Palette
from saidcodec.format.presentation import Presentation
from saidcodec.parallel import Progress, cores, no_progress
from saidcodec.picture import Decoded, Picture
from saidcodec.window import Bytes

ONE = FrameTable(1, 1000, (Frame(FrameKind.WHOLE),))  # of a file of one image


class Frames(Closing):
    """A file that stays open, for its frames: ``len``, numbers in brackets, and in order by ``for``.

        with saidcodec.Frames("moves.said") as frames:
            for pixels, duration in zip(frames, frames.durations):
                show(pixels, duration)

    A frame is what ``decode`` gives.  ``durations`` in milliseconds; ``plays``: how often all of them are
    shown, 0 for ever.  A file of one image has one frame.  Two frames are held at a time; those in order are
    decoded once each.

    ``source``, ``model`` and ``threads`` as for ``decode``; an open file must stay open as long.  Raises what
    ``decode`` raises, IndexError and TypeError as lists do.
    """

    def __init__(self, source: Source, *, model: AnyModel | None = None, threads: int | None = None):
        self._threads = arguments.checked_threads(threads)
        self._asked, self._name = model, arguments.name_of(source)
        with ExitStack() as stack, about(self._name):
            contents = stack.enter_context(arguments.opened(source))
            several = container.split(contents)
            self.table, self._files = several or (ONE, [contents])
            self._held = stack.pop_all()
        self.durations, self.plays = self.table.durations(), self.table.plays
        whole = [i * (frame.kind == FrameKind.WHOLE) for i, frame in enumerate(self.table.frames)]
        self._starts = [*accumulate(whole, max)]  # of each frame the last one up to it that needs no other
        self._first: Metadata | None = None
        self._palette: tuple[int, Palette | None] = -1, None  # of the frame of this number
        self._at, self._pixels = -1, np.empty((0, 0), np.uint8)
        self._shown_as = Presentation("")

    def __len__(self) -> int:
        return len(self.table.frames)

    def __getitem__(self, number: SupportsIndex) -> np.ndarray:
        return self.frame(number).colours()

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self.__getitem__, range(len(self)))

    def frame(self, number: SupportsIndex, progress: Progress = no_progress) -> Picture:
        """A frame with its metadata and duration."""
        wanted = range(len(self))[number]
        with about(self._name):
            start = self._starts[wanted]
            if not start <= self._at <= wanted:
                self._at = start - 1
            while self._at < wanted:
                self.advance(self._at + 1, progress)
            own = self.metadata(wanted)
            return Picture(self._pixels.copy(), self._shown_as, own, self.durations[wanted])

    def part(self, number: SupportsIndex, region: Region | None, progress: Progress = no_progress) -> Picture:
        """A part of a frame, or all of it where ``region`` is None.  Raises RegionError."""
        picture = self.frame(number, progress)
        height, width = picture.pixels.shape[:2]
        with about(self._name), about(f"Frame {number}" if len(self) > 1 else None):
            rows, columns = arguments.place_of(region, width, height)
        return picture._replace(pixels=np.ascontiguousarray(picture.pixels[rows, columns]))

    def header(self, number: SupportsIndex) -> Header:
        """Size and mode of a frame, for which no pixel is decoded."""
        with about(self._name):
            return self.unpacked(self._starts[number]).header

    def advance(self, number: int, progress: Progress) -> None:
        """Go on to the next frame, or to one that needs no other."""
        frame = self.table.frames[number]
        if frame.kind != FrameKind.SAME:
            with about(f"Frame {number}" if len(self) > 1 else None):
                file = self.unpacked(number)
                model = codec.opened_model(file, self._asked)
                place = slice(0, file.header.height), slice(0, file.header.width)
                pixels = codec.read_place(file, model, place, self._threads or cores(), progress)
                if frame.kind == FrameKind.WHOLE:
                    self._pixels, self._shown_as = pixels, file.header.presentation
                else:
                    self.paste(frame, pixels, file.header.presentation)
        self._at = number

    def paste(self, frame: Frame, pixels: np.ndarray, shown_as: Presentation) -> None:
        """Replace a rectangle of the last frame.  Raises CorruptError where it does not fit."""
        bottom, right = frame.y + pixels.shape[0], frame.x + pixels.shape[1]
        if shown_as != self._shown_as or bottom > self._pixels.shape[0] or right > self._pixels.shape[1]:
            raise CorruptError("It is not a part of the frame before it.")
        place = self._pixels[frame.y : bottom, frame.x : right]
        if frame.kind == FrameKind.MASKED:
            place[...] = np.where(is_key(pixels, frame.key), place, pixels)
        else:
            place[...] = pixels

    def unpacked(self, number: int) -> Container:
        """What stands in the file of a frame that is not SAME."""
        data: Bytes = self._files[number]
        before = self.palette(self._starts[number]) if self.table.frames[number].kind.is_rectangle else None
        try:
            return container.unpack_image(data, before=before)
        except (FormatError, VersionError) as error:
            if len(self) == 1:
                raise
            raise CorruptError(f"It is not an image of this format: {error}") from None

    def palette(self, start: int) -> Palette | None:
        """That of a frame that needs no other, which those after it may have, too."""
        if self._palette[0] != start:
            self._palette = start, self.unpacked(start).header.palette
        return self._palette[1]

    def metadata(self, number: SupportsIndex) -> Metadata:
        """The metadata of a frame, for which no pixel is decoded."""
        at = range(len(self))[number]
        with about(self._name):
            if self.table.frames[at].own_metadata:
                return self.unpacked(at).metadata
            if self._first is None:
                self._first = self.unpacked(0).metadata
            return self._first


def decode_all(
    data: Source,
    *,
    region: Region | None = None,
    model: AnyModel | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Decoded:
    """All frames of a file, or the same part of each; ``progress`` as for ``encode``.

    Raises what ``decode`` raises.
    """
    with Frames(data, model=model, threads=threads) as frames:
        shown, count = [], len(frames)
        for number in range(count):
            within = progress if count == 1 else None
            shown.append(frames.part(number, region, within or no_progress))
            if progress and count > 1:
                progress((number + 1) / count)
        return Decoded(shown, frames.plays)


def is_key(pixels: np.ndarray, key: bytes) -> np.ndarray:
    """Which pixels, uint8 H×W or H×W×C, have the colour ``key``; bool of a shape that fits to them."""
    channels = pixels.shape[2] if pixels.ndim > 2 else 1
    same = pixels == np.frombuffer(key[:channels], np.uint8)
    return same.all(2, keepdims=True) if pixels.ndim > 2 else same
