"""Table 2: the sum of the five digits of an image, from what a method's glimpses say.

    python benchmarks/paper/digit_sum.py said --encoder fixed --mnist mnist.npz --runs DIR
    python benchmarks/paper/digit_sum.py files --encoder fixed --mnist mnist.npz --train 8000 --test 2000

METHOD is "said", "said-searched", "spair" or "space", whose networks detection.py has trained; "truth", the
true boxes seen by SAID's encoder; or "files", boxes and latents read from .said files of the shipped model
without decoding a pixel.  The head "number" is the paper's: a dense network of three layers makes one number
of each latent; an image's numbers are added, and learn to be the sum.  The head "digits" makes chances of the
ten digits of each glimpse, from its latent and the size of its box, which a patch stretched to 8×8 no longer
shows; the chances of the sum follow from them.  "fixed" leaves the encoder as it is; "tuned" trains it, too:
for "files" that is the shipped model's, which sees what images show in the files' boxes.

Glimpses of the images are looked for once and kept in the folder of runs.  Results go to
benchmarks/paper/results.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import attend
import methods
import numpy as np
import results
import torch
from torch import Tensor, nn
from torch.nn import functional

import saidcodec
from saidcodec import models
from saidcodec.said.painter import patch_side
from saidcodec.training import networks
from saidcodec.training.datasets import Dataset, mnist_digits, mnist_labels, multi_mnist

DIGITS = 5
CHUNK = 1000  # images whose glimpses are kept together
SEEDS = {"train": 1000, "test": 2000}  # of the first chunk
HIDDEN = 256
BATCH = 128  # images
RATES = {"fixed": 2e-3, "tuned": 1e-3}
MEAN_DIGIT = 4.5
USUAL_SIDE, SIZE_GAIN = 16.0, 4.0  # of a box, canvas pixels; what a factor of e in its size becomes
SHIPPED = "multimnist"
METHODS = ("truth", "said", "said-searched", "spair", "space", "files")


@dataclass
class Glimpses:
    """Of n images, at most k each: ``boxes`` float32 [n, k, 4], ``latents`` float32 [n, k, 10], ``patches``
    uint8 [n, k, side, side], ``there`` bool [n, k], and the digits' sums [n]."""

    boxes: np.ndarray
    latents: np.ndarray
    patches: np.ndarray
    there: np.ndarray
    sums: np.ndarray


def looker(
    method: str, wanted: argparse.Namespace, seed: int
) -> tuple[Callable[[Dataset], list[methods.Seen]], int]:
    """What sees the glimpses of images, and the side of its patches."""
    if method == "files":
        return from_files, patch_side(models.find(SHIPPED))
    name = "said" if method == "truth" else method
    model, settings = methods.trained(name, "multimnist", wanted.mnist, seed, wanted.steps, wanted.runs)
    side = model.side
    if method == "truth":

        def true_boxes(data: Dataset) -> list[methods.Seen]:
            everything = np.ones(DIGITS, bool)
            return [
                methods.Seen(b, everything, everything, np.zeros((DIGITS, 10))) for b in methods.truths(data)
            ]

        return true_boxes, side

    def look(data: Dataset) -> list[methods.Seen]:
        found = methods.look(model, settings, data.images, DIGITS, methods.ROUNDS.get(method, 0))
        every = isinstance(model, networks.Said)  # as many looks as there are digits
        return [replace(seen, objects=seen.objects | every) for seen in found]

    return look, side


def from_files(data: Dataset) -> list[methods.Seen]:
    """Boxes and latents of the shipped model's files."""
    found = []
    for file in saidcodec.encode_many(data.images, model=SHIPPED):
        seen = saidcodec.features(file)
        everything = np.ones(len(seen.boxes), bool)
        found.append(methods.Seen(seen.boxes.astype(float), everything, everything, seen.latents))
    return found


