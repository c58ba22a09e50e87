"""The commands ``pack``, ``unpack`` and ``ls``."""

from __future__ import annotations

import json
import os
import time

import click

from saidcodec import files
from saidcodec.cli.options import MODEL_HELP, PATH, shared
from saidcodec.cli.report import complain, fail, progress, say, tell
from saidcodec.errors import SaidError

SUFFIX = ".saids"


@click.command()
@click.argument("folder", metavar="DIR", type=PATH)
@click.argument("target", metavar="OUT.saids", type=PATH)
@click.option(
    "--model",
    default="auto",
    show_default=True,
    help=MODEL_HELP + " auto: the best for a sample of the images.",
)
@click.option(
    "--max-error", type=click.IntRange(0, 255), default=0, help="Near-lossless: largest error of a sample."
)
@click.option("--glimpses", type=click.IntRange(0), help="Their number per tile; by default as many as pay.")
@click.option("--labels", metavar="FILE.csv", help="Labels of all images: lines of a name and a label.")
@click.option(
    "--together",
    type=click.IntRange(1, 1 << 16),
    default=4,
    show_default=True,
    help="Images that share a stream: many are smaller, few are read faster in any order.",
)
@click.option("--strip", is_flag=True, help="Leave out all metadata.")
@click.option("--append", is_flag=True, help="Add the images to OUT, whose own stay as they are.")
@shared("quiet", "force")
def pack(
    folder: str,
    target: str,
    model: str,
    max_error: int,
    glimpses: int | None,
    labels: str | None,
    together: int,
    strip: bool,
    append: bool,
    quiet: bool,
    force: bool,
) -> None:
    """Pack all images below a folder into one archive.

    An image that cannot be read is named and left out; the others are packed.

    \b
    Examples:
      saidcodec pack icons icons.saids
      saidcodec pack train train.saids --labels train.csv --together 1
      saidcodec pack more icons.saids --append
    """
    from saidcodec.archive import folder as folders
    from saidcodec.archive.writer import pack as pack_images

    started = time.monotonic()
    files.check_suffix(target, SUFFIX)
    if not append:
        files.check_free(target, force)
    found = folders.images_below(folder)
    failures = [*found.failures]
    texts = None if labels is None else folders.read_labels(labels, found.names)
    before = os.path.getsize(target) if append and os.path.exists(target) else 0
    paths = [os.path.join(folder, name) for name in found.names]
    left_out = []

    def leave_out(number: int, error: SaidError) -> None:
        left_out.append(paths[number])
        failures.append(str(error))

    count = pack_images(
        paths,
        target,
        names=found.names,
        labels=texts,
        model=model,
        max_error=max_error,
        glimpses=glimpses,
        together=together,
        strip=strip,
        append=append,
        force=force,
        progress=progress("packing"),
        on_error=leave_out,
    )
    if not quiet:
        size = os.path.getsize(target) - before
        original = sum(os.path.getsize(path) for path in paths if path not in left_out)
        tell(
            f"{target}: {count:,} images, {size:,} bytes, {size / count:.1f} bytes an image, "
            f"{size / original:.1%} of the input's {original:,}, {time.monotonic() - started:.2f} s\n"
        )
    report(failures, "All other images are packed.")


@click.command(short_help="Write the images of an archive below a folder.")
@click.argument("source", metavar="IN.saids", type=PATH)
@click.argument("folder", metavar="DIR", type=PATH)
@shared("model")
@click.option("--labels", metavar="FILE.csv", help="Write the labels of all images, too.")
@shared("quiet", "force")
def unpack(source: str, folder: str, model: str | None, labels: str | None, quiet: bool, force: bool) -> None:
    """Write the images of an archive below a folder: as PNG files, CMYK images as TIFF.

    Of an archive that is cut off or damaged all is written that can be read.

    \b
    Example:
      saidcodec unpack icons.saids icons
    """
    from saidcodec.archive import folder as folders
    from saidcodec.archive.reader import Archive

    failures: list[str] = []
    if labels is not None:
        files.check_free(labels, force)
    with Archive(source, model=model, recover=True) as archive:
        text = None if labels is None else folders.labels_text(archive)
        count = folders.unpack(
            archive,
            folder,
            force=force,
            on_error=lambda error: failures.append(str(error)),
            progress=progress("unpacking"),
        )
        if labels is not None and text is not None:
            data = text.encode()
            files.write(labels, force, lambda file: file.write(data))
        if archive.problem:
            failures.append(f"{source}: {archive.problem}")
    if not quiet:
        tell(f"{folder}: {count:,} images\n")
    report(failures, f"All else, {count:,} images, is unpacked.")


@click.command(short_help="List the images of an archive.")
@click.argument("source", metavar="IN.saids", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def ls(source: str, as_json: bool) -> None:
    """List the images of an archive: number, size, mode, name and label, if it has labels.

    \b
    Examples:
      saidcodec ls icons.saids
      saidcodec ls icons.saids --json
    """
    from saidcodec.archive.reader import Archive

    failures: dict[str, None] = {}  # each once, though all images of a group may have it
    with Archive(source, recover=True) as archive:
        for number in range(len(archive)):
            try:
                entry = archive.entry(number)
            except SaidError as error:
                failures[str(error)] = None
                continue
            if as_json:
                facts = {key: value for key, value in vars(entry).items() if key != "metadata"}
                say(json.dumps({"number": number, **facts}))
                continue
            size = f"{entry.width}x{entry.height}"
            label = "" if entry.label is None else f"  {entry.label}"
            say(f"{number:>7}  {size:>9}  {entry.mode:<4}  {entry.name or '-'}{label}")
        if archive.problem:
            failures[f"{source}: {archive.problem}"] = None
    report([*failures], "What can be read of it is listed.")


def report(failures: list[str], rest: str) -> None:
    """Fail where something has failed: a line for each, the last with what became of the rest."""
    if not failures:
        return
    for failure in failures[:-1]:
        complain(failure)
    fail(f"{failures[-1]} {rest}")
