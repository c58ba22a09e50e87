"""The residual engine in C: loads the library that setuptools built as ``_core`` and checks what goes in.

The library has no Python in it; ctypes calls it and releases the interpreter's lock meanwhile.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
from ctypes import POINTER, Structure, c_char_p, c_int, c_int32, c_size_t, c_void_p
from functools import lru_cache
from typing import Any

import numpy as np

from saidcodec.entropy.bank import Rows, bank
from saidcodec.entropy.rans import Table
from saidcodec.errors import CorruptError, ModelError
from saidcodec.residual import native
from saidcodec.residual.engine import Plane, check_comparison, check_styles
from saidcodec.residual.network import ResidualNetwork

ISA_VARIABLE = "SAIDCODEC_ISA"
INTERFACE = 8  # said_interface() of _core.c
NO_MEMORY, IMPOSSIBLE_SAMPLE = 1, 2
ANSWERS = 18  # decisions about a component, most, as in _decided_model.h: room that is made for them
SIZE_MAX = ctypes.c_size_t(-1).value


class RawLayer(Structure):
    """``RawLayer`` of _core.c."""

    _fields_ = [
        ("weight", c_void_p), ("bias", c_void_p), ("shift", c_void_p),
        ("inputs", c_int32), ("outputs", c_int32),
    ]  # fmt: skip


class RawPlane(Structure):
    """``Plane`` of _core.c."""

    _fields_ = [
        ("width", c_int32), ("height", c_int32), ("components", c_int32),
        ("samples", c_void_p), ("coded", c_void_p), ("styles", c_void_p), ("reconstruction", c_void_p),
        ("max_error", c_int32), ("adaptive", c_int32), ("by_parity", c_int32), ("decided", c_int32),
    ]  # fmt: skip


@lru_cache(maxsize=1)
def library() -> Any:
    """The loaded library, or None where it was not built."""
    p, i, n = c_void_p, c_int, c_size_t
    found = native.load(
        "_core",
        {
            "said_interface": (i, []),
            "said_bank_new": (p, [p, p, p, p, p]),
            "said_bank_measure": (None, [p]),
            "said_bank_adapt": (None, [p]),
            "said_bank_free": (None, [p]),
            "said_push": (n, [p, p, n, p, n]),
            "said_network_new": (p, [POINTER(RawLayer), i, i, p, p, i, p, i, i, i]),
            "said_network_free": (None, [p]),
            "said_isa": (c_char_p, [i, POINTER(c_int)]),
            "said_symbols": (i, [i, p, p, POINTER(RawPlane), p, POINTER(n)]),
            "said_measure": (i, [i, p, p, POINTER(RawPlane), p, p, n, p]),
            "said_compare": (i, [i, p, p, POINTER(RawPlane), p, p, n, p, p]),
            "said_decode": (i, [i, p, p, POINTER(RawPlane), p, POINTER(n)]),
        },
    )
    return found if found and found.said_interface() == INTERFACE else None


def available() -> bool:
    """Whether the core was built for this machine."""
    return library() is not None


def instruction_sets() -> list[str]:
    """Names of the instruction sets that this processor can run, the best first."""
    return [name for _, name in numbered_sets()]


def numbered_sets(wanted: str | None = None) -> list[tuple[int, str]]:
    """Numbers and names of the instruction sets that this processor can run, or of the ``wanted`` one alone.

    Of others it is not asked whether they can be used: to ask for AMX changes the process (_tiles.h).
    """
    usable = c_int()
    found = []
    number = 0
    while name := library().said_isa(number, None):
        if wanted in (None, name.decode()):
            library().said_isa(number, ctypes.byref(usable))
            if usable.value:
                found.append((number, name.decode()))
        number += 1
    return found


BANK_LOCK = threading.Lock()  # bands run in threads, and all must get the one bank


@lru_cache(maxsize=1)
def made_bank() -> int:
    """The bank of tables in the core's layout; it stays for the life of the process."""
    return new_bank(bank().tables)


