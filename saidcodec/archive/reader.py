"""Archives as they are read: by number, by name, in slices, one after another."""

from __future__ import annotations

import mmap
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import accumulate
from typing import Any, cast, overload

import numpy as np

from saidcodec import arguments, files
from saidcodec.archive import layout
from saidcodec.archive.group import Group
from saidcodec.archive.layout import START, WRONG_INDEX, Place
from saidcodec.closing import Closing
from saidcodec.codec import AnyModel
from saidcodec.errors import CorruptError, FileError, SaidError, TruncatedError, about
from saidcodec.format.header import Metadata
from saidcodec.inspection import Features
from saidcodec.parallel import cores, in_threads
from saidcodec.picture import Picture

REMEDY = "saidcodec unpack writes what can be read; saidcodec.Archive(path, recover=True) opens it."
KEPT_GROUPS = 32  # heads of groups that an open archive keeps, about 1 MB each
KEPT_RUNS = 8  # decoded runs


@dataclass(frozen=True)
class Entry:
    """What an archive says of one image beside its pixels; ``label`` is None where it has no labels."""

    name: str
    label: str | None
    mode: str
    width: int
    height: int
    metadata: Metadata


class Archive(Closing):
    """The images of a .saids file: ``archive[17]``, ``archive["a/b.png"]``, ``archive[2:5]``, iteration.

    An image is an array as ``decode`` gives it, decoded when it is asked for.  The file is mapped into
    memory.  An archive can be pickled, which gives another process a map of its own, so that it serves as a
    map-style ``torch.utils.data.Dataset`` with worker processes.  ``problem``: what is wrong with the index
    of an archive that was opened with ``recover``, or None.
    """

    def __init__(self, path: str | os.PathLike[str], *, model: AnyModel | None = None, recover: bool = False):
        """``model`` names the model where it is not installed.  ``recover``: where the index is wrong or cut
        off, take the images that can be read without it.

        Raises FileError, FormatError, VersionError, TruncatedError, CorruptError or LimitError; TypeError for
        arguments of another kind.
        """
        if model is not None:
            arguments.check_model(model)
        self.name, self.path = os.fspath(path), os.path.abspath(path)
        self.named, self.recover = model, recover
        self._open()

    def _open(self) -> None:
        self.group = lru_cache(KEPT_GROUPS)(self._read_group)
        self._run = lru_cache(KEPT_RUNS)(self.read_run)
        with about(self.name):
            self.problem: SaidError | None = None
            found = mapped(self.path, self.name)
            self._held = ExitStack()
            for let_go in (found.close, self._run.cache_clear, self.group.cache_clear):
                self._held.callback(let_go)
            # Slices of a map are bytes, as those of bytes are.
            self._data = cast("bytes", found)
            layout.read_signature(self._data[:START])
            try:
                self.places = layout.read_index(self._data)
            except (TruncatedError, CorruptError) as error:
                if not self.recover:
                    raise type(error)(f"{error} {REMEDY}") from None
                self.places, self.problem = walked(self._data), error
        self._ends = [*accumulate(place.images for place in self.places)]

    def __getstate__(self) -> dict[str, Any]:
        return {key: self.__dict__[key] for key in ("name", "path", "named", "recover")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __repr__(self) -> str:
        return f"<saidcodec.Archive {self.name!r} of {len(self)} images>"

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, which: int | str) -> np.ndarray: ...

    @overload
    def __getitem__(self, which: slice) -> list[np.ndarray]: ...

    def __getitem__(self, which: int | str | slice) -> np.ndarray | list[np.ndarray]:
        """The image of a number, which counts from the end if negative, or of a name; the list of a slice.

        Raises IndexError, KeyError, TypeError, or a kind of SaidError on damage.
        """
        if isinstance(which, slice):
            return self.__getitems__(range(*which.indices(len(self))))
        number = self.number(which)
        group, run = self._place(number)
        first, images = self._decoded(group, run)
        return images[number - first].colours().copy()

    def __getitems__(self, numbers: Sequence[int]) -> list[np.ndarray]:
        """Several images at once; each run of the archive is decoded once.  Called by ``DataLoader``."""
        wanted = [self.number(number) for number in numbers]
        found = {number: self[number] for number in sorted(set(wanted))}
        return [found[number].copy() for number in wanted]

    def __iter__(self) -> Iterator[np.ndarray]:
        """All images in their order, decoded on all cores."""
        for number in range(len(self.places)):
            for images in in_threads(partial(self.read_run, number), self.runs(number), cores()):
                yield from (one.colours() for one in images)

    def runs(self, number: int) -> range:
        """The runs of a group that can be read."""
        group, images = self.group(number), self.places[number].images
        return range(group.run_of(images - 1) + 1)

    def __contains__(self, name: object) -> bool:
        """Whether an image has this name."""
        return name in self._numbers

    def number(self, which: int | str) -> int:
        """The number of an image, counted from 0, by its number or name.  Raises IndexError, KeyError."""
        if isinstance(which, str):
            if which not in self._numbers:
                raise KeyError(f"{self.name} holds no image of the name {which}.")
            return self._numbers[which]
        if isinstance(which, bool) or not hasattr(which, "__index__"):
            raise TypeError(
                f"An image is asked for by its number or name, not by {arguments.kind_of(which)}."
            )
        number = which.__index__()
        if not -len(self) <= number < len(self):
            raise IndexError(f"{self.name} holds {len(self)} images; there is no number {number}.")
        return number % len(self)

    @cached_property
    def names(self) -> list[str]:
        """The name of every image; "" for one that has none."""
        return [name for group, count in self._groups() for name in group.head.names[:count]]

    @cached_property
    def labels(self) -> list[str | None]:
        """The label of every image; None for one that has none."""
        return [
            label
            for group, count in self._groups()
            for label in (group.head.labels or (None,) * len(group.head))[:count]
        ]

    def entry(self, which: int | str) -> Entry:
        """What the archive says of one image; its pixels are not decoded."""
        number = self.number(which)
        at, _ = self._place(number)
        group, image = self.group(at), number - self.first(at)
        head = group.head
        label = head.labels[image] if head.labels is not None else None
        header, metadata = head.header(image), head.metadata[image]
        if header is None:
            with self._about(number):
                file = group.file(image)
            header, metadata = file.header, file.metadata
        size = header.width, header.height
        return Entry(head.names[image], label, header.presentation.mode, *size, metadata)

    def features(self) -> list[Features]:
        """The glimpses of every image, with their boxes; no pixel is decoded."""
        found: list[Features] = []
        for group, count in self._groups():
            for image in range(count):
                with self._about(len(found)):
                    found.append(group.features(image))
        return found

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """The numbers of all names; of a name that comes twice the first."""
        return {name: number for number, name in reversed([*enumerate(self.names)]) if name}

    def _groups(self) -> Iterator[tuple[Group, int]]:
        """Every group and how many images of it there are."""
        for number, place in enumerate(self.places):
            yield self.group(number), place.images

    def first(self, group: int) -> int:
        """The number of a group's first image."""
        return self._ends[group] - self.places[group].images

    def _place(self, number: int) -> tuple[int, int]:
        """The group and the run in it that hold an image."""
        group = bisect_right(self._ends, number)
        return group, self.group(group).run_of(number - self.first(group))

    def _decoded(self, group: int, run: int) -> tuple[int, list[Picture]]:
        """A run's images, and the number of the first."""
        first = self.first(group) + self.group(group).head.runs[run].start
        return first, self._run(group, run)

    def _about(self, number: int) -> AbstractContextManager[None]:
        """Names an image, and the archive, in the errors that are raised inside."""
        return about(f"{self.name}: image {number}")

    def _read_group(self, number: int) -> Group:
        place = self.places[number]
        with about(self.name):
            head, start = layout.read_group(self._data, place.start)
            end = start + sum(head.lengths)
            whole = end == place.start + place.size
            if not whole or len(head) < place.images or (len(head) > place.images and end <= len(self._data)):
                raise CorruptError(WRONG_INDEX)
            return Group(head, self._data, start, self.named)

    def read_run(self, number: int, run: int) -> list[Picture]:
        """The images of a run of a group.  Raises a kind of SaidError on damage."""
        group = self.group(number)
        first = self.first(number) + group.head.runs[run].start
        with self._about(first):
            return group.decode(run)


def mapped(path: str, name: str) -> mmap.mmap:
    """A file in memory, read only; ``name`` is that in messages.  Raises FileError, FormatError."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                layout.read_signature(b"")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise FileError(f"{name} cannot be read: {files.reason(error)}.") from None


def walked(data: bytes) -> list[Place]:
    """The groups of an archive one after another, as far as they can be read; the last may be cut off."""
    places: list[Place] = []
    at = START
    with suppress(SaidError):
        while at < len(data) and data[at] == layout.GROUP:
            head, start = layout.read_group(data, at)
            end = start + sum(head.lengths)
            images = Group(head, data, start, None).images
            if images:
                places.append(Place(at, end - at, images))
            at = end
    return places
