"""A small writer of PNG files of every kind, in the manner of PngSuite's files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

GREY, RGB, INDEXED, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, INDEXED: 1, GREY_ALPHA: 2, RGBA: 4}
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), INDEXED: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGBA: (8, 16)}
NAMES = {GREY: "grey", RGB: "rgb", INDEXED: "indexed", GREY_ALPHA: "grey-alpha", RGBA: "rgba"}
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


class Kind(NamedTuple):
    """``transparency``: "", "key", "index" (one index is transparent) or "alphas"."""

    colour: int
    depth: int
    transparency: str
    interlaced: bool

    def __str__(self) -> str:
        parts = [NAMES[self.colour], str(self.depth), self.transparency, "interlaced" * self.interlaced]
        return "-".join(part for part in parts if part)


def kinds() -> Iterator[Kind]:
    """Every colour type with each depth, each way to be transparent, interlaced or not."""
    for colour, depths in DEPTHS.items():
        ways = {GREY: ("", "key"), RGB: ("", "key"), INDEXED: ("", "index", "alphas")}.get(colour, ("",))
        for depth in depths:
            for transparency in ways:
                for interlaced in (False, True):
                    yield Kind(colour, depth, transparency, interlaced)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def body_of(data: bytes, kind: bytes) -> bytes | None:
    """The body of the first chunk of a type in a file; None where there is none."""
    at = 8
    while at < len(data):
        length, found = struct.unpack_from(">I4s", data, at)
        if found == kind:
            return data[at + 8 : at + 8 + length]
        at += 12 + length
    return None


def rows(samples: np.ndarray, depth: int) -> bytes:
    """Samples [h, w, channels], packed row by row without a filter."""
    out = b""
    for row in samples.reshape(len(samples), -1):
        if depth == 16:
            out += b"\0" + row.astype(">u2").tobytes()
        else:
            bits = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - depth :]
            out += b"\0" + np.packbits(bits.reshape(-1)).tobytes()
    return out


def png(kind: Kind, samples: np.ndarray, entries: int = 0) -> bytes:
    """A file of samples [h, w, channels]; ``entries``: of its palette."""
    height, width, _ = samples.shape
    head = struct.pack(">IIBBBBB", width, height, kind.depth, kind.colour, 0, 0, kind.interlaced)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    if kind.colour == INDEXED:
        out += chunk(b"PLTE", bytes(i * 37 % 251 for i in range(3 * entries)))
    if kind.transparency == "key":
        out += chunk(b"tRNS", samples[1, 2].astype(">u2").tobytes())
    elif kind.transparency:
        out += chunk(b"tRNS", b"\xff\0" if kind.transparency == "index" else b"\x80\x07"[:entries])
    if kind.interlaced:
        parts = [samples[y::down, x::across] for x, y, across, down in PASSES]
        body = b"".join(rows(part, kind.depth) for part in parts if part.size)
    else:
        body = rows(samples, kind.depth)
    return out + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def sample(kind: Kind) -> bytes:
    """A file of 19×23 pixels of a kind; its palette has entries that are not used."""
    rng = np.random.default_rng(7)
    entries = min(1 << kind.depth, 200) if kind.colour == INDEXED else 0
    most = min(1 << kind.depth, max(2, entries * 3 // 4)) if entries else 1 << kind.depth
    return png(kind, rng.integers(0, most, (23, 19, CHANNELS[kind.colour])), entries)
