"""The commands ``preview`` and ``inspect``: what a file says before its residual is decoded."""

from __future__ import annotations

import json
from typing import Any

import click

from saidcodec import files
from saidcodec.cli.options import PATH, shared
from saidcodec.cli.report import say
from saidcodec.errors import about


@click.command(short_help="Show base and glimpses alone.")
@click.argument("source", metavar="IN.said", type=PATH)
@click.argument("target", metavar="OUT", type=PATH)
@click.option("--glimpses", type=click.IntRange(0), help="Only the first so many of each tile.")
@click.option(
    "--size",
    type=click.IntRange(1),
    metavar="N",
    help="Reduce to N pixels a side; without --glimpses the image itself.",
)
@shared("model", "force")
def preview(
    source: str, target: str, glimpses: int | None, size: int | None, model: str | None, force: bool
) -> None:
    """Write what the SAID layer alone says of the image, or with --size a small picture of it.

    - is standard input or output.

    \b
    Examples:
      saidcodec preview photo.said base.png --glimpses 0
      saidcodec preview photo.said small.png --size 256
    """
    from saidcodec import images, inspection
    from saidcodec.format import container
    from saidcodec.picture import Picture

    name = images.format_of(target)
    files.check_apart(source, target)
    files.check_free(target, force)
    data = files.read_bytes(source)
    with about(files.name_of(source)):
        pixels = inspection.preview(data, glimpses, size=size, model=model)
        file = container.unpack(data, whole=False)
    with about(target):
        picture = Picture(pixels, file.header.presentation.smooth(), file.metadata)
        files.write(target, force, lambda file: images.save(picture, file, name))


@click.command(short_help="Say where a file's bits went.")
@click.argument("source", metavar="IN.said", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option(
    "--picture",
    metavar="OUT.png",
    type=click.Path(),
    help="Write the preview with its boxes, numbered in order.",
)
@shared("model", "force")
def inspect(source: str, as_json: bool, picture: str | None, model: str | None, force: bool) -> None:
    """Say where a file's bits went, and where its objects are; - is standard input.

    \b
    Examples:
      saidcodec inspect photo.said
      saidcodec inspect photo.said --picture boxes.png
      saidcodec inspect - --json < photo.said
    """
    from saidcodec import inspection

    if picture is not None:
        files.check_apart(source, picture)
        files.check_free(picture, force)
    data = files.read_bytes(source)
    with about(files.name_of(source)):
        account = inspection.inspect(data, model=model)
    if picture is not None:
        import numpy as np

        from saidcodec import images
        from saidcodec.format import container
        from saidcodec.images.modes import pillow_of
        from saidcodec.inspection import draw_boxes

        presentation = container.unpack(data, whole=False).header.presentation.smooth()
        shown = pillow_of(inspection.preview(data, model=model), presentation).convert("RGB")
        drawn = draw_boxes(np.asarray(shown), account["glimpses"])
        name = images.format_of(picture)
        files.write(picture, force, lambda file: drawn.save(file, name))
    say(json.dumps(account) if as_json else readable(account))


def readable(account: dict[str, Any]) -> str:
    """An account for people."""
    lines = bits_of(account)
    if account["glimpses"]:
        lines.append(
            f"{len(account['glimpses'])} glimpses; KL of their latents {account['kl_bits']:.1f} bits"
        )
    for number, glimpse in enumerate(account["glimpses"], 1):
        lines.append(
            f"  {number:>3}  tile {glimpse['tile']}  box {glimpse['box']}  "
            f"{glimpse['bits']:.1f} bits, saves about {glimpse['saved_bits']:.0f}"
        )
    joined = [one for one in account["objects"] if len(one["glimpses"]) > 1]
    if joined:
        lines.append(f"{len(account['objects'])} objects; these lie in several tiles:")
    for one in joined:
        numbers = ", ".join(str(number + 1) for number in one["glimpses"])
        lines.append(f"  glimpses {numbers}: box {one['box']}, saves about {one['saved_bits']:.0f}")
    return "\n".join(lines)


def bits_of(account: dict[str, Any]) -> list[str]:
    """The lines of an account that tell of the whole file."""
    bits, total = account["bits"], account["bits"]["total"]
    model = account["model"]
    named = (
        f"model {model['name']} ({model['id']})" if model else f"{account['depth']} bits a sample, no model"
    )
    mode = account["mode"] + (f" of {account['palette']} colours" if "palette" in account else "")
    facts = (f"{account['width']} x {account['height']} {mode}", exactness(account))
    lines = [
        f"{', '.join(facts)}, version {account['version']}, {named}",
        f"{total / 8:.0f} bytes, {account['bpp']:.4f} bits per pixel",
    ]
    lines += [
        f"  {name:<9}{bits[name]:>14.1f} bits  {100 * bits[name] / total:5.1f} %"
        for name in bits
        if name != "total"
    ]
    lines += [
        f"{part['kind']}: {part['bytes']:,} bytes" + (f" ({part['about']})" if part["about"] else "")
        for part in account["metadata"]
    ]
    if frames := account.get("frames"):
        plays = f"shown {account['plays']} times" if account["plays"] else "shown for ever"
        lines.append(f"{len(frames)} frames, {plays}, {sum(one['duration'] for one in frames) / 1000:.3f} s")
        lines += [frame_line(number, one) for number, one in enumerate(frames)]
    return lines


def exactness(account: dict[str, Any]) -> str:
    """How near the decoded samples are to those that were encoded."""
    if account["max_error"] is None:
        return "base and glimpses alone"
    return f"samples within {account['max_error']}" if account["max_error"] else "lossless"


def frame_line(number: int, frame: dict[str, Any]) -> str:
    """What an account tells of a frame."""
    line = f"  {number:>3}  {frame['duration']:g} ms  {frame['kind']}  {frame['bytes']:,} bytes"
    if frame["kind"] == "same":
        return line
    return f"{line}  {frame['width']} x {frame['height']} {frame['mode']} at ({frame['x']}, {frame['y']})"


def account_of(data: bytes | str, model: str | None, seconds: dict[str, float]) -> str:
    """Where the bits of a file went and the time that was spent on it, for --verbose."""
    from saidcodec import inspection

    total = sum(seconds.values())
    times = [
        f"  {what:<9}{spent:>14.3f} s     {100 * spent / total:5.1f} %" for what, spent in seconds.items()
    ]
    return "\n".join([*bits_of(inspection.inspect(data, model=model)), f"{total:.3f} s", *times, ""])
