"""Table 1 for SAID: average precision and counts on Multi-MNIST, by the paper's rule and from files.

    python benchmarks/paper/detection.py rule --mnist mnist.npz --seeds 3 --minutes 10 --runs DIR
    python benchmarks/paper/detection.py files --mnist mnist.npz --count 400 --runs DIR

``rule`` trains SAID for each seed with this project's training and lets the glimpse network alone look nine
times; the count is the index of the first glimpse whose KL exceeds what it saves (paper section 4.2).
``files`` encodes test images with the shipped model ``multimnist``, once with the default settings and once
with the Gaussian residual, and reads boxes and counts out of the files.  Results go as JSON to DIR.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import saidcodec
from saidcodec.evaluation import detection
from saidcodec.training import said, watch
from saidcodec.training.datasets import Dataset, mnist_digits, multi_mnist

NAMES = {
    "ap_paper": "AP 0.1:0.1:0.9",
    "ap_common": "AP 0.5:0.05:0.95",
    "count_error": "count error",
    "exact_counts": "exact counts",
}
PAPER = "paper: AP 0.503, count error 0.810"
TRAIN_IMAGES, TRAIN_SEED, TEST_SEED = 20_000, 1, 2  # as baselines.py has them
GLIMPSES = 9  # K when the paper measures AP
SETTINGS = said.Settings(steps=10**9, grey=True, rehearsal=0.3)


def measure(
    boxes: list[np.ndarray], sure: list[np.ndarray], counts: np.ndarray, data: Dataset
) -> dict[str, float]:
    """Table 1 of detections in ``data``; ``counts`` [n] are the predicted numbers of objects."""
    assert data.boxes is not None
    assert data.counts is not None
    truths = [row[: int(n)] for row, n in zip(data.boxes, data.counts)]
    pairs = detection.match(boxes, sure, truths)
    error, exact = detection.count_error(counts, data.counts)
    return {
        "ap_paper": detection.mean_precision(pairs),
        "ap_common": detection.mean_precision(pairs, detection.COMMON_THRESHOLDS),
        "count_error": error,
        "exact_counts": exact,
    }


def by_rule(model: said.Said, settings: said.Settings, data: Dataset) -> dict[str, float]:
    """The network's own glimpses; confidence is what a glimpse saves beyond its KL."""
    parts = [
        watch.watch(model, data.images[i : i + 100], GLIMPSES, settings) for i in range(0, len(data), 100)
    ]
    saved = np.concatenate([part.saved for part in parts])
    spent = np.concatenate([part.spent for part in parts])
    boxes = np.concatenate([part.boxes for part in parts])
    return measure(list(boxes), list(saved - spent), detection.glimpses_that_pay(saved, spent), data)


def from_files(data: Dataset, residual: str) -> dict[str, float]:
    """What ``inspect`` reads from the files of the shipped model; also their mean size in bytes."""
    boxes, sure, sizes = [], [], []
    for image in data.images:
        file = saidcodec.encode(image, model="multimnist", residual=residual)
        glimpses = saidcodec.inspect(file)["glimpses"]
        boxes.append(np.array([glimpse["box"] for glimpse in glimpses], float).reshape(-1, 4))
        sure.append(np.array([glimpse["saved_bits"] for glimpse in glimpses], float))
        sizes.append(len(file))
    counts = np.array([len(found) for found in boxes])
    return {**measure(boxes, sure, counts, data), "bytes": float(np.mean(sizes))}


def show(title: str, figures: dict[str, float]) -> None:
    print(
        title + ": " + ", ".join(f"{NAMES.get(key, key)} {value:.3f}" for key, value in figures.items()),
        flush=True,
    )


def write(path: Path, result: dict[str, object]) -> None:
    path.write_text(json.dumps(result) + "\n")


def rule(wanted: argparse.Namespace, test: Dataset) -> None:
    images = multi_mnist(mnist_digits(wanted.mnist, "train"), TRAIN_IMAGES, TRAIN_SEED).images

    def batches(rng: np.random.Generator) -> Iterator[np.ndarray]:
        while True:
            yield images[rng.integers(len(images), size=SETTINGS.batch)]

    seeds = []
    for seed in range(wanted.seeds):
        settings = replace(SETTINGS, seconds=60.0 * wanted.minutes, seed=seed)
        checkpoint = wanted.runs / f"said-{seed}.pt"
        model = said.train(settings, batches, checkpoint, log=lambda line: None)
        seeds.append(by_rule(model, settings, test))
        show(f"seed {seed}", seeds[-1])
    mean = {key: [float(f([s[key] for s in seeds])) for f in (np.mean, np.std)] for key in NAMES}
    print(PAPER)
    write(
        wanted.runs / "results-said.json",
        {"name": "said", "minutes": wanted.minutes, "seeds": seeds, "mean": mean},
    )


def files(wanted: argparse.Namespace, test: Dataset) -> None:
    found = {residual: from_files(test, residual) for residual in ("context", "gaussian")}
    for residual, figures in found.items():
        show(residual, figures)
    print(PAPER)
    write(wanted.runs / "results-files.json", {"name": "files", "images": len(test), **found})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("rule", "files"))
    parser.add_argument("--mnist", type=Path, required=True, help="an .npz, idx file or folder of MNIST")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=10.0, help="wall time of one seed's training")
    parser.add_argument("--count", type=int, default=400, help="test images")
    parser.add_argument("--runs", type=Path, required=True, help="folder of checkpoints and results")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    wanted.runs.mkdir(parents=True, exist_ok=True)
    test = multi_mnist(mnist_digits(wanted.mnist, "test"), wanted.count, TEST_SEED)
    (rule if wanted.what == "rule" else files)(wanted, test)


if __name__ == "__main__":
    main()
