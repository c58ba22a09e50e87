"""What the commands of ``saidcodec train`` share: options, checks, what is said where torch is missing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import click

from saidcodec.cli.report import note, watched
from saidcodec.errors import FileError, SaidError, about

DATASETS = ("multimnist", "multidsprites", "sheets", "scenes", "photographs")
DRAWN = ("multidsprites",)  # datasets that need no files
FLAT_COLOURS = ("multidsprites",)  # datasets whose pixels mostly repeat a neighbour exactly

Loaded = TypeVar("Loaded")
Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]

READ = click.Path(exists=True, path_type=Path)
WRITTEN = click.Path(path_type=Path)


MOST_NAMED = 3  # files that cannot be used, in a note


class NeedsTorch(click.Command):
    """A command that needs torch, but not for its help."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if not {*context.help_option_names} & {*args}:
            self.check()
        return super().parse_args(context, args)

    def check(self) -> None:
        """Refuse to begin where the command cannot work."""
        check_torch()
        check_alone()


class ForTeams(NeedsTorch):
    """A command that torchrun may start several times."""

    def check(self) -> None:
        check_torch()


def check_torch() -> None:
    """Raises SaidError where torch is not installed."""
    if find_spec("torch") is None:
        raise SaidError("This needs torch, which is not installed: install the package as saidcodec[train].")


def check_alone() -> None:
    """Raises UsageError in one of several processes that torchrun started."""
    if "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1":
        raise click.UsageError("torchrun is for train said and train residual; this command is one process.")


def together(*options: Decorator) -> Decorator:
    """Several options as one decorator, listed by --help in this order."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


OUT = click.option("--out", type=WRITTEN, required=True, help="The model file to write.")
FORCE = click.option("--force", is_flag=True, help="Overwrite OUT.")
CHECKPOINT = click.option("--checkpoint", type=WRITTEN, help="Default: OUT with .pt.")
SEED = click.option("--seed", default=0, show_default=True)
GREY = click.option("--grey", is_flag=True, help="The images' channels are equal; count one.")
DEVICE = click.option("--device", default="cpu", show_default=True)
LENGTH = together(
    click.option("--steps", type=click.IntRange(1), help="Batches; one of --steps and --seconds is needed."),
    click.option(
        "--seconds", type=click.FloatRange(0, min_open=True), help="Stop the schedule after this time."
    ),
)
ABOUT = together(
    click.option("--licence", default="", help="Of the weights, for the model's metadata."),
    click.option("--description", default="", help="Likewise."),
)


def minutes_option(default: float) -> Decorator:
    return click.option(
        "--minutes",
        type=click.FloatRange(0, min_open=True),
        default=default,
        show_default=True,
        help="Of training; reading and measuring come on top.",
    )


def dataset_options(names: Sequence[str]) -> Decorator:
    return together(
        click.option("--dataset", type=click.Choice(names), required=True),
        click.option("--data", type=READ, help="MNIST files, or a folder."),
    )


def read_data(data: Path, reader: Callable[[], Loaded]) -> Loaded:
    """What ``reader`` makes of the files of --data.  Raises FileError where they are of another kind."""
    from PIL import UnidentifiedImageError

    try:
        return reader()
    except (ValueError, KeyError, EOFError, BadZipFile, UnidentifiedImageError) as error:
        sentence = str(error.args[0] if isinstance(error, KeyError) else error)
        with about(str(data)):
            raise FileError(sentence.rstrip(".") + ".") from None


def check_device(device: str) -> None:
    """Raises UsageError unless torch can compute there."""
    import torch

    try:
        torch.zeros(1, device=device)
    except Exception:  # each kind of device has errors of its own
        raise click.UsageError(f"torch has no device {device} here.") from None


def check_data(dataset: str, data: Path | None) -> Path:
    """The path of --data.  Raises UsageError where it is needed and missing."""
    if data is None and dataset not in DRAWN:
        raise click.UsageError(f"The dataset {dataset} needs --data.")
    return data or Path()


def check_length(steps: int | None, seconds: float | None) -> None:
    """Raises UsageError where nothing ends the training."""
    if steps is None and seconds is None:
        raise click.UsageError("One of --steps and --seconds is needed.")


@contextmanager
def bar(label: str) -> Iterator[Callable[[float], None]]:
    """A progress bar on standard error, where somebody watches; it is told the share that is done."""
    with click.progressbar(length=1000, label=label, file=sys.stderr, hidden=not watched()) as shown:
        yield lambda share: shown.update(int(1000 * share) - shown.pos)


def tell_skipped(skipped: Sequence[str]) -> None:
    """A note about the files of a folder that are left out."""
    if skipped:
        more = f" and {len(skipped) - MOST_NAMED} more" * (len(skipped) > MOST_NAMED)
        note(f"Left out: {' '.join(skipped[:MOST_NAMED])}{more}")
