"""Images of 64×64 pixels to train and measure the SAID layer on (recipes: docs/training.md).

Every source gives a ``Dataset``: uint8 images [N, 64, 64, 3], the true boxes where they are known,
float32 [N, K, 4] as (x0, y0, x1, y1) in canvas units, padded with -1, and the true counts [N].
The same seed gives the same images.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

CANVAS = 64
MNIST_CANVAS = 84
DIGIT = 20
MAX_DIGITS = 5
MAX_SPRITES = 4
SPRITE_HALF = (6.0, 11.0)
SPRITE_BORDER = 10.0
SPRITE_COLOURS = (40, 255)
SAMPLES = 4  # antialiasing: samples per pixel along one axis
SHEET = 16  # images along one side of a sheet
MNIST_NAMES = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class Dataset:
    images: np.ndarray  # uint8 [N, 64, 64, 3]
    boxes: np.ndarray | None = None  # float32 [N, K, 4], canvas units, padded with -1
    counts: np.ndarray | None = None  # int64 [N]
    digits: np.ndarray | None = None  # int64 [N, K], which digit file entries were placed, padded with -1
    masks: np.ndarray | None = None  # uint8 [N, 64, 64]: 1 + which object is seen, 0 where there is none
    attributes: np.ndarray | None = None  # int64 [N, K, a], kinds of the objects of the boxes, padded with -1

    def __len__(self) -> int:
        return len(self.images)


def read_idx(path: Path) -> np.ndarray:
    """An MNIST idx file, plain or gzipped.  Raises ValueError where it is no such file."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is not an idx file of bytes.")
    shape = np.frombuffer(data, ">u4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def mnist(path: Path, split: str, key: str, kind: str) -> np.ndarray:
    """An array of the MNIST files: ``key`` in an .npz, ``kind`` in the name of an idx file."""
    if path.is_dir():
        name = f"{MNIST_NAMES[split]}-{kind}"
        found = sorted(path.glob(name + "*")) or sorted(path.glob("*.npz"))
        if not found:
            raise ValueError(f"{path} holds neither {name}* nor an .npz.")
        path = found[0]
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return arrays[f"{key}_{split}"]
    entries = read_idx(path)
    if entries.ndim != {"images": 3, "labels": 1}[kind]:
        raise ValueError(f"{path} holds no {kind}.")
    return entries


def mnist_digits(path: Path, split: str) -> np.ndarray:
    """The digits of ``split`` ("train" or "test"), uint8 [N, 28, 28].

    ``path`` is an .npz with x_train and x_test, an idx file, or a folder with the standard files.
    """
    return mnist(path, split, "x", "images")


def mnist_labels(path: Path, split: str) -> np.ndarray:
    """What those digits are, int64 [N]: y_train and y_test of an .npz, or the files of a folder."""
    return mnist(path, split, "y", "labels").astype(np.int64)


def place_digits(n: int, rng: np.random.Generator) -> np.ndarray:
    """Top left corners of ``n`` digits, int [n, 2], no two nearer than a digit along both axes."""
    while True:
        corners: list[np.ndarray] = []
        for _ in range(n):
            for _ in range(100):
                corner = rng.integers(0, MNIST_CANVAS - DIGIT + 1, 2)
                if all(np.abs(corner - other).max() >= DIGIT for other in corners):
                    corners.append(corner)
                    break
        if len(corners) == n:
            return np.stack(corners)


def multi_mnist(digits: np.ndarray, n: int, seed: int, fewest: int = 1, most: int = MAX_DIGITS) -> Dataset:
    """``n`` images of ``fewest`` to ``most`` digits (uniform) from uint8 [D, 28, 28]."""
    rng = np.random.default_rng(seed)
    small: dict[int, np.ndarray] = {}
    images = np.zeros((n, CANVAS, CANVAS, 3), np.uint8)
    boxes = np.full((n, most, 4), -1, np.float32)
    chosen = np.full((n, most), -1, np.int64)
    counts = rng.integers(fewest, most + 1, n)
    for i in range(n):
        canvas = np.zeros((MNIST_CANVAS, MNIST_CANVAS), np.uint8)
        corners = place_digits(counts[i], rng)
        chosen[i, : counts[i]] = rng.integers(0, len(digits), counts[i])
        for (x, y), digit in zip(corners, chosen[i, : counts[i]].tolist(), strict=True):
            if digit not in small:
                full = Image.fromarray(digits[digit])
                small[digit] = np.asarray(full.resize((DIGIT, DIGIT), Image.Resampling.BILINEAR))
            view = canvas[y : y + DIGIT, x : x + DIGIT]
            np.maximum(view, small[digit], out=view)
        grey = Image.fromarray(canvas).resize((CANVAS, CANVAS), Image.Resampling.BILINEAR)
        images[i] = np.asarray(grey)[..., None]
        boxes[i, : counts[i]] = np.concatenate([corners, corners + DIGIT], 1) * (CANVAS / MNIST_CANVAS)
    return Dataset(images, boxes, counts, chosen)


def heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Whether points lie in a heart that just fills [-1, 1]²; tip at positive v."""
    x, y = 1.018 * u, 0.137 - 0.985 * v
    return (x * x + y * y - 0.72) ** 3 - 1.4 * x * x * y**3 <= 0


def sprite(shape: int, half: float, angle: float, centre: np.ndarray) -> np.ndarray:
    """Coverage of one sprite in 0..1, float32 [64, 64]; shape 0 square, 1 ellipse, 2 heart."""
    low = np.clip(np.floor(centre - 1.5 * half), 0, CANVAS).astype(int)
    high = np.clip(np.ceil(centre + 1.5 * half), 0, CANVAS).astype(int)
    width, height = high - low
    dx = (np.arange(width * SAMPLES) + 0.5) / SAMPLES + (low[0] - centre[0])
    dy = ((np.arange(height * SAMPLES) + 0.5) / SAMPLES + (low[1] - centre[1]))[:, None]
    u = (math.cos(angle) * dx + math.sin(angle) * dy) / half
    v = (math.cos(angle) * dy - math.sin(angle) * dx) / half
    if shape == 0:
        inside = np.maximum(np.abs(u), np.abs(v)) <= 1.0
    elif shape == 1:
        inside = u * u + (2.0 * v) ** 2 <= 1.0
    else:
        inside = heart(u, v)
    coverage = np.zeros((CANVAS, CANVAS), np.float32)
    cells = inside.reshape(height, SAMPLES, width, SAMPLES).mean((1, 3), dtype=np.float32)
    coverage[low[1] : high[1], low[0] : high[0]] = cells
    return coverage


def tight_box(coverage: np.ndarray) -> tuple[int, int, int, int]:
    """The smallest box around every pixel that is covered at all."""
    rows, columns = np.nonzero(coverage.any(1))[0], np.nonzero(coverage.any(0))[0]
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def multi_dsprites(n: int, seed: int) -> Dataset:
    """``n`` images of 1 to 4 coloured sprites on black, later ones over earlier ones."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, CANVAS, CANVAS, 3), np.uint8)
    boxes = np.full((n, MAX_SPRITES, 4), -1, np.float32)
    masks = np.zeros((n, CANVAS, CANVAS), np.uint8)
    counts = rng.integers(1, MAX_SPRITES + 1, n)
    for i in range(n):
        canvas = np.zeros((CANVAS, CANVAS, 3), np.float32)
        for k in range(counts[i]):
            centre = rng.uniform(SPRITE_BORDER, CANVAS - SPRITE_BORDER, 2)
            half, angle = rng.uniform(*SPRITE_HALF), rng.uniform(0, 2 * math.pi)
            coverage = sprite(int(rng.integers(3)), half, angle, centre)
            colour = rng.integers(SPRITE_COLOURS[0], SPRITE_COLOURS[1] + 1, 3)
            canvas += coverage[..., None] * (colour - canvas)
            boxes[i, k] = tight_box(coverage)
            masks[i][coverage > 0.5] = 1 + k
        images[i] = np.rint(canvas)
    return Dataset(images, boxes, counts, masks=masks)


def sheets(folder: Path, split: str) -> Dataset:
    """Images from lossless sheets ``SPLIT-*``, 16×16 images each; boxes, kinds, masks from ``SPLIT.npz`` if
    there."""
    parts = []
    for path in sorted(p for p in folder.glob(f"{split}-*") if p.suffix != ".npz"):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        rows, columns = pixels.shape[0] // CANVAS, pixels.shape[1] // CANVAS
        grid = pixels.reshape(rows, CANVAS, columns, CANVAS, 3).transpose(0, 2, 1, 3, 4)
        parts.append(grid.reshape(-1, CANVAS, CANVAS, 3))
    if not parts:
        raise ValueError(f"{folder} holds no sheets named {split}-*.")
    images = np.concatenate(parts)
    known = folder / f"{split}.npz"
    if not known.exists():
        return Dataset(images)
    with np.load(known) as arrays:
        boxes, counts = arrays["boxes"].astype(np.float32), arrays["n_objects"].astype(np.int64)
        attributes = arrays["attributes"].astype(np.int64) if "attributes" in arrays else None
        masks = arrays.get("masks")
    return Dataset(images[: len(boxes)], boxes, counts, attributes=attributes, masks=masks)


def open_folder(folder: Path) -> list[Image.Image]:
    """Every image that Pillow knows directly in ``folder``, as RGB, in the order of their names.

    Raises ValueError where there is none, or one is damaged.
    """
    images = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in Image.registered_extensions():
            try:
                with Image.open(path) as image:
                    images.append(image.convert("RGB"))
            except Exception as error:  # Pillow's readers raise nearly everything on damaged files
                raise ValueError(f"{path} cannot be read as an image: {error}") from None
    if not images:
        raise ValueError(f"{folder} holds no images.")
    return images


def canvas_of(image: Image.Image) -> np.ndarray:
    """An RGB image cut to its central square and brought to the canvas; uint8 [64, 64, 3]."""
    side = min(image.size)
    x, y = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((x, y, x + side, y + side))
    return np.asarray(square.resize((CANVAS, CANVAS), Image.Resampling.BOX))


def scenes(folder: Path) -> Dataset:
    """Every image of a folder, cut to its central square and reduced to the canvas."""
    return Dataset(np.stack([canvas_of(image) for image in open_folder(folder)]))


def photographs(sources: Sequence[Image.Image], n: int, seed: int) -> Dataset:
    """``n`` random square crops, sides from the canvas to the whole image, reduced to the canvas."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, CANVAS, CANVAS, 3), np.uint8)
    for i in range(n):
        source = sources[int(rng.integers(len(sources)))]
        largest = min(source.size)
        side = round(math.exp(rng.uniform(math.log(min(CANVAS, largest)), math.log(largest))))
        x, y = (int(rng.integers(length - side + 1)) for length in source.size)
        crop = source.crop((x, y, x + side, y + side))
        pixels = np.asarray(crop.resize((CANVAS, CANVAS), Image.Resampling.BOX))
        images[i] = pixels[:, :: rng.choice([-1, 1])]
    return Dataset(images)
