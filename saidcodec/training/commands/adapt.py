"""``saidcodec train adapt``: a model brought closer to a folder of images."""

from __future__ import annotations

from pathlib import Path

import click

from saidcodec import files
from saidcodec.cli.report import say
from saidcodec.training.commands.options import (
    FORCE,
    OUT,
    READ,
    SEED,
    NeedsTorch,
    bar,
    minutes_option,
    tell_skipped,
)


@click.command("adapt", cls=NeedsTorch)
@click.option("--model", "begin", required=True, metavar="NAME|PATH", help="The model to begin with.")
@click.option("--data", type=READ, required=True, help="A folder of images, and the folders in it.")
@OUT
@minutes_option(10)
@SEED
@FORCE
def train_adapt(begin: str, data: Path, out: Path, minutes: float, seed: int, force: bool) -> None:
    """Train a model's residual network on with your own images; its SAID layer stays.

    A tenth of the images is held out.  OUT is written only if their files become smaller.  A training that
    was cut off goes on when the same command is run again.

    \b
    Example:
      saidcodec train adapt --model photo --data scans/ --out scans.safetensors
    """
    from saidcodec import models
    from saidcodec.training import adapt, folder

    files.check_free(str(out), force)
    model = models.find(begin)
    images = folder.read(data, seed)
    tell_skipped(images.skipped)
    click.echo(f"{data}: {images.described()}.")
    checkpoint = out.with_suffix(f".{model.id}.pt")
    before = adapt.file_bytes(model, images)
    with bar("training") as progress:
        tensors = adapt.adapted(model, images, adapt.settings_for(60 * minutes, seed), checkpoint, progress)
    metadata = {**model.metadata, "name": out.stem, "description": f"{model.name}, adapted"}
    after = adapt.file_bytes(models.Model(out.stem, models.identify(tensors), tensors, metadata), images)
    checkpoint.unlink()
    adapt.check_gain(before, after, model.name)
    identity = models.save(out, tensors, metadata, force)
    say(
        f"{out}: model {identity}; the images held out take {after:,} bytes, "
        f"{1 - after / before:.1%} fewer than the {before:,} with {model.name}."
    )
