"""The commands ``preview`` and ``inspect``: what a file says before its residual is decoded."""

from __future__ import annotations

import json
from typing import Any

import click

from saidcodec import files
from saidcodec.cli.options import MODEL_HELP, name_of
from saidcodec.cli.report import say
from saidcodec.errors import about


@click.command()
@click.argument("source", metavar="IN.said")
@click.argument("target", metavar="OUT")
@click.option("--glimpses", type=click.IntRange(0), help="Only the first so many of each tile.")
@click.option(
    "--size",
    type=click.IntRange(1),
    metavar="N",
    help="Reduce to N pixels a side; without --glimpses the image itself.",
)
@click.option("--model", help=MODEL_HELP)
@click.option("--force", is_flag=True, help="Overwrite OUT.")
def preview(
    source: str, target: str, glimpses: int | None, size: int | None, model: str | None, force: bool
) -> None:
    """Write what the SAID layer alone says of the image, or with --size a small picture of it."""
    from saidcodec import images, inspection
    from saidcodec.format import container

    name = images.format_of(target)
    files.check_apart(source, target)
    files.check_free(target, force)
    data = files.read_bytes(source)
    with about(name_of(source)):
        pixels = inspection.preview(data, glimpses, size=size, model=model)
        metadata = container.unpack(data, whole=False).metadata
    with about(target):
        files.write(target, force, lambda file: images.save(pixels, metadata, file, name))


@click.command()
@click.argument("source", metavar="IN.said")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--picture", metavar="OUT.png", help="Write the preview with its boxes, numbered in order.")
@click.option("--model", help=MODEL_HELP)
@click.option("--force", is_flag=True, help="Overwrite the picture.")
def inspect(source: str, as_json: bool, picture: str | None, model: str | None, force: bool) -> None:
    """Say where a file's bits went, and where its objects are."""
    from saidcodec import inspection

    if picture is not None:
        files.check_apart(source, picture)
        files.check_free(picture, force)
    data = files.read_bytes(source)
    with about(name_of(source)):
        account = inspection.inspect(data, model=model)
    if picture is not None:
        from saidcodec import images
        from saidcodec.inspection import draw_boxes

        drawn = draw_boxes(inspection.preview(data, model=model), account["glimpses"])
        name = images.format_of(picture)
        files.write(picture, force, lambda file: drawn.save(file, name))
    say(json.dumps(account) if as_json else readable(account))


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
