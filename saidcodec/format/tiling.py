"""How an image is cut into tiles and bands (bitstream_spec.md, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

from saidcodec.format.header import Header

# A tile's border costs bits and a wavefront over few tiles costs time, so tiles grow with the image.
SMALL_IMAGE = 160  # up to this many pixels a side, the image is one tile
MIDDLE_IMAGE = 1 << 19  # pixels; beyond it tiles are of the largest side
SIDES = (64, 128)
BAND_PIXELS = 1 << 20  # pixels of a band at most, which bounds the memory


@dataclass(frozen=True)
class Tiling:
    """``side`` bounds the tiles' sides; ``bands`` runs of tiles have a residual stream each."""

    width: int
    height: int
    side: int
    most_bands: int

    @staticmethod
    def of(header: Header) -> Tiling:
        return Tiling(header.width, header.height, header.side, header.bands)

    @property
    def tile_width(self) -> int:
        return even_share(self.width, self.side)

    @property
    def tile_height(self) -> int:
        return even_share(self.height, self.side)

    def tiles(self) -> list[tuple[slice, slice]]:
        """(rows, columns) of every tile, row by row."""
        return [
            (slice(y, min(y + self.tile_height, self.height)), slice(x, min(x + self.tile_width, self.width)))
            for y in range(0, self.height, self.tile_height)
            for x in range(0, self.width, self.tile_width)
        ]

    def count(self) -> int:
        """Number of tiles."""
        return -(-self.width // self.tile_width) * -(-self.height // self.tile_height)

    def bands(self) -> list[slice]:
        """Runs of tile numbers that share a stream, as even as can be."""
        tiles = self.count()
        bands = min(self.most_bands, tiles)
        return [slice(i * tiles // bands, (i + 1) * tiles // bands) for i in range(bands)]


def even_share(length: int, side: int) -> int:
    """The tile side that splits ``length`` most evenly into the fewest parts of at most ``side``."""
    parts = -(-length // side)
    return -(-length // parts)


def choose_tiling(width: int, height: int) -> tuple[int, int]:
    """(side, bands) that the encoder takes for an image; powers of two, as the header needs them."""
    if max(width, height) <= SMALL_IMAGE:
        return 1 << max(4, (max(width, height) - 1).bit_length()), 1
    pixels = width * height
    bands = -(-pixels // BAND_PIXELS)
    return SIDES[pixels > MIDDLE_IMAGE], 1 << (bands - 1).bit_length()
