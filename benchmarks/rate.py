"""Bits and speed of saidcodec beside PNG, WebP, JPEG 2000 and JPEG XL: a Markdown table a set of images.

    python benchmarks/rate.py --photos FOLDER --multimnist mnist.npz --multidsprites --sheets FOLDER

Needs the extra "benchmarks" for the other codecs.  Versions, settings and hardware are printed first.  --page
README.md puts what is printed into its places of that page.
"""

from __future__ import annotations

import argparse
import platform
from importlib import metadata
from pathlib import Path

import numpy as np

import saidcodec
from saidcodec import models, parallel
from saidcodec.evaluation import page, rate
from saidcodec.training import datasets

SEED = 20_000


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")


def heading(threads: int) -> str:
    """What the figures were measured with."""
    packages = ("numpy", "onnxruntime", "constriction", "pillow", "imagecodecs")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    shipped = ", ".join(f"{p.stem} {models.read_metadata(p)['id']}" for p in models.installed())
    return (
        f"{processor()}, {threads} threads, Python {platform.python_version()}; "
        f"saidcodec {saidcodec.__version__}, {versions}; "
        f"models {shipped}; PNG: Pillow, optimize; WebP: lossless, default method; "
        "JPEG 2000: reversible; JPEG XL: lossless, efforts 7 and 9"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", help="folder of images")
    parser.add_argument("--multimnist", type=Path, help="MNIST files, as for training; test digits are used")
    parser.add_argument("--multidsprites", action="store_true")
    parser.add_argument("--sheets", type=Path, help="folder of sheets of 64×64 scenes; dev-* are used")
    parser.add_argument("--count", type=int, default=100, help="images of each generated set")
    parser.add_argument("--model", default="auto")
    parser.add_argument("--threads", type=int, default=parallel.cores())
    parser.add_argument("--page", type=Path, help="a page that shows the tables")
    wanted = parser.parse_args()
    sets: list[tuple[str, list[np.ndarray]]] = []
    if wanted.photos:
        sets.append(("photographs", rate.gather([wanted.photos])))
    if wanted.multimnist:
        digits = datasets.mnist_digits(wanted.multimnist, "test")
        sets.append(("multimnist", list(datasets.multi_mnist(digits, wanted.count, SEED).images)))
    if wanted.multidsprites:
        sets.append(("multidsprites", list(datasets.multi_dsprites(wanted.count, SEED).images)))
    if wanted.sheets:
        sets.append(("clevr", list(datasets.sheets(wanted.sheets, "dev").images[: wanted.count])))
    tables = {"conditions": "Measured on: " + heading(wanted.threads) + "."}
    print(tables["conditions"])
    for name, pictures in sets:
        print(f"\n{name}\n")
        rows = []
        for line in rate.table(pictures, wanted.model, wanted.threads):
            print(line, flush=True)
            rows.append(line)
        tables[name] = "\n".join(rows)
    if wanted.page:
        page.fill(wanted.page, tables)


if __name__ == "__main__":
    main()
