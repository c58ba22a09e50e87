"""A collection of one's own: blood cells under a microscope, cut small, with boxes that people drew.

    python benchmarks/cells.py cut BCCD FOLDER
    saidcodec train --data FOLDER/train --name cells
    python benchmarks/cells.py measure BCCD --model cells.safetensors

BCCD is the folder of that name in github.com/Shenggan/BCCD_Dataset (MIT licence): JPEG images of 640×480
with the boxes of red and white cells and platelets.  Of each image the four squares of 240×240 about the
middles of its quarters are taken and reduced to 64×64.  The collection's own test images are held out: their
squares are measured, with the boxes that `saidcodec inspect` reads from the files that the model makes by
default.
"""

from __future__ import annotations

import argparse
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import saidcodec
from saidcodec import models
from saidcodec.evaluation import conditions, detection, rate

SIDE = 64
CUT = 240  # pixels of a square's side
CORNERS = [(x, y) for y in (0, 240) for x in (40, 360)]
LEAST_PART = 0.5  # of a cell's box that must lie in the square for the cell to count


def squares(source: Path, split: str) -> Iterator[tuple[str, Image.Image, np.ndarray]]:
    """Name, square of 64×64 and boxes float [n, 4] (x0, y0, x1, y1 in its pixels) of each cut of a split."""
    for name in (source / "ImageSets" / "Main" / f"{split}.txt").read_text().split():
        image = Image.open(source / "JPEGImages" / f"{name}.jpg").convert("RGB")
        boxes = boxes_of(source / "Annotations" / f"{name}.xml")
        for i, (x, y) in enumerate(CORNERS):
            cut = image.crop((x, y, x + CUT, y + CUT)).resize((SIDE, SIDE), Image.Resampling.BOX)
            inside = np.clip(boxes - (x, y, x, y), 0, CUT)
            part = area(inside) / area(boxes)
            yield f"{name}_{i}", cut, inside[part >= LEAST_PART] * SIDE / CUT


def boxes_of(path: Path) -> np.ndarray:
    """The boxes of an annotation that are not empty, float [n, 4]."""
    found = ElementTree.parse(path).getroot().iter("bndbox")
    rows = [[float(box.findtext(side, "0")) for side in ("xmin", "ymin", "xmax", "ymax")] for box in found]
    boxes = np.array(rows, float).reshape(-1, 4)
    return boxes[area(boxes) > 0]


def area(boxes: np.ndarray) -> np.ndarray:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(1))


def cut(source: Path, folder: Path) -> None:
    """Write the squares as PNG files: those to train on, and those held out."""
    for split, name in (("trainval", "train"), ("test", "test")):
        (folder / name).mkdir(parents=True)
        for title, square, _ in squares(source, split):
            square.save(folder / name / f"{title}.png")


def measure(source: Path, name: str, threads: int) -> None:
    """Print how well the boxes in files of the test squares are those of cells, and how large files are."""
    model = models.find(name)
    _, images, truth = zip(*squares(source, "test"), strict=True)
    pixels = [np.asarray(image) for image in images]
    print(conditions.wrapped(f"Measured on: {conditions.machine(threads)}; {conditions.versions()}.") + "\n")
    for residual in ("context", "gaussian"):
        files = saidcodec.encode_many(pixels, model=model, residual=residual, threads=threads)
        boxes, saved = detection.boxes_in(files, model)
        pairs = detection.match(boxes, saved, truth)
        error, _ = detection.count_error(np.array([*map(len, boxes)]), np.array([*map(len, truth)]))
        size, precision = np.mean([*map(len, files)]), detection.mean_precision(pairs)
        print(f"residual {residual}: {size:,.0f} bytes a square; {len(pairs.image)} boxes of {pairs.total}")
        print(f"cells, AP {precision:.3f}, count error {error:.2f}", flush=True)
    for peer in (*rate.peers(threads), rate.own("auto", threads)):
        size = np.mean([len(bytes(peer.encode(one))) for one in pixels])
        print(f"{peer.name}: {size:,.0f} bytes a square", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    cutting = commands.add_parser("cut")
    cutting.add_argument("source", type=Path)
    cutting.add_argument("folder", type=Path)
    measuring = commands.add_parser("measure")
    measuring.add_argument("source", type=Path)
    measuring.add_argument("--model", required=True)
    measuring.add_argument("--threads", type=int, default=2)
    wanted = parser.parse_args()
    if wanted.command == "cut":
        cut(wanted.source, wanted.folder)
    else:
        measure(wanted.source, wanted.model, wanted.threads)


if __name__ == "__main__":
    main()