def collect(method: str, split: str, count: int, wanted: argparse.Namespace, seed: int) -> Glimpses:
    """The glimpses of ``count`` images, from the folder of runs as far as they are there."""
    about = f"{method}-{seed}"
    if method == "files":  # they change with the model and with what the encoder makes of it
        about = f"{method}-{models.find(SHIPPED).id}-{saidcodec.__version__}"
    digits, labels = mnist_digits(wanted.mnist, split), mnist_labels(wanted.mnist, split)
    most = DIGITS if method in ("truth", "said", methods.SEARCHED) else attend.CELLS
    looker_of = cache(lambda: looker(method, wanted, seed))  # a network that may have to be trained first
    parts = []
    for chunk in range(-(-count // CHUNK)):
        path = wanted.runs / f"sum-{about}-{split}-chunk{chunk}.npz"
        if not path.exists():
            look, side = looker_of()
            data = multi_mnist(digits, CHUNK, SEEDS[split] + chunk, DIGITS, DIGITS)
            assert data.digits is not None
            found = packed(look(data), data, side, most, labels[data.digits].sum(1))
            part = path.with_suffix(".part.npz")
            np.savez(part, **vars(found))
            part.replace(path)
        with np.load(path) as kept:
            parts.append(Glimpses(**{name: kept[name] for name in kept}))
    return Glimpses(*(np.concatenate([getattr(p, name) for p in parts])[:count] for name in vars(parts[0])))


def packed(found: list[methods.Seen], data: Dataset, side: int, most: int, sums: np.ndarray) -> Glimpses:
    """The glimpses as arrays, padded: of SAID all five, of the others those that count as objects."""
    n = len(found)
    there = np.zeros((n, most), bool)
    boxes = np.tile(np.array([0.0, 0.0, 8.0, 8.0], np.float32), (n, most, 1))
    latents = np.zeros((n, most, 10), np.float32)
    for i, seen in enumerate(found):
        chosen = np.flatnonzero(seen.objects)[:most]
        there[i, : len(chosen)] = True
        boxes[i, : len(chosen)], latents[i, : len(chosen)] = seen.boxes[chosen], seen.latents[chosen]
    patches = []
    for start in range(0, n, methods.TOGETHER):
        part = slice(start, start + methods.TOGETHER)
        grey = attend.grey(data.images[part])
        inside = attend.crop(grey, attend.of_corners(torch.from_numpy(boxes[part])), side)
        patches.append((inside[:, :, 0] * 255).round().byte().numpy())
    return Glimpses(boxes, latents, np.concatenate(patches), there, sums)


class Sum(nn.Module):
    """Glimpses → the sum: the encoder, if it is trained, and three dense layers for each glimpse."""

    beside = 0  # inputs of the first dense layer beside the latent
    outputs = 1  # of the last

    def __init__(self, encode: nn.Module | None, latents: np.ndarray, there: np.ndarray):
        super().__init__()
        self.encoder = encode
        seen = torch.from_numpy(latents[there]) if encode is None else torch.zeros(2, 10)
        self.register_buffer("centre", seen.mean(0))
        self.register_buffer("spread", seen.std(0) + 1e-3 if encode is None else torch.ones(10))
        sizes = (10 + self.beside, HIDDEN, HIDDEN, self.outputs)
        first, second, last = (nn.Linear(a, b) for a, b in pairwise(sizes))
        self.layers = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last)

    centre: Tensor
    spread: Tensor

    def latents(self, glimpses: Tensor, there: Tensor) -> Tensor:
        """Latents [n, k, 10], or patches [n, k, side, side] in 0..1 → [glimpses that are there, 10]."""
        each = glimpses[there]
        latents = each if self.encoder is None else self.encoder(each[:, None])
        return (latents - self.centre) / self.spread

    def loss(self, glimpses: Tensor, boxes: Tensor, there: Tensor, sums: Tensor) -> Tensor:
        return functional.smooth_l1_loss(self.total(glimpses, boxes, there), sums)

    def total(self, glimpses: Tensor, boxes: Tensor, there: Tensor) -> Tensor:
        """The sums, [n]."""
        numbers = self.layers(self.latents(glimpses, there))[:, 0] + MEAN_DIGIT
        image = torch.arange(len(there))[:, None].expand_as(there)[there]
        return torch.zeros(len(there)).index_add(0, image, numbers)


class SumOfDigits(Sum):
    """The same with a chance of every digit for each glimpse, from its latent and the size of its box."""

    beside = 2
    outputs = 10

    def chances(self, glimpses: Tensor, boxes: Tensor, there: Tensor) -> Tensor:
        """The chance of every sum, [n, 9 k + 1]."""
        n, k = there.shape
        sizes = torch.log((boxes[..., 2:] - boxes[..., :2]).clamp_min(1.0) / USUAL_SIDE)[there]
        seen = torch.cat([self.latents(glimpses, there), SIZE_GAIN * sizes], 1)
        each = functional.one_hot(torch.zeros(n, k, dtype=torch.long), 10).float()  # what is not there adds 0
        each[there] = self.layers(seen).softmax(1)
        sums = each[:, 0]
        for i in range(1, k):
            parts = [functional.pad(sums * each[:, i, d : d + 1], (d, 9 - d)) for d in range(10)]
            sums = torch.stack(parts).sum(0)
        return sums

    def loss(self, glimpses: Tensor, boxes: Tensor, there: Tensor, sums: Tensor) -> Tensor:
        chances = self.chances(glimpses, boxes, there)
        true = sums.long().clamp_max(chances.shape[1] - 1)[:, None]
        return -torch.log(chances.gather(1, true) + 1e-6).mean()

    def total(self, glimpses: Tensor, boxes: Tensor, there: Tensor) -> Tensor:
        return self.chances(glimpses, boxes, there).argmax(1).float()


HEADS = {"number": Sum, "digits": SumOfDigits}


class SaidEncoder(nn.Module):
    """Grey patches [m, 1, side, side] → the posterior's means."""

    def __init__(self, encoder: networks.Encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, patches: Tensor) -> Tensor:
        mean, _ = self.encoder(patches.expand(-1, 3, -1, -1))
        return mean


class BaselineEncoder(nn.Module):
    def __init__(self, model: attend.Baseline):
        super().__init__()
        self.model = model

    def forward(self, patches: Tensor) -> Tensor:
        return self.model.encode(patches)


def encoder_of(method: str, wanted: argparse.Namespace, seed: int) -> nn.Module:
    if method == "files":
        return SaidEncoder(shipped_encoder())
    name = "said" if method == "truth" else method
    model, _ = methods.trained(name, "multimnist", wanted.mnist, seed, wanted.steps, wanted.runs)
    return SaidEncoder(model.encoder) if isinstance(model, networks.Said) else BaselineEncoder(model)


def shipped_encoder() -> networks.Encoder:
    """The VAE's encoder of the shipped model."""
    model, prefix = models.find(SHIPPED), "encoder.vae."
    encoder = networks.Encoder(patch_side(model))
    state = {
        name.removeprefix(prefix): model.tensors[name] for name in model.tensors if name.startswith(prefix)
    }
    encoder.load_state_dict({name: torch.from_numpy(values.copy()) for name, values in state.items()})
    return encoder


def tensors(glimpses: Glimpses, patches: bool) -> list[Tensor]:
    """What a head's ``loss`` takes."""
    inputs = glimpses.patches if patches else glimpses.latents
    found = [torch.from_numpy(values) for values in (inputs, glimpses.boxes, glimpses.there, glimpses.sums)]
    return [*found[:-1], found[-1].float()]


def scaled(inputs: Tensor) -> Tensor:
    return inputs.float() / 255.0 if inputs.dtype == torch.uint8 else inputs


def accuracy(model: Sum, inputs: Tensor, boxes: Tensor, there: Tensor, sums: Tensor) -> float:
    """Share of images whose rounded sum is right."""
    model.eval()
    right = 0
    with torch.no_grad():
        for start in range(0, len(sums), 1000):
            part = slice(start, start + 1000)
            found = torch.round(model.total(scaled(inputs[part]), boxes[part], there[part]))
            right += int((found == sums[part]).sum())
    model.train()
    return right / len(sums)


def learn(
    head: str, encode: nn.Module | None, train: Glimpses, test: Glimpses, epochs: int, rate: float, seed: int
) -> dict[str, float]:
    """Train the sum; accuracy on the test set and on as many images of the training set."""
    torch.manual_seed(seed)
    model = HEADS[head](encode, train.latents, train.there)
    inputs, *others = tensors(train, encode is not None)
    count = len(train.sums)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    steps = epochs * (count // BATCH)
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        if step % (count // BATCH) == 0:
            order = torch.randperm(count, generator=generator)
        rows = order[(step % (count // BATCH)) * BATCH :][:BATCH]
        optimiser.param_groups[0]["lr"] = rate * min(1.0, 2.0 * (1.0 - step / steps) + 0.01)
        loss = model.loss(scaled(inputs[rows]), *(values[rows] for values in others))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    held = slice(0, len(test.sums))
    return {
        "train": accuracy(model, inputs[held], *(values[held] for values in others)),
        "test": accuracy(model, *tensors(test, encode is not None)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--encoder", choices=tuple(RATES), required=True)
    parser.add_argument("--head", choices=tuple(HEADS), default="number")
    parser.add_argument("--mnist", type=Path, required=True, help="an .npz or a folder of MNIST, with labels")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, help="of the networks' training; default: methods.STEPS")
    parser.add_argument("--train", type=int, default=80_000, help="images to learn from")
    parser.add_argument("--test", type=int, default=20_000, help="images to measure on")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of checkpoints and logs")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    wanted.runs.mkdir(parents=True, exist_ok=True)
    for seed in wanted.seeds:
        look_seed = 0 if wanted.method == "files" else seed  # there is one shipped model
        sets = [
            collect(wanted.method, split, count, wanted, look_seed)
            for split, count in (("train", wanted.train), ("test", wanted.test))
        ]
        encode = encoder_of(wanted.method, wanted, seed) if wanted.encoder == "tuned" else None
        if wanted.method == "truth" and encode is None:  # boxes come without latents
            fixed = encoder_of("truth", wanted, seed)
            for part in sets:
                part.latents = latents_of(fixed, part.patches)
        figures = learn(wanted.head, encode, *sets, wanted.epochs, RATES[wanted.encoder], seed)
        about = {
            "images": wanted.train,
            "epochs": wanted.epochs,
            "glimpses": float(sets[1].there.sum(1).mean()),
        }
        results.save("sum", f"{wanted.method}-{wanted.encoder}-{wanted.head}", seed, {**figures, **about})


@torch.no_grad()
def latents_of(encode: nn.Module, patches: np.ndarray) -> np.ndarray:
    """What an encoder says of uint8 patches [n, k, side, side]; float32 [n, k, 10]."""
    rows = torch.from_numpy(patches.reshape(-1, 1, *patches.shape[2:]))
    parts = [encode(scaled(part)).numpy() for part in rows.split(4096)]
    return np.concatenate(parts).reshape(*patches.shape[:2], 10)


if __name__ == "__main__":
    main()
