"""One band ⇄ one residual stream (bitstream_spec.md, section 8).

A stream holds, in this order: the samples of stored tiles as they are; the alpha plane's head, where there is
one; the styles of the other tiles and their colour; likewise their alpha.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from saidcodec.entropy.bank import Rows, bank
from saidcodec.entropy.rans import Decoder, Encoder, Table, uniform
from saidcodec.errors import CorruptError
from saidcodec.format import planes
from saidcodec.format.colour import Transform
from saidcodec.format.header import Header
from saidcodec.format.tiling import Band, Place
from saidcodec.models import Model
from saidcodec.residual import engine, gaussian
from saidcodec.residual.engine import Plane
from saidcodec.residual.network import ResidualNetwork
from saidcodec.tensors import one_table

STREAM_SLACK = 64  # bits that the coder's state may hide
SUREST_DECISION = 16 - math.log2((1 << 16) - 1)  # bits
PROBE_SHARE, FEWEST_PROBES = 64, 64  # every 64th sample of a tile, but at least 64, tell which style suits it
# Steps of a sequence that fills the unit square evenly: powers of 1 / 1.3247, the root of x³ = x + 1.
PROBE_STEPS = (0.7548776662466927, 0.5698402909980532)


class Method(NamedTuple):
    """How a file's residual is coded; ``network`` None means the paper's Gaussian.

    ``max_error``: that of a sample.  ``transform``: of the colours.  ``adaptive``: planes learn along;
    ``decided``: by decisions, too; ``by_parity``: with weights for each parity.  ``rows``: a calibration of
    the bank for planes that do not (archive_spec.md, section 4).
    """

    network: ResidualNetwork | None
    styles: Table
    max_error: int
    transform: Transform
    adaptive: bool
    decided: bool
    by_parity: bool
    rows: Rows | None = None

    @property
    def sharing(self) -> Method:
        """The same with weights that all parities share."""
        return self._replace(by_parity=False)

    def applied(self, plane: Plane, styles: np.ndarray) -> Plane:
        """A plane as it is coded, with the style of each of its samples, uint8 [h, w]."""
        return replace(
            plane,
            styles=styles,
            adaptive=self.adaptive,
            by_parity=self.by_parity,
            decided=self.decided,
            rows=self.rows,
        )


def method_of(header: Header, model: Model) -> Method:
    """How a file codes its residual.  Raises ModelError."""
    network = network_of(model) if header.coder.has_network else None
    styles = one_table(model, "tile.style.frequency")
    learns = header.adaptive, header.decided, header.by_parity
    return Method(network, styles, header.max_error, header.transform, *learns)


@lru_cache(maxsize=8)
def network_of(model: Model) -> ResidualNetwork:
    """A model's residual network, made once.  Raises ModelError."""
    return ResidualNetwork(model.tensors)


class Outline(NamedTuple):
    """What encoder and decoder know of a band before its samples.

    ``stored`` bool [tiles]: whose samples are written as they are.  ``reconstruction``: x̂(T) in
    components, int16 [h, w, 3], all three NO_RECONSTRUCTION where the SAID layer is off; None where it is off
    everywhere.
    """

    band: Band
    stored: np.ndarray
    reconstruction: np.ndarray | None

    @classmethod
    def plain(cls, band: Band) -> Outline:
        """That of a band without a SAID layer and without stored tiles."""
        return cls(band, np.zeros(len(band.places), bool), None)

    def places(self, stored: bool = False) -> list[Place]:
        """Where the tiles that are coded lie, or those that are stored."""
        return [
            place for place, as_is in zip(self.band.places, self.stored, strict=True) if bool(as_is) == stored
        ]

    def map_of(self, values: Sequence[int] | np.ndarray) -> np.ndarray:
        """One value for each coded tile, spread over its samples; uint8 [h, w], 0 elsewhere."""
        found = np.zeros((self.band.height, self.band.width), np.uint8)
        for place, value in zip(self.places(), values, strict=True):
            found[place] = value
        return found

    def coded(self) -> np.ndarray:
        """1 where samples are coded, 0 in stored tiles; uint8 [h, w]."""
        return self.map_of([1] * len(self.places()))