def new_bank(mixtures: Sequence[Table]) -> int:
    """A bank with these tables as its mixtures."""
    tables = bank()
    mixture = contiguous(np.stack([table.frequency for table in mixtures]), np.int32)
    copies = contiguous(np.stack([table.frequency for table in tables.copies]), np.int32)
    looked = [contiguous(look, np.int32) for look in (tables.table, tables.sign, tables.carry)]
    made = library().said_bank_new(address(mixture), address(copies), *(address(look) for look in looked))
    if not made:
        raise MemoryError
    return int(made)


class CalibratedBank:
    """A bank in which other tables stand in for the mixtures; freed with this object."""

    def __init__(self, rows: Rows):
        self._library = library()
        self.handle: int | None = None
        self.handle = new_bank([bank().tables[row] for row in rows])

    def __del__(self) -> None:
        if self.handle:
            self._library.said_bank_free(self.handle)


@lru_cache(maxsize=4)
def calibrated_bank(rows: Rows) -> CalibratedBank:
    """That of an archive's group, which all its images share."""
    return CalibratedBank(rows)


@lru_cache(maxsize=1)
def measured_bank() -> int:
    made = made_bank()
    library().said_bank_measure(made)
    return made


@lru_cache(maxsize=1)
def adapted_bank() -> int:
    made = made_bank()
    library().said_bank_adapt(made)
    return made


def native_bank() -> int:
    """The bank, without code lengths and slopes unless somebody has asked for them."""
    with BANK_LOCK:
        return made_bank()


def measuring_bank() -> int:
    """The bank with the code lengths, which take a hundredth of a second to fill in."""
    with BANK_LOCK:
        return measured_bank()


def bank_for(plane: Plane) -> int:
    """The bank with what coding the plane needs."""
    with BANK_LOCK:
        return adapted_bank() if plane.adaptive else made_bank()


class NativeNetwork:
    """A network in the core's layout, freed with this object."""

    def __init__(self, network: ResidualNetwork):
        self._library = library()
        self.handle: int | None = None
        parts = [
            (
                contiguous(layer.weight, np.int8),
                contiguous(layer.bias, np.int32),
                contiguous(layer.shift, np.int32),
            )
            for layer in network.layers
        ]
        raw = (RawLayer * len(parts))(*(RawLayer(*map(address, part), *part[0].shape) for part in parts))
        around = contiguous(np.array(network.around, np.int8).reshape(-1, 2), np.int8)
        self.handle = self._library.said_network_new(
            raw, len(network.trunk), len(around), address(around), address(network.origins),
            len(network.copies), address(network.copies), network.styles, network.positions, network.mark,
        )  # fmt: skip
        if not self.handle:
            raise MemoryError

    def __del__(self) -> None:
        if self.handle:
            self._library.said_network_free(self.handle)


