"""The commands ``encode`` and ``decode``."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

from saidcodec import files
from saidcodec.cli.options import PATH, check_single, check_usage, shared
from saidcodec.cli.report import note, progress, tell
from saidcodec.errors import FileError, about
from saidcodec.stopwatch import Stopwatch

if TYPE_CHECKING:
    from saidcodec.batch.encoding import Encoding
    from saidcodec.picture import Decoded

Region = tuple[int, int, int, int]  # x, y, width, height, in pixels


@click.command(short_help="Encode images to .said files.")
@click.argument("paths", metavar="IN [OUT.said] | PATH... --output-dir OUT", nargs=-1, type=PATH)
@shared("auto_model")
@click.option(
    "--residual", type=click.Choice(["context", "gaussian", "none"]), default="context", show_default=True
)
@click.option(
    "--max-error",
    type=click.IntRange(0, 32767),
    default=0,
    help="Near-lossless: largest error of a sample; up to 255 where it has 8 bits.",
)
@click.option("--glimpses", default="auto", show_default=True, help="auto, or a number per tile.")
@click.option(
    "--effort",
    type=click.Choice(["fast", "normal", "best"]),
    default="normal",
    show_default=True,
    help="How long to look for a shorter file.",
)
@click.option(
    "--verify/--no-verify", default=True, show_default=True, help="Decode each result and compare it with IN."
)
@click.option("--strip", is_flag=True, help="Leave out all metadata.")
@shared("output_dir", "jobs", "dask", "delete_source", "force", "quiet", "verbose")
def encode(
    paths: tuple[str, ...],
    model: str,
    residual: str,
    max_error: int,
    glimpses: str,
    effort: str,
    verify: bool,
    strip: bool,
    output_dir: str | None,
    jobs: int | None,
    dask: str | None,
    delete_source: bool,
    force: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Encode any image that Pillow opens.

    One file: to OUT, or to IN with .said; - is standard input or output.  Many files and folders: to the
    folder OUT; what is there already is skipped, so that the same command goes on after an interruption.

    \b
    Examples:
      saidcodec encode photo.png
      saidcodec encode photo.png smaller.said --effort best --verbose
      saidcodec encode - - < photo.png > photo.said
      saidcodec encode photos scans/*.tif --output-dir archive
    """
    from saidcodec.batch.encoding import Encoding

    check_usage(quiet=quiet, verbose=verbose, jobs=jobs, dask=dask)
    if delete_source and (residual == "none" or max_error or not verify):
        raise click.UsageError("--delete-source needs --verify, and files that hold the image exactly.")
    if delete_source and strip:
        raise click.UsageError("--delete-source and --strip exclude each other.")
    work = Encoding(
        force=force,
        delete_source=delete_source,
        model=model,
        residual=residual,
        max_error=max_error,
        glimpses=number_of(glimpses),
        effort=effort,
        verify=verify,
        strip=strip,
    )
    if output_dir is None:
        check_single(paths, jobs=jobs, dask=dask, delete_source=delete_source)
        encode_one(work, *paths, quiet=quiet, verbose=verbose)
        return
    from saidcodec.cli.many import work_on

    work_on(work, paths, output_dir, jobs=jobs, dask=dask, quiet=quiet, verbose=verbose)


def encode_one(work: Encoding, source: str, target: str | None = None, *, quiet: bool, verbose: bool) -> None:
    """Encode one file, or standard input, and say what came of it."""
    started, watch = time.monotonic(), Stopwatch()
    target = output_for(source, ".said") if target is None else target
    files.check_suffix(target, ".said")
    files.check_apart(source, target)
    files.check_free(target, work.force)
    check_file(source)
    with watch.measuring("reading"):
        original = files.read_bytes(source)
        image, size = work.opened(original, files.name_of(source)), len(original)
    del original  # as large as some images
    data = work.encoded(image, watch, watch=progress)
    with watch.measuring("writing"):
        files.write(target, work.force, lambda file: file.write(data))
    if quiet:
        return
    name = "standard output" if target == files.STANDARD else target
    share = len(data) / size
    tell(
        f"{name}: {len(data):,} bytes, {share:.1%} of the input's {size:,}, "
        f"{time.monotonic() - started:.2f} s\n"
    )
    if share > 1:
        why = ", as an exact copy of a lossy file often is" if work.exact else ""
        note(f"{name} is larger than the input file{why}.")
    if verbose:
        from saidcodec.cli.looking import account_of

        tell(account_of(data, None if work.model == "auto" else work.model, watch.seconds))


def check_file(source: str) -> None:
    """Raises FileError for a folder, which only --output-dir takes."""
    if os.path.isdir(source):
        raise FileError(f"{source} is a folder; --output-dir OUT says where its files shall go.")


def output_for(source: str, suffix: str) -> str:
    """The output's name where none is given."""
    return files.STANDARD if source == files.STANDARD else os.path.splitext(source)[0] + suffix


def number_of(glimpses: str) -> int | None:
    if glimpses == "auto":
        return None
    if not glimpses.isdecimal():
        raise click.BadParameter("must be auto or a whole number", param_hint="--glimpses")
    return int(glimpses)


def region_of(context: click.Context, parameter: click.Parameter, text: str | None) -> Region | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4 or not all(part.isdecimal() for part in parts) or "0" in parts[2:]:
        raise click.BadParameter("must be X,Y,W,H: whole numbers of pixels, W and H from 1 on")
    x, y, width, height = map(int, parts)
    return x, y, width, height