def write(header: Header, method: Method, outline: Outline, channels: np.ndarray) -> bytes:
    """The stream of a band's coded channels uint8 [h, w, channels], over the checksum of what a decoder will
    see."""
    encoder = Encoder()
    decodable = add(header, method, outline, channels, encoder)
    return encoder.finish(planes.checksum(header, decodable))


def check_length(method: Method, components: int, band: Band, decoder: Decoder) -> None:
    """Refuse a band that has too few bits for its samples, before anything is allocated for them.

    Even where every sample has the likeliest symbol of the narrowest table, or is a copy of the surest
    kind, it costs a little; so do the two surest decisions that a component takes.  Raises CorruptError.
    """
    cheapest = components * (2 * SUREST_DECISION if method.decided else bank().cheapest)
    if method.network and len(method.network.copies):
        cheapest = min(cheapest, min(float(table.bits.min()) for table in bank().copies))
    pixels = band.height * band.width
    if decoder.bits() + STREAM_SLACK < cheapest * pixels:
        raise CorruptError(f"{decoder.bits() // 8} bytes cannot hold {pixels} pixels.")


def add(
    header: Header, method: Method, outline: Outline, channels: np.ndarray, encoder: Encoder
) -> np.ndarray:
    """Add a band's coded channels uint8 [h, w, channels] to a stream; what a decoder will see."""
    for place in outline.places(stored=True):
        encoder.add(channels[place], uniform(256))
    if outline.stored.all():
        return channels
    colour, alpha = planes_of(header, method, outline, channels)
    constant = alpha is not None and add_alpha_head(alpha, encoder)
    write_plane(method, outline, colour, encoder)
    if alpha is not None and not constant:
        write_plane(method, outline, alpha, encoder)
    if header.exact:
        return channels
    return planes.joined(header, colour.samples, alpha.samples if alpha else None, method.transform)


def planes_of(
    header: Header, method: Method, outline: Outline, channels: np.ndarray
) -> tuple[Plane, Plane | None]:
    """The colour plane and the alpha plane, if there is one, of a band's channels uint8 [h, w, channels]."""
    alpha = planes.alpha_of(channels) if header.has_alpha else None
    return within(method, outline, planes.colour_of(header, channels, method.transform), alpha)


def empty_planes(header: Header, method: Method, outline: Outline) -> tuple[Plane, Plane | None]:
    """The planes of a band of which nothing is decoded."""
    size = (outline.band.height, outline.band.width)
    alpha = np.zeros((*size, 1), np.int16) if header.has_alpha else None
    return within(method, outline, np.zeros((*size, header.components), np.int16), alpha)


def within(
    method: Method, outline: Outline, colour: np.ndarray, alpha: np.ndarray | None
) -> tuple[Plane, Plane | None]:
    """The planes of samples int16 [h, w, components] in a band of this outline."""
    coded = outline.coded()
    plane = plane_of(colour, coded, outline.reconstruction, method.max_error)
    return plane, None if alpha is None else plane_of(alpha, coded, None, method.max_error)


def add_alpha_head(alpha: Plane, encoder: Encoder) -> bool:
    """Say whether alpha is constant, and its value; whether it is."""
    values = alpha.samples[alpha.coded > 0]
    constant = bool((values == values[0]).all())
    encoder.add(np.array([constant]), uniform(2))
    if constant:
        encoder.add(values[:1], uniform(256))
    return constant


def take_alpha_head(alpha: Plane, decoder: Decoder) -> bool:
    """Whether alpha is constant; then it is filled in."""
    constant = bool(decoder.take(uniform(2), 1)[0])
    if constant:
        alpha.samples[alpha.coded > 0] = decoder.take(uniform(256), 1)
    return constant


