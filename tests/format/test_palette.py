"""Palettes: their bytes, their colours, their order."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidcodec.errors import CorruptError, LimitError, SaidError, TruncatedError
from saidcodec.format.cursor import Cursor
from saidcodec.format.palette import Palette, pack_palette, read_palette


def read(data: bytes) -> Palette:
    cursor = Cursor(data)
    found = read_palette(cursor)
    assert cursor.at == len(data)
    return found


@st.composite
def palettes(draw: st.DrawFn) -> Palette:
    count, channels = draw(st.integers(1, 256)), draw(st.sampled_from([3, 4]))
    step = draw(st.integers(0, 3))  # slopes, which are worth their differences
    noise = np.random.default_rng(draw(st.integers(0, 9))).integers(
        0, draw(st.integers(1, 200)), (count, channels)
    )
    colours = (noise + step * np.arange(count)[:, None]).astype(np.uint8).tobytes()
    index = st.integers(0, count - 1)
    alphas = st.binary(min_size=1, max_size=count)
    return Palette(colours, channels, draw(st.one_of(st.none(), index, alphas)))


@given(palettes())
def test_round_trip(palette: Palette) -> None:
    data = pack_palette(palette)
    assert read(data) == palette
    assert len(data) <= len(palette.colours) + 3 + (
        len(palette.transparency) if isinstance(palette.transparency, bytes) else 0
    )


def test_a_slope_takes_few_bytes() -> None:
    grey = Palette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
    assert len(pack_palette(grey)) < 24


@given(palettes(), st.data())
def test_ranks(palette: Palette, data: st.DataObject) -> None:
    indices = np.array(data.draw(st.lists(st.integers(0, len(palette) - 1))), np.uint8)
    ranks = palette.ranks(indices)
    assert np.array_equal(palette.indices(ranks), indices)
    luma = palette.entries()[:, :3].astype(int) @ [299, 587, 114]
    assert (np.diff(luma[palette.order()]) >= 0).all()


def test_equal_entries_keep_their_order() -> None:
    assert Palette(b"abcabcaaaabc").order().tolist() == [2, 0, 1, 3]


def test_shown() -> None:
    colours = b"\1\2\3\4\5\6"
    assert Palette(colours).shown().tolist() == [[1, 2, 3], [4, 5, 6]]
    assert Palette(colours, 3, 1).shown().tolist() == [[1, 2, 3, 255], [4, 5, 6, 0]]
    assert Palette(colours, 3, b"\7").shown().tolist() == [[1, 2, 3, 7], [4, 5, 6, 255]]
    assert Palette(b"\1\2\3\4\5\6\7\x08", 4).shown().tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert Palette(b"\1\2\3\4\5\6\7\x08", 4, b"\x09").shown().tolist() == [[1, 2, 3, 9], [5, 6, 7, 8]]


def packed(count: int, flags: int, body: bytes) -> bytes:
    body = zlib.compress(body)
    return bytes([count - 1, flags, len(body)]) + body


@pytest.mark.parametrize(
    "data",
    [
        b"\0\x40abc", b"\0\x80abc",  # unknown flags
        b"\0\x10abc", b"\0\x20abc",  # an order of what is not packed
        b"\0\x06\0\0abc",  # an index and alphas
        b"\0\x02\1abc",  # the index of no entry
        b"\0\x04\1abcde",  # more alphas than entries
        packed(2, 8, b"abcde"), packed(1, 8, b""),
        b"\0\x08\3abc",  # no zlib stream
        packed(1, 8, b"abc") [:2] + b"\x0c" + zlib.compress(b"abc") + b"!",
    ],
)  # fmt: skip
def test_a_palette_that_there_is_not_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptError):
        read(data)


def test_no_more_is_unpacked_than_a_palette_holds() -> None:
    with pytest.raises(LimitError):
        read(packed(1, 8, bytes(10_000)))


def test_every_truncation_is_told() -> None:
    data = pack_palette(Palette(bytes(range(24)), 4, b"\1\2"))
    for length in range(len(data)):
        with pytest.raises(TruncatedError):
            read(data[:length])


@given(st.binary(max_size=60))
def test_whatever_is_read_is_a_palette_or_refused(data: bytes) -> None:
    cursor = Cursor(data)
    try:
        palette = read_palette(cursor)
    except SaidError:
        return
    assert 1 <= len(palette) <= 256
    assert read(pack_palette(palette)) == palette
