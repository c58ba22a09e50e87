"""What a tile takes in all, under one description or another: exact bits, for the encoder's choices.

They are those of lossless files: what a bound on errors saves depends on the order of decoding.  Nothing here
is part of the format.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saidcodec.format.header import Header
from saidcodec.format.planes import middle_of
from saidcodec.models import Model
from saidcodec.residual import gaussian
from saidcodec.residual.band import choose_styles
from saidcodec.residual.coders import Meter
from saidcodec.residual.network import ResidualNetwork
from saidcodec.residual.tile import TileMeter
from saidcodec.residual.walk import walk
from saidcodec.residual.wavefront import Wavefront
from saidcodec.said import Description, account, planes_of, render_all
from saidcodec.said.description import iou

BOX_WORTH = "encoder.box.worth"  # tensor float32 [1], bits
SAME = 0.5  # intersection over union from which two boxes show the same thing

Case = tuple[np.ndarray, "np.ndarray | None"]  # planes of a tile, its prediction
Rendered = tuple["Description | None", "np.ndarray | None"]  # a description and its x̂(T), uint8 RGB


class Pricer:
    """Counts all bits of one tile, int16 [h, w, components], under one description after another."""

    def __init__(self, header: Header, model: Model, network: ResidualNetwork | None, planes: np.ndarray):
        self.header, self.model, self.planes = header, model, planes
        self.meter: TileMeter | None = None
        if network:
            wavefront, predicted = arranged([(planes, None)])
            (style,) = choose_styles(wavefront, network, predicted)
            self.meter = TileMeter(planes, network, int(style))

    def residual(self, painted: np.ndarray | None) -> float:
        """Bits of the residual under x̂ uint8 [h, w, 3], or none."""
        reconstruction = None if painted is None else planes_of(painted, self.header.grey)
        if self.meter:
            return self.meter.bits(reconstruction)
        mean = middle_of(self.planes.shape) if reconstruction is None else reconstruction
        return gaussian.residual_bits(self.planes, mean)

    def rendered(self, descriptions: Sequence[Description]) -> list[Rendered]:
        """The descriptions with their x̂(T)."""
        return list(zip(descriptions, render_all(descriptions, self.model, *self.planes.shape[1::-1])))

    def cheapest(self, options: Sequence[Rendered]) -> tuple[int, float]:
        """Which option has the least price, and that: its bits in all, less what its boxes are worth."""
        model, grey = self.model, self.header.grey
        prices = []
        for description, painted in options:
            price = self.residual(painted)
            if description is not None:
                price += account(description, grey, model).bits(len(description.boxes))
                price -= box_worth(model) * distinct(description.boxes)
            prices.append(price)
        i = int(np.argmin(prices))
        return i, prices[i]

    def price(self, description: Description) -> float:
        """The price of one description."""
        return self.cheapest(self.rendered([description]))[1]


def distinct(boxes: np.ndarray) -> int:
    """How many of the boxes, int [n, 4], are not another look at what an earlier one shows."""
    again = np.tril(iou(boxes, boxes) > SAME, -1).any(1)
    return int((~again).sum())


def box_worth(model: Model) -> float:
    """Bits that a box may cost beyond what it saves, as boxes of scenes are wanted for themselves."""
    return float(model.tensors.get(BOX_WORTH, np.zeros(1))[0])


def residual_bits(cases: Sequence[Case], network: ResidualNetwork) -> np.ndarray:
    """Exact bits of the residual of each case; float64 [cases]."""
    wavefront, predicted = arranged(cases)
    meter = Meter(wavefront)
    walk(wavefront, network, meter, choose_styles(wavefront, network, predicted), predicted)
    return meter.bits


def arranged(cases: Sequence[Case]) -> tuple[Wavefront, np.ndarray]:
    """A wavefront over (planes, prediction) pairs, and which of them have a prediction."""
    heights, widths, components = np.array([planes.shape for planes, _ in cases]).T
    wavefront = Wavefront(int(widths.max()), int(heights.max()), widths, heights, int(components[0]))
    for i, (planes, prediction) in enumerate(cases):
        wavefront.put(0, i, planes)
        if prediction is not None:
            wavefront.put(1, i, prediction)
    return wavefront, np.array([prediction is not None for _, prediction in cases])
