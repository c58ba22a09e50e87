"""Speed, start-up, memory and size beside JPEG XL at effort 7, all in the same run.

    python benchmarks/speed.py [IMAGE...] [--multimnist mnist.npz] [--page docs/results.md]

Without IMAGE the example image is taken.  Figures are medians of several rounds, in which both codecs take
turns.  What must be cold, and what is measured in memory, runs in a process of its own.  Needs the extra
"benchmarks" for JPEG XL; without it, its column is empty.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

import saidcodec
from saidcodec import parallel
from saidcodec.evaluation import conditions, page, rate
from saidcodec.training import datasets

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "scene.png"
DIGITS = ROOT / "tests" / "digits.png"  # stands for Multi-MNIST where that is not at hand
SIDE = 64
SEED = 20_000
EFFORT = 7
# What encoding and decoding photographs must reach of JPEG XL's speed.  Effort fast is the network alone;
# normal adapts to the image besides.
TARGETS = {"fast": ("10", "1.0"), "normal": ("5", "0.6")}
IMPORTS = "import numpy, constriction, click, PIL.Image"
# Encodes or decodes the first file into the second and prints seconds and the greatest memory in MB.
LARGE = """
import resource, sys, time
import numpy as np
import saidcodec
def greatest():
    try:  # of this program alone: getrusage counts what its parent had when it was begun
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
what, source, target, threads = sys.argv[1:]
if what == "encode":
    given = np.load(source)
    start = time.perf_counter()
    data = saidcodec.encode(given, threads=int(threads))
else:
    given = open(source, "rb").read()
    start = time.perf_counter()
    data = saidcodec.decode(given, threads=int(threads))
seconds = time.perf_counter() - start
open(target, "wb").write(data)
print(seconds, greatest() / (1 << 10))
"""


@dataclass(frozen=True)
class Row:
    """One figure: saidcodec's, JPEG XL's, one by the other, and what it must be."""

    what: str
    own: str
    peer: str
    ratio: str
    target: str

    def __str__(self) -> str:
        return f"| {self.what} | {self.own} | {self.peer} | {self.ratio} | {self.target} |"


def compared(what: str, amount: float, unit: str, own: float, peer: float | None, target: str) -> Row:
    """A row of speeds from the seconds that both took for ``amount`` of ``unit``."""

    def speed(seconds: float) -> str:
        return f"{amount / seconds:.3g} {unit}/s"

    if peer is None:
        return Row(what, speed(own), "–", "–", target)
    return Row(what, speed(own), speed(peer), f"{peer / own:.2f}", target)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def rounds(works: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Median seconds of each work; the works take turns, and the first round does not count."""
    times = [[timed(work) for work in works] for _ in range(repeats + 1)]
    return [median(column) for column in zip(*times[1:], strict=True)]


def peer_of(threads: int) -> rate.Peer | None:
    """JPEG XL, where imagecodecs is installed."""
    try:
        return rate.jpegxl(EFFORT, threads)
    except ImportError:
        return None


def photographs(pictures: Sequence[np.ndarray], threads: int, repeats: int) -> Iterable[Row]:
    """Images one after the other, each on all threads, at each of the efforts of TARGETS."""
    peer = peer_of(threads)
    files = [
        [saidcodec.encode(one, threads=threads, effort=effort) for one in pictures] for effort in TARGETS
    ]
    encoding: list[Callable[[], object]]
    decoding: list[Callable[[], object]]
    encoding = [
        lambda effort=effort: [saidcodec.encode(one, threads=threads, effort=effort) for one in pictures]
        for effort in TARGETS
    ]
    decoding = [
        lambda coded=coded: [saidcodec.decode(one, threads=threads) for one in coded] for coded in files
    ]
    if peer:
        others = [bytes(peer.encode(picture)) for picture in pictures]
        encoding.append(lambda: [peer.encode(picture) for picture in pictures])
        decoding.append(lambda: [peer.decode(other) for other in others])
    amount = sum(picture.shape[0] * picture.shape[1] for picture in pictures) / 1e6
    sizes = sorted({f"{picture.shape[1]}×{picture.shape[0]}" for picture in pictures})
    name = f"{len(pictures)} images of {sizes[0]}{'' if len(sizes) == 1 else ' and other sizes'}"
    for side, (title, works) in enumerate((("encode", encoding), ("decode", decoding))):
        *own, last = rounds(works, repeats)
        theirs = last if peer else None
        if not peer:
            own.append(last)
        for (effort, targets), seconds in zip(TARGETS.items(), own, strict=True):
            what = f"{title} {name}, effort {effort}, {threads} threads"
            yield compared(what, amount, "MP", seconds, theirs, f"≥ {targets[side]} × JPEG XL")


