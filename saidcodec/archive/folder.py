"""Folders of images and archives: which images a folder holds, their labels, and where images go."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from saidcodec import files, images
from saidcodec.archive.names import check_label, check_name
from saidcodec.archive.reader import Archive
from saidcodec.errors import FileError, ModelError, SaidError, about
from saidcodec.format.presentation import Presentation
from saidcodec.parallel import Progress, cores, in_threads
from saidcodec.picture import Picture

SUFFIX = ".png"  # of images that are unpacked and of which nothing is known
FIRST_LINE = ["name", "label"]  # of a file of labels

OnError = Callable[[SaidError], None]


@dataclass
class Found:
    """The images below a folder: their names, with "/" between parts; ``failures``: sentences about folders
    that cannot be read, and names that an archive cannot hold."""

    names: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def images_below(folder: str) -> Found:
    """The images below a folder by name: files that are not hidden and have a suffix that Pillow knows.

    Raises FileError where there is no such folder, or no image in it.
    """
    from PIL import Image

    Image.init()
    found = Found()
    if not os.path.isdir(folder):
        raise FileError(f"{folder} is no folder; saidcodec pack needs a folder of images.")

    def failed(error: OSError) -> None:
        found.failures.append(f"{error.filename} cannot be read: {files.reason(error)}.")

    for here, below, names in os.walk(folder, onerror=failed):
        below[:] = [name for name in below if not name.startswith(".")]
        inside = os.path.relpath(here, folder)
        for name in names:
            if name.startswith(".") or os.path.splitext(name)[1].lower() not in Image.EXTENSION:
                continue
            if files.is_device(os.path.join(here, name)):  # of which reading might never end
                continue
            own = os.path.normpath(os.path.join(inside, name)).replace(os.sep, "/")
            try:
                check_name(own, FileError)
                found.names.append(own)
            except FileError as error:
                found.failures.append(str(error))
    found.names.sort()
    if not found.names:
        raise FileError(found.failures[0] if found.failures else f"{folder} holds no images.")
    return found


def read_labels(path: str, names: Sequence[str]) -> list[str]:
    """The label of each name by a CSV file of two columns, name and label.

    Raises FileError where it is no such file, or a name has no label.
    """
    try:
        lines = [line for line in csv.reader(io.StringIO(files.read_bytes(path).decode())) if line]
    except (UnicodeDecodeError, csv.Error):
        raise FileError(f"{path} is not a CSV file in UTF-8.") from None
    if any(len(line) != len(FIRST_LINE) for line in lines):
        raise FileError(f"{path} must have two columns: {' and '.join(FIRST_LINE)}.")
    known = dict(lines)
    missing = [name for name in names if name not in known]
    if missing:
        raise FileError(f"{path} has no label for {missing[0]}; every image needs one, or none.")
    labels = [known[name] for name in names]
    with about(path):
        for label in labels:
            check_label(label, FileError)
    return labels


def labels_text(archive: Archive) -> str:
    """A CSV file of the names and labels of an archive.  Raises FileError where it has none."""
    if all(label is None for label in archive.labels):
        raise FileError(f"{archive.name} has no labels.")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIRST_LINE)
    writer.writerows(zip(archive.names, (label or "" for label in archive.labels), strict=True))
    return out.getvalue()


def unpack(
    archive: Archive, folder: str, *, force: bool, on_error: OnError, progress: Progress | None = None
) -> int:
    """Write the images of an archive below a folder, as PNG files where these hold them; returns how many.

    ``on_error`` is told what cannot be read or written; all else is written.  Raises FileError, before
    anything is written, where a file is there already and ``force`` is False; ModelError.
    """
    runs, names, suffixes = list[tuple[int, int]](), dict[int, str](), dict[int, str]()
    for number in range(len(archive.places)):
        try:
            group, first = archive.group(number), archive.first(number)
        except SaidError as error:
            on_error(error)
            continue
        runs += [(number, run) for run in archive.runs(number)]
        for image in range(archive.places[number].images):
            names[first + image] = group.head.names[image]
            with suppress(SaidError):  # of what is damaged is told where its pixels are read
                entry = archive.entry(first + image)
                shown = images.Kind(Presentation(entry.mode), entry.width, entry.height)
                suffixes[first + image] = images.suffix_for([shown])
    found = targets_of(names, suffixes)
    targets = {number: os.path.join(folder, target) for number, target in found.items()}
    there = [target for target in targets.values() if os.path.lexists(target)]
    if there and not force:
        raise FileError(f"{there[0]} exists already; --force overwrites it.")

    def write_run(which: tuple[int, int]) -> list[SaidError | None]:
        group, run = which
        try:
            decoded = archive.read_run(group, run)
        except ModelError:
            raise  # all others would fail alike
        except SaidError as error:
            return [error]
        first = archive.first(group) + archive.group(group).head.runs[run].start
        return [written(number, picture) for number, picture in enumerate(decoded, first)]

    def written(number: int, picture: Picture) -> SaidError | None:
        try:
            write_image(picture, targets[number], folder, force)
        except SaidError as error:
            return error
        return None

    done = 0
    for outcomes in in_threads(write_run, runs, cores(), progress):
        for outcome in outcomes:
            if outcome is None:
                done += 1
            else:
                on_error(outcome)
    return done


def targets_of(names: Mapping[int, str], suffixes: Mapping[int, str]) -> dict[int, str]:
    """Where the images of these numbers and names go: their own names with these suffixes, or .png, each
    once."""
    found, taken = dict[int, str](), set[str]()

    def has_its_own(number: int) -> bool:
        return os.path.splitext(names[number])[1].lower() == suffixes.get(number, SUFFIX)

    for number in sorted(names, key=lambda number: not has_its_own(number)):
        name, suffix = names[number] or f"{number:05}", suffixes.get(number, SUFFIX)
        target = name if has_its_own(number) else os.path.splitext(name)[0] + suffix
        if os.path.normcase(target) in taken:  # two names that differ in their suffixes
            target = name + suffix
        while os.path.normcase(target) in taken:
            target = f"{os.path.splitext(target)[0]}-{number}{suffix}"
        taken.add(os.path.normcase(target))
        found[number] = target
    return found


def write_image(picture: Picture, target: str, folder: str, force: bool) -> None:
    """Write one image below a folder, whose own folders are made.  Raises FileError or ImageError."""
    if os.path.splitdrive(os.path.relpath(target, folder))[0]:
        raise FileError(f"{target} cannot be written: it lies outside {folder}.")
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
    except OSError as error:
        raise FileError(f"{target} cannot be written: {files.reason(error)}.") from None
    with about(target):
        name = images.format_of(target)
        files.write(target, force, lambda file: images.save_exactly(picture, file, name))
