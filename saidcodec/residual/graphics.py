"""A coder of flat images that learns as it goes: screenshots, drawings, maps, pixel art, scanned text.

It needs no weights.  Pixels of one to four channels, or indices of a palette, become binary decisions in
the order of decoding; they share a stack of words with whatever else a stream holds (bitstream_spec.md).
The work is done by the library that setuptools built as ``_graphics``, or by ``graphics_reference`` where
it was not built; both give the same bytes.
"""

from __future__ import annotations

from ctypes import POINTER, byref, c_int, c_int32, c_size_t, c_uint32, c_void_p
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from saidcodec.residual import native
from saidcodec.residual.decisions import push as twin_push

INTERFACE = 1  # said_graphics_interface() of _graphics.c
NO_MEMORY = 1
MOST_CHANNELS = 4
MOST_PIXELS = 1 << 28
PROBABILITY_BITS = 16
SIZE_MAX = c_size_t(-1).value


@lru_cache(maxsize=1)
def library() -> Any:
    """The loaded library, or None where it was not built or the reference is asked for."""
    p, i, n = c_void_p, c_int32, c_size_t
    return native.coder(
        "graphics",
        INTERFACE,
        {
            "encode": (c_int, [p, i, i, i, POINTER(POINTER(c_uint32)), POINTER(n)]),
            "free": (None, [POINTER(c_uint32)]),
            "push": (n, [p, n, p, n]),
            "decode": (c_int, [p, POINTER(n), i, i, i, p]),
        },
    )


def available() -> bool:
    """Whether the library was built for this machine."""
    return library() is not None


def twin() -> ModuleType:
    """The same in plain Python: a large module, imported only where it is needed."""
    from saidcodec.residual import graphics_reference

    return graphics_reference


def encode(pixels: np.ndarray) -> np.ndarray:
    """The decisions of an image, uint32 [n] in the order of decoding.

    ``pixels`` is uint8 [height, width, channels] with one to four channels.  A decision is the probability
    of a 1 in 2**-16 (1 ... 65535), shifted left by one, and the bit.  Raises ValueError for another shape or
    type.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise ValueError("Pixels must be uint8 [height, width, channels].")
    height, width, channels = checked(pixels.shape)
    if (found := library()) is None:
        return twin().encode(pixels)
    flat = np.ascontiguousarray(pixels)
    out, count = POINTER(c_uint32)(), c_size_t()
    check(found.said_graphics_encode(flat.ctypes.data, width, height, channels, byref(out), byref(count)))
    return native.owned(out, count.value, found.said_graphics_free)


def bits(decisions: np.ndarray) -> float:
    """The length of decisions in bits; for accounts and choices, never for coding."""
    one = (decisions >> 1).astype(np.float64)
    taken = np.where(decisions & 1, one, (1 << PROBABILITY_BITS) - one)
    return float(np.sum(PROBABILITY_BITS - np.log2(taken)))


def push(words: np.ndarray, decisions: np.ndarray) -> np.ndarray:
    """Push decisions, the last one first, on a stack of words uint32 [k]; returns the new stack."""
    if (found := library()) is None:
        return twin_push(words, decisions)
    flat = np.ascontiguousarray(decisions, np.uint32)
    room = np.empty(len(words) + len(flat) + 2, np.uint32)
    room[: len(words)] = words
    count = found.said_graphics_push(flat.ctypes.data, len(flat), room.ctypes.data, len(words))
    if count == SIZE_MAX:
        raise ValueError("There is no such decision.")
    return room[:count]


def decode(words: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 [height, width, channels] from a stack of words, and what is left of the stack.

    Words that no encoder wrote give some pixels or other; whoever opened the stream finds what is left at
    its end.
    """
    height, width, channels = checked(shape)
    if (found := library()) is None:
        return twin().decode(words, shape)
    room = np.zeros(len(words) + 2, np.uint32)
    room[: len(words)] = words
    count = c_size_t(len(words))
    pixels = np.empty(shape, np.uint8)
    check(
        found.said_graphics_decode(
            room.ctypes.data, byref(count), width, height, channels, pixels.ctypes.data
        )
    )
    return pixels, room[: count.value]


def checked(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Height, width and channels; raises ValueError where the coder does not take them."""
    if len(shape) != 3:
        raise ValueError("Pixels must be uint8 [height, width, channels].")
    height, width, channels = shape
    if height < 1 or width < 1 or not 1 <= channels <= MOST_CHANNELS or height * width > MOST_PIXELS:
        raise ValueError(f"The coder of flat images does not take the shape {shape}.")
    return height, width, channels


def check(status: int) -> None:
    """Raises MemoryError or ValueError."""
    if status == NO_MEMORY:
        raise MemoryError
    if status:
        raise ValueError("The coder of flat images refuses its arguments.")
