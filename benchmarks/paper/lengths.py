"""Description lengths: what the paper's formula says beside what the file takes, and whose boxes compress.

    python benchmarks/paper/lengths.py formula --mnist mnist.npz --sheets FOLDER --count 100
    python benchmarks/paper/lengths.py boxes --mnist mnist.npz --sheets FOLDER --count 60 --runs DIR

``formula`` sets KL + N log2(σ √(2πe)), with N samples a pixel's channel each and σ the deviation of x - x̂(T)
over the whole image, beside the bits of the files with the Gaussian residual and the residual network.

``boxes`` gives the shipped models boxes from several sources and codes every one of them: those that the
codec chose by bits, those of the paper's network, of the baselines, the true ones, as many random ones of
the same sizes, and none.  The base is as fine as is cheapest in each case.  Bits are those of the file, but
for its header and the kind of its tile.  Results go to benchmarks/paper/results.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import methods
import numpy as np
import results

import saidcodec
from saidcodec import images, models
from saidcodec.encoder import plan, writing
from saidcodec.encoder.price import Meter, Pricer, styled
from saidcodec.encoder.proposal import latents_in
from saidcodec.encoder.search import valid
from saidcodec.format import planes
from saidcodec.format.header import Header, Mode
from saidcodec.format.tiling import Tiling, choose_tiling
from saidcodec.residual.band import method_of, plane_of
from saidcodec.said import Description, account, base
from saidcodec.training.datasets import Dataset

DATASETS = ("multimnist", "multidsprites", "clevr")
CODERS = ("context", "gaussian")
ROUNDING = 12**-0.5  # deviation of what rounding to whole samples hides
GAUSSIAN_LENGTH = 0.5 * np.log2(2 * np.pi * np.e)  # bits of a sample beyond log2 σ


def formula(image: np.ndarray, file: bytes, grey: bool) -> float:
    """The paper's estimate in bits for what a file's base and glimpses leave of an image [64, 64, 3]."""
    error = image.astype(float) - saidcodec.preview(file)
    if grey:
        error = error[..., :1]
    deviation = max(float(np.sqrt(np.square(error).mean())), ROUNDING)
    return float(saidcodec.inspect(file)["kl_bits"]) + error.size * (np.log2(deviation) + GAUSSIAN_LENGTH)


def compare(name: str, data: Dataset) -> dict[str, float]:
    """Mean bits an image: the formula, and files of both residual coders."""
    rows = []
    for image in data.images:
        files = [saidcodec.encode(image, model=name, residual=coder) for coder in ("gaussian", "context")]
        rows.append([formula(image, files[0], name == "multimnist"), *(8.0 * len(file) for file in files)])
    return dict(zip(("formula", "gaussian", "context"), np.mean(rows, 0).tolist(), strict=True))


class Scales:
    """Weighs boxes for one model and coder: the real bits of images with given boxes."""

    def __init__(self, name: str, coder: str):
        self.model, self.coder = models.find(name), coder

    def header(self, image: np.ndarray) -> tuple[Header, np.ndarray]:
        """The header of an image's file, and its coded channels."""
        pixels, presentation, _ = images.from_any(image)
        height, width = pixels.shape[:2]
        same = bool((pixels == pixels[..., :1]).all())
        header = Header(
            width,
            height,
            Mode(presentation.mode),
            same,
            writing.CODERS[self.coder],
            0,
            self.model.id,
            *choose_tiling(width, height),
        )
        return header, planes.channels_of(header, pixels)

    def bits(self, image: np.ndarray, boxes: np.ndarray | None) -> float:
        """Bits of tile, base, the boxes [k, 4] with their latents, and residual; None: no SAID layer."""
        header, channels = self.header(image)
        colour = planes.colour_of(header, channels)
        meter = None
        if network := method_of(header, self.model).network:
            places = Tiling.of(header).tiles()
            meter = Meter(network, styled(network, plane_of(colour), places), *places)
        pricer = Pricer(header, self.model, colour, meter)
        if boxes is None:
            return pricer.residual(None)
        tile = planes.rgb_of(header, channels)
        boxes = np.concatenate([np.zeros((0, 4), np.int64), *(valid(box[None]) for box in boxes)])
        latents = np.zeros((0, 10), np.int32)
        if len(boxes):
            latents = latents_in(tile, boxes, self.model)
        cell = base.cells(tile)
        described = [
            Description(step, base.quantise(cell, step, header.grey), boxes.astype(np.int32), latents)
            for step in plan.FINE_STEPS
        ]
        return min(
            pricer.residual(seen) + account(one, header.grey, self.model).bits(len(boxes))
            for one, seen in pricer.rendered(described)
        )

    def chosen(self, image: np.ndarray) -> np.ndarray | None:
        """The boxes that the codec keeps, [k, 4]; None where it keeps no SAID layer."""
        file = saidcodec.encode(image, model=self.model, residual=self.coder)
        has_base = saidcodec.inspect(file)["bits"]["base"] > 0
        return saidcodec.features(file).boxes if has_base else None


