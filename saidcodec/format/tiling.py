"""How an image is cut into tiles and bands (bitstream_spec.md, section 4)."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from saidcodec.format.header import MOST_BAND_PIXELS, SMALLEST_TILE, Header

# The SAID layer works tile by tile, and a tile's style costs bits, so tiles grow with the image.
SMALL_IMAGE = 160  # up to this many pixels a side, the image is one tile
MIDDLE_IMAGE = 1 << 19  # pixels; beyond it tiles are of the largest side
SIDES = (64, 128)
# A second band lets a second thread help; its border costs few bits where bands are not low.
DIVIDED_PIXELS, DIVIDED_ROWS = 1 << 18, 128  # from here on, in both, there are several bands
BAND_ROWS = 384  # rows of a band, at least, where there are more than two
BAND_PIXELS = 1_500_000  # of a large image, about, for the sake of memory

Place = tuple[slice, slice]  # rows, columns


class Band(NamedTuple):
    """A strip of whole tile rows over the full width of the image; it has a residual stream of its own.

    ``rows`` of the image; ``tiles``: their numbers; ``places`` (rows, columns) of each tile in the band.
    """

    rows: slice
    width: int
    tiles: slice
    places: tuple[Place, ...]

    @property
    def height(self) -> int:
        return int(self.rows.stop - self.rows.start)


class Tiling:
    """``side`` bounds the tiles' sides; ``most_bands`` is the largest number of bands."""

    def __init__(self, width: int, height: int, side: int, most_bands: int):
        self.width, self.height = width, height
        self.side, self.most_bands = side, most_bands

    @staticmethod
    def of(header: Header) -> Tiling:
        return Tiling(header.width, header.height, header.side, header.most_bands)

    @property
    def tile_width(self) -> int:
        return even_share(self.width, self.side)

    @property
    def tile_height(self) -> int:
        rows = -(-self.height // self.side)
        bands = min(self.most_bands, rows)
        return -(-self.height // (-(-rows // bands) * bands))

    @property
    def columns(self) -> int:
        """Number of tile columns."""
        return -(-self.width // self.tile_width)

    @property
    def rows(self) -> int:
        """Number of tile rows."""
        return -(-self.height // self.tile_height)

    def count(self) -> int:
        """Number of tiles."""
        return self.columns * self.rows

    def count_bands(self) -> int:
        return min(self.most_bands, self.rows)

    def most_pixels(self) -> int:
        """Pixels of the largest band, or a little more."""
        return -(-self.rows // self.count_bands()) * self.tile_height * self.width

    def tiles(self) -> list[Place]:
        """The place of every tile in the image, row by row."""
        return self._places(0, self.height)

    def tile(self, number: int) -> Place:
        """The place of one tile in the image."""
        row, column = divmod(number, self.columns)
        top, left = row * self.tile_height, column * self.tile_width
        bottom, right = min(top + self.tile_height, self.height), min(left + self.tile_width, self.width)
        return slice(top, bottom), slice(left, right)

    def bands(self) -> list[Band]:
        """The bands, from above."""
        return [self.band(number) for number in range(self.count_bands())]

    def band(self, number: int) -> Band:
        first, last = self._first_tile_row(number), self._first_tile_row(number + 1)
        top, bottom = first * self.tile_height, min(last * self.tile_height, self.height)
        tiles = slice(first * self.columns, last * self.columns)
        return Band(slice(top, bottom), self.width, tiles, tuple(self._places(top, bottom)))

    def bands_at(self, rows: slice) -> range:
        """The numbers of the bands that some rows of the image lie in."""
        starts = [self._first_tile_row(number) for number in range(self.count_bands())]
        first, last = rows.start // self.tile_height, (rows.stop - 1) // self.tile_height
        return range(bisect_right(starts, first) - 1, bisect_right(starts, last))

    def _first_tile_row(self, band: int) -> int:
        """Rows of tiles are shared out among the bands as evenly as can be."""
        return band * self.rows // self.count_bands()

    def _places(self, top: int, bottom: int) -> list[Place]:
        """Of the tiles between two rows of the image, counted from the upper one."""
        height, rows, columns = bottom - top, self.tile_height, self.tile_width
        return [
            (slice(y, min(y + rows, height)), slice(x, min(x + columns, self.width)))
            for y in range(0, height, rows)
            for x in range(0, self.width, columns)
        ]


def even_share(length: int, side: int) -> int:
    """The tile side that splits ``length`` most evenly into the fewest parts of at most ``side``."""
    parts = -(-length // side)
    return -(-length // parts)


def choose_tiling(width: int, height: int) -> tuple[int, int]:
    """(side, bands) of an image whose header says nothing else; both are powers of two."""
    return tiling_within(width, height, SIDES[-1])


def tiling_of_objects(width: int, height: int) -> tuple[int, int]:
    """(side, bands) under a model of objects: tiles of 64, the canvas on which it has learnt their sizes."""
    return tiling_within(width, height, SIDES[0])


def tiling_within(width: int, height: int, largest: int) -> tuple[int, int]:
    """(side, bands); ``largest`` bounds the side where an image is cut at all."""
    if max(width, height) <= SMALL_IMAGE:
        return 1 << max(4, (max(width, height) - 1).bit_length()), 1
    pixels = width * height
    side = min(SIDES[pixels > MIDDLE_IMAGE], largest)
    while side > SMALLEST_TILE and even_share(height, side) * width > MOST_BAND_PIXELS:
        side //= 2
    most = max(1, pixels // BAND_PIXELS)
    if pixels >= DIVIDED_PIXELS and height >= DIVIDED_ROWS:
        most = max(most, 2, height // BAND_ROWS)
    return side, 1 << (most.bit_length() - 1)
