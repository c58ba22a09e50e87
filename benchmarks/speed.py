"""Start-up, speed and memory: cold `saidcodec decode`, megapixels a second, peak memory.

    python benchmarks/speed.py examples/scene.png [MORE IMAGES] [--page README.md]

Every figure comes from a process of its own, so nothing is warm that a user would find cold.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from saidcodec.evaluation.page import fill

REPEATS = 5
WARM = """
import resource, sys, time
from PIL import Image
import saidcodec
image = Image.open(sys.argv[1]); image.load()
pixels = image.width * image.height / 1e6
data = saidcodec.encode(image)
best = [0.0, 0.0]
for _ in range(3):
    start = time.perf_counter(); data = saidcodec.encode(image); middle = time.perf_counter()
    saidcodec.decode(data); end = time.perf_counter()
    best = [max(best[0], pixels / (middle - start)), max(best[1], pixels / (end - middle))]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
size = f"{image.width}×{image.height}"
print(f"| {image.filename.rsplit(chr(47), 1)[-1]} | {size} | {best[0]:.2f} | {best[1]:.2f} | {peak:.0f} |")
"""


def cold(command: list[str]) -> float:
    """The fastest of a few runs, in seconds from start to end of the process."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--page", type=Path, help="a page that shows what is printed")
    wanted = parser.parse_args()
    program = [sys.executable, "-m", "saidcodec.cli"]
    with tempfile.TemporaryDirectory() as folder:
        small, coded, back = (str(Path(folder) / name) for name in ("small.png", "small.said", "back.png"))
        Image.open(wanted.images[0]).convert("RGB").resize((64, 64), Image.Resampling.BOX).save(small)
        subprocess.run([*program, "encode", small, coded], check=True)
        decoding = cold([*program, "decode", coded, back, "--force"])
        looking = cold([*program, "inspect", coded, "--picture", back, "--force"])
    told = [
        f"Cold decode of a 64×64 file: {decoding:.3f} s; cold inspect of it: {looking:.3f} s.\n",
        "| image | size | encode MP/s | decode MP/s | peak memory MB |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(told), flush=True)
    for image in wanted.images:
        row = subprocess.run(
            [sys.executable, "-c", WARM, str(image)], check=True, capture_output=True, text=True
        )
        told.append(row.stdout.strip())
        print(told[-1], flush=True)
    if wanted.page:
        fill(wanted.page, {"speed": "\n".join(told)})


if __name__ == "__main__":
    main()
