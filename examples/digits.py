"""Read digits from .said files without decoding a pixel: a classifier on the latents of their glimpses.

    python examples/digits.py MNIST [--images 4000] [--folder FOLDER]

MNIST is mnist.npz (with x_train, y_train, x_test, y_test) or a folder with the four idx files.  Images of one
to five digits are drawn from it and encoded with the model multimnist: as many as --images to learn from, and
a quarter of that to test on, with other digits.  From then on only the files are looked at.  A glimpse whose
box covers a digit gets that digit's label; the nearest neighbours of a new glimpse name its digit.  Files in
FOLDER are kept and used again.  Needs nothing but saidcodec.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import saidcodec
from saidcodec.said.description import iou
from saidcodec.training.datasets import Dataset, mnist_digits, mnist_labels, multi_mnist

MODEL = "multimnist"
NEIGHBOURS = 5
COVERED = 0.5  # intersection over union from which on a glimpse is about a digit
SEEDS = {"train": 1, "test": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--folder", type=Path)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = wanted.folder or Path(temporary)
        known = labelled(wanted.mnist, "train", wanted.images, folder)
        asked = labelled(wanted.mnist, "test", -(-wanted.images // 4), folder)
    found = named(*known, asked[0])
    right = found == asked[1]
    print(
        f"accuracy {right.mean():.1%}: {right.sum()} of {len(right)} glimpses, after {len(known[0])} examples"
    )
    print(f"naming the most frequent digit: {np.bincount(asked[1]).max() / len(right):.1%}")


def labelled(mnist: Path, split: str, count: int, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The glimpses of ``count`` images, latents and size, float [n, 12], and the digits below, int [n]."""
    drawn = multi_mnist(mnist_digits(mnist, split), count, SEEDS[split])
    labels = mnist_labels(mnist, split)
    paths = [folder / f"{split}-{number:05}.said" for number in range(count)]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    for number, file in zip(missing, saidcodec.encode_many(drawn.images[missing], model=MODEL), strict=True):
        paths[number].write_bytes(file)
    started = time.monotonic()
    features = [saidcodec.features(path) for path in paths]
    seconds = time.monotonic() - started
    size = sum(path.stat().st_size for path in paths) / count
    print(f"{split}: {count} files of {size:.0f} bytes, read in {seconds:.2f} s")
    inputs, digits = [], []
    for number, one in enumerate(features):
        for box, latent, digit in zip(one.boxes, one.latents, below(drawn, number, one.boxes), strict=True):
            if digit >= 0:
                inputs.append([*latent, *(box[2:] - box[:2]) / 16])
                digits.append(labels[digit])
    return np.array(inputs), np.array(digits)


def below(drawn: Dataset, number: int, boxes: np.ndarray) -> np.ndarray:
    """Which MNIST digit each box is about, int [n]; -1 where it is about none."""
    assert drawn.boxes is not None
    assert drawn.digits is not None
    overlap = iou(boxes, drawn.boxes[number])
    return np.where(overlap.max(1, initial=0) >= COVERED, drawn.digits[number][overlap.argmax(1)], -1)


def named(known: np.ndarray, digits: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The digit that most of the nearest known inputs have, for every input asked for."""
    distances = (asked**2).sum(1)[:, None] - 2 * asked @ known.T + (known**2).sum(1)
    nearest = digits[np.argpartition(distances, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]]
    return np.array([np.bincount(votes).argmax() for votes in nearest])


if __name__ == "__main__":
    main()
