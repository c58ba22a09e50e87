"""The command line: it parses, calls the API and prints."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

import click

from saidcodec import __version__
from saidcodec.errors import SaidError

MODEL_HELP = "Name or path of a model."


class Commands(click.Group):
    """A group whose errors are one line on standard error and exit status 1."""

    def invoke(self, context: click.Context) -> Any:
        if not sys.warnoptions:
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata are no errors
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that no temporary file stays
        try:
            return super().invoke(context)
        except SaidError as error:
            fail(str(error))
        except KeyboardInterrupt:
            fail("Interrupted.")
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except MemoryError:
            fail("There is not enough memory for this image.")
        except OSError as error:
            fail(f"{error.filename or 'A file'}: {error.strerror or error}.")


def progress(label: str) -> Callable[[float], None] | None:
    """Tells somebody who watches how far it is; None where nobody does."""
    if not sys.stderr.isatty():
        return None

    def tell(share: float) -> None:
        click.echo(f"\r{label} {share:4.0%}" if share < 1 else "\r\x1b[K", nl=False, err=True)

    return tell


def fail(sentence: str) -> NoReturn:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)  # what ``progress`` may have left
    click.echo("Error: " + " ".join(sentence.split()), err=True)
    sys.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="saidcodec")
def main() -> None:
    """Encode images into .said files and back, exactly."""


@main.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT.said")
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
@click.option("--force", is_flag=True, help="Overwrite OUT.")
def encode(
    source: str, target: str, model: str, residual: str, max_error: int, glimpses: str, force: bool
) -> None:
    """Encode any image that Pillow opens; - is standard input or output."""
    from saidcodec import codec, files, images

    count = number_of(glimpses)
    files.check_free(target, force)
    image = images.open_image(io.BytesIO(files.read_bytes(source)), source)
    data = codec.encode(
        image,
        model=model,
        residual=residual,
        max_error=max_error,
        glimpses=count,
        progress=progress("encoding"),
    )
    files.write(target, force, lambda file: file.write(data))


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
@click.option("--force", is_flag=True, help="Overwrite OUT.")
def decode(source: str, target: str | None, model: str | None, force: bool) -> None:
    """Decode to the format of OUT's suffix; without OUT, to IN with .png."""
    from saidcodec import codec, files, images

    if target is None:
        target = files.STANDARD if source == files.STANDARD else os.path.splitext(source)[0] + ".png"
    name = images.format_of(target)
    files.check_free(target, force)
    data = files.read_bytes(source)
    pixels, _, metadata = codec.decode_image(data, model=model, progress=progress("decoding"))
    files.write(target, force, lambda file: images.save(pixels, metadata, file, name))


@main.command()
@click.argument("source", metavar="IN.said")
@click.argument("target", metavar="OUT")
@click.option("--glimpses", type=click.IntRange(0), help="Only the first so many of each tile.")
@click.option("--model", help=MODEL_HELP)
@click.option("--force", is_flag=True, help="Overwrite OUT.")
def preview(source: str, target: str, glimpses: int | None, model: str | None, force: bool) -> None:
    """Write what the SAID layer alone says of the image."""
    from saidcodec import files, images, inspection
    from saidcodec.format import container

    name = images.format_of(target)
    files.check_free(target, force)
    data = files.read_bytes(source)
    pixels = inspection.preview(data, glimpses, model=model)
    metadata = container.unpack(data, residual=False).metadata
    files.write(target, force, lambda file: images.save(pixels, metadata, file, name))


@main.command()
@click.argument("source", metavar="IN.said")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--picture", metavar="OUT.png", help="Write the preview with its boxes, numbered in order.")
@click.option("--model", help=MODEL_HELP)
@click.option("--force", is_flag=True, help="Overwrite the picture.")
def inspect(source: str, as_json: bool, picture: str | None, model: str | None, force: bool) -> None:
    """Say where a file's bits went, and where its objects are."""
    from saidcodec import files, inspection

    if picture is not None:
        files.check_free(picture, force)
    data = files.read_bytes(source)
    account = inspection.inspect(data, model=model)
    if picture is not None:
        from saidcodec import images
        from saidcodec.inspection import draw_boxes

        drawn = draw_boxes(inspection.preview(data, model=model), account["glimpses"])
        name = images.format_of(picture)
        files.write(picture, force, lambda file: drawn.save(file, name))
    click.echo(json.dumps(account) if as_json else readable(account))


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
        click.echo(f"{path.stem:<16}{about.get('id', '-'):<10}{about.get('description', '')}")


class Lazy(click.Group):
    """A group whose commands live in a module that only some installations can import."""

    def __init__(self, module: str, extra: str, **settings: Any):
        super().__init__(**settings)
        self.module, self.extra = module, extra

    def load(self) -> click.Group:
        from importlib import import_module

        try:
            group: click.Group = getattr(import_module(self.module), str(self.name))
        except ModuleNotFoundError as error:
            raise SaidError(
                f"This needs {error.name}, which is not installed: pip install 'saidcodec[{self.extra}]'."
            ) from None
        return group

    def list_commands(self, context: click.Context) -> list[str]:
        return self.load().list_commands(context)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return self.load().get_command(context, name)


main.add_command(
    Lazy("saidcodec.training.commands", "train", name="train", help="Train models on your own images.")
)


@main.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--model", default="auto", show_default=True, help=MODEL_HELP)
def bench(paths: tuple[str, ...], model: str) -> None:
    """Sizes and speeds on your own images, beside the other codecs that are installed."""
    from saidcodec.evaluation import rate

    for line in rate.table(rate.gather(paths), model):
        click.echo(line)


if __name__ == "__main__":
    main()
