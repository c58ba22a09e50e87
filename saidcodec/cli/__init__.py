"""The command line: it parses, calls the API and prints.

``report``: errors, notes, progress.  ``options``: what commands share.  The other modules hold the commands,
a module for each kind, and are imported only where one of theirs is asked for.
"""

from __future__ import annotations

import atexit
import gc
import signal
import sys
import warnings
from importlib import import_module
from typing import Any

import click

from saidcodec import __version__
from saidcodec.cli.report import reported_errors, say, show_note
from saidcodec.errors import SaidWarning

COMMANDS = {
    "encode": "saidcodec.cli.coding",
    "decode": "saidcodec.cli.coding",
    "verify": "saidcodec.cli.checking",
    "compare": "saidcodec.cli.checking",
    "preview": "saidcodec.cli.looking",
    "inspect": "saidcodec.cli.looking",
    "boxes": "saidcodec.cli.boxes",
    "pack": "saidcodec.cli.archive",
    "unpack": "saidcodec.cli.archive",
    "ls": "saidcodec.cli.archive",
    "models": "saidcodec.cli.library",
    "bench": "saidcodec.cli.library",
    "train": "saidcodec.training.commands",
}
LIBRARIES = ("numpy", "constriction", "pillow", "safetensors")  # those that files pass through

atexit.register(gc.freeze)  # a tenth of a short command's time went into a search for garbage at its end


class Commands(click.Group):
    """A group whose errors are one line on standard error and exit status 1, and whose commands are
    functions of the modules in COMMANDS."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[name]), name)
        return command

    def invoke(self, context: click.Context) -> Any:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that no temporary file stays
        with reported_errors(), warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata are no errors
                warnings.simplefilter("always", SaidWarning)
                warnings.showwarning = show_note
            return super().invoke(context)


def show_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the versions of program and bitstream and what runs on this machine, and end."""
    if not wanted or context.resilient_parsing:
        return
    from importlib.metadata import version
    from platform import python_version

    from saidcodec.format.header import VERSION
    from saidcodec.residual import engine

    with reported_errors():
        bitstream = ".".join(map(str, VERSION))
        say(f"saidcodec {__version__}, bitstream {bitstream}, {engine.explained()}")
        say(f"Python {python_version()}, {', '.join(f'{name} {version(name)}' for name in LIBRARIES)}")
    context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    help="Show the versions of program and bitstream, the engine and its instruction set, libraries.",
)
def main() -> None:
    """Encode images into .said files and back, exactly."""
