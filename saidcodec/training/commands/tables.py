"""``saidcodec train tables``: a model's coding tables, learnt anew."""

from __future__ import annotations

from pathlib import Path

import click

from saidcodec import files
from saidcodec.training.commands.options import (
    DATASETS,
    FORCE,
    GREY,
    OUT,
    READ,
    SEED,
    NeedsTorch,
    check_data,
    dataset_options,
    read_data,
)
from saidcodec.training.defaults import STATISTICS


@click.command("tables", cls=NeedsTorch)
@dataset_options(DATASETS)
@click.option(
    "--images",
    type=click.IntRange(1),
    default=STATISTICS,
    show_default=True,
    help="Images whose glimpses count.",
)
@click.option("--model", "whole", type=READ, required=True,
              help="A model file of both layers.")  # fmt: skip
@click.option(
    "--box-worth", type=float, help="Bits that a box may cost in the end; default: the model's own."
)
@GREY
@SEED
@OUT
@FORCE
def train_tables(
    dataset: str,
    data: Path | None,
    images: int,
    whole: Path,
    box_worth: float | None,
    grey: bool,
    seed: int,
    out: Path,
    force: bool,
) -> None:
    """Learn a model's coding tables anew from what the encoder makes of images; the networks stay.

    \b
    Examples:
      saidcodec train tables --dataset scenes --data FOLDER --model scenes-joint.safetensors \\
        --out scenes.safetensors
    """
    from saidcodec import models
    from saidcodec.training import joint, sources

    folder = check_data(dataset, data)
    files.check_free(str(out), force)
    model = models.load(whole)
    if not model.sees_reconstruction:
        raise click.UsageError(
            f"{whole} sees no reconstruction, so that its files hold no glimpses to learn from."
        )
    learning, _ = read_data(folder, lambda: sources.SOURCES[dataset](folder, images, seed))
    tensors = joint.settle(model.tensors, learning.images[:images], grey, box_worth)
    metadata = {**model.metadata, "name": out.stem}
    click.echo(f"{out}: model {models.save(out, tensors, metadata, force)}")
