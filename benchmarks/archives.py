"""Archives beside single files, of images of one kind: a Markdown table.

    python benchmarks/archives.py --mnist mnist.npz --page docs/archives.md

Digits and sprites are drawn with another seed than those trained on, from test digits.  "28×28" are the test
digits as they are, which no model was trained on.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

import saidcodec
from saidcodec import parallel
from saidcodec.evaluation import conditions, page
from saidcodec.training import datasets

SEED = 30_000
T = TypeVar("T")
COLUMNS = (
    *("images", "model", "single files, bytes an image", "archive", "saved", "`--together 1`"),
    *(
        "encode_many, images a CPU second",
        "pack",
        "read in order",
        "read at random",
        "at random, `--together 1`",
    ),
    "boxes of all, ms",
)


def sets(mnist: Path, count: int) -> list[tuple[str, str, np.ndarray]]:
    """(name, model, images) of each line."""
    digits = datasets.mnist_digits(mnist, "test")
    return [
        ("digits", "multimnist", datasets.multi_mnist(digits, count, SEED).images),
        ("sprites", "multidsprites", datasets.multi_dsprites(count, SEED).images),
        ("digits of 28×28", "multimnist", digits[:count]),
    ]


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What ``work`` returns, and the seconds of all threads that it takes, whatever else runs here."""
    started = time.process_time()
    return work(), time.process_time() - started


def line(name: str, model: str, images: np.ndarray, folder: Path) -> str:
    """One row of the table."""
    count = len(images)
    names = [f"{i:06}.png" for i in range(count)]
    files, encoding = timed(lambda: saidcodec.encode_many(images, model=model))
    sizes, packing, shuffled = [], [], []
    for together in (4, 1):
        path = folder / f"{together}.saids"
        _, seconds = timed(
            lambda path=path, together=together: saidcodec.pack(
                images, path, names=names, model=model, together=together, force=True
            )
        )
        packing.append(seconds)
        sizes.append(path.stat().st_size)
        archive = saidcodec.Archive(path)
        order = np.random.default_rng(0).permutation(count)[:256].tolist()
        _, seconds = timed(lambda archive=archive, order=order: [archive[i] for i in order])
        shuffled.append(len(order) / seconds)
    archive = saidcodec.Archive(folder / "4.saids")
    decoded, reading = timed(lambda: [*archive])
    assert all(map(np.array_equal, decoded, images))
    _, boxes = timed(saidcodec.Archive(folder / "4.saids").features)
    single = sum(map(len, files))
    cells = [
        f"{count:,} {name}",
        model,
        f"{single / count:.1f}",
        f"{sizes[0] / count:.1f}",
        f"{1 - sizes[0] / single:.1%}",
        f"{sizes[1] / count:.1f}",
        *(f"{speed:,.0f}" for speed in (count / encoding, count / packing[0], count / reading, *shuffled)),
        f"{1000 * boxes:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, required=True, help="MNIST files, as for training")
    parser.add_argument("--count", type=int, default=1024, help="images of each kind")
    parser.add_argument("--page", type=Path, help="a page that shows the table")
    wanted = parser.parse_args(arguments)
    heading = f"Measured on: {conditions.machine(parallel.cores())}, {conditions.load()} at the start; "
    lines = [conditions.wrapped(heading + conditions.versions() + "."), ""]
    lines += [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, model, images in sets(wanted.mnist, wanted.count):
            lines.append(line(name, model, images, Path(folder)))
            print(lines[-1], flush=True)
    if wanted.page:
        page.fill(wanted.page, {"archives": "\n".join(lines)})


if __name__ == "__main__":
    main()
