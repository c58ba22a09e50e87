"""What the encoder leaves to real bits: glimpses or none, and how many.

Nothing here is part of the format.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saidcodec.layout import CONTEXT, GAUSSIAN, NO_RESIDUAL, Layout
from saidcodec.residual import gaussian
from saidcodec.residual.band import PROBE, choose_styles
from saidcodec.residual.coders import Meter
from saidcodec.residual.network import ResidualNetwork
from saidcodec.residual.walk import walk
from saidcodec.residual.wavefront import Wavefront, middle_of
from saidcodec.said import Description, account, describe, render, render_steps
from saidcodec.said.description import MOST_GLIMPSES

JUDGED_PIXELS = 1 << 16  # images up to this size have every number of glimpses judged by exact bits
PROBED_TILES = 8  # of a larger image, to see whether a base pays there at all
FINE_STEPS = (4, 6, 8)  # quantisation of the base where everything is judged: 2**4, 2**6, 2**8
COARSE_STEP = (4,)
LOSSY_STEP = (2,)  # where nothing follows x̂(T)

Case = tuple[np.ndarray, "np.ndarray | None"]  # planes of a tile, its prediction


def choose(
    layout: Layout, tiles: Sequence[np.ndarray], planes: Sequence[np.ndarray], glimpses: int | None
) -> list[Description | None]:
    """For each tile the description to code, or None where the SAID layer does not pay.

    ``tiles`` uint8 RGB [h, w, 3]; ``planes`` int16 [h, w, components], what the residual will code;
    ``glimpses`` forces their number, as far as the search finds that many; 0 leaves the base to choice.
    """
    coder, model = layout.header.coder, layout.model
    small = layout.header.width * layout.header.height <= JUDGED_PIXELS
    forced = bool(glimpses)
    if coder == CONTEXT and not forced and not small and not base_pays(layout, tiles, planes):
        return [None] * len(tiles)
    limit = MOST_GLIMPSES if glimpses is None else min(glimpses, MOST_GLIMPSES)
    steps = LOSSY_STEP if coder == NO_RESIDUAL else FINE_STEPS if small or coder == GAUSSIAN else COARSE_STEP
    described = describe(tiles, layout.grey, model, limit, steps, forced)
    if coder == NO_RESIDUAL:
        return [options[0] for options in described]
    return [best(layout, own, options, forced) for own, options in zip(planes, described)]


def base_pays(layout: Layout, tiles: Sequence[np.ndarray], planes: Sequence[np.ndarray]) -> bool:
    """Whether a base alone seems to save bits on any of a few of the tiles, by a part of their samples."""
    chosen = np.unique(np.linspace(0, len(tiles) - 1, PROBED_TILES).astype(int))
    described = describe([tiles[i] for i in chosen], layout.grey, layout.model, 0, COARSE_STEP)
    cases: list[Case] = [(planes[i], None) for i in chosen]
    spent = []
    for i, (description,) in zip(chosen, described):
        height, width = planes[i].shape[:2]
        cases.append((planes[i], layout.prediction(render(description, layout.model, width, height))))
        spent.append(account(description, layout.grey, layout.model).bits(0))
    wavefront, predicted = arranged(cases)
    meter = Meter(wavefront)
    style = int(layout.method.styles.frequency.argmax())
    steps = range(PROBE // 2, wavefront.steps, PROBE)
    assert layout.method.network is not None
    walk(wavefront, layout.method.network, meter, np.full(len(cases), style), predicted, steps)
    without, with_base = np.split(meter.bits * PROBE, 2)
    return bool((with_base + spent < without).any())


def best(
    layout: Layout, planes: np.ndarray, options: Sequence[Description], forced: bool
) -> Description | None:
    """The option, cut off after its best number of glimpses, that makes the fewest bits in all."""
    height, width = planes.shape[:2]
    descriptions: list[Description | None] = [] if forced else [None]
    predictions: list[np.ndarray | None] = [] if forced else [None]
    spent: list[float] = [] if forced else [0.0]
    for option in options:
        spending = account(option, layout.grey, layout.model)
        steps = list(render_steps(option, layout.model, width, height))
        count = len(option.boxes)
        for n in [count] if forced else range(count + 1):
            descriptions.append(option.first(n))
            predictions.append(layout.prediction(steps[n]))
            spent.append(spending.bits(n))
    residual = residual_bits(planes, predictions, layout.method.network)
    return descriptions[int(np.argmin(residual + np.array(spent)))]


def residual_bits(
    planes: np.ndarray, predictions: Sequence[np.ndarray | None], network: ResidualNetwork | None
) -> np.ndarray:
    """Exact bits of one tile's residual under each prediction; float64 [len(predictions)]."""
    if network is None:
        middle = middle_of(planes.shape)
        return np.array([gaussian.residual_bits(planes, middle if p is None else p) for p in predictions])
    wavefront, predicted = arranged([(planes, prediction) for prediction in predictions])
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
