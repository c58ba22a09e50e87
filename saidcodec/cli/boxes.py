"""The command ``boxes``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from saidcodec import files
from saidcodec.batch import jobs
from saidcodec.batch.work import ARCHIVE_SUFFIX, SUFFIX
from saidcodec.cli.options import PATH, shared
from saidcodec.cli.report import complain, say
from saidcodec.errors import FileError, SaidError, about

if TYPE_CHECKING:
    from saidcodec.boxes import BoxedImage

YOLO = "yolo"


@click.command(short_help="List the boxes of .said files.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=PATH)
@click.option(
    "--format",
    "form",
    type=click.Choice(["coco", YOLO, "csv", "json"]),
    default="json",
    show_default=True,
    help="yolo: a text file for each image, in --output-dir; others: to standard output.",
)
@click.option("--output-dir", metavar="OUT", help="Folder for the files of yolo; structure is kept.")
@shared("model", "force")
def boxes(paths: tuple[str, ...], form: str, output_dir: str | None, model: str | None, force: bool) -> None:
    """List the boxes of .said files and .saids archives, without decoding a pixel.

    PATHs are files and folders, or - for standard input.

    \b
    Examples:
      saidcodec boxes digits.said
      saidcodec boxes images --format coco > boxes.json
      saidcodec boxes images --format yolo --output-dir labels
    """
    from saidcodec import boxes as library

    if (form == YOLO) != (output_dir is not None):
        raise click.UsageError("--format yolo needs --output-dir OUT, and no other format takes it.")
    failures = Failures()
    found = read(sources(paths, failures), model, failures)
    if output_dir is None:
        for line in library.FORMS[form](image for _, image in found):
            say(line)
    else:
        write(found, output_dir, force, failures)
    if failures.any:
        sys.exit(1)


class Failures:
    """What fails is told, and everything else goes on."""

    def __init__(self) -> None:
        self.any = False

    @contextmanager
    def told(self) -> Iterator[None]:
        try:
            yield
        except SaidError as error:
            self.tell(error)

    def tell(self, error: SaidError) -> None:
        self.any = True
        complain(str(error))


def sources(paths: Sequence[str], failures: Failures) -> Iterator[tuple[str, str]]:
    """The .said files and archives of all paths, and the name of each below its folder."""
    wanted = frozenset({SUFFIX, ARCHIVE_SUFFIX})
    for path in paths:
        walk, any_file = jobs.Plan(), False
        for source in jobs.sources(path, None, wanted, walk):
            any_file = True
            yield source
        for sentence in walk.failures:
            failures.tell(FileError(sentence))
        if not any_file and not walk.failures:
            failures.tell(FileError(f"{path} has no {SUFFIX} files."))


def read(
    found: Iterable[tuple[str, str]], model: str | None, failures: Failures
) -> Iterator[tuple[str, BoxedImage]]:
    """The boxes of each file, with the name of the file below its folder."""
    from saidcodec import boxes as library

    for source, relative in found:
        with failures.told(), about(files.name_of(source)):
            if source.lower().endswith(ARCHIVE_SUFFIX):
                for image in library.read_archive(source, model=model):
                    yield os.path.join(os.path.dirname(relative), image.name), image
                continue
            data = files.read_bytes(source) if source == files.STANDARD else source
            yield relative, library.read(data, files.name_of(source), model=model)


def write(found: Iterable[tuple[str, BoxedImage]], output_dir: str, force: bool, failures: Failures) -> None:
    """A text file for each image."""
    from saidcodec import boxes as library

    written: set[str] = set()
    for relative, image in found:
        target = os.path.join(output_dir, os.path.splitext(relative)[0] + ".txt")
        with failures.told():
            if target in written:
                raise FileError(f"{image.name}: another image's boxes are in {target} already; rename it.")
            written.add(target)
            write_text(target, library.yolo(image), force)


def write_text(target: str, text: str, force: bool) -> None:
    """Write a file, and the folders above it.  Raises FileError."""
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
    except OSError as error:
        raise FileError(f"{target} cannot be written: {files.reason(error)}.") from None
    files.write(target, force, lambda file: file.write(text.encode()))
