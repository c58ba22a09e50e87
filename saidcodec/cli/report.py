"""What the command line says beside its results: errors, notes and progress, all on standard error."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TextIO

import click

from saidcodec import files
from saidcodec.errors import SaidError


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turns errors into one line on standard error and exit status 1."""
    try:
        yield
    except SaidError as error:
        fail(str(error))
    except KeyboardInterrupt:
        with suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would end in a traceback
        fail("Interrupted.")
    except BrokenPipeError:
        drop_output()
        sys.exit(1)
    except MemoryError:
        fail("There is not enough memory for this image.")
    except OSError as error:
        name = error.filename
        if name is None and error.errno is not None:  # files are named
            name = "Standard output"
            drop_output()
        sentence = (error.strerror or str(error)).rstrip(".")
        fail(f"{name}: {sentence}." if name else f"{sentence}.")


def drop_output() -> None:
    """Send what standard output still holds nowhere, so that Python does not try to write it at its end."""
    with suppress(OSError, ValueError, AttributeError):  # closed, or no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_note(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Takes the place of ``warnings.showwarning``."""
    note(str(message))


def note(sentence: str) -> None:
    clear_progress()
    tell(f"Note: {' '.join(sentence.split())}\n")


def say(text: str) -> None:
    """Print a line of the result.  Raises FileError where standard output is closed."""
    files.check_output()
    click.echo(text)


def tell(text: str) -> None:
    """Write to standard error; what nobody can receive is no reason to fail."""
    with suppress(OSError, ValueError):
        click.echo(text, nl=False, err=True)


def watched() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def clear_progress() -> None:
    """Wipe out what ``progress`` may have left on the line."""
    if watched():
        tell("\r\x1b[K")


def progress(label: str) -> Callable[[float], None] | None:
    """Tells somebody who watches how far it is; None where nobody does."""
    if not watched():
        return None

    return lambda share: tell(f"\r{label} {share:4.0%}" if share < 1 else "\r\x1b[K")


def fail(sentence: str) -> NoReturn:
    complain(sentence)
    sys.exit(1)


def complain(sentence: str) -> None:
    """Say what went wrong, and go on."""
    clear_progress()
    tell(f"Error: {' '.join(sentence.split())}\n")
