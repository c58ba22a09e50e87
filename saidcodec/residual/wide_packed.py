"""Wide samples packed as PNG does it: differences of neighbours, and what repeats (bitstream_spec.md, section
8.6.6).  For drawings, screenshots and patterns with more levels than the coder of graphics takes."""

from __future__ import annotations

import zlib

import numpy as np

from saidcodec.errors import CorruptError

LEFT, ABOVE, APART = 1, 2, 4  # bits of a filter: differences from the left, from above; bytes apart
FILTERS = 8
PARTS, PART_ROWS = 2, 16  # of a band that are looked at to estimate
FAST, BEST = 1, 9  # levels of zlib


def filtered(samples: np.ndarray, kind: int) -> bytes:
    """uint16 [h, w, channels] → the bytes that are packed: the upper and the lower one of each sample, or
    apart, all upper ones before all lower ones."""
    found = samples.copy()
    if kind & LEFT:
        found[:, 1:] -= samples[:, :-1]
    if kind & ABOVE:
        before = found.copy()
        found[1:] -= before[:-1]
    if kind & APART:
        return (found >> 8).astype(np.uint8).tobytes() + found.astype(np.uint8).tobytes()
    return found.astype(">u2").tobytes()


def shortest(samples: np.ndarray, most: int) -> tuple[int, bytes] | None:
    """A filter and a zlib stream of uint16 [h, w, channels], if they may take less than ``most`` bytes."""
    height = len(samples)
    rows = np.unique(
        np.linspace(0, max(height - PART_ROWS, 0), PARTS).astype(int)[:, None] + range(PART_ROWS)
    )
    part = np.ascontiguousarray(samples[rows[rows < height]])
    sizes = [len(zlib.compress(filtered(part, kind), FAST)) for kind in range(FILTERS)]
    kind = int(np.argmin(sizes))
    if sizes[kind] * height >= most * len(part):
        return None
    return kind, zlib.compress(filtered(samples, kind), BEST)


def unpacked(body: bytes, kind: int, shape: tuple[int, ...]) -> np.ndarray:
    """Samples uint16 of a shape from what ``shortest`` gave.  Raises CorruptError."""
    size, unpack = int(np.prod(shape)), zlib.decompressobj()
    try:
        data = unpack.decompress(body, 2 * size + 1)
    except zlib.error:
        raise CorruptError("A packed band is damaged.") from None
    if not unpack.eof or unpack.unused_data or len(data) != 2 * size:
        raise CorruptError("A packed band has the wrong length.")
    if kind & APART:
        upper, lower = np.frombuffer(data, np.uint8).reshape(2, *shape).astype(np.uint16)
        samples = upper << 8 | lower
    else:
        samples = np.frombuffer(data, ">u2").astype(np.uint16).reshape(shape)
    if kind & ABOVE:
        samples = np.cumsum(samples, 0, np.uint16)
    if kind & LEFT:
        samples = np.cumsum(samples, 1, np.uint16)
    return samples
