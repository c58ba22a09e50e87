"""The residual engine: the plane of a band ⇄ symbols of a stream (bitstream_spec.md, sections 6 and 7).

Two engines give the same bytes: the C core (``_core.c``, called by ``core.py``) and the NumPy reference
(``reference.py``).  The core is taken where it was built; the variable ``SAIDCODEC_ENGINE``, "reference" or
"core", forces one.  Arrays go in and come out upright: row by row, as the image stands.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from saidcodec.entropy.bank import Rows
from saidcodec.errors import ModelError
from saidcodec.residual.copies import LOGITS
from saidcodec.residual.network import ResidualNetwork

ENGINE_VARIABLE = "SAIDCODEC_ENGINE"
SYMBOL_BITS = 10  # a coded symbol is table << 10 | symbol
DECISION = 1 << 31  # marks what is no symbol, but a decision under a probability of 1 in 2**-16
LENGTH_BITS = 16  # lengths are measured in 2**-16 bit
REMEDY = (
    "The C core was not built, so that everything takes many times as long.  To get it, install a C compiler "
    "(such as gcc) and then saidcodec again, with pip's options --force-reinstall --no-deps."
)


@dataclass(frozen=True)
class Plane:
    """The colour or the alpha of one band: h rows over the full width w of the image.

    ``samples`` int16 [h, w, components], components 3 or 1: what is coded; decoding fills it in,
    and near-lossless encoding leaves what the decoder will see.  ``coded`` uint8 [h, w] is 0 where
    samples are known beforehand and not coded.  ``styles`` uint8 [h, w]: the style of each sample's tile.
    ``reconstruction`` int16 [h, w, 3]: x̂(T) in components, all three NO_RECONSTRUCTION where there is
    none; or None. ``max_error``: that of a channel; where it is not 0, three components are one channel and
    differences from it (spec section 7.1).  ``adaptive``: coded with adaptation (6.9), and where it is
    ``decided`` by decisions (6.10).  ``rows``: a calibration of the bank (archive_spec.md, section 4), or
    None.
    """

    samples: np.ndarray
    coded: np.ndarray
    styles: np.ndarray
    reconstruction: np.ndarray | None
    max_error: int = 0
    adaptive: bool = False
    by_parity: bool = False
    decided: bool = False
    rows: Rows | None = None

    def __post_init__(self) -> None:
        height, width, components = self.samples.shape
        arrays = [(self.samples, np.int16), (self.coded, np.uint8), (self.styles, np.uint8)]
        shapes = [(height, width, components), (height, width), (height, width)]
        if self.reconstruction is not None:
            arrays.append((self.reconstruction, np.int16))
            shapes.append((height, width, 3))
        for (array, dtype), shape in zip(arrays, shapes, strict=True):
            if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
                raise ValueError(f"An array of a plane is {array.dtype} {array.shape}, not {dtype} {shape}.")
        if components not in (1, 3) or not self.samples.size:
            raise ValueError("A plane has one or three components, and samples.")
        if self.decided and (not self.adaptive or self.max_error):
            raise ValueError("Decisions need adaptation, and are lossless.")
        if self.by_parity and not self.adaptive:
            raise ValueError("Parities need adaptation.")
        if self.adaptive and self.rows:
            raise ValueError("A plane is coded with adaptation or with a calibration, not with both.")

    def calibrated(self, symbols: np.ndarray) -> np.ndarray:
        """Symbols under the tables that the network names, uint32 [n] → under those that code them."""
        if not self.rows:
            return symbols
        tables = np.concatenate([self.rows, np.arange(len(self.rows), len(self.rows) + LOGITS)])
        stand_ins = tables.astype(np.uint32)[symbols >> SYMBOL_BITS]
        return stand_ins << SYMBOL_BITS | (symbols & ((1 << SYMBOL_BITS) - 1))


class Engine(Protocol):
    """What both engines do.  Words are a rANS stack of 32-bit words, the state on top (spec section 3)."""

    @property
    def name(self) -> str:
        """What ``saidcodec --version`` calls it."""
        ...

    def symbols(self, network: ResidualNetwork, plane: Plane) -> np.ndarray:
        """The plane's symbols in the order of decoding, uint32 [n]: table << 10 | symbol.  Tables are the
        rows of the bank's mixtures, then its copy tables.  A decision is DECISION | p << 1 | bit."""
        ...

    def push(self, words: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """The words uint32 [k] with the symbols pushed on top, the last one first."""
        ...

    def decode(self, network: ResidualNetwork, plane: Plane, words: np.ndarray) -> np.ndarray:
        """Fill in the plane's coded samples; what is left of the words.  Raises CorruptError."""
        ...

    def measure(
        self,
        network: ResidualNetwork,
        plane: Plane,
        places: np.ndarray | None = None,
        styles: np.ndarray | None = None,
    ) -> np.ndarray:
        """Bits of samples, all components together, lossless, in 2**-16 bit; uint32 [n].

        ``places`` int32 [n] are indices y * w + x; None stands for all samples, row by row.  ``styles`` uint8
        [n]: those of the places, instead of the plane's.
        """
        ...

    def compare(
        self,
        network: ResidualNetwork,
        plane: Plane,
        lengths: np.ndarray,
        rectangles: np.ndarray,
        inside: np.ndarray,
    ) -> np.ndarray:
        """How many bits more all coded samples would take, in 2**-16 bit, if x̂ were another in a rectangle;
        int64 [n].  Errors are taken as 0.

        ``lengths`` uint32 [h, w]: what samples take now.  ``rectangles`` int32 [n, 4]: top, left, bottom,
        right.  ``inside`` int16 [pixels, 3]: the other x̂ of each rectangle, row by row, one after another.
        """
        ...


def check_styles(places: np.ndarray | None, styles: np.ndarray | None) -> None:
    """Raises ValueError unless there is a style for every place of ``Engine.measure``, or none."""
    if styles is not None and (places is None or styles.shape != places.shape):
        raise ValueError("Styles are named for places, one each.")


def check_comparison(plane: Plane, lengths: np.ndarray, rectangles: np.ndarray, inside: np.ndarray) -> None:
    """Raises ValueError unless the arguments of ``Engine.compare`` fit together."""
    height, width = plane.coded.shape
    arrays = [(lengths, np.uint32), (rectangles, np.int32), (inside, np.int16)]
    if plane.reconstruction is None or not all(a.dtype == d and a.flags.c_contiguous for a, d in arrays):
        raise ValueError("A comparison needs a reconstruction, and plain arrays.")
    if lengths.shape != (height, width) or rectangles.shape[1:] != (4,):
        raise ValueError("The arrays of a comparison do not fit its plane.")
    top, left, bottom, right = rectangles.T
    fit = (top >= 0) & (top <= bottom) & (bottom <= height) & (left >= 0) & (left <= right) & (right <= width)
    if not fit.all() or inside.shape != (int(((bottom - top) * (right - left)).sum()), 3):
        raise ValueError("The rectangles of a comparison do not fit its plane.")


@lru_cache(maxsize=1)
def current() -> Engine:
    """The engine of this process.  Raises ModelError where the one that is asked for is not at hand."""
    wanted = os.environ.get(ENGINE_VARIABLE, "")
    if wanted not in ("", "core", "reference"):
        raise ModelError(f"{ENGINE_VARIABLE} must be core or reference, not {wanted}.")
    from saidcodec.residual import core

    if wanted != "reference" and core.available():
        return core.CoreEngine()
    if wanted == "core":
        raise ModelError("The C core was not built; SAIDCODEC_ENGINE=reference runs without it.")
    from saidcodec.residual.reference import ReferenceEngine

    return ReferenceEngine()


def explained() -> str:
    """The engine of this process; where it is the reference, why.  Raises ModelError as ``current`` does."""
    from saidcodec.residual import core

    found = f"engine {current().name}"
    if isinstance(current(), core.CoreEngine):
        return found
    if core.available():
        return f"{found}, as {ENGINE_VARIABLE} says"
    return f"{found}\n{REMEDY}"
