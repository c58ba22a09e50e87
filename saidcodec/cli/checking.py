"""The commands ``verify`` and ``compare``."""

from __future__ import annotations

import sys

import click

from saidcodec import files
from saidcodec.cli.options import PATH, check_usage, shared
from saidcodec.cli.report import say


@click.command(short_help="Check that .said files and archives are whole.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=PATH)
@shared("model", "jobs", "dask", "quiet", "verbose")
def verify(
    paths: tuple[str, ...], model: str | None, jobs: int | None, dask: str | None, quiet: bool, verbose: bool
) -> None:
    """Decode .said files and .saids archives and compare their checksums; nothing is written.

    PATHs are files and folders, or - for standard input.

    \b
    Examples:
      saidcodec verify photo.said
      saidcodec verify folder --verbose
      saidcodec verify digits.saids
    """
    from saidcodec.batch.decoding import Verifying
    from saidcodec.cli.many import work_on

    check_usage(quiet=quiet, verbose=verbose, jobs=jobs, dask=dask)
    if files.STANDARD in paths:
        if dask is not None:
            raise click.UsageError("--dask cannot read standard input.")
        jobs = 1  # other processes do not have it
    work_on(Verifying(model=model), paths, None, jobs=jobs, dask=dask, quiet=quiet, verbose=verbose)


@click.command(short_help="Say where two images differ.")
@click.argument("one", metavar="A", type=PATH)
@click.argument("other", metavar="B", type=PATH)
@shared("model", "quiet")
def compare(one: str, other: str, model: str | None, quiet: bool) -> None:
    """Say whether two images are equal, and if not, where and how much they differ.

    A and B are .said files or any images that Pillow opens; one of them may be -, standard input.  Exit
    status 1 says that they differ in more than metadata and the durations of frames.

    \b
    Examples:
      saidcodec compare photo.said photo.png
      saidcodec compare before.png after.png
    """
    from saidcodec import comparison

    if one == other == files.STANDARD:
        raise click.UsageError("Only one of both can be standard input.")
    names = files.name_of(one), files.name_of(other)
    first, second = (
        comparison.open_any(files.read_bytes(path), name, model)
        for path, name in zip((one, other), names, strict=True)
    )
    equal, lines = comparison.compare_all(first, second, names)
    if not quiet:
        say("\n".join(lines))
    if not equal:
        sys.exit(1)
