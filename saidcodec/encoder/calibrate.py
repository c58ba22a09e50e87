"""Which tables stand in for which in an archive, learnt from a sample of it (archive_spec.md, section 4).

A model's network names the table of every sample.  Of images that are not quite what it was trained on,
another table of the bank may code what it names better.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saidcodec.entropy.bank import Rows, bank
from saidcodec.format import planes
from saidcodec.format.header import Header
from saidcodec.format.tiling import Tiling
from saidcodec.models import Model
from saidcodec.residual import band as residual
from saidcodec.residual import engine
from saidcodec.residual.band import Outline, method_of
from saidcodec.residual.engine import LENGTH_BITS, SYMBOL_BITS
from saidcodec.residual.lengths import lengths

ENTRY_BITS = 16  # what a stand-in takes in a group's head
LEAST_GAIN = 16  # bits of the sample that a stand-in must save, lest it follow chance


def calibration(
    sample: Sequence[tuple[Header, np.ndarray]], model: Model, images: int, groups: int
) -> Rows | None:
    """The stand-ins that save bits in ``images`` images in ``groups`` groups; None where none does.

    ``sample``: headers and pixels of some of the images, which are coded with the context coder.
    """
    counts = np.zeros((len(bank().tables) + len(bank().copies), 1 << SYMBOL_BITS))
    for header, pixels in sample:
        symbols = symbols_of(header, pixels, model)
        np.add.at(counts, (symbols >> SYMBOL_BITS, symbols & ((1 << SYMBOL_BITS) - 1)), 1)
    tables = len(bank().tables)
    bits = counts[:tables] @ lengths()[:tables].T.astype(np.float64) / (1 << LENGTH_BITS)  # [named, coding]
    best = bits.argmin(1)
    gain = bits.diagonal() - bits.min(1)
    enough = (gain >= LEAST_GAIN) & (gain * images >= ENTRY_BITS * groups * len(sample))
    return tuple(np.where(enough, best, np.arange(tables)).tolist()) if enough.any() else None


def symbols_of(header: Header, pixels: np.ndarray, model: Model) -> np.ndarray:
    """The symbols of an image of one band without a SAID layer, uint32 [n]."""
    method, (band,) = method_of(header, model), Tiling.of(header).bands()
    network = method.network
    assert network
    outline, found = Outline.plain(band), []
    for plane in residual.planes_of(header, method, outline, planes.channels_of(header, pixels)):
        if plane is not None:
            styles = residual.choose_styles(network, plane, outline.places())
            found.append(engine.current().symbols(network, method.applied(plane, outline.map_of(styles))))
    return np.concatenate(found)
