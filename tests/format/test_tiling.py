"""Tiles cover the image once, and bands are whole rows of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidcodec.format.header import MOST_BAND_PIXELS, MOST_PIXELS
from saidcodec.format.tiling import SMALL_IMAGE, Tiling, choose_tiling, tiling_of_objects


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([16, 64, 128]), st.integers(0, 6))
def test_bands_share_out_the_tiles(width: int, height: int, side: int, most: int) -> None:
    tiling = Tiling(width, height, side, 1 << most)
    tiles, seen = tiling.tiles(), np.zeros((height, width), int)
    assert len(tiles) == tiling.count()
    assert [tiling.tile(number) for number in range(len(tiles))] == tiles
    bands = tiling.bands()
    assert len(bands) == tiling.count_bands() <= 1 << most
    number = row = 0
    for band in bands:
        assert (band.rows.start, band.tiles.start, band.width) == (row, number, width)
        for i, (rows, columns) in enumerate(band.places, number):
            whole = slice(row + rows.start, row + rows.stop)
            assert (whole, columns) == tiles[i]
            assert 0 < rows.stop - rows.start <= side
            assert 0 < columns.stop - columns.start <= side
            seen[whole, columns] += 1
        number, row = band.tiles.stop, band.rows.stop
        assert number - band.tiles.start == len(band.places)
    assert (number, row) == (len(tiles), height)
    assert (seen == 1).all()


@given(st.integers(1, 400), st.integers(0, 6), st.data())
def test_the_bands_of_some_rows(height: int, most: int, data: st.DataObject) -> None:
    tiling = Tiling(40, height, 16, 1 << most)
    top = data.draw(st.integers(0, height - 1))
    rows = slice(top, data.draw(st.integers(top + 1, height)))
    numbers = tiling.bands_at(rows)
    for number, band in enumerate(tiling.bands()):
        met = bool(set(range(height)[band.rows]) & set(range(height)[rows]))
        assert met == (numbers.start <= number < numbers.stop)


@pytest.mark.parametrize(
    ("width", "height", "bands"),
    [
        (64, 64, 1),
        (511, 512, 1),  # too few pixels
        (512, 512, 2),
        (4096, 127, 1),  # too few rows
        (4200, 128, 1),  # a single row of tiles
        (768, 512, 2),
        (2000, 1535, 2),
        (2000, 1536, 4),
        (6000, 4000, 16),  # of about 1.5 megapixels each, for the sake of memory
        (100, 100_000, 256),
    ],
)
def test_how_many_bands(width: int, height: int, bands: int) -> None:
    assert len(Tiling(width, height, *choose_tiling(width, height)).bands()) == bands


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_tiles_of_objects_are_no_larger_than_the_canvas(width: int, height: int) -> None:
    side, bands = tiling_of_objects(width, height)
    usual = choose_tiling(width, height)
    assert bands == usual[1]
    assert side == (usual[0] if max(width, height) <= SMALL_IMAGE else min(usual[0], 64))


@given(st.integers(1, 1 << 20), st.integers(1, 1 << 20))
def test_no_band_is_beyond_the_limit(width: int, height: int) -> None:
    height = min(height, MOST_PIXELS // width)
    assert Tiling(width, height, *choose_tiling(width, height)).most_pixels() <= MOST_BAND_PIXELS
