"""Train SPAIR or SPACE on Multi-MNIST and print the paper's table 1 for it.

    python benchmarks/paper/baselines.py spair|space --mnist mnist.npz --seeds 3 --minutes 8 --runs DIR

Each seed has its checkpoint in DIR; a second call continues what the first left, and training that is
done is not repeated.  Minutes are processor time.  The last line printed also goes, as JSON, to
DIR/results-NAME.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import space
import spair
import torch
from attend import Batches, Detections

from saidcodec.evaluation import detection
from saidcodec.training.datasets import Dataset, mnist_digits, multi_mnist

MODULES = {"spair": spair, "space": space}
PAPER = {  # AP over 0.1:0.1:0.9 and count error, mean and deviation (table 1)
    "spair": {"ap_paper": (0.501, 0.004), "count_error": (0.261, 0.032)},
    "space": {"ap_paper": (0.310, 0.041), "count_error": (0.031, 0.005)},
}
NAMES = {
    "ap_paper": "AP 0.1:0.1:0.9",
    "ap_common": "AP 0.5:0.05:0.95",
    "count_error": "count error",
    "exact_counts": "exact counts",
}
TRAIN_IMAGES, TEST_IMAGES, BATCH = 20_000, 400, 32
TRAIN_SEED, TEST_SEED = 1, 2
PRESENT = 0.5


def batches(images: np.ndarray) -> Batches:
    """Random batches of grey images [N, 64, 64], as uint8 [32, 64, 64, 3]."""

    def draw(rng: np.random.Generator) -> Iterator[np.ndarray]:
        while True:
            chosen = images[rng.integers(len(images), size=BATCH)]
            yield np.broadcast_to(chosen[..., None], (*chosen.shape, 3))

    return draw


def measure(found: list[Detections], data: Dataset) -> dict[str, float]:
    """Table 1 of detections in ``data``."""
    assert data.boxes is not None
    assert data.counts is not None
    truths = [row[: int(n)] for row, n in zip(data.boxes, data.counts)]
    pairs = detection.match([boxes for boxes, _, _ in found], [sure for _, sure, _ in found], truths)
    counts = np.array([int((sure > PRESENT).sum()) for _, sure, _ in found])
    error, exact = detection.count_error(counts, data.counts)
    return {
        "ap_paper": detection.mean_precision(pairs),
        "ap_common": detection.mean_precision(pairs, detection.COMMON_THRESHOLDS),
        "count_error": error,
        "exact_counts": exact,
    }


def one_seed(
    module: ModuleType, images: Batches, test: Dataset, run: Path, seconds: float, seed: int
) -> dict[str, float]:
    """Train one seed and measure it."""
    model = module.train(images, run, seconds, seed, log_to(run.with_suffix(".log")))
    parts = [module.detect(model, test.images[i : i + 100]) for i in range(0, len(test), 100)]
    figures = measure([found for part in parts for found in part], test)
    print(
        f"seed {seed}: " + ", ".join(f"{NAMES[key]} {value:.3f}" for key, value in figures.items()),
        flush=True,
    )
    return figures


def log_to(path: Path) -> Callable[[str], None]:
    """A log that adds lines to a file."""

    def log(line: str) -> None:
        with path.open("a") as file:
            file.write(line + "\n")

    return log


def table(name: str, seeds: list[dict[str, float]]) -> dict[str, list[float]]:
    """Print mean and deviation over seeds beside the paper's; returns them."""
    rows = {}
    print(f"{name:<18}{'measured':>16}{'paper':>16}")
    for key, title in NAMES.items():
        values = [figures[key] for figures in seeds]
        rows[key] = [float(np.mean(values)), float(np.std(values))]
        paper = "{:.3f} ± {:.3f}".format(*PAPER[name][key]) if key in PAPER[name] else "-"
        print(f"{title:<18}{'{:.3f} ± {:.3f}'.format(*rows[key]):>16}{paper:>16}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=MODULES)
    parser.add_argument("--mnist", type=Path, required=True, help="an .npz, idx file or folder of MNIST")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=8.0, help="processor time of one seed")
    parser.add_argument("--runs", type=Path, required=True, help="folder of checkpoints and results")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    wanted.runs.mkdir(parents=True, exist_ok=True)
    digits = mnist_digits(wanted.mnist, "train")
    images = batches(multi_mnist(digits, TRAIN_IMAGES, TRAIN_SEED).images[..., 0].copy())
    test = multi_mnist(mnist_digits(wanted.mnist, "test"), TEST_IMAGES, TEST_SEED)
    seeds = []
    for seed in range(wanted.seeds):
        run = wanted.runs / f"{wanted.name}-{seed}.pt"
        seeds.append(one_seed(MODULES[wanted.name], images, test, run, 60.0 * wanted.minutes, seed))
    result = {
        "name": wanted.name,
        "minutes": wanted.minutes,
        "seeds": seeds,
        "mean": table(wanted.name, seeds),
    }
    line = json.dumps(result)
    (wanted.runs / f"results-{wanted.name}.json").write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()
