"""Tables 1 and 3: average precision and object counts on Multi-MNIST.

    python benchmarks/paper/detection.py said --mnist mnist.npz --runs DIR
    python benchmarks/paper/detection.py said --mnist mnist.npz --runs DIR --curve
    python benchmarks/paper/detection.py files --mnist mnist.npz --count 400

METHOD is SAID by the paper's rule ("said"), one of its variants ("said-no-alpha", "said-no-scope",
"said-vae8", "said-gradient": boxes by the paper's gradient alone), "said-searched" (the networks of "said",
but of several boxes about each proposal the best by bits), a baseline ("spair", "space"), or "files": what
stands in .said files of the shipped model, with the residual network and with the paper's Gaussian.

``--curve`` trains seed 0 for a quarter, half and twice the steps instead, to show what more training gives.
Networks are trained for as many steps as ``methods.STEPS`` says or --steps; a second call goes on where the
first was cut off and measures only what is done.  Results go to benchmarks/paper/results.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import methods
import numpy as np
import results

import saidcodec
from saidcodec import models
from saidcodec.evaluation import detection
from saidcodec.training.datasets import Dataset

LOOKS = methods.GLIMPSES["multimnist"][1]  # K when AP is measured


def from_files(data: Dataset, residual: str) -> dict[str, float]:
    """What ``inspect`` reads from the files of the shipped model; also their mean size in bytes."""
    model = models.find("multimnist")
    files = saidcodec.encode_many(data.images, model=model, residual=residual)
    found = [
        methods.Seen(boxes, saved, np.ones(len(boxes), bool), np.zeros((len(boxes), 10)))
        for boxes, saved in zip(*detection.boxes_in(files, model), strict=True)
    ]
    return {**methods.measure(found, data), "bytes": float(np.mean([*map(len, files)]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=(*methods.METHODS, "files"))
    parser.add_argument("--mnist", type=Path, required=True, help="an .npz, idx file or folder of MNIST")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, help="of training; default: methods.STEPS")
    parser.add_argument("--curve", action="store_true", help="other lengths of training")
    parser.add_argument("--count", type=int, default=400, help="test images")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of checkpoints and logs")
    wanted = parser.parse_args()
    test = methods.images_of("multimnist", wanted.mnist, "test", wanted.count)
    if wanted.method == "files":
        for residual in ("context", "gaussian"):
            results.save("detection", f"files-{residual}", 0, from_files(test, residual))
        return
    steps = wanted.steps or methods.STEPS[wanted.method]
    if wanted.curve:
        for n in (steps // 4, steps // 2, 2 * steps):
            figures = one_run(wanted, test, 0, n, wanted.runs / f"steps-{n}")
            results.save("curve", f"{wanted.method}-{n}", 0, figures)
        return
    for seed in wanted.seeds:
        results.save("detection", wanted.method, seed, one_run(wanted, test, seed, steps, wanted.runs))


def one_run(wanted: argparse.Namespace, test: Dataset, seed: int, steps: int, runs: Path) -> dict[str, float]:
    """Train one seed and measure it."""
    model, settings = methods.trained(wanted.method, "multimnist", wanted.mnist, seed, steps, runs)
    seen = methods.look(model, settings, test.images, LOOKS, methods.ROUNDS.get(wanted.method, 0))
    return {**methods.measure(seen, test), "steps": steps}


if __name__ == "__main__":
    main()
