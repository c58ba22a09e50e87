"""Finding the C libraries that setuptools built beside this file, if it did."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Any

import numpy as np

from saidcodec.residual.engine import ENGINE_VARIABLE

Signature = tuple[Any, Sequence[Any]]  # the type of the result, those of the arguments


def load(name: str, signatures: Mapping[str, Signature]) -> Any:
    """The library of a name with the types of its functions, or None where it was not built.

    ctypes releases the interpreter's lock while a function runs.
    """
    for suffix in EXTENSION_SUFFIXES:
        path = os.path.join(os.path.dirname(__file__), name + suffix)
        if os.path.isfile(path):
            try:
                found = ctypes.CDLL(path)
                for function, (result, arguments) in signatures.items():
                    getattr(found, function).restype = result
                    getattr(found, function).argtypes = arguments
            except (OSError, AttributeError):  # built for another machine, or from other sources
                continue
            return found
    return None


def coder(name: str, interface: int, signatures: Mapping[str, Signature]) -> Any:
    """The library of a coder, whose functions' names begin with ``said_`` and its name.

    None where it was not built, has another interface, or the reference is asked for.
    """
    if os.environ.get(ENGINE_VARIABLE) == "reference":
        return None
    own = {f"said_{name}_{function}": types for function, types in signatures.items()}
    asked = f"said_{name}_interface"
    found = load(f"_{name}", {asked: (ctypes.c_int, []), **own})
    return found if found and getattr(found, asked)() == interface else None


def owned(pointer: Any, count: int, free: Callable[[Any], object]) -> np.ndarray:
    """``count`` numbers that a library has allocated, uint32 [count], without a copy: they are many times as
    large as the image.  ``free`` is called when nobody uses them any more."""
    if not count:
        free(pointer)
        return np.zeros(0, np.uint32)
    memory = (ctypes.c_uint32 * count).from_address(ctypes.addressof(pointer.contents))
    weakref.finalize(memory, free, pointer).atexit = False
    return np.ctypeslib.as_array(memory)
