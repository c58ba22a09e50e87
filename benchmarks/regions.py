"""What regions and a thumbnail of a large file cost, beside the whole: seconds and bytes read.

    python benchmarks/regions.py FOLDER [--width 6000] [--height 4000] [--page docs/regions.md]

A mosaic is made of the images in FOLDER and encoded with the model photo.  Every row is the fastest of three
runs on as many threads as there are cores; files come from the cache of the system.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np

import saidcodec
from saidcodec import parallel
from saidcodec.evaluation import conditions, page, rate
from saidcodec.format import container
from saidcodec.format.tiling import Tiling

PART = 500  # pixels a side, of the parts of the mosaic
RUNS = 3
SIDE = 256


class Counted(io.FileIO):
    """A file that counts the bytes that are read of it."""

    count = 0

    def readinto(self, buffer: object) -> int:  # type: ignore[override]
        found = super().readinto(buffer) or 0  # type: ignore[arg-type]
        self.count += found
        return found


def mosaic(folder: Path, width: int, height: int) -> np.ndarray:
    """RGB images of a folder in squares, as often as is needed; uint8 [height, width, 3]."""
    found = cycle(image for image in rate.gather([str(folder)]) if image.ndim == 3 and image.shape[2] == 3)
    out = np.empty((height, width, 3), np.uint8)
    for y in range(0, height, PART):
        for x in range(0, width, PART):
            place = out[y : y + PART, x : x + PART]
            place[...] = np.resize(next(found)[:PART, :PART], place.shape)
    return out


def fastest(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def rows(path: Path, width: int, height: int) -> Iterator[tuple[str, float, int]]:
    """What, seconds and bytes read."""
    tiling = Tiling.of(container.unpack(path.read_bytes()).header)
    border = tiling.band(tiling.count_bands() // 2).rows.start
    wanted = {
        f"{SIDE}×{SIDE} pixels on the border of two bands": (width // 2, border - SIDE // 2, SIDE, SIDE),
        "one pixel": (width // 2, border, 1, 1),
        "the whole image": (0, 0, width, height),
    }
    for name, region in wanted.items():
        counted = Counted(path)
        with io.BufferedReader(counted) as file:
            decode = partial(saidcodec.decode, file, region=region)
            decode()
            count = counted.count
            yield name, fastest(decode), count
    decode = partial(saidcodec.preview, path, size=SIDE)
    yield f"a thumbnail of {SIDE} pixels", fastest(decode), path.stat().st_size


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width", type=int, default=6000)
    parser.add_argument("--height", type=int, default=4000)
    parser.add_argument("--page", type=Path, help="a page that shows what is printed")
    wanted = parser.parse_args(given)
    image = mosaic(wanted.folder, wanted.width, wanted.height)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mosaic.said"
        path.write_bytes(saidcodec.encode(image, model="photo", effort="fast"))
        told = f"Measured on: {conditions.machine(parallel.cores())}; {conditions.versions()}."
        lines = [
            conditions.wrapped(f"{told} The file has {path.stat().st_size / 1e6:.1f} MB."),
            "",
            "| what | seconds | MB read |",
            "|---|---|---|",
        ]
        for name, seconds, count in rows(path, wanted.width, wanted.height):
            lines.append(f"| {name} | {seconds:.2f} | {count / 1e6:.2f} |")
    table = "\n".join(lines)
    print(table)
    if wanted.page:
        page.fill(wanted.page, {"regions": table})


if __name__ == "__main__":
    main()
