"""What a tile takes in all, under one description or another: exact bits, for the encoder's choices.

They are those of lossless files: what a bound on errors saves depends on the order of decoding.  A tile is
measured within its band, since contexts cross tiles, but as if no other tile had a reconstruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from saidcodec.format.header import Header
from saidcodec.format.planes import NO_RECONSTRUCTION, middle_of
from saidcodec.format.tiling import Place
from saidcodec.models import Model
from saidcodec.residual import band, gaussian
from saidcodec.residual.engine import LENGTH_BITS, Plane
from saidcodec.residual.network import ResidualNetwork
from saidcodec.said import Description, account, planes_of, render_all
from saidcodec.said.description import iou

BOX_WORTH = "encoder.box.worth"  # tensor float32 [1], bits
SAME = 0.5  # intersection over union from which two boxes show the same thing

Rendered = tuple["Description | None", "np.ndarray | None"]  # a description and its x̂(T), uint8 RGB


class Meter:
    """Bits of the residual of one tile under one x̂ after another; only what sees a change is measured again.

    They are exact as long as the style is the one that the writer will choose, which may depend on x̂.
    """

    def __init__(self, network: ResidualNetwork, plane: Plane, place: Place):
        """``plane``: the tile's band with its styles; any x̂ of it is left aside."""
        height, width = plane.coded.shape
        self.reconstruction = np.full((height, width, 3), NO_RECONSTRUCTION, np.int16)
        self.network, self.place = network, place
        self.plane = replace(plane, reconstruction=self.reconstruction)
        rows, columns = place
        self.lengths = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.int64)
        y, x = np.arange(rows.start, rows.stop), np.arange(columns.start, columns.stop)
        # Where each sample of the tile looks into x̂; its own place counts for the flag.
        self.looks = [
            np.ix_((y + dy).clip(0, height - 1), (x + dx).clip(0, width - 1))
            for dx, dy in {(0, 0), *network.around}
        ]
        self.flat = (y[:, None] * width + x).astype(np.int32)
        self.measure(np.ones(self.lengths.shape, bool))

    def bits(self, reconstruction: np.ndarray | None) -> float:
        """Bits of all samples under x̂ int16 [h, w, 3], or none."""
        self.measure(self.show(reconstruction))
        return float(self.lengths.sum()) / (1 << LENGTH_BITS)

    def show(self, reconstruction: np.ndarray | None) -> np.ndarray:
        """Take x̂ int16 [h, w, 3], or none, from now on; which samples see a difference, bool [h, w]."""
        here = self.reconstruction[self.place]
        changed = np.zeros(self.plane.coded.shape, bool)
        new = NO_RECONSTRUCTION if reconstruction is None else reconstruction
        changed[self.place] = (here != new).any(-1)
        here[...] = new
        return np.logical_or.reduce([changed[look] for look in self.looks])

    def measure(self, which: np.ndarray) -> None:
        """Measure samples of the tile, bool [h, w], again."""
        if which.any():
            self.lengths[which] = band.measure(self.network, self.plane, self.flat[which])


class Pricer:
    """Counts all bits of one tile, int16 [h, w, components], under one description after another.

    ``meter`` None stands for the paper's Gaussian.
    """

    def __init__(self, header: Header, model: Model, planes: np.ndarray, meter: Meter | None):
        self.header, self.model, self.planes, self.meter = header, model, planes, meter

    def residual(self, reconstruction: np.ndarray | None) -> float:
        """Bits of the residual under x̂ uint8 RGB [h, w, 3], or none."""
        means = None if reconstruction is None else planes_of(reconstruction, self.header.grey)
        if self.meter:
            return self.meter.bits(means)
        means = middle_of(self.planes.shape) if means is None else means
        return gaussian.residual_bits(self.planes, means)

    def rendered(self, descriptions: Sequence[Description]) -> list[Rendered]:
        """The descriptions with their x̂(T)."""
        reconstructions = render_all(descriptions, self.model, *self.planes.shape[1::-1])
        return list(zip(descriptions, reconstructions, strict=True))

    def cheapest(self, options: Sequence[Rendered]) -> tuple[int, float]:
        """Which option has the least price, and that: its bits in all, less what its boxes are worth."""
        prices = []
        for description, reconstruction in options:
            price = self.residual(reconstruction)
            if description is not None:
                spent = account(description, self.header.grey, self.model)
                price += spent.bits(len(description.boxes))
                price -= box_worth(self.model) * distinct(description.boxes)
            prices.append(price)
        i = int(np.argmin(prices))
        return i, prices[i]

    def price(self, description: Description) -> float:
        """The price of one description."""
        return self.cheapest(self.rendered([description]))[1]


def styled(network: ResidualNetwork, plane: Plane, places: Sequence[Place]) -> Plane:
    """A band's plane with the styles that suit the tiles at ``places``."""
    styles = np.zeros(plane.coded.shape, np.uint8)
    for place, style in zip(places, band.choose_styles(network, plane, places), strict=True):
        styles[place] = style
    return replace(plane, styles=styles)


def distinct(boxes: np.ndarray) -> int:
    """How many of the boxes, int [n, 4], are not another look at what an earlier one shows."""
    again = np.tril(iou(boxes, boxes) > SAME, -1).any(1)
    return int((~again).sum())


def box_worth(model: Model) -> float:
    """Bits that a box may cost beyond what it saves, as boxes of scenes are wanted for themselves."""
    return float(model.tensors.get(BOX_WORTH, np.zeros(1))[0])


def tile_bits(network: ResidualNetwork, plane: Plane, places: Sequence[Place]) -> np.ndarray:
    """Exact bits of some tiles of a band's plane, whose styles are still to choose; float64 [tiles]."""
    plane = styled(network, plane, places)
    numbers = np.arange(plane.coded.size, dtype=np.int32).reshape(plane.coded.shape)
    spent = [band.measure(network, plane, numbers[place].reshape(-1)).sum() for place in places]
    return np.array(spent) / (1 << LENGTH_BITS)
