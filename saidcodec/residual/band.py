"""One band of tiles ⇄ one residual stream (bitstream_spec.md, section 8).

A stream holds, in this order: the samples of stored tiles as they are; the alpha plane's head, where
there is one; the styles; the colour of all other tiles; their alpha.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from saidcodec.entropy.rans import Decoder, Encoder, Table, uniform
from saidcodec.format.header import Header, ResidualCoder
from saidcodec.format.planes import max_errors, middle_of
from saidcodec.models import Model
from saidcodec.residual import gaussian
from saidcodec.residual.coders import Meter, Reader, Writer
from saidcodec.residual.network import ResidualNetwork
from saidcodec.residual.walk import walk
from saidcodec.residual.wavefront import Wavefront
from saidcodec.tensors import one_table

PROBE = 128  # every 128th step is measured when a style is chosen


@dataclass(frozen=True)
class Method:
    """How a file's residual is coded; ``network`` None means the paper's Gaussian.

    ``errors``: largest error of each of Y (or grey), Co, Cg and of alpha, in sample values.
    """

    network: ResidualNetwork | None
    styles: Table
    errors: tuple[int, ...]
    alpha_error: int


def method_of(header: Header, model: Model, threads: int | None, ahead: bool = False) -> Method:
    """How a file codes its residual.

    ``threads`` run the residual network in ONNX Runtime; None takes NumPy, which starts 0.2 s sooner.
    ``ahead``: all samples are known beforehand, so that each thread takes a batch of its own, not a part
    of every product.
    """
    network = None
    if header.coder == ResidualCoder.CONTEXT:
        beside = threads if ahead and threads else 1
        network = network_of(model, threads and threads // beside, beside)
    errors = max_errors(header.max_error, header.components)
    return Method(network, one_table(model, "tile.style.frequency"), errors, header.max_error)


@lru_cache(maxsize=8)
def network_of(model: Model, threads: int | None, workers: int) -> ResidualNetwork:
    """A model's residual network on ONNX Runtime or on NumPy (see ``method_of``), made once."""
    return ResidualNetwork(model.tensors, threads, workers)


@dataclass(frozen=True)
class Band:
    """What encoder and decoder know of a band before its samples.

    All tiles are ``width`` × ``height`` pixels or, at the image's edges, less: ``shapes`` gives (h, w).
    ``stored`` marks tiles whose samples are written as they are.  ``prediction`` is x̂(T) of a tile in Y,
    Co, Cg, int16 [h, w, 3], or None where the SAID layer is off.
    """

    width: int
    height: int
    shapes: Sequence[tuple[int, int]]
    stored: Sequence[bool]
    prediction: Sequence[np.ndarray | None]
    components: int  # 3, or 1 for grey
    has_alpha: bool

    def coded(self) -> list[int]:
        """Indices of the tiles that are not stored."""
        return [i for i, stored in enumerate(self.stored) if not stored]


class Plane:
    """The colour or the alpha of a band's coded tiles, ready to be walked."""

    def __init__(self, band: Band, method: Method, alpha: bool):
        self.method = method
        self.components = 1 if alpha else band.components
        self.errors = (method.alpha_error,) if alpha else method.errors
        self.shapes = [(*band.shapes[i], self.components) for i in band.coded()]
        self.prediction = [None if alpha else band.prediction[i] for i in band.coded()]
        self.predicted = np.array([p is not None for p in self.prediction], bool)
        self.size = (band.width, band.height)

    def wavefront(self) -> Wavefront:
        heights, widths = np.array(self.shapes, np.int64).reshape(-1, 3)[:, :2].T
        wavefront = Wavefront(*self.size, widths, heights, self.components)
        for tile, prediction in enumerate(self.prediction):
            if prediction is not None:
                wavefront.put(1, tile, prediction)
        return wavefront

    def write(self, tiles: Sequence[np.ndarray], encoder: Encoder) -> list[np.ndarray]:
        """Code tiles int16 [h, w, components]; returns them as the decoder will see them."""
        if self.method.network is None:
            return [
                gaussian.write(tile, mean, self.errors, encoder) for tile, mean in zip(tiles, self.means())
            ]
        wavefront = self.wavefront()
        for i, tile in enumerate(tiles):
            wavefront.put(0, i, tile)
        styles = choose_styles(wavefront, self.method.network, self.predicted)
        encoder.add(styles, self.method.styles)
        walk(wavefront, self.method.network, Writer(wavefront, encoder, self.errors), styles, self.predicted)
        return [wavefront.get(i) for i in range(len(tiles))] if any(self.errors) else list(tiles)

    def read(self, decoder: Decoder) -> list[np.ndarray]:
        """What ``write`` coded."""
        if self.method.network is None:
            return [gaussian.read(mean, self.errors, decoder) for mean in self.means()]
        wavefront = self.wavefront()
        styles = decoder.take(self.method.styles, wavefront.tiles)
        walk(wavefront, self.method.network, Reader(wavefront, decoder, self.errors), styles, self.predicted)
        return [wavefront.get(i) for i in range(wavefront.tiles)]

    def means(self) -> list[np.ndarray]:
        """x̂(T), or the middle of the range where there is none; int16 [h, w, components] each."""
        return [
            middle_of(shape) if prediction is None else prediction[..., : self.components]
            for shape, prediction in zip(self.shapes, self.prediction)
        ]


