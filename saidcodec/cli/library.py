"""The commands ``models`` and ``bench``."""

from __future__ import annotations

import click

from saidcodec.cli.options import shared
from saidcodec.cli.report import say, tell
from saidcodec.errors import SaidError


@click.command()
def models() -> None:
    """List the installed models: name, id, what for.

    \b
    Example:
      SAIDCODEC_MODELS=mymodels saidcodec models
    """
    from saidcodec import models as library

    for path in library.installed():
        try:
            about = library.read_metadata(path)
        except SaidError as error:
            about = {"description": str(error)}
        say(f"{library.stem(path):<16}{about.get('id', '-'):<10}{about.get('description', '')}")


@click.command(short_help="Compare sizes and speeds with other codecs.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path())
@shared("auto_model")
def bench(paths: tuple[str, ...], model: str) -> None:
    """Sizes and speeds on your own images, beside the other codecs that are installed.

    \b
    Examples:
      saidcodec bench photos
      saidcodec bench one.png two.webp --model photo
    """
    from importlib.util import find_spec

    from saidcodec.evaluation import rate

    for line in rate.table(rate.gather(paths), model):
        say(line)
    if not find_spec("imagecodecs"):
        tell('PNG alone stands beside it: WebP, JPEG 2000 and JPEG XL come with the extra "benchmarks".\n')
