"""What each part of the residual coder's adaptation is worth: bits of the same pictures with and without it.

    python benchmarks/parts.py FOLDER [--side 192] [--page docs/results.md]

FOLDER holds photographs; the middle of each is coded by the plain NumPy engine, whose parts can be switched
off.  The network and its tables stay as they are.  Rows follow each other as the parts were added.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from saidcodec import models
from saidcodec.encoder import estimate
from saidcodec.encoder.price import styled
from saidcodec.evaluation import conditions, page, rate
from saidcodec.format import colour
from saidcodec.format.colour import Transform
from saidcodec.format.header import Header, Mode, ResidualCoder
from saidcodec.residual import adaptation, band, engine, reference
from saidcodec.residual.engine import LENGTH_BITS, SYMBOL_BITS, Plane
from saidcodec.residual.lengths import lengths

MODEL, TILE = "photo", 64

CLOSE = range(18)  # errors of all components at the six nearest neighbours
FAR = range(18, 23)  # errors of the own component farther away
VALUES = range(23, 29)  # values of the six nearest neighbours
EARLIER = range(29, 31)  # errors of this pixel's earlier components
CONSTANT = range(31, 32)


@dataclass(frozen=True)
class Part:
    name: str
    features: tuple[int, ...] = ()  # that the mean is corrected by
    scale: bool = False
    levels: bool = False  # scales shift by the energy of errors close by
    rows: bool = False  # a second mean follows the row


PARTS = (
    Part("the network alone (effort fast)"),
    Part("means corrected by errors of this pixel and of six neighbours", (*CLOSE, *EARLIER, *CONSTANT)),
    Part("and by the neighbours' values", (*CLOSE, *EARLIER, *CONSTANT, *VALUES)),
    Part("and by errors farther away", tuple(range(adaptation.FEATURES))),
    Part("and scales shifted", tuple(range(adaptation.FEATURES)), scale=True),
    Part("and that by the energy of errors", tuple(range(adaptation.FEATURES)), True, True),
    Part("and a second mean that follows rows", tuple(range(adaptation.FEATURES)), True, True, True),
)
SCALES = Part("scales alone, by energy", (), True, True)
BY_PARITY = "that with weights for each parity"
SUITED = "and in the transform of colours that suits the picture (effort normal)"
DECISIONS = "and by decisions (of effort best)"


class Partial(adaptation.Adaptation):
    """Adaptation of which only a part is on."""

    def __init__(self, plane: Plane, part: Part):
        super().__init__(plane.samples, plane.max_error, plane.by_parity)
        self.part = part

    def look(self, x: np.ndarray, y: np.ndarray) -> None:
        super().look(x, y)
        if not self.part.levels:
            self.energy[:] = 0

    def adapt(
        self, c: int, shape: tuple[np.ndarray, np.ndarray, np.ndarray], values: np.ndarray
    ) -> adaptation.Choice:
        found = super().adapt(c, shape, values)
        if c and not self.part.levels and self.part.scale:
            level = np.zeros_like(found.scale)
            half = 1 << adaptation.SHIFT_BITS - 1
            shift = (self.shifts[c, found.scale, level] + half) >> adaptation.SHIFT_BITS
            adapted = np.clip(found.scale + shift, 0, adaptation.SCALES - 1)
            found = found._replace(level=level, adapted=adapted)
        if not self.part.scale:
            found = found._replace(adapted=found.scale)
        self.known[c] = found
        return found

    def learn(self, values: np.ndarray) -> None:
        super().learn(values)
        unused = np.ones(adaptation.FEATURES, bool)
        unused[list(self.part.features)] = False
        for parity in self.parities:
            parity.weights[:, unused] = 0
        if not self.part.rows:
            self.row_weights[:] = 0


def middle(pixels: np.ndarray, side: int) -> np.ndarray:
    """The middle of an RGB picture, whole tiles of at most ``side`` pixels each way."""
    height, width = (min(n, side) // TILE * TILE for n in pixels.shape[:2])
    y, x = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[y : y + height, x : x + width, :3]


def suited(pixels: np.ndarray) -> Transform:
    """The transform that a picture would be coded in."""
    model, size = models.find(MODEL), (pixels.shape[1], pixels.shape[0])
    header = Header(*size, Mode.RGB, False, ResidualCoder.CONTEXT, 0, model.id, TILE, 1, True)
    return estimate.shortest(band.method_of(header, model), model, pixels, tuple(Transform), 1)


def plane_of(pixels: np.ndarray, transform: Transform = Transform.YCOCG) -> Plane:
    """The components of a picture with the styles that suit its tiles."""
    height, width = pixels.shape[:2]
    places = [
        (slice(y, y + TILE), slice(x, x + TILE))
        for y in range(0, height, TILE)
        for x in range(0, width, TILE)
    ]
    network = band.network_of(models.find(MODEL))
    return styled(network, band.plane_of(colour.forward(pixels, transform)), places)


def bits(plane: Plane, part: Part) -> float:
    """Of a plane's samples by the NumPy engine, with a part of its adaptation."""
    network, whole = band.network_of(models.find(MODEL)), reference.adaptation_of
    reference.adaptation_of = lambda plane: Partial(plane, part)
    try:
        symbols = reference.ReferenceEngine().symbols(network, plane)
    finally:
        reference.adaptation_of = whole
    spent = lengths()[symbols >> SYMBOL_BITS, symbols & ((1 << SYMBOL_BITS) - 1)]
    return float(spent.sum(dtype=np.int64)) / (1 << LENGTH_BITS)