def searched(pictures: Sequence[np.ndarray], repeats: int) -> Row:
    """Small images with the default search for glimpses, one after the other on one thread."""
    peer = peer_of(1)
    works: list[Callable[[], object]]
    works = [lambda: [saidcodec.encode(picture, model="multimnist", threads=1) for picture in pictures]]
    if peer:
        works.append(lambda: [peer.encode(picture) for picture in pictures])
    own, *rest = rounds(works, repeats)
    what = f"encode {len(pictures)} images of 64×64 with glimpses, model multimnist, 1 thread"
    return compared(what, len(pictures), "images", own, rest[0] if rest else None, "≥ 40 images/s")


def many(pictures: Sequence[np.ndarray], threads: int, repeats: int) -> Iterable[Row]:
    """Small images together, without a search; JPEG XL has as many images at a time as there are threads."""
    peer = peer_of(1)
    options = {"model": "clevr", "glimpses": 0, "threads": threads}
    files = saidcodec.encode_many(pictures, **options)
    encoding: list[Callable[[], object]] = [lambda: saidcodec.encode_many(pictures, **options)]
    decoding: list[Callable[[], object]] = [lambda: saidcodec.decode_many(files, threads=threads)]
    with ThreadPoolExecutor(threads) as pool:
        if peer:
            others = [bytes(peer.encode(picture)) for picture in pictures]
            encoding.append(lambda: list(pool.map(peer.encode, pictures)))
            decoding.append(lambda: list(pool.map(peer.decode, others)))
        for title, works in (("encode_many", encoding), ("decode_many", decoding)):
            own, *rest = rounds(works, repeats)
            what = (
                f"{title}: {len(pictures)} images of 64×64 without glimpses, model clevr, {threads} threads"
            )
            yield compared(what, len(pictures), "images", own, rest[0] if rest else None, "≥ 300 images/s")


def process(command: Sequence[str], folder: Path) -> str:
    """What a command prints that runs with the same package, not with what lies in the current folder."""
    env = {**os.environ, "PYTHONPATH": str(Path(saidcodec.__file__).parent.parent)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode, this package too
    run = subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.PIPE, text=True)
    return run.stdout


def cold(picture: np.ndarray, folder: Path, repeats: int) -> Row:
    """`saidcodec decode` of a small file in a new process, beside a process that only imports."""
    coded, back = folder / "small.said", folder / "small.png"
    coded.write_bytes(saidcodec.encode(picture))
    decode = [sys.executable, "-m", "saidcodec.cli", "decode", str(coded), str(back), "--force"]
    own, imports = rounds(
        [lambda: process(decode, folder), lambda: process([sys.executable, "-c", IMPORTS], folder)], repeats
    )
    return Row(
        "cold `saidcodec decode` of a 64×64 file, beside importing numpy, constriction, click and PIL.Image",
        f"{own:.3f} s",
        f"{imports:.3f} s (imports)",
        f"{own / imports:.2f}",
        "≤ 1.5 × the imports",
    )


def mosaic(pictures: Sequence[np.ndarray], megapixels: float) -> np.ndarray:
    """An image of 3:2 that repeats the pictures side by side, uint8 RGB."""
    height = max(1, round((megapixels * 1e6 / 1.5) ** 0.5))
    width = max(1, round(megapixels * 1e6 / height))
    found = np.zeros((height, width, 3), np.uint8)
    y, i = 0, 0
    while y < height:
        x, row = 0, 1 << 30
        while x < width:
            part = pictures[i % len(pictures)][: height - y, : width - x]
            found[y : y + part.shape[0], x : x + part.shape[1]] = part
            x, row, i = x + part.shape[1], min(row, part.shape[0]), i + 1
        y += row
    return found


