"""Images of more than 8 bits a sample made of photographs, in this codec and in others: bytes and speed.

python benchmarks/wide.py FOLDER

Needs imagecodecs (extra "benchmarks").  Seconds are those of the processor, with one thread.  Photographs of
8 bits are averaged in linear light, over squares of two pixels a side, so that real bits come about below the
eighth; then they are shown as different cameras would.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

import saidcodec

ELECTRONS = {"film scan, 16 bits": 20_000, "camera, 12 bits shifted": 2_000}  # at the brightest


def linear(photograph: np.ndarray) -> np.ndarray:
    """uint8 H×W×3 → light, 0 ... 1, half as large."""
    s = photograph / 255
    light = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    height, width = (side // 2 for side in light.shape[:2])
    return light[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3).mean((1, 3))


def shown(light: np.ndarray) -> np.ndarray:
    """Light → sRGB, 0 ... 1."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def kinds_of(photograph: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """(what it is, uint16 H×W×3) of one photograph."""
    light = linear(photograph)
    yield "linear light, 16 bits", np.rint(light * 65535).astype(np.uint16)
    yield "sRGB, 10 bits", np.rint(shown(light) * 1023).astype(np.uint16)
    for kind, electrons in ELECTRONS.items():
        noisy = (rng.poisson(light * electrons) / electrons).clip(0, 1)
        if kind.startswith("film"):
            yield kind, np.rint(shown(noisy) * 65535).astype(np.uint16)
        else:
            yield kind, np.rint(noisy * 4095).astype(np.uint16) << 4


CODECS: dict[str, tuple[Callable[[np.ndarray], bytes], Callable[[bytes], np.ndarray]]] = {
    "PNG": (partial(imagecodecs.png_encode, level=9), imagecodecs.png_decode),
    "JPEG 2000": (partial(imagecodecs.jpeg2k_encode, level=0, reversible=True), imagecodecs.jpeg2k_decode),
    "JPEG XL e9": (
        partial(imagecodecs.jpegxl_encode, effort=9, lossless=True, numthreads=1),
        imagecodecs.jpegxl_decode,
    ),
    "saidcodec": (partial(saidcodec.encode, threads=1), partial(saidcodec.decode, threads=1)),
}


def main() -> None:
    rng = np.random.default_rng(1)
    pictures: dict[str, list[np.ndarray]] = {}
    for path in sorted(Path(sys.argv[1]).iterdir()):
        for kind, pixels in kinds_of(np.asarray(Image.open(path).convert("RGB")), rng):
            pictures.setdefault(kind, []).append(pixels)
    samples = sum(pixels.size for group in pictures.values() for pixels in group)
    print(f"| bytes | {' | '.join(CODECS)} |\n|---|{'---|' * len(CODECS)}")
    seconds = {name: [0.0, 0.0] for name in CODECS}
    for kind, group in pictures.items():
        sizes = []
        for name, (encode, decode) in CODECS.items():
            total = 0
            for pixels in group:
                start = time.process_time()
                data = encode(pixels)
                middle = time.process_time()
                assert np.array_equal(decode(data), pixels)
                seconds[name][0] += middle - start
                seconds[name][1] += time.process_time() - middle
                total += len(data)
            sizes.append(f"{total:,}")
        print(f"| {kind} | {' | '.join(sizes)} |")
    for i, what in enumerate(("encoded", "decoded")):
        speeds = [f"{samples / spent[i] / 1e6:.2f}" for spent in seconds.values()]
        print(f"| {what}, million samples a second | {' | '.join(speeds)} |")


if __name__ == "__main__":
    main()
