"""The command group ``saidcodec train``: trains either layer's networks and writes model files."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from zipfile import BadZipFile

import click

from saidcodec import files
from saidcodec.errors import FileError, SaidError, about

if TYPE_CHECKING:
    from saidcodec.training.networks import Said
    from saidcodec.training.residual_network import ResidualNetwork
    from saidcodec.training.windows import Shape, Tiles

PICTURED = 10
STATISTICS = 250  # images whose glimpses shape the coding tables
AROUND = tuple((dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1))  # where x̂ is seen, for scenes
WIDE = tuple((dx, dy) for dy in range(-2, 3) for dx in range(-2, 3) if abs(dx) + abs(dy) < 4)
DATASETS = ("multimnist", "multidsprites", "sheets", "scenes", "photographs")
DRAWN = ("multidsprites",)  # datasets that need no files
FLAT_COLOURS = ("multidsprites",)  # datasets whose pixels mostly repeat a neighbour exactly
BOUND = 10**9  # steps, where only time ends a training


Loaded = TypeVar("Loaded")


class Command(click.Command):
    """A command that needs torch, but not for its help."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if not {*context.help_option_names} & {*args} and find_spec("torch") is None:
            raise SaidError(
                "This needs torch, which is not installed: install the package as saidcodec[train]."
            )
        return super().parse_args(context, args)


class Commands(click.Group):
    command_class = Command


@click.group(cls=Commands)
def train() -> None:
    """Train models on your own images (needs the "train" extra)."""


def read_data(data: Path, reader: Callable[[], Loaded]) -> Loaded:
    """What ``reader`` makes of the files of --data.  Raises FileError where they are of another kind."""
    from PIL import UnidentifiedImageError

    try:
        return reader()
    except (ValueError, KeyError, EOFError, BadZipFile, UnidentifiedImageError) as error:
        sentence = str(error.args[0] if isinstance(error, KeyError) else error)
        with about(str(data)):
            raise FileError(sentence.rstrip(".") + ".") from None


def check_device(device: str) -> None:
    """Raises UsageError unless torch can compute there."""
    import torch

    try:
        torch.zeros(1, device=device)
    except Exception:  # each kind of device has errors of its own
        raise click.UsageError(f"torch has no device {device} here.") from None


def check_data(dataset: str, data: Path | None) -> Path:
    """The path of --data.  Raises UsageError where it is needed and missing."""
    if data is None and dataset not in DRAWN:
        raise click.UsageError(f"The dataset {dataset} needs --data.")
    return data or Path()


