"""``saidcodec train said``: the glimpse network and the VAE."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from saidcodec import files
from saidcodec.training.commands.options import (
    ABOUT,
    CHECKPOINT,
    DATASETS,
    DEVICE,
    FORCE,
    GREY,
    LENGTH,
    OUT,
    READ,
    SEED,
    ForTeams,
    check_data,
    check_device,
    check_length,
    dataset_options,
    read_data,
)
from saidcodec.training.defaults import BOUND, STATISTICS

if TYPE_CHECKING:
    from saidcodec.training.networks import Said

PICTURED = 10


@click.command("said", cls=ForTeams)
@dataset_options(DATASETS)
@click.option(
    "--images", type=click.IntRange(1), default=20000, show_default=True, help="Images to generate or crop."
)
@OUT
@CHECKPOINT
@click.option("--begin", type=READ, help="A checkpoint to start from.")
@LENGTH
@click.option("--batch", type=click.IntRange(1), default=48, show_default=True)
@click.option("--glimpses", "iterations", default=5, show_default=True, help="Glimpses of an image, K.")
@click.option("--side", type=click.Choice(["8", "16"]), default="8", show_default=True,
              help="Samples along one side of a patch.")  # fmt: skip
@click.option("--rate", default=1e-3, show_default=True, help="Learning rate.")
@SEED
@click.option("--no-alpha", is_flag=True, help="Paste whole boxes.")
@click.option("--no-scope", is_flag=True, help="Do not tell where glimpses have been.")
@click.option("--vae-start", is_flag=True, help="Begin at the VAE's reconstruction of the 8×8 image.")
@click.option("--no-search", is_flag=True, help="The paper's gradient alone finds boxes.")
@click.option("--rehearsal", default=0.0, show_default=True, help="Share of the time for the VAE alone.")
@click.option("--own", default=0.0, show_default=True, help="Share of glimpses at the network's own box.")
@click.option("--only-glimpses", is_flag=True, help="Leave the VAE of --begin as it is.")
@GREY
@DEVICE
@ABOUT
@FORCE
def train_said(
    dataset: str,
    data: Path | None,
    images: int,
    out: Path,
    checkpoint: Path | None,
    begin: Path | None,
    steps: int | None,
    seconds: float | None,
    batch: int,
    iterations: int,
    side: str,
    rate: float,
    seed: int,
    no_alpha: bool,
    no_scope: bool,
    vae_start: bool,
    no_search: bool,
    rehearsal: float,
    own: float,
    only_glimpses: bool,
    grey: bool,
    device: str,
    licence: str,
    description: str,
    force: bool,
) -> None:
    """Train glimpse network and VAE; write a model file of the SAID layer.

    A picture of boxes and reconstructions is kept beside the checkpoint.

    \b
    Examples:
      saidcodec train said --dataset scenes --data FOLDER --side 16 --seconds 300 \\
        --out scenes-said.safetensors
    """
    from saidcodec import models
    from saidcodec.training import export, said, sources, team, watch

    check_length(steps, seconds)
    folder = check_data(dataset, data)
    if only_glimpses and begin is None:
        raise click.UsageError("--only-glimpses needs --begin.")
    check_device(device)
    files.check_free(str(out), force)
    settings = said.Settings(
        steps=steps or BOUND,
        seconds=seconds or float("inf"),
        batch=batch,
        iterations=iterations,
        side=int(side),
        rate=rate,
        alpha=not no_alpha,
        scope=not no_scope,
        vae_start=vae_start,
        search=not no_search,
        rehearsal=rehearsal,
        own=own,
        frozen=only_glimpses,
        grey=grey,
        seed=seed,
        device=device,
    )
    learning, held_out = read_data(folder, lambda: sources.SOURCES[dataset](folder, images, seed))
    path = checkpoint or out.with_suffix(".pt")

    def measure(model: Said, step: int | None) -> None:
        figures = watch.metrics(model, held_out, iterations, settings)
        when = "finished" if step is None else f"step {step}"
        click.echo(f"{when} held out: " + " ".join(f"{k} {v:.3f}" for k, v in figures.items()))
        watch.picture(model, held_out.images[:PICTURED], iterations, settings, path.with_suffix(".png"))

    mirror = dataset in sources.MIRRORED
    with (
        team.started() as ours,
        click.progressbar(length=1000, label="training", hidden=not ours.leads) as bar,
    ):
        model = said.train(
            replace(settings, device=ours.device(device)),
            lambda rng: sources.endless(learning.images, batch, mirror, rng),
            path,
            lambda line: click.echo("\n" + line),
            measure,
            begin=begin,
            progress=lambda share: bar.update(int(1000 * share) - bar.pos),
            team=ours,
        )
    if not ours.leads:
        return
    measure(model, None)
    tensors = export.with_statistics(export.said_tensors(model.cpu()), learning.images[:STATISTICS], grey)
    metadata = {"name": out.stem, "licence": licence, "description": description, "dataset": dataset}
    click.echo(f"{out}: model {models.save(out, tensors, metadata, force)}")
