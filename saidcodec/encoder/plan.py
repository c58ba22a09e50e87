"""What the encoder leaves to real bits: SAID layer or none, how many glimpses, samples stored as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from saidcodec.encoder.price import Meter, Pricer, Rendered, styled, tile_bits
from saidcodec.encoder.refine import bases_of, improved, proposal_of, proposals, thinned
from saidcodec.encoder.search import describe
from saidcodec.format import planes
from saidcodec.format.header import Header, ResidualCoder, TileKind
from saidcodec.format.planes import NO_RECONSTRUCTION
from saidcodec.format.tiling import Band
from saidcodec.models import Model
from saidcodec.parallel import in_threads
from saidcodec.residual import band as residual
from saidcodec.residual.band import plane_of
from saidcodec.residual.engine import LENGTH_BITS, Plane
from saidcodec.residual.network import ResidualNetwork
from saidcodec.said import Description, account, planes_of, render, render_band, render_steps
from saidcodec.said.description import MOST_GLIMPSES

JUDGED_PIXELS = 1 << 16  # images up to this size have every number of glimpses judged by exact bits
PROBED_TILES = 8  # of a larger image's band, to see whether a base pays there at all, or objects do
FINE_STEPS = (4, 6, 8)  # quantisation of the base where everything is judged: 2**4, 2**6, 2**8
COARSE_STEP = (4,)
LOSSY_STEP = (2,)  # where nothing follows x̂(T)
RESTLESS = 56.0  # mean difference of neighbours from which a tile may be noise; even noise's is 85 or more


@dataclass(frozen=True)
class Plan:
    """How a band is coded: of each tile its kind, and its description or None.

    ``reconstruction``: x̂(T) of the band, int16 [h, w, 3], or None (see ``residual.band.Outline``).
    """

    kinds: np.ndarray
    descriptions: list[Description | None]
    reconstruction: np.ndarray | None

    @property
    def stored(self) -> np.ndarray:
        """Which tiles are stored, bool [tiles]."""
        return np.asarray(self.kinds == TileKind.STORED)

    @classmethod
    def plain(cls, tiles: int) -> Plan:
        """That of a band of so many tiles without SAID layers."""
        return cls(np.full(tiles, TileKind.PLAIN), [None] * tiles, None)

    def all_stored(self) -> Plan:
        return Plan(np.full_like(self.kinds, TileKind.STORED), [None] * len(self.kinds), None)


@dataclass(frozen=True)
class View:
    """A band and what codes it.

    ``rgb`` uint8 [h, w, 3]; ``colour`` int16 [h, w, components], what the residual will code.
    """

    header: Header
    model: Model
    network: ResidualNetwork | None
    band: Band
    rgb: np.ndarray
    colour: np.ndarray

    @cached_property
    def tiles(self) -> list[np.ndarray]:
        return [self.rgb[place] for place in self.band.places]

    def plane(self) -> Plane | None:
        """The samples with the style of each tile, for a network."""
        return styled(self.network, plane_of(self.colour), self.band.places) if self.network else None

    def pricer(self, i: int, plane: Plane | None) -> Pricer:
        """Prices of what tile ``i`` may be described as; ``plane``: what ``plane()`` returned."""
        place = self.band.places[i]
        meter = Meter(self.network, plane, place) if self.network and plane else None
        return Pricer(self.header, self.model, self.colour[place], meter)


def plan_band(
    header: Header,
    model: Model,
    network: ResidualNetwork | None,
    band: Band,
    channels: np.ndarray,
    glimpses: int | None,
    threads: int,
) -> Plan:
    """What to do with a band's coded channels, uint8 [h, w, channels].

    ``glimpses`` forces their number, as far as the search finds that many; 0 leaves the base to choice.
    ``threads`` judge tiles beside each other.
    """
    colour = planes.colour_of(header, channels)
    view = View(header, model, network, band, planes.rgb_of(header, channels), colour)
    descriptions = choose(view, glimpses, threads)
    kinds = np.array([TileKind.PLAIN if d is None else TileKind.SAID for d in descriptions])
    reconstruction = render_band(descriptions, band, header, model)
    if network and header.exact and not glimpses:
        stored = better_stored(header, network, band, channels, colour, reconstruction)
        if stored.any():
            kinds[stored] = TileKind.STORED
            descriptions = [None if as_is else d for as_is, d in zip(stored, descriptions, strict=True)]
            reconstruction = render_band(descriptions, band, header, model)
    return Plan(kinds, descriptions, reconstruction)


def choose(view: View, glimpses: int | None, threads: int) -> list[Description | None]:
    """For each tile of a band the description to code, or None where the SAID layer does not pay."""
    header, model, network, tiles = view.header, view.model, view.network, view.tiles
    nothing: list[Description | None] = [None] * len(tiles)
    if header.palette:  # nothing is known of an index from those around it
        return nothing
    coder = header.coder
    judged = header.width * header.height <= JUDGED_PIXELS
    forced = bool(glimpses)
    asked = coder == ResidualCoder.CONTEXT and glimpses is None and not header.max_error
    probed = network is not None and header.adaptive and proposal_of(model) is not None
    proposed: list[np.ndarray] = []
    if asked and (judged or probed):
        proposed = [*in_threads(lambda tile: proposals(model, tile), tiles, threads)]
        judged = judged or objects_pay(view, proposed)
    if network and not forced:
        # Under a flat base alone there is nothing to see either.
        blind = not network.around or (glimpses == 0 and bool(bases_of(model)))
        if blind or (not judged and not base_pays(view, network)):
            return nothing
    steps: tuple[int, ...]
    limit = MOST_GLIMPSES if glimpses is None else min(glimpses, MOST_GLIMPSES)
    if coder == ResidualCoder.NONE:
        steps = LOSSY_STEP
    else:
        steps = FINE_STEPS if judged or coder == ResidualCoder.GAUSSIAN else COARSE_STEP
    # Over a coarse base glimpses do the work of the base, over a fine one they show what it cannot: the
    # Gaussian residual may want either.
    over = (max(steps), min(steps)) if coder == ResidualCoder.GAUSSIAN and limit else ()
    pooled = coder == ResidualCoder.NONE
    improving = asked and judged
    if improving:
        limit = 0  # exact bits find the glimpses
    own = bases_of(model) if improving else []
    if own:
        described = [own] * len(tiles)
    else:
        described = describe(tiles, header.grey, model, limit, steps, forced, over, pooled)
    if pooled or (forced and len(steps) == 1):  # there is nothing to choose
        return [options[0] for options in described]

    plane = view.plane()

    def settled(i: int) -> Description | None:
        if improving:
            return improved(view.pricer(i, plane), tiles[i], described[i], proposed[i])
        return best(view.pricer(i, plane), described[i], forced)

    return [*in_threads(settled, range(len(tiles)), threads)]


def objects_pay(view: View, proposed: Sequence[np.ndarray]) -> bool:
    """Whether any of the tiles for which the most boxes are ``proposed`` has glimpses."""
    promised = [len(boxes) for boxes in proposed]
    likely = np.argsort(promised, kind="stable")[::-1][:PROBED_TILES]
    plane = view.plane()
    for i in likely:
        if promised[i]:
            found = improved(view.pricer(i, plane), view.tiles[i], bases_of(view.model), proposed[i])
            if found is not None and len(found.boxes):
                return True
    return False


def base_pays(view: View, network: ResidualNetwork) -> bool:
    """Whether a base alone seems to save bits on any of a few of the tiles, by a part of their samples."""
    header, model, band, colour = view.header, view.model, view.band, view.colour
    chosen = np.unique(np.linspace(0, len(band.places) - 1, PROBED_TILES).astype(int))
    places = [band.places[i] for i in chosen]
    described = describe([view.tiles[i] for i in chosen], header.grey, model, 0, COARSE_STEP)
    reconstruction = np.full((band.height, band.width, 3), NO_RECONSTRUCTION, np.int16)
    spent = []
    for place, (description,) in zip(places, described, strict=True):
        height, width = colour[place].shape[:2]
        reconstruction[place] = planes_of(render(description, model, width, height), header)
        spent.append(account(description, header.grey, model).bits(0))
    usual = np.full(colour.shape[:2], model.tensors["tile.style.frequency"].argmax(), np.uint8)
    without = replace(plane_of(colour), styles=usual)
    with_base = replace(without, reconstruction=reconstruction)
    for place, own in zip(places, spent, strict=True):
        probes = residual.probes(place, band.width)
        bits = [residual.measure(network, plane, probes).sum() for plane in (without, with_base)]
        saved = int(bits[0] - bits[1])
        if saved / (1 << LENGTH_BITS) * colour[place][..., 0].size / len(probes) > own:
            return True
    return False


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
    band: Band,
    channels: np.ndarray,
    colour: np.ndarray,
    reconstruction: np.ndarray | None,
) -> np.ndarray:
    """Which tiles of a band take more bits than their samples as they are; bool [tiles].

    Only tiles that are as restless as noise are measured.
    """
    stored = np.array([restless(colour[place]) for place in band.places])
    suspects = np.flatnonzero(stored)
    if len(suspects):
        places = [band.places[i] for i in suspects]
        bits = tile_bits(network, plane_of(colour, None, reconstruction), places)
        if header.has_alpha:
            bits += tile_bits(network, plane_of(planes.alpha_of(channels)), places)
        stored[suspects] = bits > [8 * channels[place].size for place in places]
    return stored


def restless(tile: np.ndarray) -> bool:
    """Whether neighbours of a tile int16 [h, w, components] differ by much; every fourth row tells."""
    rows = tile[::4]
    return rows.shape[1] > 1 and int(np.abs(rows[:, 1:] - rows[:, :-1]).sum()) > RESTLESS * rows[:, 1:].size