def decided_bits(plane: Plane) -> float:
    """Of a plane's samples coded by decisions."""
    network, own = band.network_of(models.find(MODEL)), engine.current()
    symbols = own.symbols(network, replace(plane, adaptive=True, decided=True))
    return 32.0 * len(own.push(np.zeros(0, np.uint32), symbols))


def rows(pictures: Sequence[np.ndarray]) -> Iterator[str]:
    """The table, line by line."""
    yield f"| of model {MODEL}, {len(pictures)} pictures | bits per sub-pixel | to the network alone |"
    yield "|---|---|---|"
    planes = [plane_of(pixels) for pixels in pictures]
    samples = sum(plane.samples.size for plane in planes)
    alone = 0.0
    for part in PARTS:
        spent = sum(bits(plane, part) for plane in planes) / samples
        alone = alone or spent
        yield row(part.name, spent, alone)
    apart = [replace(plane, adaptive=True, by_parity=True) for plane in planes]
    yield row(BY_PARITY, sum(bits(plane, PARTS[-1]) for plane in apart) / samples, alone)
    best = [plane_of(pixels, suited(pixels)) for pixels in pictures]
    yield row(SUITED, sum(bits(plane, PARTS[-1]) for plane in best) / samples, alone)
    yield row(DECISIONS, sum(map(decided_bits, best)) / samples, alone)
    yield row(SCALES.name, sum(bits(plane, SCALES) for plane in planes) / samples, alone)


def row(name: str, spent: float, alone: float) -> str:
    return f"| {name} | {spent:.4f} | {100 * (spent / alone - 1):+.2f} % |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder")
    parser.add_argument("--side", type=int, default=192, help="pixels of each picture, at most")
    parser.add_argument("--page", type=Path, help="a page that shows what is printed")
    wanted = parser.parse_args()
    pictures = [middle(pixels, wanted.side) for pixels in rate.gather([wanted.folder])]
    pictures = [pixels for pixels in pictures if pixels.size]
    table = "\n".join(rows(pictures))
    print(conditions.versions(), table, sep="\n\n")
    if wanted.page:
        page.fill(wanted.page, {"parts": table})


if __name__ == "__main__":
    main()
