"""What the encoder leaves to real bits: glimpses or none, and how many.

Nothing here is part of the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from saidcodec.entropy import Table
from saidcodec.layout import CONTEXT, GAUSSIAN, NO_RESIDUAL, Layout
from saidcodec.models import Model
from saidcodec.residual import gaussian
from saidcodec.residual.band import PROBE, choose_styles
from saidcodec.residual.coders import Meter
from saidcodec.residual.network import ResidualNetwork
from saidcodec.residual.tile import TileMeter
from saidcodec.residual.walk import walk
from saidcodec.residual.wavefront import Wavefront, middle_of
from saidcodec.said import Description, account, describe, render, render_all, render_steps
from saidcodec.said.code import tables_of
from saidcodec.said.crop import crop
from saidcodec.said.description import CANVAS, MOST_GLIMPSES
from saidcodec.said.latent import quantise
from saidcodec.said.propose import encode_patches
from saidcodec.said.search import valid

JUDGED_PIXELS = 1 << 16  # images up to this size have every number of glimpses judged by exact bits
PROBED_TILES = 8  # of a larger image, to see whether a base pays there at all
FINE_STEPS = (4, 6, 8)  # quantisation of the base where everything is judged: 2**4, 2**6, 2**8
COARSE_STEP = (4,)
BOX_WORTH = "encoder.box.worth"  # tensor float32 [1], bits
MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1), (-1, 1), (1, -1))  # canvas units
RESTLESS = 56.0  # mean difference of neighbours from which a tile may be noise; even noise's is 85 or more
LOSSY_STEP = (2,)  # where nothing follows x̂(T)

Case = tuple[np.ndarray, "np.ndarray | None"]  # planes of a tile, its prediction
Rendered = tuple["Description | None", "np.ndarray | None"]  # a description and its x̂(T), uint8 RGB


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
    if coder == CONTEXT and not forced:
        assert layout.method.network is not None
        if not layout.method.network.around or (not small and not base_pays(layout, tiles, planes)):
            return [None] * len(tiles)
    limit = MOST_GLIMPSES if glimpses is None else min(glimpses, MOST_GLIMPSES)
    steps = LOSSY_STEP if coder == NO_RESIDUAL else FINE_STEPS if small or coder == GAUSSIAN else COARSE_STEP
    described = describe(tiles, layout.grey, model, limit, steps, forced)
    if coder == NO_RESIDUAL or (forced and len(steps) == 1):  # there is nothing to choose
        return [options[0] for options in described]

    def judged(tile: np.ndarray, own: np.ndarray, options: Sequence[Description]) -> Description | None:
        judge = Judge(layout, own)
        description = best(judge, options, forced)
        refining = coder == CONTEXT and small and not forced
        return refined(judge, tile, description) if description and refining else description

    network = layout.method.network
    with ThreadPoolExecutor(network.workers if network else 1) as pool:
        return [*pool.map(judged, tiles, planes, described)]


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


class Judge:
    """Counts all bits of one tile, int16 [h, w, components], under one description after another."""

    def __init__(self, layout: Layout, planes: np.ndarray):
        self.layout, self.planes = layout, planes
        self.meter: TileMeter | None = None
        if network := layout.method.network:
            wavefront, predicted = arranged([(planes, None)])
            (style,) = choose_styles(wavefront, network, predicted)
            self.meter = TileMeter(planes, network, int(style))

    def residual(self, seen: np.ndarray | None) -> float:
        """Bits of the residual under x̂ uint8 [h, w, 3], or none."""
        prediction = None if seen is None else self.layout.prediction(seen)
        if self.meter:
            return self.meter.bits(prediction)
        mean = middle_of(self.planes.shape) if prediction is None else prediction
        return gaussian.residual_bits(self.planes, mean)

    def rendered(self, descriptions: Sequence[Description]) -> list[Rendered]:
        """The descriptions with their x̂(T)."""
        return list(zip(descriptions, render_all(descriptions, self.layout.model, *self.planes.shape[1::-1])))

    def cheapest(self, options: Sequence[Rendered]) -> tuple[Description | None, float]:
        """The option with the fewest bits in all, and those; a box counts less by what the model's user would
        pay for it."""
        model, grey = self.layout.model, self.layout.grey
        totals = []
        for description, seen in options:
            total = self.residual(seen)
            if description is not None:
                glimpses = len(description.boxes)
                total += account(description, grey, model).bits(glimpses) - box_worth(model) * glimpses
            totals.append(total)
        i = int(np.argmin(totals))
        return options[i][0], totals[i]


def best(judge: Judge, options: Sequence[Description], forced: bool) -> Description | None:
    """What makes the fewest bits of nothing, the options cut off after any number of glimpses, and the best
    of those thinned out."""
    if forced:
        return judge.cheapest(judge.rendered(options))[0]
    cut: list[Rendered] = [(None, None)]
    for option in options:
        steps = render_steps(option, judge.layout.model, *judge.planes.shape[1::-1])
        cut += [(option.first(n), step) for n, step in enumerate(steps)]
    chosen, bits = judge.cheapest(cut)
    if chosen is None or judge.meter is None:
        return chosen
    whole = next(option for option in options if option.step == chosen.step)
    thinner, fewer = thinned(judge, whole)
    return thinner if fewer < bits else chosen


def thinned(judge: Judge, description: Description) -> tuple[Description | None, float]:
    """The description without the glimpses that others make needless, and its bits in all."""
    current: Description | None = description
    _, bits = judge.cheapest(judge.rendered([description]))
    while current and len(current.boxes):
        fewer = [current.without(i) for i in range(len(current.boxes))]
        chosen, least = judge.cheapest(judge.rendered(fewer))
        if least >= bits:
            break
        current, bits = chosen, least
    return current, bits


def refined(judge: Judge, tile: np.ndarray, first: Description) -> Description:
    """The description with each box replaced by the best of those about it, by all bits of the tile.

    The search judges boxes by N log σ, to which a cut-off serif is much.  Exact bits hardly mind a wider or a
    narrower box, so that the box's own code decides: the usual size is the cheapest.
    """
    model, description = judge.layout.model, first
    if not len(first.boxes):
        return first
    _, bits = judge.cheapest(judge.rendered([description]))
    for i in range(len(description.boxes)):
        boxes = about(description.boxes[i], tables_of(model).box)
        patches = crop(tile.astype(np.float32) / 255, boxes)
        latents = quantise(encode_patches(patches, model), model)
        options = [description.replaced(i, *one) for one in zip(boxes, latents)]
        chosen, least = judge.cheapest(judge.rendered(options))
        if chosen is not None and least < bits:
            description, bits = chosen, least
    return description


def about(box: np.ndarray, tables: Sequence[Table]) -> np.ndarray:
    """Boxes with the middle of ``box`` and other sizes: its own made square or wider, and the most usual,
    which also come a little moved; int [n, 4]."""
    middle, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    usual = np.array([int(table.frequency.argmax()) + 1 for table in tables[:2]])
    sizes = np.array([np.full(2, size.max()), size + 1, size + 2, *([usual] * len(MOVES))])
    sizes = np.minimum(sizes, CANVAS)
    moves = [(0, 0)] * (len(sizes) - len(MOVES)) + [*MOVES]
    low = np.clip(np.rint(middle - sizes / 2 + moves), 0, CANVAS - sizes)
    return valid(np.concatenate([low, low + sizes], 1))


def box_worth(model: Model) -> float:
    """Bits that a box may cost beyond what it saves: in a model of scenes the boxes are wanted themselves."""
    return float(model.tensors.get(BOX_WORTH, np.zeros(1))[0])


def residual_bits(cases: Sequence[Case], network: ResidualNetwork) -> np.ndarray:
    """Exact bits of the residual of each case; float64 [cases]."""
    wavefront, predicted = arranged(cases)
    meter = Meter(wavefront)
    walk(wavefront, network, meter, choose_styles(wavefront, network, predicted), predicted)
    return meter.bits


def better_stored(
    layout: Layout,
    samples: Sequence[np.ndarray],
    planes: Sequence[np.ndarray],
    predictions: Sequence[np.ndarray | None],
) -> list[bool]:
    """Which tiles, uint8 [h, w, channels], take more bits than their samples as they are.

    Only tiles that are as restless as noise are measured.
    """
    stored = [restless(plane) for plane in planes]
    suspects = [i for i, suspect in enumerate(stored) if suspect]
    if suspects:
        network = layout.method.network
        assert network is not None
        bits = residual_bits([(planes[i], predictions[i]) for i in suspects], network)
        if layout.has_alpha:
            alpha = [samples[i][..., -1:].astype(np.int16) for i in suspects]
            bits += residual_bits([(plane, None) for plane in alpha], network)
        for i, spent in zip(suspects, bits):
            stored[i] = bool(spent > 8 * samples[i].size)
    return stored


def restless(planes: np.ndarray) -> bool:
    """Whether neighbours of a tile int16 [h, w, components] differ by much; every fourth row tells."""
    rows = planes[::4]
    return rows.shape[1] > 1 and int(np.abs(rows[:, 1:] - rows[:, :-1]).sum()) > RESTLESS * rows[:, 1:].size


def arranged(cases: Sequence[Case]) -> tuple[Wavefront, np.ndarray]:
    """A wavefront over (planes, prediction) pairs, and which of them have a prediction."""
    heights, widths, components = np.array([planes.shape for planes, _ in cases]).T
    wavefront = Wavefront(int(widths.max()), int(heights.max()), widths, heights, int(components[0]))
    for i, (planes, prediction) in enumerate(cases):
        wavefront.put(0, i, planes)
        if prediction is not None:
            wavefront.put(1, i, prediction)
    return wavefront, np.array([prediction is not None for _, prediction in cases])
