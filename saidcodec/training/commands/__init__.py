"""``saidcodec train``: a whole model out of a folder, and the commands below it, a module for each.

``options`` holds what they share.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import click
from click.core import ParameterSource

from saidcodec import files
from saidcodec.cli.report import note, say
from saidcodec.training.commands.adapt import train_adapt
from saidcodec.training.commands.joint import train_joint
from saidcodec.training.commands.options import (
    DEVICE,
    READ,
    SEED,
    WRITTEN,
    bar,
    check_alone,
    check_device,
    check_torch,
    minutes_option,
    tell_skipped,
)
from saidcodec.training.commands.residual import train_residual
from saidcodec.training.commands.said import train_said
from saidcodec.training.commands.tables import train_tables


@click.group(invoke_without_command=True, no_args_is_help=True, subcommand_metavar="[COMMAND [ARGS]...]")
@click.option("--data", type=READ, help="A folder of images, and the folders in it.")
@click.option("--name", help="What the model is to be called.")
@click.option("--out", type=WRITTEN, help="The model file to write; default: NAME.safetensors.")
@click.option("--objects", is_flag=True, help="Boxes of objects are wanted: see docs/training.md.")
@minutes_option(30)
@click.option("--resume", is_flag=True, help="Go on with a training that was interrupted.")
@DEVICE
@SEED
@click.option("--force", is_flag=True, help="Overwrite OUT.")
@click.pass_context
def train(
    context: click.Context,
    data: Path | None,
    name: str | None,
    out: Path | None,
    objects: bool,
    minutes: float,
    resume: bool,
    device: str,
    seed: int,
    force: bool,
) -> None:
    """Train a model on a folder of your own images (needs the "train" extra).

    The photo model is adapted to them; for images of 48 to 160 pixels a side both layers are trained as well,
    and the smallest wins.  With --objects that goes for larger images, too, and a model whose files hold
    boxes of objects may cost a little more.  A tenth of the images is held out; a page beside OUT compares
    their bytes with other codecs'.  The commands below are for experts.

    \b
    Examples:
      saidcodec train --data scans/ --name scans
      saidcodec train --data scans/ --name scans --resume
      saidcodec train adapt --model photo --data scans/ --out scans.safetensors
    """
    given = {
        option: value
        for option, value in context.params.items()
        if context.get_parameter_source(option) is ParameterSource.COMMANDLINE
    }
    if context.invoked_subcommand is not None:
        for option in given:
            raise click.UsageError(f"--{option} belongs behind {context.invoked_subcommand}.")
        return
    if data is None or name is None:
        raise click.UsageError(f"Missing option '--{'data' if data is None else 'name'}'.")
    check_torch()
    check_alone()
    check_device(device)
    out = out or Path(f"{name}.safetensors")
    if Path(name).name != name or out.suffix != ".safetensors":
        raise click.UsageError("--name must be a plain name, and OUT end in .safetensors.")
    lasting = [option for option in given if option not in ("resume", "force")]
    words = [
        f"--{option}" if given[option] is True else f"--{option}={given[option]}".removesuffix(".0")
        for option in lasting
    ]
    command = shlex.join(["saidcodec", "train", *words])
    train_folder(data, out, name, objects, minutes, resume, device, seed, force, command)


def train_folder(
    data: Path,
    out: Path,
    name: str,
    objects: bool,
    minutes: float,
    resume: bool,
    device: str,
    seed: int,
    force: bool,
    command: str,
) -> None:
    """Everything from a folder to a model file and its page, which names ``command``."""
    from saidcodec import models
    from saidcodec.training import card, folder, stages

    about = out.with_suffix(".md")
    for target in (out, about):
        files.check_free(str(target), force)
    images = folder.read(data, seed, objects)
    tell_skipped(images.skipped)
    plan = stages.Plan(images, 60 * minutes, seed, device, out.with_suffix(".training"), objects)
    stages.prepare(plan, resume)
    click.echo(f"{data}: {images.described()}.")
    times = ", ".join(f"{stage} {seconds / 60:.3g}" for stage, seconds in plan.stages.items())
    click.echo(f"About {minutes + plan.beside / 60:.2g} minutes, {minutes:.3g} of training: {times}.")
    try:
        made = stages.train(plan, bar)
        metadata = {"name": name, "description": images.described()}
        model = models.Model(name, made.id, made.tensors, metadata)
        text = card.page(model, images, plan.stages, command)
    except KeyboardInterrupt:
        note(f"The same command with --resume goes on from {plan.work}.")
        raise
    models.save(out, model.tensors, metadata, force)
    files.write(str(about), force, lambda file: file.write(text.encode()))
    stages.clear(plan)
    say(
        f"{out}: model {model.id}; {about} compares it with other codecs. Encode with --model {out}; whoever "
        f"decodes needs the file in the folder that {models.FOLDER_VARIABLE} names, or the same --model."
    )


for command in (train_adapt, train_said, train_residual, train_joint, train_tables):
    train.add_command(command)
