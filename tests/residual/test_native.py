"""Memory that the C libraries allocate: given without a copy, and released once."""

from __future__ import annotations

import ctypes
import gc

import numpy as np

from saidcodec.residual import native


def test_memory_is_released_when_nobody_uses_it_any_more() -> None:
    memory, freed = (ctypes.c_uint32 * 3)(5, 6, 7), list[int]()
    pointer = ctypes.cast(memory, ctypes.POINTER(ctypes.c_uint32))
    found = native.owned(pointer, 3, lambda one: freed.append(ctypes.addressof(one.contents)))
    memory[1] = 9
    assert found.tolist() == [5, 9, 7]
    part = found[1:]
    del found
    gc.collect()
    assert (part.tolist(), freed) == ([9, 7], [])
    del part
    gc.collect()
    assert freed == [ctypes.addressof(memory)]


def test_of_no_numbers_it_is_released_at_once() -> None:
    freed = list[object]()
    found = native.owned(ctypes.POINTER(ctypes.c_uint32)(), 0, freed.append)
    assert (found.shape, found.dtype, len(freed)) == ((0,), np.uint32, 1)
