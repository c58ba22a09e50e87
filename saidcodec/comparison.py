"""Two images beside each other: equal, or where and how much they differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np

from saidcodec import images
from saidcodec.errors import about
from saidcodec.format.header import MODES, OLD_SIGNATURE, SIGNATURE, WIDE_MODES
from saidcodec.frames import Frames
from saidcodec.images.arrays import widened
from saidcodec.picture import Picture

LATE = 1  # millisecond by which durations may differ
STRIP = 256  # rows that are compared at a time, for the sake of memory


@dataclass(frozen=True)
class Opened:
    """An image, and what it shows: ``pixels`` uint8 or uint16 H×W or H×W×C of a ``mode`` (Pillow's name)
    without palette."""

    picture: Picture
    pixels: np.ndarray
    mode: str

    @classmethod
    def of(cls, picture: Picture) -> Opened:
        shown = picture.smooth()
        return cls(picture, shown.pixels, shown.presentation.mode)

    @property
    def size(self) -> str:
        return f"{self.pixels.shape[1]}×{self.pixels.shape[0]}"

    @property
    def channels(self) -> int:
        return self.pixels.size // (self.pixels.shape[0] * self.pixels.shape[1])


@dataclass(frozen=True)
class Difference:
    """``count`` of ``total`` pixels differ; of the first one the ``place`` (x, y) and its samples in both
    images; ``largest``: difference of a sample."""

    total: int
    count: int = 0
    place: tuple[int, int] = (0, 0)
    values: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    largest: int = 0

    def lines(self) -> list[str]:
        """What differs, for people."""
        first, second = (" ".join(map(str, value)) for value in self.values)
        return [
            f"different pixels: {self.count:,} of {self.total:,} ({self.count / self.total:.2%})",
            f"the first: x {self.place[0]}, y {self.place[1]}, with {first} and {second}",
            f"largest difference of a sample: {self.largest}",
        ]


@dataclass(frozen=True)
class Comparison:
    """``metadata``: names of what differs beside the pixels; ``facts``: of what differs where all colours
    may be equal, such as the palette.  ``pixels``: None where sizes or modes are too
    different to compare them."""

    sizes: tuple[str, str]
    modes: tuple[str, str]
    metadata: tuple[str, ...]
    facts: tuple[str, ...] = ()
    pixels: Difference | None = None

    @property
    def equal(self) -> bool:
        """Whether size, mode, palette and all pixels are the same."""
        alike = self.modes[0] == self.modes[1] and not self.facts
        return alike and self.pixels is not None and not self.pixels.count

    def lines(self, one: str, other: str) -> list[str]:
        """The comparison of images of these names, for people."""
        found = [f"equal: {self.sizes[0]} {self.modes[0]}"] if self.equal else []
        for what, (first, second) in (("sizes", self.sizes), ("modes", self.modes)):
            if first != second:
                found.append(f"different {what}: {one} is {first}, {other} is {second}")
        if self.pixels and self.pixels.count:
            found += self.pixels.lines()
        elif self.pixels and not self.equal:
            found.append("equal pixels")
        if self.facts:
            found.append(f"different {', '.join(self.facts)}")
        if self.metadata:
            found.append(f"different metadata: {', '.join(self.metadata)}")
        return found


def open_any(data: bytes, name: str, model: str | None = None) -> Iterator[Opened]:
    """The frames of a .said file or of any that Pillow opens.  Raises a kind of SaidError."""
    if data.startswith((SIGNATURE, OLD_SIGNATURE)):
        with about(name), Frames(data, model=model) as frames:
            for number in range(len(frames)):
                yield Opened.of(frames.frame(number))
    elif several := images.several_frames(images.ImageFile(data, name)):
        yield from map(Opened.of, several)
    else:
        yield Opened.of(images.from_file(data, name))


def compare_all(
    one: Iterable[Opened], other: Iterable[Opened], names: tuple[str, str]
) -> tuple[bool, list[str]]:
    """Whether two images, or all frames of two, are equal, and what to tell people of it.

    Of several frames the first two that differ are described, otherwise the first two.
    """
    count, differing, late, told = 0, list[int](), 0, list[str]()
    for a, b in zip_longest(one, other):
        if a is None or b is None:
            longer, shorter = names if b is None else names[::-1]
            return False, [f"{longer} has more frames than {shorter}, which has {count}", *told]
        found = compare(a, b)
        if not count or not (found.equal or differing):
            told = found.lines(*names)
        differing += [] if found.equal else [count]
        late += abs(a.picture.duration - b.picture.duration) >= LATE
        count += 1
    if late:
        told.append(f"different durations of frames: {late} of {count}")
    if differing and count > 1:
        told.insert(0, f"different frames: {len(differing)} of {count}, the first: frame {differing[0]}")
    elif count > 1:
        told.insert(0, f"equal frames: {count}")
    return not differing, told


def compare(one: Opened, other: Opened) -> Comparison:
    """Compare two images.  Those of different modes are compared in the one that both fit into: grey is RGB
    of equal samples, and what has no alpha is opaque."""
    metadata = tuple(images.differing(one.picture.metadata, other.picture.metadata))
    named = one.picture.presentation.mode, other.picture.presentation.mode
    found = Comparison((one.size, other.size), named, metadata, (*facts(one.picture, other.picture),))
    modes = {one.mode, other.mode}
    comparable = len(modes) == 1 or modes <= {*MODES} or modes <= {*WIDE_MODES.values()}
    if one.size == other.size and comparable:
        found = replace(found, pixels=difference(one, other))
    return found


def facts(one: Picture, other: Picture) -> Iterator[str]:
    """Names of what differs between two images of one mode beside their colours."""
    own, others = one.presentation, other.presentation
    if own.mode != others.mode:
        return
    if own.palette != others.palette:
        yield "palette"
    if own.key != others.key:
        yield "transparent colour"
    if own.palette and one.pixels.shape == other.pixels.shape and (one.pixels != other.pixels).any():
        yield "indices"


def difference(one: Opened, other: Opened) -> Difference:
    """Where two images of one size differ."""
    height, width = one.pixels.shape[:2]
    found = Difference(height * width)
    for top in range(0, height, STRIP):
        first, second = (
            image.pixels[top : top + STRIP].reshape(-1, width, image.channels) for image in (one, other)
        )
        if one.mode != other.mode:
            colour, alpha = "RGB" in one.mode + other.mode, "A" in one.mode + other.mode
            first, second = widened(first, colour, alpha), widened(second, colour, alpha)
        unequal = (first != second).any(2)
        if not unequal.any():
            continue
        if not found.count:
            y, x = (int(v) for v in np.argwhere(unequal)[0])
            values = tuple(first[y, x].tolist()), tuple(second[y, x].tolist())
            found = replace(found, place=(x, top + y), values=values)
        largest = int(np.abs(first.astype(np.int64) - second).max())
        found = replace(found, count=found.count + int(unequal.sum()), largest=max(found.largest, largest))
    return found
