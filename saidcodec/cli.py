"""The command line: it parses, calls the API and prints."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TextIO

import click

from saidcodec import __version__, files
from saidcodec.errors import SaidError, SaidWarning, about

TRAIN = "train"
MODEL_HELP = "Name or path of a model."
LOSSY_HELP = "Allow a format that changes pixels, such as JPEG."


class Commands(click.Group):
    """A group whose errors are one line on standard error and exit status 1.

    ``train`` is imported only where it is asked for.
    """

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted([*super().list_commands(context), TRAIN])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name != TRAIN:
            return super().get_command(context, name)
        from saidcodec.training.commands import train

        return train

    def invoke(self, context: click.Context) -> Any:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that no temporary file stays
        with reported_errors(), warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata are no errors
                warnings.simplefilter("always", SaidWarning)
                warnings.showwarning = show_note
            return super().invoke(context)


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turns errors into one line on standard error and exit status 1."""
    try:
        yield
    except SaidError as error:
        fail(str(error))
    except KeyboardInterrupt:
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
    clear_progress()
    tell(f"Error: {' '.join(sentence.split())}\n")
    sys.exit(1)


def show_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the versions of program and bitstream and what runs on this machine, and end."""
    if not wanted or context.resilient_parsing:
        return
    from saidcodec.format.header import VERSION
    from saidcodec.residual import engine

    with reported_errors():
        bitstream = ".".join(map(str, VERSION))
        say(f"saidcodec {__version__}, bitstream {bitstream}, {engine.explained()}")
    context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    help="Show the versions of program and bitstream, the engine and its instruction set.",
)
def main() -> None:
    """Encode images into .said files and back, exactly."""


@main.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT.said]", required=False)
@click.option(
    "--model", default="auto", show_default=True, help=MODEL_HELP + " auto: the smallest file wins."
)
@click.option(
    "--residual", type=click.Choice(["context", "gaussian", "none"]), default="context", show_default=True
)
@click.option(
    "--max-error", type=click.IntRange(0, 255), default=0, help="Near-lossless: largest error of a sample."
)
@click.option("--glimpses", default="auto", show_default=True, help="auto, or a number per tile.")
@click.option(
    "--effort",
    type=click.Choice(["fast", "normal", "best"]),
    default="normal",
    show_default=True,
    help="How long to look for a shorter file.",
)
@click.option("--no-verify", is_flag=True, help="Do not decode the result and compare it with IN.")
@click.option("--quiet", is_flag=True, help="Do not print the result's size and time.")
@click.option("--force", is_flag=True, help="Overwrite OUT.")
def encode(
    source: str,
    target: str | None,
    model: str,
    residual: str,
    max_error: int,
    glimpses: str,
    effort: str,
    no_verify: bool,
    quiet: bool,
    force: bool,
) -> None:
    """Encode any image that Pillow opens; - is standard input or output; without OUT, to IN with .said."""
    from saidcodec import codec, images, verification

    started = time.monotonic()
    count = number_of(glimpses)
    target = output_for(source, ".said") if target is None else target
    files.check_suffix(target, ".said")
    files.check_apart(source, target)
    files.check_free(target, force)
    original = files.read_bytes(source)
    pixels, _, metadata = images.from_file(original, name_of(source))
    data = codec.encode(
        pixels,
        model=model,
        residual=residual,
        max_error=max_error,
        glimpses=count,
        effort=effort,
        metadata=metadata,
        progress=progress("encoding"),
    )
    if not no_verify:
        verification.verify(
            data,
            pixels,
            metadata,
            model=None if model == "auto" else model,
            largest_error=None if residual == "none" else max_error,
            progress=progress("verifying"),
        )
    files.write(target, force, lambda file: file.write(data))
    if not quiet:
        name = "standard output" if target == files.STANDARD else target
        share = len(data) / len(original)
        tell(
            f"{name}: {len(data):,} bytes, {share:.1%} of the input's {len(original):,}, "
            f"{time.monotonic() - started:.2f} s\n"
        )
        if share > 1:
            note(f"{name} is larger than the input file, as an exact copy of a lossy file often is.")


def output_for(source: str, suffix: str) -> str:
    """The output's name where none is given."""
    return files.STANDARD if source == files.STANDARD else os.path.splitext(source)[0] + suffix


def name_of(source: str) -> str:
    """An input's name in messages."""
    return "standard input" if source == files.STANDARD else source


def number_of(glimpses: str) -> int | None:
    if glimpses == "auto":
        return None
    if not glimpses.isdecimal():
        raise click.BadParameter("must be auto or a whole number", param_hint="--glimpses")
    return int(glimpses)


