"""Tiles for training on photographs: crops, varied the way photographs from elsewhere vary."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from saidcodec.format.colour import forward
from saidcodec.training.windows import Tiles

FILTERS = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)


def vary(image: Image.Image, side: int, rng: np.random.Generator) -> np.ndarray:
    """One ``side`` × ``side`` RGB crop under a random chain of ordinary treatments; uint8."""
    factor = 1.0
    if rng.random() < 0.45:  # another scale, by another filter
        factor = float(rng.choice([rng.uniform(0.5, 1.0), rng.uniform(1.0, 1.6)], p=[0.7, 0.3]))
    need = int(np.ceil(side / factor))
    if need > min(image.size):
        need = min(image.size)
    x = int(rng.integers(image.width - need + 1))
    y = int(rng.integers(image.height - need + 1))
    crop = image.crop((x, y, x + need, y + need))
    if need != side:
        crop = crop.resize((side, side), FILTERS[rng.integers(len(FILTERS))])
    if rng.random() < 0.2:
        crop = crop.filter(ImageFilter.UnsharpMask(rng.uniform(0.6, 2.0), int(rng.uniform(30, 150)), 0))
    if rng.random() < 0.25:
        pixels = np.asarray(crop).astype(np.float32)
        gain, gamma = rng.uniform(0.7, 1.3), rng.uniform(0.75, 1.3)
        pixels = 255.0 * np.clip(gain * pixels / 255.0, 0.0, 1.0) ** gamma
        crop = Image.fromarray(np.rint(np.clip(pixels, 0, 255)).astype(np.uint8))
    if rng.random() < 0.2:
        noisy = np.asarray(crop).astype(np.float64)
        sigma = rng.uniform(0.5, 6.0)
        shared = rng.normal(0, sigma, (side, side, 1))
        own = rng.normal(0, sigma, (side, side, 3))
        mix = rng.random()
        noisy = noisy + mix * shared + (1 - mix) * own
        crop = Image.fromarray(np.rint(np.clip(noisy, 0, 255)).astype(np.uint8))
    chance = rng.random()
    if chance < 0.10:  # chroma that was once stored at half resolution
        luma, *chroma = crop.convert("YCbCr").split()
        chroma = [
            c.resize((side // 2, side // 2), Image.Resampling.BOX).resize(c.size, FILTERS[rng.integers(1, 3)])
            for c in chroma
        ]
        crop = Image.merge("YCbCr", (luma, *chroma)).convert("RGB")
    elif chance < 0.22:  # a trace of JPEG
        stream = io.BytesIO()
        crop.save(stream, "JPEG", quality=int(rng.integers(75, 98)), subsampling=int(rng.integers(3)))
        crop = Image.open(stream).convert("RGB")
    pixels = np.asarray(crop)
    if rng.random() < 0.06:
        pixels = pixels[..., rng.permutation(3)]
    return np.rot90(pixels, int(rng.integers(4)))[:, :: int(rng.choice([-1, 1]))]


def drawing(side: int, rng: np.random.Generator) -> np.ndarray:
    """Flat shapes, lines, text and gradients, as in graphics pasted into photographs; RGB uint8."""
    scale = int(rng.choice([1, 2, 3]))
    image = Image.new("RGB", (side * scale, side * scale), tuple(int(v) for v in rng.integers(0, 256, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(2, 14))):
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        box = np.sort(rng.integers(-20, side * scale + 20, (2, 2)), axis=0)
        corners = [tuple(int(v) for v in corner) for corner in box]
        kind = rng.integers(4)
        if kind == 0:
            draw.rectangle(corners, fill=colour)
        elif kind == 1:
            draw.ellipse(corners, fill=colour)
        elif kind == 2:
            draw.line(corners, fill=colour, width=int(rng.integers(1, 6)))
        else:
            text = "".join(chr(int(c)) for c in rng.integers(33, 126, 12))
            draw.text((float(box[0, 0]), float(box[0, 1])), text, fill=colour)
    if scale > 1:
        image = image.resize((side, side), FILTERS[rng.integers(len(FILTERS))])
    pixels = np.asarray(image).astype(np.float64)
    if rng.random() < 0.3:
        ramp = np.linspace(-1, 1, side) * rng.uniform(0, 60)
        pixels = pixels + (ramp[:, None, None] if rng.random() < 0.5 else ramp[None, :, None])
    return np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)


def make_tiles(images: Sequence[Image.Image], n: int, side: int, rng: np.random.Generator) -> Tiles:
    """``n`` varied tiles without reconstruction, as the photo model's residual network sees them."""
    planes = np.zeros((n, side, side, 3), np.int16)
    grey = np.zeros(n, np.uint8)
    for i in range(n):
        if rng.random() < 0.04:
            pixels = drawing(side, rng)
        else:
            pixels = vary(images[int(rng.integers(len(images)))], side, rng)
        if rng.random() < 0.08:
            planes[i, ..., 0] = np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).convert("L"))
            grey[i] = 1
        else:
            planes[i] = forward(pixels)
    return Tiles(planes, np.zeros_like(planes), np.zeros(n, np.uint8), grey, whole=False)


def pools(
    images: Sequence[Image.Image], size: int, fresh: int, side: int, rng: np.random.Generator
) -> Iterator[Tiles]:
    """A pool of ``size`` tiles of which ``fresh`` are new each time."""
    tiles = make_tiles(images, size, side, rng)
    start = 0
    while True:
        yield tiles
        new = make_tiles(images, fresh, side, rng)
        rows = np.arange(start, start + fresh) % size
        tiles.planes[rows], tiles.grey[rows] = new.planes, new.grey
        start += fresh


def whole_tiles(images: Sequence[Image.Image], side: int) -> Tiles:
    """Every full tile of the images, unvaried, for development.  Raises ValueError where there is none."""
    planes = []
    for image in images:
        pixels = forward(np.asarray(image))
        for y in range(0, image.height - side + 1, side):
            for x in range(0, image.width - side + 1, side):
                planes.append(pixels[y : y + side, x : x + side])
    if not planes:
        raise ValueError(f"No image that is held out has {side}×{side} pixels.")
    stack = np.stack(planes)
    n = len(stack)
    return Tiles(stack, np.zeros_like(stack), np.zeros(n, np.uint8), np.zeros(n, np.uint8), whole=False)
