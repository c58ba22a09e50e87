"""The methods that the paper compares, behind one interface: train a seed, then look at images.

``trained`` gives the network of a method and a seed; it trains it, goes on with what an earlier call left in
the folder of runs, or finds it done.  ``look`` says what a method sees in images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import space
import spair
import torch
from attend import Baseline

from saidcodec.errors import ModelError
from saidcodec.evaluation import detection
from saidcodec.training import checkpoints, networks, said, sources, watch
from saidcodec.training.datasets import Dataset, mnist_digits, multi_dsprites, multi_mnist, sheets

SAID = {  # settings that differ from those of the first
    "said": {},
    # At the usual rate no glimpse ever paid.
    "said-gradient": {"search": False, "rate": 1e-3, "rehearsal": 0.3},
    "said-no-alpha": {"alpha": False},
    "said-no-scope": {"scope": False},
    "said-vae8": {"vae_start": True},
}
SEARCHED = "said-searched"  # the networks of "said", whose proposals are searched about
ROUNDS = {SEARCHED: 1}
BASELINES = {"spair": spair, "space": space}
METHODS = (*SAID, SEARCHED, *BASELINES)
STEPS = {**dict.fromkeys((*SAID, SEARCHED), 1200), "spair": 1500, "space": 1500}
SCENE_STEPS = {("said", "clevr"): 1600, ("said-vae8", "clevr"): 600, ("said", "multidsprites"): 1200}
SAID_BATCH, BASELINE_BATCH = 16, 32
TRAIN_IMAGES, TRAIN_SEED, TEST_SEED = 20_000, 1, 2
GLIMPSES = {"multimnist": (5, 9), "multidsprites": (4, 4), "clevr": (10, 10)}  # K in training, in use
PRESENT = 0.5  # a baseline's glimpse with more than this chance is an object
TOGETHER = 100  # images that go through a network at once

Model = networks.Said | Baseline


@dataclass(frozen=True)
class Seen:
    """What a method sees in one image, glimpses in its own order."""

    boxes: np.ndarray  # [k, 4] in canvas pixels
    sure: np.ndarray  # [k], what detections are ranked by
    objects: np.ndarray  # bool [k], which of them count as objects
    latents: np.ndarray  # float32 [k, 10]


def images_of(name: str, data: Path | None, split: str, count: int) -> Dataset:
    """Images of a dataset: "multimnist" (``data``: the MNIST files), "multidsprites" or "clevr" (a folder of
    sheets); ``split`` is "train" or "test"."""
    seed = TRAIN_SEED if split == "train" else TEST_SEED
    if name == "multimnist":
        assert data is not None
        return multi_mnist(mnist_digits(data, split), count, seed)
    if name == "multidsprites":
        return multi_dsprites(count, seed)
    assert data is not None
    whole = sheets(data, "train" if split == "train" else "dev")
    assert whole.boxes is not None
    assert whole.counts is not None
    return Dataset(whole.images[:count], whole.boxes[:count], whole.counts[:count])


def settings_of(method: str, dataset: str, seed: int, steps: int) -> said.Settings:
    usual: dict[str, Any] = {"rehearsal": 0.1, "rate": 2e-3}
    return said.Settings(
        steps=steps,
        batch=SAID_BATCH,
        iterations=GLIMPSES[dataset][0],
        grey=dataset == "multimnist",
        seed=seed,
        **{**usual, **SAID[method]},
    )


def batches(images: np.ndarray, size: int) -> Callable[[np.random.Generator], Iterator[np.ndarray]]:
    """Random batches of uint8 images [N, 64, 64, 3]."""
    return lambda rng: sources.endless(images, size, False, rng)


def trained(
    method: str, dataset: str, data: Path | None, seed: int, steps: int | None, runs: Path
) -> tuple[Model, said.Settings | None]:
    """The network of one seed, and SAID's settings.  The run's log lies beside its checkpoint."""
    if method == SEARCHED:
        method = "said"
    torch.set_num_threads(1)
    runs.mkdir(parents=True, exist_ok=True)
    checkpoint = runs / f"{dataset}-{method}-{seed}.pt"
    steps = steps or SCENE_STEPS.get((method, dataset), STEPS[method])

    def log(line: str) -> None:
        with checkpoint.with_suffix(".log").open("a") as file:
            file.write(line + "\n")

    images = images_of(dataset, data, "train", TRAIN_IMAGES).images
    if method in SAID:
        if checkpoint.exists() and checkpoints.read(checkpoint, "settings")["settings"]["steps"] != steps:
            raise ModelError(f"{checkpoint} was trained for another number of steps.")
        settings = settings_of(method, dataset, seed, steps)
        return said.train(settings, batches(images, SAID_BATCH), checkpoint, log), settings
    model = BASELINES[method].train(batches(images, BASELINE_BATCH), checkpoint, steps, seed, log)
    return model, None


def look(
    model: Model, settings: said.Settings | None, images: np.ndarray, glimpses: int, rounds: int = 0
) -> list[Seen]:
    """What a method sees in uint8 images [n, 64, 64, 3]; SAID looks ``glimpses`` times, with ``rounds`` of
    search about each proposal.

    SAID is as sure of a glimpse as it saves bits beyond its KL, and counts those before the first that costs
    more than it saves (section 4.1).
    """
    found = []
    for start in range(0, len(images), TOGETHER):
        part = images[start : start + TOGETHER]
        if isinstance(model, networks.Said):
            assert settings is not None
            seen = watch.watch(model, part, glimpses, settings, rounds)
            counts = detection.glimpses_that_pay(seen.saved, seen.spent)
            rows = zip(seen.boxes, seen.saved - seen.spent, counts, seen.latents, strict=True)
            found += [Seen(b.astype(float), s, np.arange(len(b)) < n, z) for b, s, n, z in rows]
        else:
            detect = BASELINES[type(model).__module__].detect
            found += [Seen(b, s, s > PRESENT, z) for b, s, z in detect(model, part)]
    return found


def truths(data: Dataset) -> list[np.ndarray]:
    """The true boxes of each image, [k, 4]."""
    assert data.boxes is not None
    assert data.counts is not None
    return [row[: int(n)] for row, n in zip(data.boxes, data.counts, strict=True)]


def measure(found: list[Seen], data: Dataset) -> dict[str, float]:
    """Table 1 of what was seen in ``data``."""
    pairs = detection.match([seen.boxes for seen in found], [seen.sure for seen in found], truths(data))
    counts = np.array([int(seen.objects.sum()) for seen in found])
    assert data.counts is not None
    error, exact = detection.count_error(counts, data.counts)
    return {
        "ap_paper": detection.mean_precision(pairs),
        "ap_common": detection.mean_precision(pairs, detection.COMMON_THRESHOLDS),
        "count_error": error,
        "exact_counts": exact,
        "counted": float(counts.mean()),
        "true": float(data.counts.mean()),
    }
