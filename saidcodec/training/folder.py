"""A folder of images to train on: as much of it as a training uses, and what is held out."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from saidcodec import images
from saidcodec.encoder.search import to_canvas
from saidcodec.errors import FileError, ImageError, about, reason
from saidcodec.format import colour
from saidcodec.format.tiling import SMALL_IMAGE, Place, Tiling, tiling_of_objects
from saidcodec.training.datasets import Dataset, canvas_of
from saidcodec.training.sources import Pool
from saidcodec.training.windows import Tiles

READ_SIDE = 1024  # pixels a side, in the middle of an image, that are read
READ_PIXELS = 1 << 27  # of all images together: 384 MiB
LEAST_SIDE = 16  # pixels a side; less has hardly a window of its own
LEAST_SCENE = 48  # likewise, for a canvas that is not mostly made up
MOST_IMAGES = 20_000
HELD_OUT, HELD_OUT_PIXELS = 200, 1 << 24  # images and pixels to measure on, at most
SEARCHED_PIXELS = 1 << 21  # likewise, where boxes are searched in large images
TILE = 64
POOL, WATCHED = 2048, 32  # tiles that windows are drawn from, and that a training is watched by
DARK = 64  # median of all samples up to which black is nearer to the ground than grey
WHOLE: Place = (slice(None), slice(None))
FLAT = 0.5  # share of pixels that repeat their left neighbour from which on colours count as flat


@dataclass(frozen=True)
class Images:
    """Images to learn from and to measure on, RGB uint8 [H, W, 3] each; of large ones the middle.

    ``skipped`` says of every file that was left out why.
    """

    learning: list[np.ndarray]
    held_out: list[np.ndarray]
    skipped: list[str]

    @property
    def every(self) -> list[np.ndarray]:
        return [*self.learning, *self.held_out]

    @cached_property
    def grey(self) -> bool:
        """Whether the channels of every image are equal."""
        return all(is_grey(image) for image in self.every)

    @cached_property
    def flat(self) -> bool:
        """Whether most pixels repeat their neighbour exactly."""
        repeats = [(image[:, 1:] == image[:, :-1]).all(2).mean() for image in self.every]
        return float(np.mean(repeats)) > FLAT

    @cached_property
    def dark(self) -> bool:
        """Whether the ground of the images is nearer to black than to grey."""
        return float(np.median([np.median(image) for image in self.every])) <= DARK

    @property
    def sides(self) -> tuple[int, int]:
        """The shortest and the longest side of all images, in pixels."""
        lengths = [length for image in self.every for length in image.shape[:2]]
        return min(lengths), max(lengths)

    @property
    def small(self) -> bool:
        """Whether every image is one tile, which the SAID layer then sees whole."""
        shortest, longest = self.sides
        return shortest >= LEAST_SCENE and longest <= SMALL_IMAGE

    def described(self) -> str:
        shortest, longest = self.sides
        kinds = ["grey" if self.grey else "colour", *["flat colours"] * self.flat]
        sides = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
        return (
            f"{len(self.every)} images, sides of {sides} pixels, {', '.join(kinds)}; "
            f"{len(self.held_out)} held out"
        )

    def canvases(self, most: int = MOST_IMAGES) -> tuple[Dataset, Dataset]:
        """What the SAID layer sees of the images: to learn from, at most so many, and to measure on."""
        learning, held_out = (
            Dataset(np.stack(canvases_of(part, some)))
            for part, some in ((self.learning, most), (self.held_out, HELD_OUT))
        )
        return learning, held_out

    def tiles(self) -> tuple[Pool, Tiles]:
        """Tiles without x̂ to train a residual network on, fresh ones every time, and to watch it by."""
        shortest, longest = self.sides
        whole = shortest == longest <= SMALL_IMAGE
        side = shortest if whole else min(shortest, TILE)
        generator = np.random.default_rng(0)
        return (
            lambda rng: (cut(self.learning, POOL, side, whole, rng) for _ in itertools.count()),
            cut(self.held_out, WATCHED, side, whole, generator),
        )


def cut(pictures: list[np.ndarray], n: int, side: int, whole: bool, rng: np.random.Generator) -> Tiles:
    """``n`` tiles at random places of random images, half of them mirrored."""
    pixels = np.empty((n, side, side, 3), np.uint8)
    for i in range(n):
        image = pictures[int(rng.integers(len(pictures)))]
        y, x = (int(rng.integers(length - side + 1)) for length in image.shape[:2])
        pixels[i] = image[y : y + side, x : x + side][:, :: int(rng.choice([-1, 1]))]
    grey = np.array([is_grey(tile) for tile in pixels], np.uint8)
    planes = colour.forward(pixels)
    return Tiles(planes, np.zeros_like(planes), np.zeros(n, np.uint8), grey, whole)


def canvases_of(pictures: list[np.ndarray], most: int) -> list[np.ndarray]:
    """At most so many canvases: central squares of images that are one tile, the tiles of larger ones.

    One of each image is taken in turn, so that even a few come from many images.
    """
    rng = np.random.default_rng(0)
    places = [tiles_of(image, rng) for image in pictures]
    turns = itertools.zip_longest(*places)
    chosen = ((image, place) for turn in turns for image, place in zip(pictures, turn, strict=True) if place)
    return [
        canvas_of(Image.fromarray(image)) if place == WHOLE else to_canvas(image[place])
        for image, place in itertools.islice(chosen, most)
    ]


def tiles_of(image: np.ndarray, rng: np.random.Generator) -> list[Place]:
    """The tiles of an image under a model of objects, in a random order; WHOLE where it is one tile."""
    height, width = image.shape[:2]
    if max(height, width) <= SMALL_IMAGE:
        return [WHOLE]
    tiles = Tiling(width, height, *tiling_of_objects(width, height)).tiles()
    return [tiles[i] for i in rng.permutation(len(tiles))]


def is_grey(pixels: np.ndarray) -> bool:
    return bool((pixels == pixels[..., :1]).all())


def as_coded(pixels: np.ndarray) -> np.ndarray:
    """One channel instead of three equal ones; [H, W] or [H, W, 3]."""
    return np.ascontiguousarray(pixels[..., 0]) if is_grey(pixels) else pixels


def read(folder: Path, seed: int, objects: bool = False) -> Images:
    """The images in ``folder`` and the folders in it, a tenth of them held out.

    ``objects``: to train for boxes, which tiny images cannot have, and which take long to look for.

    Where there is more than a training needs, some are chosen at random.  Transparency is left aside.
    Raises FileError where there are fewer than two images that can be read.
    """
    if not folder.is_dir():
        raise FileError(f"{folder} is not a folder.")
    paths = sorted(
        Path(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in Image.registered_extensions()
    )
    rng = np.random.default_rng(seed)
    found: list[np.ndarray] = []
    skipped = []
    pixels = 0
    for i in rng.permutation(len(paths)):
        try:
            found.append(read_image(paths[i], LEAST_SCENE if objects else LEAST_SIDE))
        except (ImageError, FileError) as error:
            skipped.append(str(error))
            continue
        pixels += found[-1].shape[0] * found[-1].shape[1]
        if pixels > READ_PIXELS or len(found) == MOST_IMAGES:
            break
    if len(found) < 2:
        why = f" ({skipped[0].rstrip('.')})" if skipped else ""
        count = "only one image" if found else "no image"
        raise FileError(
            f"{folder} holds {count} that can be read{why}; training needs two at least, to measure on one."
        )
    last, measured = 0, 0
    most = SEARCHED_PIXELS if objects else HELD_OUT_PIXELS
    while last < min(HELD_OUT, max(1, len(found) // 10)) and measured < most:
        measured += found[last].shape[0] * found[last].shape[1]
        last += 1
    return Images(found[last:], found[:last], skipped)


def read_image(path: Path, least: int) -> np.ndarray:
    """The middle of an image of ``least`` pixels a side at least, RGB uint8 [H, W, 3].

    Raises ImageError or FileError.
    """
    with about(str(path)):
        image = images.open_image(path, str(path))
        if image.mode.startswith(("I", "F")):
            raise ImageError("It has more than 8 bits a sample.")
        if min(image.size) < least:
            raise ImageError(f"It is smaller than {least}×{least} pixels.")
        width, height = (min(length, READ_SIDE) for length in image.size)
        x, y = (image.width - width) // 2, (image.height - height) // 2
        try:
            return np.asarray(image.crop((x, y, x + width, y + height)).convert("RGB"))
        except (OSError, ValueError, SyntaxError) as error:
            raise ImageError(f"It cannot be read: {reason(error)}.") from None