@click.command(short_help="Decode .said files to images.")
@click.argument("paths", metavar="IN.said [OUT] | PATH... --output-dir OUT", nargs=-1, type=PATH)
@shared("model", "lossy")
@click.option(
    "--suffix", metavar=".SUFFIX", help="Of the files in --output-dir; without it .png, or .tif as for one."
)
@click.option(
    "--region",
    metavar="X,Y,W,H",
    callback=region_of,
    help="Decode this part of one file alone, of all its frames: left, top, width and height in pixels.",
)
@click.option("--frame", type=click.IntRange(0), metavar="N", help="Decode frame N alone, from 0.")
@click.option("--boxes-as-metadata", is_flag=True, help="Write the boxes as image regions into OUT's XMP.")
@shared("output_dir", "jobs", "dask", "delete_source", "force", "quiet", "verbose")
def decode(
    paths: tuple[str, ...],
    model: str | None,
    lossy: bool,
    suffix: str | None,
    region: Region | None,
    frame: int | None,
    boxes_as_metadata: bool,
    output_dir: str | None,
    jobs: int | None,
    dask: str | None,
    delete_source: bool,
    force: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Decode .said files, exactly.

    One file: to the format of OUT's suffix, or to IN with .png, or .tif where PNG cannot hold it; - is
    standard input or output, of these two formats.  Many files and folders: to the folder OUT; what is there
    already is skipped.

    \b
    Examples:
      saidcodec decode photo.said
      saidcodec decode photo.said photo.webp
      saidcodec decode photo.said part.png --region 100,50,640,480
      saidcodec decode - - < photo.said > photo.png
      saidcodec decode archive --output-dir photos --suffix .tif
    """
    check_usage(quiet=quiet, verbose=verbose, jobs=jobs, dask=dask)
    if output_dir is None:
        check_single(paths, suffix=suffix, jobs=jobs, dask=dask, delete_source=delete_source)
        decode_one(
            *paths,
            model=model,
            lossy=lossy,
            region=region,
            frame=frame,
            boxes_as_metadata=boxes_as_metadata,
            force=force,
            verbose=verbose,
        )
        return
    if region or frame is not None or boxes_as_metadata:
        raise click.UsageError(
            "--region, --frame and --boxes-as-metadata are for one file, without --output-dir."
        )
    if delete_source and lossy:
        raise click.UsageError("--delete-source and --lossy exclude each other.")
    from saidcodec.batch.decoding import Decoding
    from saidcodec.cli.many import work_on

    work = Decoding(
        force=force,
        delete_source=delete_source,
        model=model,
        suffix=suffix and f".{suffix.removeprefix('.')}",
        lossy=lossy,
    )
    work_on(work, paths, output_dir, jobs=jobs, dask=dask, quiet=quiet, verbose=verbose)


def decode_one(
    source: str,
    target: str | None = None,
    *,
    model: str | None,
    lossy: bool,
    region: Region | None,
    frame: int | None,
    boxes_as_metadata: bool,
    force: bool,
    verbose: bool,
) -> None:
    """Decode one file, or standard input."""
    from saidcodec import images, targets

    watch = Stopwatch()
    check_file(source)
    if target is not None:
        check_output(source, target, force)
    with watch.measuring("reading"):  # of a part of a file no more is read than it takes
        data = source if region and source != files.STANDARD else files.read_bytes(source)
    suffix = ""
    if target in (None, files.STANDARD):
        with about(files.name_of(source)):
            suffix = targets.suffix_for(data, 0 if boxes_as_metadata else frame)
    if target is None:
        target = output_for(source, suffix)
        check_output(source, target, force)
    name = images.format_of(f"*{suffix}" if target == files.STANDARD else target)
    with about(files.name_of(source)), watch.measuring("decoding"):
        decoded = decoded_from(data, model, region, frame, boxes_as_metadata)
    with about(target), watch.measuring("writing"):
        files.write(
            target, force, lambda file: images.save_any(decoded.frames, decoded.plays, file, name, lossy)
        )
    if target == files.STANDARD and name != images.format_of(target):
        note(
            f"Standard output got a {name} file, because PNG cannot hold what {files.name_of(source)} holds."
        )
    if verbose:
        from saidcodec.cli.looking import account_of

        tell(account_of(data, model, watch.seconds))


def check_output(source: str, target: str, force: bool) -> None:
    """Refuse an output that cannot be written, before any work is done.  Raises FileError."""
    from saidcodec import images

    images.format_of(target)
    files.check_apart(source, target)
    files.check_free(target, force)


def decoded_from(
    data: bytes | str, model: str | None, region: Region | None, frame: int | None, boxes_as_metadata: bool
) -> Decoded:
    """The frames of a file, or parts of them; a single one where its number or its boxes are asked for."""
    from saidcodec import codec, targets
    from saidcodec.picture import Decoded

    told = progress("decoding")
    if frame:
        if boxes_as_metadata:
            raise click.UsageError("--boxes-as-metadata is for the first frame.")
        found = codec.decode_frame(data, frame, region=region, model=model, progress=told)
        return Decoded([found], 1)
    several = targets.is_sequence(data)
    if several and frame is None and not boxes_as_metadata:
        from saidcodec import frames  # which few files have

        return frames.decode_all(data, region=region, model=model, progress=told)
    picture = codec.decode_image(data, region=region, model=model, progress=told)
    if boxes_as_metadata:
        from saidcodec import boxes

        if several and frame is None:
            note("Only the first of the file's frames is written, because it has the boxes.")
        picture = picture._replace(metadata=boxes.in_metadata(picture.metadata, data, region, model=model))
    return Decoded([picture], 1)
