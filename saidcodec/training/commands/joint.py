"""``saidcodec train joint``: both layers of a model together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from saidcodec import files
from saidcodec.training.commands.options import (
    ABOUT,
    DATASETS,
    FLAT_COLOURS,
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
from saidcodec.training.defaults import BOUND, STATISTICS, WIDE

if TYPE_CHECKING:
    from saidcodec.models import Model

BASE_STEP = 8
BOX_WORTH = 16.0  # bits


def first_of(path: Path) -> Path | Model:
    """What a training goes on from: a model file's model, or a checkpoint's path."""
    from saidcodec import models

    return models.load(path) if path.suffix == ".safetensors" else path


@click.command("joint", cls=NeedsTorch)
@dataset_options([name for name in DATASETS if name != "photographs"])
@click.option(
    "--images", type=click.IntRange(1), default=7000, show_default=True, help="Images to generate, at most."
)
@click.option("--model", "whole", type=READ, required=True,
              help="A model file of both layers; its search finds the boxes.")  # fmt: skip
@click.option("--said-checkpoint", "seen", type=READ, help="The SAID layer to go on with, or a model file "
              "that has it; by default that of --model.")  # fmt: skip
@click.option("--residual-checkpoint", "begin", type=READ, help="Likewise the residual network.")
@OUT
@click.option("--seconds", type=click.FloatRange(0, min_open=True), required=True, help="Of training.")
@click.option("--glimpses", type=click.IntRange(1), default=7, show_default=True,
              help="Of an image, at most.")  # fmt: skip
@click.option("--boxes", type=click.Choice(["search", "files", "regions", "hills"]), default="search",
              show_default=True, help="What finds the boxes: the search of --model, the files that it makes, "
              "regions of even colour, or hills over a ground.")  # fmt: skip
@click.option("--noise", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="Share of the images that get faint noise.")  # fmt: skip
@click.option("--warm-up", default=0.0, show_default=True, help="Share of the time for the VAE alone.")
@click.option("--base-step", type=click.IntRange(0, 8), help="The base's cells in steps of 2 to this; by "
              "default 8.  With --boxes files a model of objects keeps its own.")  # fmt: skip
@click.option("--box-worth", type=float, help="Bits that a box may cost in the end; by default 16, with "
              "--boxes files as in --model.")  # fmt: skip
@GREY
@click.option("--rate", default=1e-3, show_default=True, help="Learning rate.")
@SEED
@ABOUT
@FORCE
def train_joint(
    dataset: str,
    data: Path | None,
    images: int,
    whole: Path,
    seen: Path | None,
    begin: Path | None,
    out: Path,
    seconds: float,
    glimpses: int,
    boxes: str,
    noise: float,
    warm_up: float,
    base_step: int | None,
    box_worth: float | None,
    grey: bool,
    rate: float,
    seed: int,
    licence: str,
    description: str,
    force: bool,
) -> None:
    """Train both layers of a model together, so that glimpses pay beside the residual network.

    \b
    Examples:
      saidcodec train joint --dataset scenes --data FOLDER --model scenes.safetensors --boxes regions \\
        --warm-up 0.2 --said-checkpoint scenes-said.pt --residual-checkpoint scenes.pt --seconds 3000 \\
        --out scenes-joint.safetensors
    """
    import numpy as np

    from saidcodec import models
    from saidcodec.encoder import price, refine
    from saidcodec.training import export, joint, looks, residual, sources
    from saidcodec.training.windows import Shape

    folder = check_data(dataset, data)
    files.check_free(str(out), force)
    model = models.load(whole)
    proposal = boxes if boxes in refine.PROPOSALS else None
    if boxes == "files":
        proposal = refine.proposal_of(model)
        if proposal and base_step is not None:
            raise click.UsageError(
                "--base-step cannot be told: the files of --model have a base of their own."
            )
        base_step = next((known.step for known in refine.bases_of(model)), base_step)
        box_worth = price.box_worth(model) if box_worth is None else box_worth
    settings = joint.Settings(
        steps=BOUND,
        seconds=seconds,
        rate=rate,
        warm_up=warm_up,
        base_step=BASE_STEP if base_step is None else base_step,
        flat=proposal is not None,
        grey=grey,
        seed=seed,
        shape=Shape(styles=1, around=WIDE, copies=dataset in FLAT_COLOURS),
    )
    layer = joint.begun(model if seen is None else first_of(seen), grey)
    network = joint.widened(model if begin is None else first_of(begin), settings.shape)
    if seen:  # what another SAID layer paints asks for more than small changes
        network.quantise(False)
    parts = read_data(folder, lambda: sources.SOURCES[dataset](folder, images, seed))
    learning, held_out = (part.images[:images] for part in parts)
    noisy = sources.noised(learning, noise, np.random.default_rng(seed))
    click.echo(f"looking at {len(learning)} images")
    learnt, development = (
        looks.look_at_files(part, model, glimpses)
        if boxes == "files"
        else looks.look_at_objects(part, boxes, glimpses)
        if proposal
        else looks.look(part, model, glimpses, grey, settings.base_step)
        for part in (noisy, held_out)
    )
    checkpoints = out.with_suffix(".said.pt"), out.with_suffix(".residual.pt")
    joint.train(settings, learnt, development, layer, network, checkpoints, click.echo)
    trained, _ = export.load_said(checkpoints[0])
    tensors = {
        **export.said_tensors(trained),
        **residual.export(residual.load_checkpoint(checkpoints[1])),
        **export.style_table(np.ones(1)),
    }
    if proposal:
        tensors[refine.tensor_of(proposal)] = np.array([settings.base_step], np.float32)
    worth = BOX_WORTH if box_worth is None else box_worth
    settled = joint.settle(tensors, learning[:STATISTICS], grey, worth)
    metadata = {"name": out.stem, "licence": licence, "description": description, "dataset": dataset}
    click.echo(f"{out}: model {models.save(out, settled, metadata, force)}")
