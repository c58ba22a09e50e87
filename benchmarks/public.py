"""Bits and speed on photographs that anyone can get, beside PNG, WebP, JPEG 2000 and JPEG XL.

    python benchmarks/public.py --kodak FOLDER --cid22 FOLDER [--clic FOLDER] [--page docs/results.md]

``--kodak``: the 24 pictures of PhotoCD PCD0992.  ``--cid22``: the 512×512 pictures of the Cloudinary Image
Dataset '22, of which every tenth is taken.  ``--clic``: 24 pictures of CLIC 2025, most of 2 to 3 megapixels.
All lie in github.com/imazen/codec-corpus.
Only pictures whose pixels have the hashes in public.sha256 are measured, whatever their files are called.
Those of CID22 are measured near-lossless, too, and with every network of photographs; Kodak's without a look
for colour maps.  Needs the extra "benchmarks" for the other codecs.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from saidcodec import arguments, codec, models, parallel
from saidcodec.encoder import preimage
from saidcodec.evaluation import conditions, page, rate
from saidcodec.models import Model

HASHES = Path(__file__).with_suffix(".sha256")
NETWORKS = ("photo", "photofine")  # from small to large
SETS = ("kodak", "cid22", "clic")
MAX_ERRORS = (1, 2, 4, 8)


def digest(pixels: np.ndarray) -> str:
    """SHA-256 of an image's shape and samples."""
    return hashlib.sha256(f"{pixels.shape}".encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def wanted_hashes(name: str) -> dict[str, str]:
    """Hash and name of every picture of a set."""
    rows = (line.split(maxsplit=2) for line in HASHES.read_text().splitlines())
    return {hash_: picture for hash_, owner, picture in rows if owner == name}


def gathered(name: str, folder: str) -> list[np.ndarray]:
    """The pictures of a set, in its own order.  Raises SystemExit where one of them is missing."""
    found = {digest(pixels): pixels for pixels in rate.gather([folder])}
    wanted = wanted_hashes(name)
    if missing := [picture for hash_, picture in wanted.items() if hash_ not in found]:
        raise SystemExit(
            f"{folder} lacks {len(missing)} of {len(wanted)} pictures: {', '.join(missing[:9])}."
        )
    return [found[hash_] for hash_ in wanted]


def own(threads: int) -> Iterator[rate.Peer]:
    """saidcodec at every effort."""
    for effort in arguments.EFFORTS:
        codec = rate.own("auto", threads, effort)
        yield rate.Peer(f"saidcodec, effort {effort}", codec.encode, codec.decode)


def near(pictures: Sequence[np.ndarray], threads: int) -> Iterator[str]:
    """Lines of a Markdown table: what the pictures take where every sample may differ by so much.

    Raises AssertionError where one differs by more.
    """
    import imagecodecs

    def spent(encode: rate.Encode, decode: rate.Decode, bound: int) -> int:
        size = 0
        for picture in pictures:
            data = bytes(encode(picture))
            if np.abs(decode(data).astype(int) - picture).max() > bound:
                raise AssertionError("A sample differs by more than was allowed.")
            size += len(data)
        return size

    yield "| largest error | JPEG-LS, bits per sub-pixel | saidcodec | ratio |"
    yield "|---|---|---|---|"
    samples = sum(picture.size for picture in pictures)
    for bound in (0, *MAX_ERRORS):
        other = spent(
            lambda pixels: imagecodecs.jpegls_encode(pixels, level=bound),  # noqa: B023
            imagecodecs.jpegls_decode,
            bound,
        )
        ours = spent(
            lambda pixels: codec.encode(pixels, max_error=bound, threads=threads),  # noqa: B023
            lambda data: codec.decode(data, threads=threads),
            bound,
        )
        yield f"| {bound} | {8 * other / samples:.3f} | {8 * ours / samples:.3f} | {ours / other:.3f} |"


def multiply_adds(model: Model) -> int:
    """Of a model's residual network, for each pixel of an RGB image."""
    weights = (name for name in model.tensors if name.startswith("residual.") and name.endswith(".weight"))
    return sum(model.tensors[name].size for name in weights)


def curve(pictures: Sequence[np.ndarray], threads: int) -> Iterator[str]:
    """Lines of a Markdown table: bits per sub-pixel by the size of the network, and by effort."""
    yield f"| network | multiply-adds a pixel | {' | '.join(f'effort {e}' for e in arguments.EFFORTS)} |"
    yield "|---|---|---|---|---|"
    samples = sum(picture.size for picture in pictures)
    for model in map(models.find, NETWORKS):
        sizes = [
            sum(len(codec.encode(one, model=model, effort=effort, threads=threads)) for one in pictures)
            for effort in arguments.EFFORTS
        ]
        bits = " | ".join(f"{8 * size / samples:.3f}" for size in sizes)
        yield f"| {model.name} | {multiply_adds(model):,} | {bits} |"


def without_maps(pictures: Sequence[np.ndarray], threads: int) -> Iterator[str]:
    """Lines of a Markdown table: bits per sub-pixel where no known map is looked for."""
    yield "| without colour maps | bits per sub-pixel |"
    yield "|---|---|"
    samples, whole = sum(picture.size for picture in pictures), preimage.recognised
    preimage.recognised = lambda rgb: None
    try:
        for effort in ("normal", "best"):
            size = sum(len(codec.encode(one, effort=effort, threads=threads)) for one in pictures)
            yield f"| effort {effort} | {8 * size / samples:.3f} |"
    finally:
        preimage.recognised = whole


def parse(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kodak", metavar="FOLDER")
    parser.add_argument("--cid22", metavar="FOLDER")
    parser.add_argument("--clic", metavar="FOLDER")
    parser.add_argument("--threads", type=int, default=parallel.cores())
    parser.add_argument("--page", type=Path, help="a page that shows what is printed")
    wanted = parser.parse_args(given)
    if not any(getattr(wanted, name) for name in SETS):
        parser.error("Name a folder with --kodak, --cid22 or --clic.")
    if not find_spec("imagecodecs"):
        parser.error('The other codecs are missing: install the extra "benchmarks".')
    return wanted


def main(given: Sequence[str] | None = None) -> None:
    wanted = parse(given)
    told = f"Measured on: {conditions.machine(wanted.threads)}; {conditions.versions()}."
    tables = {"public": conditions.wrapped(told)}
    print(tables["public"])
    for name in SETS:
        if folder := getattr(wanted, name):
            pictures, rows = gathered(name, folder), []
            print(f"\n{name}\n")
            codecs = [*rate.peers(wanted.threads), *own(wanted.threads)]
            for line in rate.lines(codecs, pictures, wanted.threads):
                print(line, flush=True)
                rows.append(line)
            tables[name] = "\n".join(rows)
            if name == "kodak":
                tables["maps"] = "\n".join(without_maps(pictures, wanted.threads))
                print("", tables["maps"], sep="\n")
            if name == "cid22":
                print("\nnear-lossless\n")
                tables["near"] = "\n".join(near(pictures, wanted.threads))
                print(tables["near"], "\nnetworks\n", sep="\n")
                tables["curve"] = "\n".join(curve(pictures, wanted.threads))
                print(tables["curve"])
    if wanted.page:
        page.fill(wanted.page, tables)


if __name__ == "__main__":
    main()
