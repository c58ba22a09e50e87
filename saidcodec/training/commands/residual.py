"""``saidcodec train residual``: the residual network of a SAID layer's model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from saidcodec import files
from saidcodec.training.commands.options import (
    ABOUT,
    CHECKPOINT,
    DATASETS,
    FLAT_COLOURS,
    FORCE,
    LENGTH,
    OUT,
    READ,
    SEED,
    ForTeams,
    check_data,
    check_length,
    dataset_options,
    read_data,
)
from saidcodec.training.defaults import AROUND, BOUND, WIDE

if TYPE_CHECKING:
    from saidcodec.training.residual_network import ResidualNetwork
    from saidcodec.training.windows import Shape, Tiles


@click.command("residual", cls=ForTeams)
@dataset_options(DATASETS)
@click.option(
    "--images", type=click.IntRange(1), default=10000, show_default=True, help="Images to generate."
)
@click.option("--said", "layer", type=READ, required=True,
              help="Model file of the SAID layer, completed by this training.")  # fmt: skip
@click.option("--said-checkpoint", "seen", type=READ,
              help="The SAID layer's checkpoint: train on what it reconstructs.")  # fmt: skip
@OUT
@CHECKPOINT
@click.option("--begin", type=READ,
              help="A checkpoint to start from, or a model: one of this shape goes on as integers, a larger "
              "one is cut to --hidden and --head.")  # fmt: skip
@LENGTH
@click.option("--glimpses", default=6, show_default=True, help="Of an image, at most.")
@click.option("--hidden", default="160,128,128,128", show_default=True, help="Widths of the hidden layers.")
@click.option("--head", default=64, show_default=True, help="Width of the heads' hidden layers.")
@click.option("--styles", default=1, show_default=True, help="Expert settings that a tile chooses from.")
@click.option("--noise", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="Share of the images that get faint noise; not for photographs.")  # fmt: skip
@click.option("--rate", default=2e-3, show_default=True, help="Learning rate.")
@SEED
@ABOUT
@FORCE
def train_residual(
    dataset: str,
    data: Path | None,
    images: int,
    layer: Path,
    seen: Path | None,
    out: Path,
    checkpoint: Path | None,
    begin: Path | None,
    steps: int | None,
    seconds: float | None,
    glimpses: int,
    hidden: str,
    head: int,
    styles: int,
    noise: float,
    rate: float,
    seed: int,
    licence: str,
    description: str,
    force: bool,
) -> None:
    """Train the residual network and add it to a SAID layer's model file.

    Photographs are varied crops without a reconstruction.  Other images have the one that
    --said-checkpoint makes; without it, that of the files of --said, where this is a whole model with
    glimpses, or none.

    \b
    Examples:
      saidcodec train residual --dataset scenes --data FOLDER --said scenes-said.safetensors \\
        --seconds 1500 --out scenes.safetensors
    """
    from saidcodec import models
    from saidcodec.training import export, residual, sources, team
    from saidcodec.training.windows import Shape

    check_length(steps, seconds)
    folder = check_data(dataset, data)
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", hidden):
        raise click.UsageError("--hidden must be whole numbers with commas between them.")
    if noise and dataset == "photographs":
        raise click.UsageError("--noise is for other images: crops of photographs are varied anyway.")
    files.check_free(str(out), force)
    widths = tuple(int(width) for width in hidden.split(","))
    shape = Shape(hidden=widths, head=head, styles=styles, around=())
    if dataset == "photographs":
        pool, development = read_data(folder, lambda: sources.photograph_tiles(folder))
    else:
        parts = read_data(folder, lambda: sources.SOURCES[dataset](folder, images, seed))
        whole = models.load(layer)
        if seen is not None:
            around, (pool, development) = AROUND, sources.scene_tiles(parts, seen, glimpses)
        elif whole.sees_reconstruction:
            around, (pool, development) = WIDE, sources.file_tiles(parts, whole)
        else:
            around, (pool, development) = (), sources.plain_tiles(parts, dataset in sources.MIRRORED)
        shape = Shape(hidden=widths, head=head, styles=styles, around=around, copies=dataset in FLAT_COLOURS)
        if noise:
            pool = sources.with_noise(pool, noise)
    path = checkpoint or out.with_suffix(".pt")
    start_from = None if begin is None else first_weights(begin, shape, development)
    settings = residual.Settings(
        steps=steps or BOUND,
        seconds=seconds or float("inf"),
        rate=rate,
        keen=dataset != "photographs" and styles == 1,
        qat_from=0.0 if start_from is not None and start_from.qat else residual.Settings.qat_from,
        seed=seed,
        shape=shape,
    )
    with team.started() as ours:
        network = residual.train(settings, pool, development, path, click.echo, start_from, team=ours)
    if not ours.leads:
        return
    style = export.style_table(export.style_counts(network, development))
    metadata = {"name": out.stem, "licence": licence, "description": description, "dataset": dataset}
    tensors, metadata = export.merge(
        export.without_residual(models.load(layer).tensors), {**residual.export(network), **style}, metadata
    )
    click.echo(f"{out}: model {models.save(out, tensors, metadata, force)}")


def first_weights(begin: Path, shape: Shape, tiles: Tiles) -> ResidualNetwork:
    """The network of a checkpoint, or of a model file: quantised if of ``shape`` already, or cut to it."""
    from saidcodec import models
    from saidcodec.training import residual, shrink
    from saidcodec.training.windows import WindowSampler

    if begin.suffix != ".safetensors":
        network = shrink.recounted(residual.load_checkpoint(begin))
        if network.shape != shape:
            raise click.UsageError(f"{begin} is of another shape: {network.shape}.")
        network.quantise(False)
        return network
    large = shrink.recounted(shrink.network_of(models.load(begin).tensors))
    if large.shape == shape:
        return large
    if problem := shrink.misfit(large.shape, shape):
        raise click.UsageError(f"{begin} cannot be cut to this network: {problem}.")
    return shrink.shrink(large, shape, WindowSampler(large.shape, tiles))