class CoreEngine:
    """See ``engine.Engine``; ``isa`` forces an instruction set by its name."""

    def __init__(self, isa: str | None = None):
        """Raises ModelError where this processor lacks the instruction set."""
        wanted = isa or os.environ.get(ISA_VARIABLE) or None
        found = numbered_sets(wanted)
        if not found:
            raise ModelError(
                f"This processor does not run {wanted}; it runs {', '.join(instruction_sets())}."
            )
        self._isa, self.isa = found[0]

    @property
    def name(self) -> str:
        return f"core ({self.isa})"

    def symbols(self, network: ResidualNetwork, plane: Plane) -> np.ndarray:
        fields = plane.samples.shape[2] * (ANSWERS if plane.decided else 1) + len(network.copies)
        out = np.empty(int(np.count_nonzero(plane.coded)) * fields + 1, np.uint32)
        count = c_size_t()
        check(
            library().said_symbols(
                self._isa,
                handle_of(network),
                bank_for(plane),
                raw_plane(plane),
                address(out),
                ctypes.byref(count),
            )
        )
        return plane.calibrated(out[: count.value])

    def push(self, words: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        symbols = contiguous(symbols, np.uint32)
        room = np.empty(len(words) + len(symbols) + 2, np.uint32)
        room[: len(words)] = words
        count = library().said_push(native_bank(), address(symbols), len(symbols), address(room), len(words))
        if count == SIZE_MAX:
            raise ValueError("There is no such symbol.")
        return room[:count]

    def decode(self, network: ResidualNetwork, plane: Plane, words: np.ndarray) -> np.ndarray:
        room = np.zeros(len(words) + 2, np.uint32)
        room[: len(words)] = words
        count = c_size_t(len(words))
        own = calibrated_bank(plane.rows) if plane.rows else None  # kept while the core uses it
        check(
            library().said_decode(
                self._isa, handle_of(network), own.handle if own else bank_for(plane), raw_plane(plane),
                address(room), ctypes.byref(count),
            )
        )  # fmt: skip
        return room[: count.value]

    def measure(
        self,
        network: ResidualNetwork,
        plane: Plane,
        places: np.ndarray | None = None,
        styles: np.ndarray | None = None,
    ) -> np.ndarray:
        height, width = plane.coded.shape
        check_styles(places, styles)
        exact = exactly(plane)
        chosen = None if places is None else contiguous(places, np.int32)
        named = None if styles is None else contiguous(styles, np.uint8)
        out = np.empty(height * width if chosen is None else len(chosen), np.uint32)
        check(
            library().said_measure(
                self._isa, handle_of(network), measuring_bank(), raw_plane(exact),
                None if chosen is None else address(chosen), None if named is None else address(named),
                len(out), address(out),
            )
        )  # fmt: skip
        return out

    def compare(
        self,
        network: ResidualNetwork,
        plane: Plane,
        lengths: np.ndarray,
        rectangles: np.ndarray,
        inside: np.ndarray,
    ) -> np.ndarray:
        check_comparison(plane, lengths, rectangles, inside)
        exact = exactly(plane)
        out = np.empty(len(rectangles), np.int64)
        check(
            library().said_compare(
                self._isa, handle_of(network), measuring_bank(), raw_plane(exact),
                address(lengths), address(rectangles), len(out), address(inside), address(out),
            )
        )  # fmt: skip
        return out


def exactly(plane: Plane) -> Plane:
    """The plane, exact and without adaptation."""
    return Plane(plane.samples, plane.coded, plane.styles, plane.reconstruction)


def handle_of(network: ResidualNetwork) -> int:
    """The network's handle in the core; made once."""
    found = network.__dict__.get("_native")
    if found is None:  # several threads may come here: all must get the one that is kept
        found = network.__dict__.setdefault("_native", NativeNetwork(network))
    handle: int = found.handle
    return handle


def raw_plane(plane: Plane) -> Any:
    """A pointer to a plane for the core; good as long as the plane is."""
    if not plane.samples.flags.writeable:
        raise ValueError("A plane's samples must be writeable.")
    height, width, components = plane.samples.shape
    seen = None if plane.reconstruction is None else address(plane.reconstruction)
    arrays = address(plane.samples), address(plane.coded), address(plane.styles), seen
    how = plane.max_error, plane.adaptive, plane.by_parity, plane.decided
    return ctypes.byref(RawPlane(width, height, components, *arrays, *how))


def contiguous(array: np.ndarray, dtype: Any) -> np.ndarray:
    return np.ascontiguousarray(array, dtype)


def address(array: np.ndarray) -> int:
    return array.ctypes.data


def check(status: int) -> None:
    """Raises CorruptError, MemoryError or ValueError."""
    if status == IMPOSSIBLE_SAMPLE:
        raise CorruptError("The residual section decodes to an impossible sample.")
    if status == NO_MEMORY:
        raise MemoryError
    if status:
        raise ValueError("The core refuses its arguments.")