@main.command()
@click.argument("source", metavar="IN.said")
@click.argument("target", metavar="[OUT]", required=False)
@click.option("--model", help=MODEL_HELP)
@click.option("--lossy", is_flag=True, help=LOSSY_HELP)
@click.option("--force", is_flag=True, help="Overwrite OUT.")
def decode(source: str, target: str | None, model: str | None, lossy: bool, force: bool) -> None:
    """Decode to the format of OUT's suffix; without OUT, to IN with .png."""
    from saidcodec import codec, images

    target = output_for(source, ".png") if target is None else target
    name = images.format_of(target)
    files.check_apart(source, target)
    files.check_free(target, force)
    data = files.read_bytes(source)
    with about(name_of(source)):
        pixels, _, metadata = codec.decode_image(data, model=model, progress=progress("decoding"))
    save = images.save if lossy else images.save_exactly
    with about(target):
        files.write(target, force, lambda file: save(pixels, metadata, file, name))


@main.command()
@click.argument("source", metavar="IN.said")
@click.argument("target", metavar="OUT")
@click.option("--glimpses", type=click.IntRange(0), help="Only the first so many of each tile.")
@click.option("--model", help=MODEL_HELP)
@click.option("--force", is_flag=True, help="Overwrite OUT.")
def preview(source: str, target: str, glimpses: int | None, model: str | None, force: bool) -> None:
    """Write what the SAID layer alone says of the image."""
    from saidcodec import images, inspection
    from saidcodec.format import container

    name = images.format_of(target)
    files.check_apart(source, target)
    files.check_free(target, force)
    data = files.read_bytes(source)
    with about(name_of(source)):
        pixels = inspection.preview(data, glimpses, model=model)
        metadata = container.unpack(data, residual=False).metadata
    with about(target):
        files.write(target, force, lambda file: images.save(pixels, metadata, file, name))


@main.command()
@click.argument("source", metavar="IN.said")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--picture", metavar="OUT.png", help="Write the preview with its boxes, numbered in order.")
@click.option("--model", help=MODEL_HELP)
@click.option("--force", is_flag=True, help="Overwrite the picture.")
def inspect(source: str, as_json: bool, picture: str | None, model: str | None, force: bool) -> None:
    """Say where a file's bits went, and where its objects are."""
    from saidcodec import inspection

    if picture is not None:
        files.check_apart(source, picture)
        files.check_free(picture, force)
    data = files.read_bytes(source)
    with about(name_of(source)):
        account = inspection.inspect(data, model=model)
    if picture is not None:
        from saidcodec import images
        from saidcodec.inspection import draw_boxes

        drawn = draw_boxes(inspection.preview(data, model=model), account["glimpses"])
        name = images.format_of(picture)
        files.write(picture, force, lambda file: drawn.save(file, name))
    say(json.dumps(account) if as_json else readable(account))


def readable(account: dict[str, Any]) -> str:
    """An account for people."""
    bits, total = account["bits"], account["bits"]["total"]
    lines = [
        f"{account['width']} x {account['height']} {account['mode']}, version {account['version']}, "
        f"model {account['model']['name']} ({account['model']['id']})",
        f"{total / 8:.0f} bytes, {account['bpp']:.4f} bits per pixel",
    ]
    lines += [
        f"  {name:<9}{bits[name]:>14.1f} bits  {100 * bits[name] / total:5.1f} %"
        for name in bits
        if name != "total"
    ]
    if account["glimpses"]:
        lines.append(
            f"{len(account['glimpses'])} glimpses; KL of their latents {account['kl_bits']:.1f} bits"
        )
    for number, glimpse in enumerate(account["glimpses"], 1):
        lines.append(
            f"  {number:>3}  tile {glimpse['tile']}  box {glimpse['box']}  "
            f"{glimpse['bits']:.1f} bits, saves about {glimpse['saved_bits']:.0f}"
        )
    return "\n".join(lines)


@main.command()
def models() -> None:
    """List the installed models."""
    from saidcodec import models as library

    for path in library.installed():
        try:
            about = library.read_metadata(path)
        except SaidError as error:
            about = {"description": str(error)}
        say(f"{path.stem:<16}{about.get('id', '-'):<10}{about.get('description', '')}")


@main.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--model", default="auto", show_default=True, help=MODEL_HELP)
def bench(paths: tuple[str, ...], model: str) -> None:
    """Sizes and speeds on your own images, beside the other codecs that are installed."""
    from saidcodec.evaluation import rate

    for line in rate.table(rate.gather(paths), model):
        say(line)


if __name__ == "__main__":
    main()