@train.command("said")
@click.option("--dataset", type=click.Choice(DATASETS), required=True)
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="MNIST files, or a folder.")
@click.option(
    "--images", type=click.IntRange(1), default=20000, show_default=True, help="Images to generate or crop."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The model file to write.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Default: OUT with .pt.")
@click.option("--begin", type=click.Path(exists=True, path_type=Path), help="A checkpoint to start from.")
@click.option("--steps", type=click.IntRange(1), help="Batches; one of --steps and --seconds is needed.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Stop the schedule after this time.")
@click.option("--batch", type=click.IntRange(1), default=48, show_default=True)
@click.option("--glimpses", "iterations", default=5, show_default=True, help="Glimpses of an image, K.")
@click.option("--rate", default=1e-3, show_default=True, help="Learning rate.")
@click.option("--seed", default=0, show_default=True)
@click.option("--no-alpha", is_flag=True, help="Paste whole boxes.")
@click.option("--no-scope", is_flag=True, help="Do not tell where glimpses have been.")
@click.option("--vae-start", is_flag=True, help="Begin at the VAE's reconstruction of the 8×8 image.")
@click.option("--no-search", is_flag=True, help="The paper's gradient alone finds boxes.")
@click.option("--rehearsal", default=0.0, show_default=True, help="Share of the time for the VAE alone.")
@click.option("--own", default=0.0, show_default=True, help="Share of glimpses at the network's own box.")
@click.option("--only-glimpses", is_flag=True, help="Leave the VAE of --begin as it is.")
@click.option("--grey", is_flag=True, help="The images' channels are equal; count one.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--licence", default="", help="Of the weights, for the model's metadata.")
@click.option("--description", default="", help="Likewise.")
@click.option("--force", is_flag=True, help="Overwrite OUT.")
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
    """
    from saidcodec import models
    from saidcodec.training import export, said, sources, watch

    if steps is None and seconds is None:
        raise click.UsageError("One of --steps and --seconds is needed.")
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
    with click.progressbar(length=1000, label="training") as bar:
        model = said.train(
            settings,
            lambda rng: sources.endless(learning.images, batch, mirror, rng),
            path,
            lambda line: click.echo("\n" + line),
            measure,
            begin=begin,
            progress=lambda share: bar.update(int(1000 * share) - bar.pos),
        )
    measure(model, None)
    tensors = export.with_statistics(export.said_tensors(model.cpu()), learning.images[:STATISTICS], grey)
    metadata = {"name": out.stem, "licence": licence, "description": description, "dataset": dataset}
    click.echo(f"{out}: model {models.save(out, tensors, metadata, force)}")


@train.command("residual")
@click.option("--dataset", type=click.Choice(DATASETS), required=True)
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="MNIST files, or a folder.")
@click.option(
    "--images", type=click.IntRange(1), default=10000, show_default=True, help="Images to generate."
)
@click.option("--said", "layer", type=click.Path(exists=True, path_type=Path), required=True,
              help="Model file of the SAID layer, completed by this training.")  # fmt: skip
@click.option("--said-checkpoint", "seen", type=click.Path(exists=True, path_type=Path),
              help="The SAID layer's checkpoint: train on what it reconstructs.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The model file to write.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="Default: OUT with .pt.")
@click.option("--begin", type=click.Path(exists=True, path_type=Path),
              help="A checkpoint to start from, or a model to be cut to --hidden and --head.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1), help="Batches; one of --steps and --seconds is needed.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Stop the schedule after this time.")
@click.option("--glimpses", default=6, show_default=True, help="Of an image, at most.")
@click.option("--hidden", default="160,128,128,128", show_default=True, help="Widths of the hidden layers.")
@click.option("--head", default=64, show_default=True, help="Width of the heads' hidden layers.")
@click.option("--styles", default=1, show_default=True, help="Expert settings that a tile chooses from.")
@click.option("--rate", default=2e-3, show_default=True, help="Learning rate.")
@click.option("--seed", default=0, show_default=True)
@click.option("--licence", default="", help="Of the weights, for the model's metadata.")
@click.option("--description", default="", help="Likewise.")
@click.option("--force", is_flag=True, help="Overwrite OUT.")
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
    """
    from saidcodec import models
    from saidcodec.training import export, residual, sources
    from saidcodec.training.windows import Shape

    if steps is None and seconds is None:
        raise click.UsageError("One of --steps and --seconds is needed.")
    folder = check_data(dataset, data)
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", hidden):
        raise click.UsageError("--hidden must be whole numbers with commas between them.")
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
    settings = residual.Settings(
        steps=steps or BOUND,
        seconds=seconds or float("inf"),
        rate=rate,
        keen=dataset != "photographs" and styles == 1,
        seed=seed,
        shape=shape,
    )
    path = checkpoint or out.with_suffix(".pt")
    start_from = None if begin is None else first_weights(begin, shape, development)
    network = residual.train(settings, pool, development, path, click.echo, start_from)
    style = export.style_table(export.style_counts(network, development))
    metadata = {"name": out.stem, "licence": licence, "description": description, "dataset": dataset}
    tensors, metadata = export.merge(
        export.without_residual(models.load(layer).tensors), {**residual.export(network), **style}, metadata
    )
    click.echo(f"{out}: model {models.save(out, tensors, metadata, force)}")


@train.command("tables")
@click.option("--dataset", type=click.Choice(DATASETS), required=True)
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="MNIST files, or a folder.")
@click.option(
    "--images",
    type=click.IntRange(1),
    default=STATISTICS,
    show_default=True,
    help="Images whose glimpses count.",
)
@click.option("--model", "whole", type=click.Path(exists=True, path_type=Path), required=True,
              help="A model file of both layers.")  # fmt: skip
