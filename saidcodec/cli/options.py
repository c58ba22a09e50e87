"""What several commands share: options, kinds of arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

MODEL_HELP = "Name or path of a model."
# So that shells complete names of files; all else is checked later, for each file.
PATH = click.Path(allow_dash=True, readable=False)

SHARED: dict[str, Callable[[Function], Function]] = {
    "model": click.option("--model", metavar="NAME|PATH", help=MODEL_HELP),
    "auto_model": click.option(
        "--model",
        metavar="NAME|PATH",
        default="auto",
        show_default=True,
        help=MODEL_HELP + " auto: the smallest file wins.",
    ),
    "force": click.option("--force", is_flag=True, help="Overwrite outputs that exist."),
    "lossy": click.option("--lossy", is_flag=True, help="Allow a format that changes pixels, such as JPEG."),
    "quiet": click.option("--quiet", is_flag=True, help="Say nothing but errors and notes of loss."),
    "verbose": click.option("--verbose", is_flag=True, help="Say where the bits and the time went."),
    "output_dir": click.option(
        "--output-dir",
        metavar="OUT",
        type=click.Path(),
        help="Take any number of files and folders; write to this folder, and keep their structure.",
    ),
    "jobs": click.option(
        "--jobs", metavar="N", type=click.IntRange(1), help="Files at a time; by default one a core."
    ),
    "dask": click.option(
        "--dask", metavar="ADDRESS", help="Work on a Dask cluster (extra cluster): address of its scheduler."
    ),
    "delete_source": click.option(
        "--delete-source",
        is_flag=True,
        help="Remove each input whose written output was read back and holds all of it.",
    ),
}


def shared(*names: str) -> Callable[[Function], Function]:
    """Give a command some of the options of SHARED, in this order."""

    def decorate(command: Function) -> Function:
        for name in reversed(names):
            command = SHARED[name](command)
        return command

    return decorate


def check_usage(*, quiet: bool, verbose: bool, jobs: int | None, dask: str | None) -> None:
    """Raises UsageError where options contradict each other."""
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose exclude each other.")
    if jobs is not None and dask is not None:
        raise click.UsageError("--jobs and --dask exclude each other: a cluster has its own workers.")


def check_single(paths: tuple[str, ...], **many: object) -> None:
    """Raises UsageError where there is no file, more than input and output, or an option for many files."""
    if not paths:
        raise click.UsageError("Missing argument 'IN'.")
    if len(paths) > 2:
        raise click.UsageError("Several inputs need --output-dir.")
    for name, given in many.items():
        if given:
            raise click.UsageError(f"--{name.replace('_', '-')} needs --output-dir.")
