"""Several frames → one file, each coded against the last where that pays (bitstream_spec.md, section 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np

from saidcodec import arguments, images
from saidcodec.errors import ImageError, about, warn_of_loss
from saidcodec.format.frames import (
    KEY_BYTES,
    MOST_FRAMES,
    MOST_NUMBER,
    Frame,
    FrameKind,
    FrameTable,
    pack_frames,
)
from saidcodec.format.header import Metadata
from saidcodec.format.presentation import Presentation
from saidcodec.frames import is_key
from saidcodec.picture import Picture

MILLISECONDS = 1000  # in a second
FINEST = 65535  # denominator of a duration in seconds, as in PNG files
# Share of pixels: where less of a rectangle has changed, what has not is tried as a colour of its own; where
# a rectangle is more of the frame, the whole frame is tried, too.
MOSTLY = 0.5

EncodeOne = Callable[[Picture], bytes]  # an image with its metadata → a file


@dataclass
class Sequencer:
    """Takes frames one after the other; ``file`` is all of them.  The last one's pixels are kept.

    ``exact``: frames decode to the very pixels.
    """

    encode: EncodeOne
    exact: bool
    frames: list[Frame] = field(default_factory=list)
    files: list[bytes] = field(default_factory=list)
    durations: list[Fraction] = field(default_factory=list)  # seconds
    first: Metadata | None = None
    last: Picture | None = None

    def add(self, shown: Picture) -> None:
        """Raises what ``encode`` raises, ImageError where there are too many."""
        if len(self.frames) == MOST_FRAMES:
            raise ImageError(f"More than {MOST_FRAMES} frames cannot be encoded.")
        if not self.frames:
            self.first = shown.metadata
        own = shown.metadata != self.first
        told = shown.metadata if own or not self.frames else None
        frame, data = self.shortest(shown, told)
        self.frames.append(replace(frame, length=len(data), own_metadata=own))
        self.files.append(data)
        self.durations.append(Fraction(shown.duration / MILLISECONDS).limit_denominator(FINEST))
        self.last = shown

    def shortest(self, shown: Picture, own: Metadata | None) -> tuple[Frame, bytes]:
        """How a frame is coded in the fewest bytes, and its file; ``own``: the metadata that goes there."""
        whole, picture = Frame(FrameKind.WHOLE), shown._replace(metadata=own or Metadata())
        pixels, last = shown.pixels, self.last
        if last is None or shown.presentation != last.presentation or pixels.shape != last.pixels.shape:
            return whole, self.encode(picture)
        changed = (pixels != last.pixels).reshape(*pixels.shape[:2], -1).any(2)
        if not changed.any():
            if own is None:
                return Frame(FrameKind.SAME), b""
            changed[0, 0] = True  # there has to be a file for the metadata
        rows, columns = extent(changed.any(1)), extent(changed.any(0))
        like_last = picture._replace(presentation=shown.presentation.known())
        part, x, y = np.ascontiguousarray(pixels[rows, columns]), columns.start, rows.start
        found = [(Frame(FrameKind.PART, x=x, y=y), self.encode(like_last._replace(pixels=part)))]
        changed = changed[rows, columns]
        if self.exact and changed.mean() < MOSTLY and (key := unused_colour(part, shown.presentation)):
            masked = part.copy()
            masked[~changed] = np.frombuffer(key, np.uint8)[: part[0, 0].size]
            data = self.encode(like_last._replace(pixels=masked))
            found.append((Frame(FrameKind.MASKED, x=x, y=y, key=key), data))
        if part.size > MOSTLY * pixels.size:
            found.append((whole, self.encode(picture)))
        return min(found, key=lambda one: len(one[1]))

    def file(self, plays: int) -> bytes:
        """The file of all frames; of a single one, which is not shown for any time, that of an image."""
        if len(self.frames) == 1:
            return self.files[0]
        ticks, durations = in_ticks(self.durations)
        pairs = zip(self.frames, durations, strict=True)
        frames = tuple(replace(frame, duration=duration) for frame, duration in pairs)
        return pack_frames(FrameTable(plays, ticks, frames), self.files)


def extent(marked: np.ndarray) -> slice:
    """From the first to the last True of a row."""
    places = np.flatnonzero(marked)
    return slice(int(places[0]), int(places[-1]) + 1)


def unused_colour(pixels: np.ndarray, presentation: Presentation) -> bytes | None:
    """A colour, or an index of the palette, that no pixel of an image has, filled up with zeros; None where
    none was found.

    Grey is looked for first, so that a grey image stays one.
    """
    if pixels.dtype == np.bool_:
        return None
    if presentation.palette:
        unused = np.setdiff1d(np.arange(len(presentation.palette)), pixels)
        return bytes([int(unused[0])]).ljust(KEY_BYTES, b"\0") if unused.size else None
    channels = pixels[0, 0].size
    for last in (0, 255):
        for value in range(256):
            key = bytes([value] * (channels - 1) + [value ^ last]).ljust(KEY_BYTES, b"\0")
            if not is_key(pixels, key).any():
                return key
    return None


def in_ticks(durations: Sequence[Fraction]) -> tuple[int, list[int]]:
    """Ticks in a second, and durations as whole numbers of them: milliseconds where these are exact."""
    ticks = lcm(MILLISECONDS, *(one.denominator for one in durations))
    if ticks == MILLISECONDS or ticks * max(durations) > MOST_NUMBER or ticks > MOST_NUMBER:
        if ticks != MILLISECONDS:
            warn_of_loss("The durations of the image's frames are rounded to milliseconds.")
        ticks = MILLISECONDS
    else:
        ticks = lcm(*(one.denominator for one in durations))
    return ticks, [round(one * ticks) for one in durations]


def encode_all(frames: Iterable[Picture], plays: int, encode: EncodeOne, exact: bool) -> bytes:
    """The file of several frames; ``exact``: as they are, else all in plain modes: parts must fit the last.

    Raises what ``encode`` raises; ImageError where there is no frame.
    """
    sequencer = Sequencer(encode, exact)
    for number, frame in enumerate(frames):
        with about(f"Frame {number}"):
            sequencer.add(frame if exact else frame.smooth())
    if not sequencer.frames:
        raise ImageError("There is no frame to encode.")
    return sequencer.file(plays)


def encode_frames(
    frames: Iterable[Any],
    *,
    durations: float | Sequence[float] = 0,
    plays: int = 0,
    metadata: Metadata | None = None,
    **options: Any,
) -> bytes:
    """One file of several frames: ``Frames`` reads them, ``decode`` the first.

    ``frames``: images as ``encode`` takes them, of any sizes; those that are equal to the last one, or differ
    from it in a part only, take few bytes.  One is held at a time where they come from an iterator.
    ``durations``: milliseconds of all of them or of each.  ``plays``: how often they are shown, 0 for ever.
    ``metadata``: of all; the ``options`` are those of ``encode``.  Raises what ``encode`` raises, and
    ValueError for durations of another kind.
    """
    from saidcodec import codec

    plays = arguments.whole("plays", plays, 0, MOST_NUMBER)
    each = iter(durations) if isinstance(durations, Sequence) else None

    def shown() -> Iterator[Picture]:
        for number, frame in enumerate(frames):
            with about(f"Frame {number}"):
                picture = images.from_any(frame)
            duration = durations if each is None else next(each, None)
            if not isinstance(duration, (int, float)) or not 0 <= duration < 1 << 32:
                raise ValueError("durations must be milliseconds, one number or one for each frame.")
            own = picture.metadata if metadata is None else metadata
            yield picture._replace(metadata=own, duration=duration)

    def encode(picture: Picture) -> bytes:
        return codec.encode(picture, **options)

    exact = not options.get("max_error") and options.get("residual") != "none"
    found = encode_all(shown(), plays, encode, exact)
    if each is not None and next(each, None) is not None:
        raise ValueError("There are more durations than frames.")
    return found