def take(header: Header, method: Method, outline: Outline, decoder: Decoder) -> np.ndarray:
    """The coded channels that ``add`` added, uint8 [h, w, channels]; CorruptError on a damaged stream."""
    channels = np.zeros((outline.band.height, outline.band.width, header.channels), np.uint8)
    for rows, columns in outline.places(stored=True):
        shape = (rows.stop - rows.start, columns.stop - columns.start, header.channels)
        channels[rows, columns] = decoder.take(uniform(256), int(np.prod(shape))).reshape(shape)
    if outline.stored.all():
        return channels
    if outline.stored.any():
        colour, alpha = planes_of(header, method, outline, channels)
    else:
        colour, alpha = empty_planes(header, method, outline)
    constant = alpha is not None and take_alpha_head(alpha, decoder)
    read_plane(method, outline, colour, decoder)
    if alpha is not None and not constant:
        read_plane(method, outline, alpha, decoder)
    return planes.joined(header, colour.samples, alpha.samples if alpha else None, method.transform)


def write_plane(method: Method, outline: Outline, plane: Plane, encoder: Encoder) -> None:
    """Code a plane whose styles are still to choose; near-lossless its samples become what a decoder sees."""
    if method.network is None:
        means = planes.or_middle(plane.reconstruction, plane.samples.shape)
        for place in outline.places():
            plane.samples[place] = gaussian.write_tile(
                plane.samples[place], means[place], plane.max_error, encoder
            )
        return
    styles = choose_styles(method.network, plane, outline.places())
    encoder.add(styles, method.styles)
    plane = method.applied(plane, outline.map_of(styles))
    symbols = engine.current().symbols(method.network, plane)
    encoder.add_pushed(lambda words: engine.current().push(words, symbols))


def read_plane(method: Method, outline: Outline, plane: Plane, decoder: Decoder) -> None:
    """Fill in a plane that ``write_plane`` coded.  Raises CorruptError."""
    if method.network is None:
        means = planes.or_middle(plane.reconstruction, plane.samples.shape)
        for place in outline.places():
            plane.samples[place] = gaussian.read_tile(means[place], plane.max_error, decoder)
        return
    styles = decoder.take(method.styles, len(outline.places()))
    plane = method.applied(plane, outline.map_of(styles))
    decoder.resume(engine.current().decode(method.network, plane, decoder.words()))


def plane_of(
    samples: np.ndarray,
    coded: np.ndarray | None = None,
    reconstruction: np.ndarray | None = None,
    max_error: int = 0,
) -> Plane:
    """A plane of the first style; by default all of it is coded, losslessly and without x̂."""
    shape = samples.shape[:2]
    coded = np.ones(shape, np.uint8) if coded is None else coded
    return Plane(
        np.ascontiguousarray(samples),
        coded,
        np.zeros(shape, np.uint8),
        reconstruction,
        max_error,
    )


def choose_styles(network: ResidualNetwork, plane: Plane, places: Sequence[Place]) -> np.ndarray:
    """The style of each tile that takes the fewest bits on a part of its samples; int32 [tiles]."""
    if network.styles == 1:
        return np.zeros(len(places), np.int32)
    width = plane.coded.shape[1]
    probed = [probes(place, width) for place in places]
    starts = np.cumsum([0, *map(len, probed[:-1])])
    every = np.tile(np.concatenate(probed), network.styles)
    styles = np.repeat(np.arange(network.styles, dtype=np.uint8), len(every) // network.styles)
    bits = engine.current().measure(network, plane, every, styles).astype(np.int64)
    spent = np.add.reduceat(bits.reshape(network.styles, -1), starts, axis=1)
    return np.argmin(spent, 0).astype(np.int32)


def measure(network: ResidualNetwork, plane: Plane, places: np.ndarray) -> np.ndarray:
    """Bits in 2^-16 bit of the samples at flat indices int32 [n], lossless; int64 [n]."""
    return engine.current().measure(network, plane, places).astype(np.int64)


def probes(place: Place, width: int) -> np.ndarray:
    """Flat indices of some samples of a tile, evenly spread over it, in a band ``width`` wide; int32 [n]."""
    rows, columns = place
    height, across = rows.stop - rows.start, columns.stop - columns.start
    size = height * across
    i = np.arange(max(size // PROBE_SHARE, min(size, FEWEST_PROBES))) + 0.5
    x, y = (np.floor(i * step % 1.0 * n) for step, n in zip(PROBE_STEPS, (across, height), strict=True))
    return np.asarray((rows.start + y) * width + columns.start + x, np.int32)