def large(picture: np.ndarray, folder: Path, threads: int) -> Iterable[Row]:
    """One large image, encoded and decoded once, each in a process of its own."""
    peer = peer_of(threads)
    raw, coded, back = folder / "large.npy", folder / "large.said", folder / "large.raw"
    np.save(raw, picture)
    name = f"{picture.shape[0] * picture.shape[1] / 1e6:.3g} MP, {threads} threads"
    other = b""
    for what, source, target in (("encode", raw, coded), ("decode", coded, back)):
        command = [sys.executable, "-c", LARGE, what, str(source), str(target), str(threads)]
        seconds, memory = map(float, process(command, folder).split())
        theirs = None
        if peer:
            start = time.perf_counter()
            if what == "encode":
                other = bytes(peer.encode(picture))
            else:
                peer.decode(other)
            theirs = time.perf_counter() - start
        yield Row(
            f"{what} a mosaic of {name}; greatest memory of the process",
            f"{seconds:.2f} s, {memory:.0f} MB",
            f"{theirs:.2f} s" if theirs else "–",
            f"{theirs / seconds:.2f}" if theirs else "–",
            "≤ 7 s, ≤ 350 MB",
        )
    if back.read_bytes() != picture.tobytes():
        raise AssertionError("The mosaic does not come back.")


def size_of(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def installed_size() -> int:
    """Bytes of the package, its models and everything that it depends on."""
    from saidcodec.models import installed

    package = Path(saidcodec.__file__).parent
    others = [path for path in map(Path, installed()) if package not in path.parents]
    total = size_of(package) + sum(path.stat().st_size for path in others)
    seen, waiting = set(), ["click", "constriction", "numpy", "pillow", "safetensors"]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        found = metadata.distribution(name)
        files = [Path(str(file.locate())) for file in found.files or ()]
        total += sum(p.stat().st_size for p in files if p.is_file())
        needed = [line for line in found.requires or () if ";" not in line]
        waiting += [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in needed]
    return total


def small(picture: np.ndarray) -> np.ndarray:
    """64×64 pixels of an image, uint8 RGB."""
    square = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(square.convert("RGB"))


def digits(source: Path | None, count: int) -> list[np.ndarray]:
    if source is None:
        return [np.asarray(Image.open(DIGITS).convert("RGB"))] * count
    return list(datasets.multi_mnist(datasets.mnist_digits(source, "test"), count, SEED).images)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="*", type=Path, default=[EXAMPLE])
    parser.add_argument("--multimnist", type=Path, help="MNIST files, as for training; test digits are used")
    parser.add_argument("--threads", type=int, default=parallel.cores())
    parser.add_argument("--repeats", type=int, default=5, help="rounds of which medians are taken")
    parser.add_argument("--count", type=int, default=100, help="small images")
    parser.add_argument("--megapixels", type=float, default=24.0, help="of the large image; 0 leaves it out")
    parser.add_argument("--page", type=Path, help="a page that shows what is printed")
    return parser.parse_args(arguments)


def rows(wanted: argparse.Namespace, folder: Path) -> Iterable[Row]:
    pictures = [np.asarray(Image.open(path).convert("RGB")) for path in wanted.images]
    thumbnails = [small(pictures[i % len(pictures)]) for i in range(wanted.count)]
    yield from photographs(pictures, wanted.threads, wanted.repeats)
    yield searched(digits(wanted.multimnist, wanted.count), wanted.repeats)
    yield from many(thumbnails, wanted.threads, wanted.repeats)
    yield cold(thumbnails[0], folder, wanted.repeats)
    if wanted.megapixels:
        yield from large(mosaic(pictures, wanted.megapixels), folder, wanted.threads)
    yield Row(
        "saidcodec and what it depends on, installed",
        f"{installed_size() / 1e6:.0f} MB",
        "–",
        "–",
        "≤ 110 MB",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    wanted = parse(arguments)
    heading = (
        f"Measured on: {conditions.machine(wanted.threads)}, {conditions.load()} at the start; "
        f"medians of {wanted.repeats} rounds; {conditions.versions()}."
    )
    told = [
        *conditions.wrapped(heading).splitlines(),
        "",
        f"| | saidcodec | JPEG XL e{EFFORT} | ratio | target |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(told), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(wanted, Path(folder)):
            told.append(str(row))
            print(row, flush=True)
    if wanted.page:
        page.fill(wanted.page, {"speed": "\n".join(told)})


if __name__ == "__main__":
    main()
