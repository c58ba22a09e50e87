"""A coder of wide samples that learns as it goes: images of 9 to 16 bits a sample.

It needs no weights.  Samples of one to four components become decisions in the order of decoding; they
share a stack of words with whatever else a stream holds (bitstream_spec.md, section 8.6).  The work is done
by the library that setuptools built as ``_wide``, or by ``wide_reference`` where it was not built; both give
the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import POINTER, byref, c_int, c_int32, c_size_t, c_uint32, c_void_p
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from saidcodec.residual import decisions as in_python
from saidcodec.residual import native

INTERFACE = 1  # said_wide_interface() of _wide.c
NO_MEMORY = 1
MOST_COMPONENTS = 4
MOST_SIDE, MOST_PIXELS = 1 << 20, 1 << 28
MOST_SAMPLE = (1 << 16) - 1
MOST_ERROR = (1 << 15) - 1
SIZE_MAX = c_size_t(-1).value


@lru_cache(maxsize=1)
def library() -> Any:
    """The loaded library, or None where it was not built or the reference is asked for."""
    p, i, n = c_void_p, c_int32, c_size_t
    return native.coder(
        "wide",
        INTERFACE,
        {
            "encode": (c_int, [p, i, i, i, p, i, POINTER(POINTER(c_uint32)), POINTER(n)]),
            "free": (None, [POINTER(c_uint32)]),
            "push": (n, [p, n, p, n]),
            "decode": (c_int, [p, POINTER(n), i, i, i, p, i, p]),
        },
    )


def available() -> bool:
    """Whether the library was built for this machine."""
    return library() is not None


def twin() -> ModuleType:
    """The same in plain Python: a large module, imported only where it is needed."""
    from saidcodec.residual import wide_reference

    return wide_reference


def encode(samples: np.ndarray, tops: Sequence[int], max_error: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The decisions of an image, uint32 [n] in the order of decoding, and the samples that a decoder sees.

    ``samples`` is uint16 [height, width, components], one to four components in the order in which they are
    coded; ``tops`` gives the largest value that each may have.  What a decoder sees differs by at most
    ``max_error``.  A decision is as in ``graphics.encode``, or bits that are all alike.  Raises ValueError
    for other arguments.
    """
    if samples.dtype != np.uint16 or samples.ndim != 3:
        raise ValueError("Samples must be uint16 [height, width, components].")
    height, width, components = checked(samples.shape, tops, max_error)
    if (samples > np.array(tops)).any():
        raise ValueError("A sample is larger than the largest of its component.")
    if (found := library()) is None:
        return twin().encode(samples, tops, max_error)
    seen, most = np.array(samples, order="C"), np.array(tops, np.int32)
    out, count = POINTER(c_uint32)(), c_size_t()
    check(
        found.said_wide_encode(
            seen.ctypes.data, width, height, components, most.ctypes.data, max_error, byref(out), byref(count)
        )
    )
    return native.owned(out, count.value, found.said_wide_free), seen


def push(words: np.ndarray, decisions: np.ndarray) -> np.ndarray:
    """Push decisions, the last one first, on a stack of words uint32 [k]; returns the new stack."""
    if (found := library()) is None:
        return in_python.push(words, decisions)
    flat = np.ascontiguousarray(decisions, np.uint32)
    room = np.empty(len(words) + len(flat) + 2, np.uint32)
    room[: len(words)] = words
    count = found.said_wide_push(flat.ctypes.data, len(flat), room.ctypes.data, len(words))
    if count == SIZE_MAX:
        raise ValueError("There is no such decision.")
    return room[:count]


def decode(
    words: np.ndarray, shape: tuple[int, ...], tops: Sequence[int], max_error: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Samples uint16 [height, width, components] from a stack of words, and what is left of the stack.

    Words that no encoder wrote give some samples or other; whoever opened the stream finds what is left at
    its end.
    """
    height, width, components = checked(shape, tops, max_error)
    if (found := library()) is None:
        return twin().decode(words, shape, tops, max_error)
    room = np.zeros(len(words) + 2, np.uint32)
    room[: len(words)] = words
    count, most = c_size_t(len(words)), np.array(tops, np.int32)
    samples = np.empty(shape, np.uint16)
    check(
        found.said_wide_decode(
            room.ctypes.data,
            byref(count),
            width,
            height,
            components,
            most.ctypes.data,
            max_error,
            samples.ctypes.data,
        )
    )
    return samples, room[: count.value]


def checked(shape: tuple[int, ...], tops: Sequence[int], max_error: int) -> tuple[int, int, int]:
    """Height, width and components; raises ValueError where the coder does not take them."""
    if len(shape) != 3 or len(tops) != shape[2] or not 1 <= shape[2] <= MOST_COMPONENTS:
        raise ValueError(f"The coder of wide samples does not take the shape {shape}.")
    height, width, components = shape
    if not (1 <= height <= MOST_SIDE and 1 <= width <= MOST_SIDE and height * width <= MOST_PIXELS):
        raise ValueError(f"The coder of wide samples does not take the shape {shape}.")
    if not all(0 <= top <= MOST_SAMPLE for top in tops) or not 0 <= max_error <= MOST_ERROR:
        raise ValueError("A largest sample or a largest error is out of range.")
    return height, width, components


def check(status: int) -> None:
    """Raises MemoryError or ValueError."""
    if status == NO_MEMORY:
        raise MemoryError
    if status:
        raise ValueError("The coder of wide samples refuses its arguments.")
