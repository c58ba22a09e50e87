"""How a file's samples are arranged and coded: what header and model decide together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from saidcodec import colour
from saidcodec.container import Header
from saidcodec.entropy import Decoder, Encoder
from saidcodec.models import Model
from saidcodec.residual.band import Band, Method
from saidcodec.residual.network import ResidualNetwork
from saidcodec.said import Description, read, render, write
from saidcodec.said.tensors import one_table
from saidcodec.tiling import Tiling

NO_RESIDUAL, GAUSSIAN, CONTEXT = range(3)  # residual coders
PLAIN, SAID, STORED = range(3)  # kinds of tiles


@lru_cache(maxsize=8)
def network_of(model: Model, threads: int | None, workers: int) -> ResidualNetwork:
    """A model's residual network on ONNX Runtime or on NumPy (see ``Layout``), made once."""
    return ResidualNetwork(model.tensors, threads, workers)


def max_errors(bound: int, components: int) -> tuple[int, ...]:
    """Largest error of each component that keeps every channel within ``bound`` (spec section 7.1)."""
    if components == 1:
        return (bound,)
    chroma = 2 * (bound // 3)
    return (bound - chroma, chroma, chroma)


class Layout:
    """Components, tiles and method of one file.

    ``threads`` run the residual network in ONNX Runtime; None takes NumPy, which starts 0.2 s sooner.
    ``ahead``: all samples are known beforehand, so that each thread takes a batch of its own instead of a
    part of every product.  With ``decodes`` False the network is not loaded at all.
    """

    def __init__(
        self, header: Header, model: Model, threads: int | None, ahead: bool = False, decodes: bool = True
    ):
        self.header, self.model = header, model
        self.components = 1 if header.replicated or header.mode in ("L", "LA") else 3
        self.has_alpha = header.mode in ("LA", "RGBA")
        self.channels = self.components + self.has_alpha
        self.tiling = Tiling(header.width, header.height, header.side, header.bands)
        self.tiles = self.tiling.tiles()
        network = None
        if header.coder == CONTEXT and decodes:
            beside = threads if ahead and threads else 1
            network = network_of(model, threads and threads // beside, beside)
        styles = one_table(model, "tile.style.frequency")
        errors = max_errors(header.max_error, self.components)
        self.method = Method(network, styles, errors, header.max_error)

    @property
    def grey(self) -> bool:
        return self.components == 1

    def coded(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels [h, w(, c)] → the channels that are coded, uint8 [h, w, channels]."""
        if pixels.ndim == 2:
            return pixels[..., None]
        return pixels[..., 2:] if self.header.replicated else pixels

    def image(self, coded: np.ndarray) -> np.ndarray:
        """The inverse of ``coded``, for a whole image."""
        if self.header.replicated:
            return np.concatenate([coded[..., :1], coded[..., :1], coded], -1)
        return coded[..., 0] if self.header.mode == "L" else coded

    def planes(self, coded: np.ndarray) -> np.ndarray:
        """Coded channels → Y, Co, Cg or Y, int16 [h, w, components]."""
        return coded[..., :1].astype(np.int16) if self.grey else colour.forward(coded[..., :3])

    def samples(self, planes: np.ndarray) -> np.ndarray:
        """The inverse of ``planes``, int16; outside 0..255 only where the planes came from no pixels."""
        return planes if self.grey else colour.inverse(planes)

    def rgb(self, coded: np.ndarray) -> np.ndarray:
        """Coded channels as the SAID layer sees them, uint8 [h, w, 3]."""
        return np.repeat(coded[..., :1], 3, -1) if self.grey else coded[..., :3]

    def predict(self, descriptions: Sequence[Description | None], tiles: slice) -> list[np.ndarray | None]:
        """x̂(T) of each tile in Y, Co, Cg, int16 [h, w, 3], None where the SAID layer is off."""
        found: list[np.ndarray | None] = []
        for description, (rows, columns) in zip(descriptions, self.tiles[tiles]):
            if description is None:
                found.append(None)
            else:
                shape = (columns.stop - columns.start, rows.stop - rows.start)
                found.append(self.prediction(render(description, self.model, *shape)))
        return found

    def prediction(self, reconstruction: np.ndarray) -> np.ndarray:
        """x̂ uint8 RGB → what the residual layer sees, int16 [h, w, 3]."""
        planes = colour.forward(reconstruction)
        if self.grey:
            planes[..., 1:] = 0
        return planes

    def band(self, tiles: slice, stored: Sequence[bool], predictions: Sequence[np.ndarray | None]) -> Band:
        shapes = [
            (rows.stop - rows.start, columns.stop - columns.start) for rows, columns in self.tiles[tiles]
        ]
        size = (self.tiling.tile_width, self.tiling.tile_height)
        return Band(*size, shapes, stored, predictions, self.components, self.has_alpha)

    def write_said(self, kinds: Sequence[int], descriptions: Sequence[Description | None]) -> bytes:
        """The SAID section (spec section 9)."""
        encoder = Encoder()
        encoder.add(np.array(kinds), one_table(self.model, "tile.kind.frequency", STORED + 1))
        write([d for d in descriptions if d is not None], self.grey, self.model, encoder)
        return encoder.finish()

    def read_said(self, data: bytes) -> tuple[np.ndarray, list[Description | None]]:
        """(kinds, descriptions) of all tiles.  Raises CorruptError."""
        decoder = Decoder(data)
        kinds = decoder.take(one_table(self.model, "tile.kind.frequency", STORED + 1), len(self.tiles))
        described = iter(read(int((kinds == SAID).sum()), self.grey, self.model, decoder))
        decoder.finish()
        return kinds, [next(described) if kind == SAID else None for kind in kinds]
