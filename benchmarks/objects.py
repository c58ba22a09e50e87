"""What default files tell of the objects of a scene: boxes, and kinds by a linear probe of latents.

    python benchmarks/objects.py --multimnist mnist.npz [--count 300]
    python benchmarks/objects.py --multidsprites [--count 300]
    python benchmarks/objects.py --sheets FOLDER [--count 128] [--learn 1000]
    python benchmarks/objects.py --multimnist mnist.npz --picture docs/multimnist.png

Each set is encoded with the shipped model of its kind, or with ``--model FILE``.  Everything is read from the
files; no pixel is decoded.  The parts of the image that boxes claim are measured where true masks are known,
which is on the sprites and on the scenes of scenes.py; the probe where there are sheets of training scenes:
softmax regression on the ten latents of each box, learnt from ``--learn`` files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from picture import sheet

import saidcodec
from saidcodec import models
from saidcodec.evaluation import conditions, detection, segmentation
from saidcodec.inspection import draw_boxes
from saidcodec.models import Model
from saidcodec.said.description import iou
from saidcodec.training import datasets

SEED = 20_000
SHOWN = 8  # images in a picture
FOUND = 0.5  # intersection over union from which a box is that of an object
KINDS = ("shape", "size", "material", "colour")
STEPS, DECAY = 400, 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--multimnist", type=Path)
    parser.add_argument("--multidsprites", action="store_true")
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--model", help="a model file, for one set")
    parser.add_argument("--picture", type=Path, help="of the first digits with their boxes")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--learn", type=int, default=1000)
    wanted = parser.parse_args()
    if wanted.model and sum(map(bool, (wanted.multimnist, wanted.multidsprites, wanted.sheets))) != 1:
        parser.error("--model is for one set")
    print(conditions.wrapped(f"Measured on: {conditions.machine(1)}; {conditions.versions()}.") + "\n")
    if wanted.multimnist:
        digits = datasets.mnist_digits(wanted.multimnist, "test")
        images = datasets.multi_mnist(digits, wanted.count, SEED)
        files = report(wanted.model or "multimnist", images, wanted.count)
        if wanted.picture:
            model = models.find(wanted.model or "multimnist")
            found = [
                draw_boxes(
                    saidcodec.decode(file, model=model), saidcodec.inspect(file, model=model)["glimpses"]
                )
                for file in files[:SHOWN]
            ]
            sheet(found, 4).save(wanted.picture, optimize=True)
    if wanted.multidsprites:
        report(wanted.model or "multidsprites", datasets.multi_dsprites(wanted.count, SEED), wanted.count)
    if wanted.sheets:
        scenes = datasets.sheets(wanted.sheets, "dev")
        files = report(wanted.model or "clevr", scenes, wanted.count)
        if [*wanted.sheets.glob("train-*")]:
            model, learnt = models.find(wanted.model or "clevr"), datasets.sheets(wanted.sheets, "train")
            first = saidcodec.encode_many(learnt.images[: wanted.learn], model=model)
            probe(kinds_of(first, learnt, model), kinds_of(files, scenes, model))


def report(name: str, scenes: datasets.Dataset, count: int) -> list[bytes]:
    """Print how well boxes and masks fit; the files."""
    model = models.find(name)
    files = saidcodec.encode_many(scenes.images[:count], model=model)
    boxes, saved = detection.boxes_in(files, model)
    truth = [rows[rows[:, 0] >= 0] for rows in scenes.boxes[:count]]
    precision = detection.mean_precision(detection.match(boxes, saved, truth))
    error, exact = detection.count_error(np.array([*map(len, boxes)]), np.array([*map(len, truth)]))
    without = saidcodec.encode_many(scenes.images[:count], model=model, glimpses=0)
    size, bare = (np.mean([*map(len, some)]) for some in (files, without))
    print(f"{model.name} {model.id}, {len(files)} images: {size:.1f} bytes, without boxes {bare:.1f}")
    print(f"AP {precision:.3f}, count error {error:.3f}, exact count in {100 * exact:.1f} %")
    print(f"{sum(map(len, boxes))} boxes of {sum(map(len, truth))} objects")
    if scenes.masks is not None:
        masks = [segmentation.mask_of(file, model) for file in files]
        scores = [
            segmentation.foreground_ari(*pair) for pair in zip(scenes.masks[:count], masks, strict=True)
        ]
        print(f"foreground ARI {100 * np.mean(scores):.1f}")
    return files


def kinds_of(
    files: list[bytes], scenes: datasets.Dataset, model: Model
) -> tuple[np.ndarray, np.ndarray, int]:
    """Latents float [n, 10] of the boxes that are those of objects, the objects' kinds int [n, 4], and how
    many objects there are in all."""
    latents, kinds, total = [], [], 0
    for i, file in enumerate(files):
        found = saidcodec.features(file, model=model)
        true = scenes.boxes[i][scenes.boxes[i][:, 0] >= 0]
        total += len(true)
        pairs = iou(found.boxes.astype(float), true)
        for k in range(len(pairs)):
            if pairs[k].max() >= FOUND:
                latents.append(found.latents[k])
                kinds.append(scenes.attributes[i, pairs[k].argmax()])
    return np.array(latents), np.array(kinds), total


def probe(learnt: tuple[np.ndarray, np.ndarray, int], held_out: tuple[np.ndarray, np.ndarray, int]) -> None:
    """Print how often a linear reading of the latents names each kind rightly."""
    torch.manual_seed(0)
    mean, deviation = learnt[0].mean(0), learnt[0].std(0) + 1e-6
    inputs, others = (torch.from_numpy((part[0] - mean) / deviation).float() for part in (learnt, held_out))
    right = []
    for i, name in enumerate(KINDS):
        layer = softmax_regression(inputs, torch.from_numpy(learnt[1][:, i]))
        share = float((layer(others).argmax(1).numpy() == held_out[1][:, i]).mean())
        chance = np.bincount(held_out[1][:, i]).max() / len(held_out[1])
        right.append(share)
        print(f"{name}: {100 * share:.1f} % right (the commonest is {100 * chance:.1f} %)")
    print(
        f"mean {100 * np.mean(right):.1f} %, of {len(held_out[0])} boxes of {held_out[2]} objects, learnt "
        f"from {len(learnt[0])}"
    )


def softmax_regression(inputs: torch.Tensor, goal: torch.Tensor) -> torch.nn.Linear:
    """The layer float [n, d] → [n, classes] that names ``goal`` int [n] best."""
    layer = torch.nn.Linear(inputs.shape[1], int(goal.max()) + 1)
    optimiser = torch.optim.LBFGS(layer.parameters(), max_iter=STEPS)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        found = torch.nn.functional.cross_entropy(layer(inputs), goal)
        found = found + DECAY * layer.weight.square().sum()
        found.backward()
        return found

    optimiser.step(loss)
    return layer


if __name__ == "__main__":
    main()
