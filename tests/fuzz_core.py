"""Mutated streams straight into the core's decoder, on every instruction set of this processor.

    python tests/fuzz_core.py [COUNT] [--seed SEED]

Meant for a core that was built with sanitizers (tests/sanitized.sh).  They end the process at the first
access outside a buffer.  The script itself checks that each stream is decoded or refused, that samples stay
in their range, that a stream does not grow, and that samples known beforehand stay as they are.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from factory import residual, tables

from saidcodec.errors import CorruptError
from saidcodec.residual import core
from saidcodec.residual.core import CoreEngine
from saidcodec.residual.engine import Plane
from saidcodec.residual.network import ResidualNetwork

PLANES = 200  # streams that are mutated; each of them many times
MOST_SIDE = 48
LOW = np.array([0, -255, -255])


def networks() -> list[ResidualNetwork]:
    """With and without copies and origins, of widths that fill vectors and of such that do not."""
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        weights = residual(rng, bool(seed & 1), bool(seed & 2), hidden=13 + seed, told=3 + (seed > 3))
        found.append(ResidualNetwork({**tables(rng), **weights}))
    return found


def random_plane(rng: np.random.Generator) -> Plane:
    """A plane of any kind, from flat to noise."""
    height, width = rng.integers(1, MOST_SIDE, 2)
    components = int(rng.choice([1, 3]))
    samples = rng.integers(0, int(rng.choice([1, 3, 30, 256])), (height, width, components))
    seen = rng.integers(LOW, 256, (height, width, 3)).astype(np.int16) if rng.random() < 0.5 else None
    max_error = 0 if rng.random() < 0.6 else int(rng.integers(1, 256))
    adaptive = bool(rng.random() < 0.6)
    decided = adaptive and not max_error and bool(rng.random() < 0.7)
    return Plane(
        samples.astype(np.int16),
        (rng.random((height, width)) < rng.choice([0.3, 1.0])).astype(np.uint8),
        rng.integers(0, 2, (height, width)).astype(np.uint8),
        seen,
        max_error,
        adaptive,
        adaptive and bool(rng.random() < 0.5),
        decided,
    )


def mutated(rng: np.random.Generator, words: np.ndarray) -> np.ndarray:
    """The stack with some of its words changed, lost, doubled or added; the topmost may be anything."""
    found = words.copy()
    for _ in range(int(rng.integers(1, 4))):
        place, count = int(rng.integers(len(found) + 1)), int(rng.integers(1, 5))
        kind = rng.integers(6)
        if kind == 0 and place < len(found):
            found[place] ^= np.uint32(1 << int(rng.integers(32)))
        elif kind == 1:
            found = found[:place]
        elif kind == 2:
            found = np.delete(found, slice(place, place + count))
        elif kind == 3:
            found = np.insert(found, place, rng.integers(0, 1 << 32, count).astype(np.uint32))
        elif kind == 4:
            found[place : place + count] = rng.choice(np.array([0, 1, 0xFFFFFFFF], np.uint32))
        else:
            found[place:] = rng.permutation(found[place:])
    return found.astype(np.uint32)


def check(
    engine: CoreEngine, network: ResidualNetwork, plane: Plane, words: np.ndarray, known: np.ndarray
) -> bool:
    """Decode into the plane; whether the stream was decoded.  Raises AssertionError."""
    try:
        left = engine.decode(network, plane, words)
    except CorruptError:
        return False
    assert len(left) <= len(words), "a stream has grown"
    low = LOW[: plane.samples.shape[2]]
    assert (plane.samples >= low).all(), "a sample is too small"
    assert (plane.samples <= 255).all(), "a sample is too great"
    fixed = plane.coded == 0
    assert np.array_equal(plane.samples[fixed], known[fixed]), "a known sample has changed"
    return True


def fuzz(count: int, seed: int) -> int:
    """Decode ``count`` mutated streams; how many were no error.  Raises AssertionError."""
    engines = [CoreEngine(name) for name in core.instruction_sets()]
    rng, nets, decoded = np.random.default_rng(seed), networks(), 0
    planes = min(PLANES, count)
    for number in range(planes):
        plane, network = random_plane(rng), nets[number % len(nets)]
        known = plane.samples * (plane.coded[..., None] == 0)
        symbols = engines[0].symbols(network, plane)
        words = engines[0].push(np.zeros(0, np.uint32), symbols)
        for i in range(count * number // planes, count * (number + 1) // planes):
            plane.samples[:] = known
            decoded += check(engines[i % len(engines)], network, plane, mutated(rng, words), known)
    return decoded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, nargs="?", default=2000)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    decoded = fuzz(wanted.count, wanted.seed)
    sets = ", ".join(core.instruction_sets())
    print(f"{wanted.count} mutated streams on {sets}: {decoded} decoded, {wanted.count - decoded} refused")


if __name__ == "__main__":
    main()
