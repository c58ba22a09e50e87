r"""A Markdown row for each kind of picture: bits, and ratios to the strongest of the other codecs.

    python benchmarks/kinds.py --kind photographs=FOLDER --kind screenshots=FOLDER --jpeg-of FOLDER \
        [--page docs/results.md]

Any folders will do.  --jpeg-of makes its pictures itself: those of the folder, decoded from JPEG.  Needs the
extra "benchmarks" for the other codecs.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from saidcodec import parallel
from saidcodec.evaluation import conditions, page, rate

QUALITIES = (75, 85, 95)
WEBP, JPEG_XL = "WebP lossless", "JPEG XL e9"
PNG = "PNG (optimised)"
HEAD = (
    f"| kind | images | bits per sub-pixel | to {JPEG_XL} | to the smaller of it and WebP, image by image | "
    f"worst image, to {PNG} |\n|---|---|---|---|---|---|"
)


def named_folder(text: str) -> tuple[str, str]:
    """NAME=FOLDER in two parts.  Raises ArgumentTypeError."""
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FOLDER.")
    return name, folder


def opaque(pixels: np.ndarray) -> np.ndarray:
    """Without alpha, which JPEG does not have."""
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return pixels
    return np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3])


def from_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """What a JPEG file of that quality decodes to; [height, width] or [height, width, 3], 8 bits."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return rate.pillow_open(stream.getvalue())


def sizes(codec: rate.Peer, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Bytes of each picture's file.  Raises AssertionError if a pixel is lost."""
    found = []
    for pixels in pictures:
        data = codec.encode(pixels)
        if not np.array_equal(np.asarray(codec.decode(data)).ravel(), pixels.ravel()):
            raise AssertionError(f"{codec.name} loses pixels.")
        found.append(len(data))
    return np.array(found)


def row(kind: str, pictures: Sequence[np.ndarray], model: str, effort: str, threads: int) -> str:
    """One line of the table.  Raises AssertionError if a codec loses a pixel."""
    size = {p.name: sizes(p, pictures) for p in rate.peers(threads) if p.name in (PNG, WEBP, JPEG_XL)}
    ours = sizes(rate.own(model, threads, effort), pictures)
    smaller = np.minimum(size[WEBP], size[JPEG_XL])
    bits = 8 * ours.sum() / sum(p.size for p in pictures)
    return (
        f"| {kind} | {len(pictures)} | {bits:.3f} | {ours.sum() / size[JPEG_XL].sum():.3f} | "
        f"{ours.sum() / smaller.sum():.3f} | {(ours / size[PNG]).max():.3f} |"
    )


def kinds(wanted: argparse.Namespace) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The sets of pictures that are asked for, each with its name."""
    for name, folder in wanted.kind:
        yield name, rate.gather([folder])
    if wanted.jpeg_of:
        clean = [opaque(p) for p in rate.gather([wanted.jpeg_of])]
        for quality in QUALITIES:
            yield f"decoded from JPEG, quality {quality}", [from_jpeg(p, quality) for p in clean]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", type=named_folder, action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--jpeg-of", metavar="FOLDER", help="clean pictures to take through JPEG")
    parser.add_argument("--model", default="auto")
    parser.add_argument("--effort", choices=("fast", "normal", "best"), default="normal")
    parser.add_argument("--threads", type=int, default=parallel.cores())
    parser.add_argument("--page", type=Path, help="a page that shows what is printed")
    wanted = parser.parse_args(arguments)
    if not (wanted.kind or wanted.jpeg_of):
        parser.error("Name pictures with --kind or --jpeg-of.")
    if not find_spec("imagecodecs"):
        parser.error('The other codecs are missing: install the extra "benchmarks".')
    told = (
        f"Measured on: {conditions.machine(wanted.threads)}; effort {wanted.effort}; {conditions.versions()}."
    )
    lines = [conditions.wrapped(told), "", HEAD]
    print("\n".join(lines))
    for kind, pictures in kinds(wanted):
        lines.append(row(kind, pictures, wanted.model, wanted.effort, wanted.threads))
        print(lines[-1], flush=True)
    if wanted.page:
        page.fill(wanted.page, {"kinds": "\n".join(lines)})


if __name__ == "__main__":
    main()
