"""What the encoder leaves to real bits: glimpses or none, and how many.

Nothing here is part of the format.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saidcodec import colour
from saidcodec.models import Model
from saidcodec.residual import band, gaussian
from saidcodec.residual.coders import Meter
from saidcodec.residual.network import ResidualNetwork
from saidcodec.residual.wavefront import Wavefront
from saidcodec.said import Description, account, describe, render, render_steps

JUDGED_PIXELS = 1 << 16  # images up to this size have every number of glimpses judged by exact bits
PROBED_TILES = 8  # of a larger image, to see whether a base pays there at all
MOST_GLIMPSES = 32
FINE_STEPS = (3, 5, 7)  # quantisation of the base where everything is judged: 2**3, 2**5, 2**7
COARSE_STEP = (4,)


def choose(
    tiles: Sequence[np.ndarray],
    planes: Sequence[np.ndarray],
    model: Model,
    network: ResidualNetwork | None,
    glimpses: int | None,
) -> list[Description | None]:
    """For each tile the description to code, or None where the SAID layer does not pay.

    ``tiles`` uint8 RGB [h, w, 3]; ``planes`` int16 [h, w, components], what the residual will code;
    ``network`` None for the Gaussian residual; ``glimpses`` forces their number (as far as the
    search finds that many).
    """
    grey = planes[0].shape[2] == 1
    small = sum(tile.shape[0] * tile.shape[1] for tile in tiles) <= JUDGED_PIXELS
    if network is not None and glimpses is None and not small and not base_pays(tiles, planes, model, network):
        return [None] * len(tiles)
    limit = MOST_GLIMPSES if glimpses is None else min(glimpses, MOST_GLIMPSES)
    steps = FINE_STEPS if small or network is None else COARSE_STEP
    candidates = describe(tiles, grey, model, limit, steps)
    return [
        best(own, options, model, network, forced=glimpses is not None)
        for own, options in zip(planes, candidates)
    ]


def as_planes(reconstruction: np.ndarray, components: int) -> np.ndarray:
    """x̂ uint8 RGB [h, w, 3] → int16 [h, w, components] as the residual layer sees it."""
    return colour.forward(reconstruction)[..., :components]


def base_pays(
    tiles: Sequence[np.ndarray], planes: Sequence[np.ndarray], model: Model, network: ResidualNetwork
) -> bool:
    """Whether a base alone saves bits on any of a few tiles spread over the image."""
    chosen = np.unique(np.linspace(0, len(tiles) - 1, PROBED_TILES).astype(int))
    grey = planes[0].shape[2] == 1
    described = describe([tiles[i] for i in chosen], grey, model, 0, COARSE_STEP)
    for i, (description,) in zip(chosen, described):
        if best(planes[i], [description], model, network, forced=False) is not None:
            return True
    return False


def best(
    planes: np.ndarray,
    options: Sequence[Description],
    model: Model,
    network: ResidualNetwork | None,
    forced: bool,
) -> Description | None:
    """The option, cut off after its best number of glimpses, that makes the fewest bits in all."""
    height, width, components = planes.shape
    descriptions: list[Description | None] = [] if forced else [None]
    predictions: list[np.ndarray | None] = [] if forced else [None]
    spent: list[float] = [] if forced else [0.0]
    for option in options:
        spending = account([option], components == 1, model)[0]
        steps = list(render_steps(option, model, width, height))
        kept = [len(option.boxes)] if forced else range(len(option.boxes) + 1)
        for n in kept:
            descriptions.append(option.first(n))
            predictions.append(as_planes(steps[n], components))
            spent.append(spending.bits(n))
    residual = residual_bits(planes, predictions, network)
    return descriptions[int(np.argmin(residual + np.array(spent)))]


def residual_bits(
    planes: np.ndarray, predictions: Sequence[np.ndarray | None], network: ResidualNetwork | None
) -> np.ndarray:
    """Exact bits of one tile's residual under each prediction; float64 [len(predictions)]."""
    height, width, components = planes.shape
    if network is None:
        middle = band.middle(planes.shape)
        return np.array([gaussian.residual_bits(planes, middle if p is None else p) for p in predictions])
    count = len(predictions)
    wavefront = Wavefront(width, height, np.full(count, width), np.full(count, height), components)
    for i, prediction in enumerate(predictions):
        wavefront.put(0, i, planes)
        if prediction is not None:
            wavefront.put(1, i, prediction)
    predicted = np.array([p is not None for p in predictions])
    meter = Meter(wavefront)
    styles = band.choose_styles(wavefront, network, predicted)
    wavefront.walk(network, meter, styles, predicted)
    return meter.bits
