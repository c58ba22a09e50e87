"""Bits and speed of saidcodec beside PNG, WebP, JPEG 2000 and JPEG XL: a Markdown table a set of images.

    python benchmarks/rate.py --photos FOLDER --multimnist mnist.npz --multidsprites --sheets FOLDER

Needs the extra "benchmarks" for the other codecs.  Versions, settings and hardware are printed first.  --page
README.md --page docs/results.md puts what is printed into the places of those pages.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from saidcodec import parallel
from saidcodec.evaluation import conditions, page, rate
from saidcodec.training import datasets

SEED = 20_000


def heading(threads: int) -> str:
    """What the figures were measured with."""
    return conditions.wrapped(
        f"Measured on: {conditions.machine(threads)}; {conditions.versions()}; "
        "PNG: Pillow, optimize; WebP: lossless, default method; JPEG 2000: reversible; "
        "JPEG XL: lossless, efforts 7 and 9."
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", help="folder of images")
    parser.add_argument("--multimnist", type=Path, help="MNIST files, as for training; test digits are used")
    parser.add_argument("--multidsprites", action="store_true")
    parser.add_argument("--sheets", type=Path, help="folder of sheets of 64×64 scenes; dev-* are used")
    parser.add_argument("--count", type=int, default=100, help="images of each generated set")
    parser.add_argument("--model", default="auto")
    parser.add_argument("--threads", type=int, default=parallel.cores())
    parser.add_argument(
        "--page", type=Path, action="append", default=[], help="a page that shows tables; may be repeated"
    )
    return parser.parse_args(arguments)


def chosen(wanted: argparse.Namespace) -> list[tuple[str, list[np.ndarray]]]:
    """The sets of images that are asked for, each with the name of its place in a page."""
    found: list[tuple[str, list[np.ndarray]]] = []
    if wanted.photos:
        found.append(("photographs", rate.gather([wanted.photos])))
    if wanted.multimnist:
        digits = datasets.mnist_digits(wanted.multimnist, "test")
        found.append(("multimnist", list(datasets.multi_mnist(digits, wanted.count, SEED).images)))
    if wanted.multidsprites:
        found.append(("multidsprites", list(datasets.multi_dsprites(wanted.count, SEED).images)))
    if wanted.sheets:
        found.append(("clevr", list(datasets.sheets(wanted.sheets, "dev").images[: wanted.count])))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    wanted = parse(arguments)
    tables = {"conditions": heading(wanted.threads)}
    print(tables["conditions"])
    for name, pictures in chosen(wanted):
        print(f"\n{name}\n")
        rows = []
        efforts = ("normal", "best") if name == "photographs" else ("normal",)
        for line in rate.table(pictures, wanted.model, wanted.threads, efforts):
            print(line, flush=True)
            rows.append(line)
        tables[name] = "\n".join(rows)
    if wanted.page:
        page.fill_pages(wanted.page, tables)


if __name__ == "__main__":
    main()
