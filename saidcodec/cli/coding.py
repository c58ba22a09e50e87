"""The commands ``encode`` and ``decode``."""

from __future__ import annotations

import os
import time

import click

from saidcodec import files
from saidcodec.cli.options import LOSSY_HELP, MODEL_HELP, name_of
from saidcodec.cli.report import note, progress, tell
from saidcodec.errors import about


@click.command()
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


def number_of(glimpses: str) -> int | None:
    if glimpses == "auto":
        return None
    if not glimpses.isdecimal():
        raise click.BadParameter("must be auto or a whole number", param_hint="--glimpses")
    return int(glimpses)


def region_of(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[int, int, int, int] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4 or not all(part.isdecimal() for part in parts) or "0" in parts[2:]:
        raise click.BadParameter("must be X,Y,W,H: whole numbers of pixels, W and H from 1 on")
    x, y, width, height = map(int, parts)
    return x, y, width, height


@click.command()
@click.argument("source", metavar="IN.said")
@click.argument("target", metavar="[OUT]", required=False)
@click.option("--model", help=MODEL_HELP)
@click.option("--lossy", is_flag=True, help=LOSSY_HELP)
@click.option(
    "--region",
    metavar="X,Y,W,H",
    callback=region_of,
    help="Decode this part alone: left, top, width and height in pixels.",
)
@click.option("--boxes-as-metadata", is_flag=True, help="Write the boxes as image regions into OUT's XMP.")
@click.option("--force", is_flag=True, help="Overwrite OUT.")
def decode(
    source: str,
    target: str | None,
    model: str | None,
    lossy: bool,
    region: tuple[int, int, int, int] | None,
    boxes_as_metadata: bool,
    force: bool,
) -> None:
    """Decode to the format of OUT's suffix; without OUT, to IN with .png."""
    from saidcodec import codec, images

    target = output_for(source, ".png") if target is None else target
    name = images.format_of(target)
    files.check_apart(source, target)
    files.check_free(target, force)
    data = files.read_bytes(source) if source == files.STANDARD else source
    with about(name_of(source)):
        pixels, _, metadata = codec.decode_image(
            data, region=region, model=model, progress=progress("decoding")
        )
        if boxes_as_metadata:
            from saidcodec import boxes

            metadata = boxes.in_metadata(metadata, data, region, model=model)
    save = images.save if lossy else images.save_exactly
    with about(target):
        files.write(target, force, lambda file: save(pixels, metadata, file, name))
