"""Where the bits of small images go, with and without glimpses: the figures of the model cards.

python benchmarks/account.py --multimnist mnist.npz --count 100
python benchmarks/account.py --multidsprites --count 100
python benchmarks/account.py --sheets FOLDER --count 50
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import saidcodec
from saidcodec.evaluation import detection
from saidcodec.training import datasets

SEED = 20_000
WAYS = (
    ("context, glimpses by bits", {"residual": "context"}),
    ("context, --glimpses 0", {"residual": "context", "glimpses": 0}),
    ("Gaussian, glimpses by bits", {"residual": "gaussian"}),
    ("Gaussian, --glimpses 0", {"residual": "gaussian", "glimpses": 0}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--multimnist", type=Path)
    parser.add_argument("--multidsprites", action="store_true")
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--count", type=int, default=100)
    wanted = parser.parse_args()
    if wanted.multimnist:
        name = "multimnist"
        data = datasets.multi_mnist(datasets.mnist_digits(wanted.multimnist, "test"), wanted.count, SEED)
    elif wanted.multidsprites:
        name, data = "multidsprites", datasets.multi_dsprites(wanted.count, SEED)
    else:
        name, data = "clevr", datasets.sheets(wanted.sheets, "dev")
    print(f"{name}, {wanted.count} images, bytes an image\n")
    print("| coder | file | header | base | boxes | latents | KL | residual | glimpses |")
    print("|---|---|---|---|---|---|---|---|---|")
    for title, options in WAYS:
        rows, found = [], []
        for image in data.images[: wanted.count]:
            file = saidcodec.encode(image, model=name, **options)
            account = saidcodec.inspect(file)
            bits = account["bits"]
            parts = [bits[k] for k in ("total", "header", "base", "boxes", "latents")]
            parts += [account["kl_bits"], bits["residual"]]
            rows.append([*(part / 8 for part in parts), len(account["glimpses"])])
            found.append(account["glimpses"])
        print(f"| {title} | " + " | ".join(f"{value:.1f}" for value in np.mean(rows, 0)) + " |", flush=True)
        if title.endswith("by bits") and data.boxes is not None:
            report(found, data)


def report(found: list[list[dict[str, Any]]], data: datasets.Dataset) -> None:
    """How well the boxes that stand in the files find the objects."""
    boxes = [np.array([g["box"] for g in glimpses], float).reshape(-1, 4) for glimpses in found]
    scores = [np.array([g["saved_bits"] for g in glimpses]) for glimpses in found]
    truth = [rows[rows[:, 0] >= 0] for rows in data.boxes[: len(found)]]
    precision = detection.mean_precision(detection.match(boxes, scores, truth))
    error, exact = detection.count_error(np.array([len(b) for b in boxes]), np.array([len(t) for t in truth]))
    print(f"<!-- boxes in these files: AP {precision:.3f}, count error {error:.2f}, exact {exact:.2f} -->")


if __name__ == "__main__":
    main()
