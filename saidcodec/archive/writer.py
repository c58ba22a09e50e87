"""Archives as they are written: ``pack``, which makes one or appends to one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from saidcodec import arguments, files, models
from saidcodec.archive import layout
from saidcodec.archive.encoding import Item, Options, encoded, group_of, is_wide, shortest
from saidcodec.archive.layout import SIGNATURE, VERSION, Place, is_shareable
from saidcodec.archive.names import check_label, check_name
from saidcodec.archive.reader import Archive
from saidcodec.codec import AnyModel
from saidcodec.encoder.auto import DEFAULT_MODEL
from saidcodec.encoder.calibrate import calibration
from saidcodec.entropy.bank import Rows
from saidcodec.errors import FileError, ImageError, SaidError, about
from saidcodec.format.header import Metadata, ResidualCoder
from saidcodec.images import from_any
from saidcodec.models import Model
from saidcodec.parallel import Progress, cores, in_threads
from saidcodec.picture import Picture

TOGETHER = 4  # images of a run
GROUP_IMAGES = 1024
GROUP_PIXELS = 1 << 22  # of shared images; what they are coded as waits in memory until a group is whole
GROUP_BYTES = 1 << 24  # of whole files
AT_ONCE = 256  # images that are coded before the next look at these limits
MODEL_SAMPLE, CALIBRATION_SAMPLE = 16, 64  # images

OnError = Callable[[int, SaidError], None]


def pack(
    images: Sequence[Any],
    path: str | os.PathLike[str],
    *,
    names: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    model: AnyModel = "auto",
    residual: str = "context",
    max_error: int = 0,
    glimpses: int | None = None,
    effort: str = "normal",
    together: int = TOGETHER,
    strip: bool = False,
    append: bool = False,
    force: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    on_error: OnError | None = None,
) -> int:
    """Write an archive of images, or append them to one; returns how many they are.

    ``images``: whatever ``encode`` takes; a few are asked for twice.  ``names``: paths with "/" between their
    parts, each once, or "" for an image without a name.  ``labels``: a line of text for each image.
    ``strip`` leaves out all metadata.
    ``model``, ``residual``, ``max_error``, ``glimpses``, ``effort``: as for ``encode``, but with "auto" one
    model serves all images, that of the smallest files of a sample.  ``together``: how many images share a
    stream; many are smaller, few are read faster in any order.  ``append`` keeps what the archive holds,
    ``force`` overwrites it.  ``on_error`` is told the number of an image that cannot be encoded, and why; the
    image is left out.  Without it the error is raised, and nothing is written.  ``progress`` is told the
    share that is done.
    Raises what ``encode`` raises; ImageError where no image is left; FileError; ValueError and TypeError.
    """
    if isinstance(images, (str, bytes, os.PathLike)) or not hasattr(images, "__getitem__"):
        kind = arguments.kind_of(images)
        raise TypeError(f"Images must be given as a list or the like, not as {kind}.")
    max_error, glimpses, threads = arguments.check_encoding(
        residual, max_error, glimpses, None, threads, effort
    )
    arguments.check_model(model)
    together = arguments.whole("together", together, 1, layout.MOST_IMAGES)
    names = [""] * len(images) if names is None else [*names]
    check_columns(len(images), names, labels)
    target, places = os.fspath(path), list[Place]()
    if append:
        with Archive(target) as old:
            places = old.places
            if clash := {name for name in names if name}.intersection(old.names):
                raise FileError(f"{target} already holds an image of the name {min(clash)}.")
    else:
        files.check_free(target, force)
    jobs = Jobs(images, names, labels, threads or cores(), strip, on_error, progress)
    options = Options(residual, max_error, glimpses, effort, model == "auto")
    sample = [one for one in jobs.sample(CALIBRATION_SAMPLE) if not is_wide(one)]
    found = chosen(model, sample, options, jobs.threads)
    rows = calibrated_on(sample, options, found, len(images))

    def groups() -> Iterator[tuple[int, bytes]]:
        for items in grouped(coded(jobs, options, found, rows)):
            yield len(items), group_of(items, found, rows, together, jobs.threads)

    if append:
        return appended(target, places, groups())
    written = 0

    def save(file: BinaryIO) -> None:
        nonlocal written
        file.write(SIGNATURE + bytes([VERSION[0] << 4 | VERSION[1]]))
        written = add_groups(file, [], groups())

    files.write(target, force, save)
    return written


def check_columns(count: int, names: Sequence[str], labels: Sequence[str] | None) -> None:
    """Refuse names or labels that an archive cannot hold.  Raises ValueError, ImageError."""
    if len(names) != count or (labels is not None and len(labels) != count):
        raise ValueError("names and labels must have one text for each image.")
    seen = set()
    for name in names:
        if name:
            check_name(name, ImageError)
            if name in seen:
                raise ValueError(f"The name {name} is given twice.")
        seen.add(name)
    for label in labels or ():
        check_label(label, ValueError)


@dataclass(frozen=True)
class Jobs:
    """The images that are to be packed, and how the work on them goes."""

    images: Sequence[Any]
    names: Sequence[str]
    labels: Sequence[str] | None
    threads: int
    strip: bool
    on_error: OnError | None
    progress: Progress | None

    def read(self, number: int) -> Picture:
        """One image as ``images.from_any`` gives it, or without its metadata."""
        picture = from_any(self.images[number])
        return picture._replace(metadata=Metadata()) if self.strip else picture

    def called(self, number: int) -> str:
        """What an image is called in messages."""
        return arguments.name_of(self.images[number]) or self.names[number] or f"Image {number}"

    def sample(self, count: int) -> list[Picture]:
        """Some images, evenly spread; those that cannot be read are left out."""
        numbers = np.unique(np.linspace(0, len(self.images) - 1, min(count, len(self.images))).astype(int))
        found = in_threads(self._sampled, numbers.tolist(), self.threads)
        return [one for one in found if one is not None]

    def _sampled(self, number: int) -> Picture | None:
        try:
            return self.read(number)
        except SaidError:
            return None


def chosen(model: AnyModel, sample: Sequence[Picture], options: Options, threads: int) -> Model:
    """The one model of an archive.  Raises ModelError."""
    if isinstance(model, Model):
        return model
    if model != "auto" or not sample:
        return models.find(DEFAULT_MODEL if model == "auto" else model)
    few = sample[:: max(1, len(sample) // MODEL_SAMPLE)]
    return shortest(few, options, threads)


def calibrated_on(sample: Sequence[Picture], options: Options, model: Model, images: int) -> Rows | None:
    """The calibration of an archive of so many images."""
    headers = [(options.header(one, model), one.pixels) for one in sample]
    coders = {ResidualCoder.CONTEXT}
    fit = [one for one in headers if is_shareable(one[0]) and one[0].coder in coders and not one[0].flat]
    if not fit or options.max_error:
        return None
    return calibration(fit, model, images, -(-images // GROUP_IMAGES))


def coded(jobs: Jobs, options: Options, model: Model, rows: Rows | None) -> Iterator[list[Item]]:
    """All images, encoded, some at a time.  Raises ImageError where there is none."""

    def one(number: int) -> Item | SaidError:
        label = jobs.labels[number] if jobs.labels is not None else None
        try:
            with about(jobs.called(number)):
                image = encoded(jobs.read(number), options, model, rows)
        except SaidError as error:
            if not jobs.on_error:
                raise
            return error
        return Item(jobs.names[number], label, image)

    total, left = len(jobs.images), 0
    for first in range(0, total, AT_ONCE):
        items = []
        numbers = range(first, min(first + AT_ONCE, total))
        for number, found in zip(numbers, in_threads(one, numbers, jobs.threads), strict=True):
            if isinstance(found, Item):
                items.append(found)
            elif jobs.on_error:
                jobs.on_error(number, found)
            if jobs.progress:
                jobs.progress((number + 1) / total)
        left += len(items)
        yield items
    if not left:
        raise ImageError("There is no image to pack.")


def grouped(parts: Iterator[list[Item]]) -> Iterator[list[Item]]:
    """The images of each group."""
    items: list[Item] = []
    for part in parts:
        items += part
        pixels = sum(item.header.width * item.header.height for item in items if item.header)
        size = sum(len(item.image) for item in items if isinstance(item.image, bytes))
        if len(items) >= GROUP_IMAGES or pixels >= GROUP_PIXELS or size >= GROUP_BYTES:
            yield items
            items = []
    if items:
        yield items


def add_groups(file: BinaryIO, places: Sequence[Place], groups: Iterator[tuple[int, bytes]]) -> int:
    """Write groups, and the index of those before them and of these; returns how many images these are."""
    found, end = [*places], sum(place.size for place in places) + layout.START
    for count, group in groups:
        file.write(group)
        found.append(Place(end, len(group), count))
        end += len(group)
    file.write(layout.pack_index(found))
    return sum(place.images for place in found[len(places) :])


def appended(target: str, places: Sequence[Place], groups: Iterator[tuple[int, bytes]]) -> int:
    """Write groups in the place of an archive's index, and an index after them; returns how many images they
    are.  Where that fails the archive stays as it was.
    """
    end = sum(place.size for place in places) + layout.START
    try:
        with open(target, "r+b") as file:
            file.seek(end)
            try:
                return add_groups(file, places, groups)
            except BaseException:
                file.seek(end)
                file.truncate()
                file.write(layout.pack_index(places))
                raise
    except OSError as error:
        raise FileError(f"{target} cannot be written: {files.reason(error)}.") from None