def choose_styles(wavefront: Wavefront, network: ResidualNetwork, predicted: np.ndarray) -> np.ndarray:
    """The style with the fewest bits on a part of each tile's samples; int [tiles]."""
    if network.styles == 1:
        return np.zeros(wavefront.tiles, int)
    steps = range(min(PROBE, wavefront.steps) // 4, wavefront.steps, PROBE)

    def spent(style: int) -> np.ndarray:
        meter = Meter(wavefront)
        walk(wavefront, network, meter, np.full(wavefront.tiles, style), predicted, steps)
        return meter.bits

    with ThreadPoolExecutor(network.workers) as pool:
        return np.argmin([*pool.map(spent, range(network.styles))], 0)


def write(
    band: Band,
    method: Method,
    stored: Sequence[np.ndarray],
    colour: Sequence[np.ndarray],
    alpha: Sequence[np.ndarray],
) -> tuple[bytes, list[np.ndarray], list[np.ndarray]]:
    """The band's stream, and its colour and alpha as the decoder will see them.

    ``stored``: uint8 samples of the stored tiles; ``colour`` and ``alpha``: int16 [h, w, components] and
    [h, w, 1] of the others (``alpha`` empty where the image has none).
    """
    encoder = Encoder()
    for samples in stored:
        encoder.add(samples, uniform(256))
    if not band.coded():
        return encoder.finish(), [], []
    constant = False
    if band.has_alpha:
        value = int(alpha[0].flat[0])
        constant = all((tile == value).all() for tile in alpha)
        encoder.add(np.array([constant]), uniform(2))
        if constant:
            encoder.add(np.array([value]), uniform(256))
    colour_seen = Plane(band, method, False).write(colour, encoder)
    alpha_seen = list(alpha)
    if band.has_alpha and not constant:
        alpha_seen = Plane(band, method, True).write(alpha, encoder)
    return encoder.finish(), colour_seen, alpha_seen


def read(
    band: Band, method: Method, data: bytes, stored_channels: int
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """(stored, colour, alpha) that ``write`` coded; CorruptError on a damaged stream."""
    decoder = Decoder(data)
    stored = []
    for shape, as_is in zip(band.shapes, band.stored):
        if as_is:
            samples = decoder.take(uniform(256), shape[0] * shape[1] * stored_channels)
            stored.append(samples.astype(np.uint8).reshape(*shape, stored_channels))
    colour: list[np.ndarray] = []
    alpha: list[np.ndarray] = []
    if band.coded():
        constant = band.has_alpha and bool(decoder.take(uniform(2), 1)[0])
        if constant:
            value = decoder.take(uniform(256), 1).astype(np.int16)
            alpha = [np.broadcast_to(value, (*band.shapes[i], 1)) for i in band.coded()]
        colour = Plane(band, method, False).read(decoder)
        if band.has_alpha and not constant:
            alpha = Plane(band, method, True).read(decoder)
    decoder.finish()
    return stored, colour, alpha