def sources(
    name: str, data: Dataset, wanted: argparse.Namespace, seed: int
) -> dict[str, list[np.ndarray | None]]:
    """Boxes of each image by where they come from, as far as they depend on a seed."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[np.ndarray | None]] = {"random": []}
    for row in methods.truths(data):
        size = row[:, 2:] - row[:, :2]
        corner = rng.random((len(row), 2)) * (64 - size)
        found["random"].append(np.concatenate([corner, corner + size], 1))
    for method in ("said", "spair", "space") if name == "multimnist" else ("said",):
        path = wanted.mnist if name == "multimnist" else wanted.sheets
        model, settings = methods.trained(method, name, path, seed, wanted.steps, wanted.runs)
        seen = methods.look(model, settings, data.images, methods.GLIMPSES[name][1])
        found[method] = [one.boxes[one.objects] for one in seen]
    return found


def measured(
    name: str, coder: str, data: Dataset, found: dict[str, list[np.ndarray | None]], seed: int
) -> dict[str, float]:
    """Mean bits and boxes of each source; those that depend on no seed are measured with seed 0."""
    scales = Scales(name, coder)
    if seed == 0:
        found = {
            **found,
            "none": [None] * len(data),
            "base": [np.zeros((0, 4))] * len(data),
            "truth": [*methods.truths(data)],
            "codec": [scales.chosen(image) for image in data.images],
        }
    figures = {}
    for source, boxes in found.items():
        figures[source] = float(np.mean([scales.bits(*one) for one in zip(data.images, boxes, strict=True)]))
        figures[f"{source} boxes"] = float(np.mean([0 if b is None else len(b) for b in boxes]))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("formula", "boxes"))
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=DATASETS)
    parser.add_argument("--mnist", type=Path, required=True, help="an .npz, idx file or folder of MNIST")
    parser.add_argument("--sheets", type=Path, required=True, help="folder of sheets of 64×64 scenes")
    parser.add_argument("--count", type=int, default=100, help="test images of each dataset")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="of the networks")
    parser.add_argument("--steps", type=int, help="of the networks' training; default: methods.STEPS")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of checkpoints and logs")
    wanted = parser.parse_args()
    for name in wanted.datasets:
        path = wanted.mnist if name == "multimnist" else wanted.sheets
        data = methods.images_of(name, path, "test", wanted.count)
        if wanted.what == "formula":
            results.save("formula", name, 0, {**compare(name, data), "images": len(data)})
            continue
        for seed in wanted.seeds:
            found = sources(name, data, wanted, seed)
            for coder in CODERS:
                figures = measured(name, coder, data, found, seed)
                results.save("boxes", f"{name}-{coder}", seed, {**figures, "images": len(data)})


if __name__ == "__main__":
    main()
