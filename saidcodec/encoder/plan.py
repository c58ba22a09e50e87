"""What the encoder leaves to real bits: glimpses or none, and how many.

Nothing here is part of the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from saidcodec.encoder.price import Case, Pricer, Rendered, arranged, residual_bits
from saidcodec.encoder.refine import improved, thinned
from saidcodec.encoder.search import describe
from saidcodec.format.header import Header, ResidualCoder
from saidcodec.format.planes import alpha_of
from saidcodec.models import Model
from saidcodec.residual.band import PROBE
from saidcodec.residual.coders import Meter
from saidcodec.residual.network import ResidualNetwork
from saidcodec.residual.walk import walk
from saidcodec.said import Description, account, planes_of, render, render_steps
from saidcodec.said.description import MOST_GLIMPSES

JUDGED_PIXELS = 1 << 16  # images up to this size have every number of glimpses judged by exact bits
PROBED_TILES = 8  # of a larger image, to see whether a base pays there at all
FINE_STEPS = (4, 6, 8)  # quantisation of the base where everything is judged: 2**4, 2**6, 2**8
COARSE_STEP = (4,)
RESTLESS = 56.0  # mean difference of neighbours from which a tile may be noise; even noise's is 85 or more
LOSSY_STEP = (2,)  # where nothing follows x̂(T)


def choose(
    header: Header,
    model: Model,
    network: ResidualNetwork | None,
    tiles: Sequence[np.ndarray],
    planes: Sequence[np.ndarray],
    glimpses: int | None,
) -> list[Description | None]:
    """For each tile the description to code, or None where the SAID layer does not pay.

    ``tiles`` uint8 RGB [h, w, 3]; ``planes`` int16 [h, w, components], what the residual will code;
    ``glimpses`` forces their number, as far as the search finds that many; 0 leaves the base to choice.
    """
    coder = header.coder
    small = header.width * header.height <= JUDGED_PIXELS
    forced = bool(glimpses)
    if coder == ResidualCoder.CONTEXT and not forced:
        assert network is not None
        if not network.around or (not small and not base_pays(header, model, network, tiles, planes)):
            return [None] * len(tiles)
    limit = MOST_GLIMPSES if glimpses is None else min(glimpses, MOST_GLIMPSES)
    steps = (
        LOSSY_STEP
        if coder == ResidualCoder.NONE
        else FINE_STEPS
        if small or coder == ResidualCoder.GAUSSIAN
        else COARSE_STEP
    )
    # Over a coarse base glimpses do the work of the base, over a fine one they show what it cannot: the
    # Gaussian residual may want either.
    over = (max(steps), min(steps)) if coder == ResidualCoder.GAUSSIAN and limit else ()
    described = describe(tiles, header.grey, model, limit, steps, forced, over, coder == ResidualCoder.NONE)
    if coder == ResidualCoder.NONE or (forced and len(steps) == 1):  # there is nothing to choose
        return [options[0] for options in described]

    improving = coder == ResidualCoder.CONTEXT and small and glimpses is None and not header.max_error

    def judged(tile: np.ndarray, own: np.ndarray, options: Sequence[Description]) -> Description | None:
        pricer = Pricer(header, model, network, own)
        description = best(pricer, options, forced)
        if improving:
            return improved(pricer, tile, options, description)
        return description

    with ThreadPoolExecutor(network.workers if network else 1) as pool:
        return [*pool.map(judged, tiles, planes, described)]


def base_pays(
    header: Header,
    model: Model,
    network: ResidualNetwork,
    tiles: Sequence[np.ndarray],
    planes: Sequence[np.ndarray],
) -> bool:
    """Whether a base alone seems to save bits on any of a few of the tiles, by a part of their samples."""
    chosen = np.unique(np.linspace(0, len(tiles) - 1, PROBED_TILES).astype(int))
    described = describe([tiles[i] for i in chosen], header.grey, model, 0, COARSE_STEP)
    cases: list[Case] = [(planes[i], None) for i in chosen]
    spent = []
    for i, (description,) in zip(chosen, described):
        height, width = planes[i].shape[:2]
        cases.append((planes[i], planes_of(render(description, model, width, height), header.grey)))
        spent.append(account(description, header.grey, model).bits(0))
    wavefront, predicted = arranged(cases)
    meter = Meter(wavefront)
    style = int(model.tensors["tile.style.frequency"].argmax())
    steps = range(PROBE // 2, wavefront.steps, PROBE)
    walk(wavefront, network, meter, np.full(len(cases), style), predicted, steps)
    without, with_base = np.split(meter.bits * PROBE, 2)
    return bool((with_base + spent < without).any())


def best(pricer: Pricer, options: Sequence[Description], forced: bool) -> Description | None:
    """The cheapest of nothing, the options cut off after any number of glimpses, and the best of those
    thinned out."""
    if forced:
        return options[pricer.cheapest(pricer.rendered(options))[0]]
    cut: list[Rendered] = [(None, None)]
    whole: list[Description | None] = [None]
    for option in options:
        steps = render_steps(option, pricer.model, *pricer.planes.shape[1::-1])
        cut += [(option.first(n), step) for n, step in enumerate(steps)]
        whole += [option] * (len(cut) - len(whole))
    i, price = pricer.cheapest(cut)
    chosen, uncut = cut[i][0], whole[i]
    if uncut is None or pricer.meter is None:
        return chosen
    thinner, least = thinned(pricer, uncut)
    return thinner if least < price else chosen


def better_stored(
    header: Header,
    network: ResidualNetwork,
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
        bits = residual_bits([(planes[i], predictions[i]) for i in suspects], network)
        if header.has_alpha:
            alpha = [alpha_of(samples[i]) for i in suspects]
            bits += residual_bits([(plane, None) for plane in alpha], network)
        for i, spent in zip(suspects, bits):
            stored[i] = bool(spent > 8 * samples[i].size)
    return stored


def restless(planes: np.ndarray) -> bool:
    """Whether neighbours of a tile int16 [h, w, components] differ by much; every fourth row tells."""
    rows = planes[::4]
    return rows.shape[1] > 1 and int(np.abs(rows[:, 1:] - rows[:, :-1]).sum()) > RESTLESS * rows[:, 1:].size