@click.option(
    "--box-worth", type=float, help="Bits that a box may cost in the end; default: the model's own."
)
@click.option("--grey", is_flag=True, help="The images' channels are equal; count one.")
@click.option("--seed", default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The model file to write.")
@click.option("--force", is_flag=True, help="Overwrite OUT.")
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
    """Learn a model's coding tables anew from what the encoder makes of images; the networks stay."""
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


def first_weights(begin: Path, shape: Shape, tiles: Tiles) -> ResidualNetwork:
    """The network of a checkpoint or, cut to ``shape``, that of a model file."""
    from saidcodec import models
    from saidcodec.training import residual, shrink
    from saidcodec.training.windows import WindowSampler

    if begin.suffix != ".safetensors":
        network = shrink.recounted(residual.load_checkpoint(begin))
        if network.shape != shape:
            raise click.UsageError(f"{begin} is of another shape: {network.shape}.")
        return network
    large = shrink.recounted(shrink.network_of(models.load(begin).tensors))
    if problem := shrink.misfit(large.shape, shape):
        raise click.UsageError(f"{begin} cannot be cut to this network: {problem}.")
    return shrink.shrink(large, shape, WindowSampler(large.shape, tiles))


@train.command("joint")
@click.option(
    "--dataset", type=click.Choice([name for name in DATASETS if name != "photographs"]), required=True
)
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="MNIST files, or a folder.")
@click.option(
    "--images", type=click.IntRange(1), default=7000, show_default=True, help="Images to generate, at most."
)
@click.option("--model", "whole", type=click.Path(exists=True, path_type=Path), required=True,
              help="A model file of both layers; its search finds the boxes.")  # fmt: skip
@click.option("--said-checkpoint", "seen", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--residual-checkpoint", "begin", type=click.Path(exists=True, path_type=Path), required=True,
              help="The residual network to go on with, or a model file that has it.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The model file to write.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), required=True, help="Of training.")
@click.option("--glimpses", default=7, show_default=True, help="Of an image, at most.")
@click.option("--base-step", default=8, show_default=True, help="The base's cells in steps of 2 to this.")
@click.option("--box-worth", default=16.0, show_default=True, help="Bits that a box may cost in the end.")
@click.option("--grey", is_flag=True, help="The images' channels are equal; count one.")
@click.option("--rate", default=1e-3, show_default=True, help="Learning rate.")
@click.option("--seed", default=0, show_default=True)
@click.option("--licence", default="", help="Of the weights, for the model's metadata.")
@click.option("--description", default="", help="Likewise.")
@click.option("--force", is_flag=True, help="Overwrite OUT.")
def train_joint(
    dataset: str,
    data: Path | None,
    images: int,
    whole: Path,
    seen: Path,
    begin: Path,
    out: Path,
    seconds: float,
    glimpses: int,
    base_step: int,
    box_worth: float,
    grey: bool,
    rate: float,
    seed: int,
    licence: str,
    description: str,
    force: bool,
) -> None:
    """Train both layers of a model together, so that glimpses pay beside the residual network."""
    import numpy as np

    from saidcodec import models
    from saidcodec.training import export, joint, residual, sources
    from saidcodec.training.windows import Shape

    folder = check_data(dataset, data)
    files.check_free(str(out), force)
    settings = joint.Settings(
        steps=BOUND,
        seconds=seconds,
        rate=rate,
        base_step=base_step,
        grey=grey,
        seed=seed,
        shape=Shape(styles=1, around=WIDE, copies=dataset in FLAT_COLOURS),
    )
    parts = read_data(folder, lambda: sources.SOURCES[dataset](folder, images, seed))
    learning, held_out = (part.images[:images] for part in parts)
    model, network = models.load(whole), joint.widened(begin, settings.shape)
    click.echo(f"looking at {len(learning)} images")
    looks, development = (joint.look(part, model, glimpses, settings) for part in (learning, held_out))
    checkpoints = out.with_suffix(".said.pt"), out.with_suffix(".residual.pt")
    joint.train(settings, looks, development, seen, network, checkpoints, click.echo)
    trained, _ = export.load_said(checkpoints[0])
    tensors = {
        **export.said_tensors(trained),
        **residual.export(residual.load_checkpoint(checkpoints[1])),
        **export.style_table(np.ones(1)),
    }
    settled = joint.settle(tensors, learning[:STATISTICS], grey, box_worth)
    metadata = {"name": out.stem, "licence": licence, "description": description, "dataset": dataset}
    click.echo(f"{out}: model {models.save(out, settled, metadata, force)}")
