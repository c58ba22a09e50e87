"""The table of a file of several frames: round trips, and every kind of damage."""

import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidcodec.errors import CorruptError, LimitError, SaidError, TruncatedError
from saidcodec.format import container
from saidcodec.format.cursor import Cursor, varint
from saidcodec.format.frames import (
    IS_SEQUENCE,
    MOST_FRAMES,
    Frame,
    FrameKind,
    FrameTable,
    pack_frames,
    pack_table,
    parsed_table,
    read_table,
)
from saidcodec.format.header import SIGNATURE

NUMBERS = st.integers(0, (1 << 32) - 1)


@st.composite
def frames(draw: st.DrawFn, kinds: tuple[FrameKind, ...] = tuple(FrameKind)) -> Frame:
    kind = draw(st.sampled_from(kinds))
    x, y = (draw(NUMBERS), draw(NUMBERS)) if kind.is_rectangle else (0, 0)
    length = draw(st.integers(0, 99)) if kind != FrameKind.SAME else 0
    own = kind != FrameKind.SAME and draw(st.booleans())
    key = draw(st.binary(min_size=4, max_size=4)) if kind == FrameKind.MASKED else bytes(4)
    return Frame(kind, draw(NUMBERS), length, x, y, own, key)


TABLES = st.builds(
    FrameTable,
    NUMBERS,
    st.integers(1, (1 << 32) - 1),
    st.builds(
        lambda first, more: (first, *more),
        frames((FrameKind.WHOLE,)),
        st.lists(frames(), min_size=1, max_size=5),
    ),
)


@given(TABLES, st.data())
def test_round_trip(table: FrameTable, data: st.DataObject) -> None:
    files = [data.draw(st.binary(min_size=frame.length, max_size=frame.length)) for frame in table.frames]
    packed = pack_frames(table, files)
    assert container.split(packed) == (table, files)
    for length in (len(packed) - 1, len(packed) // 2):
        if sum(map(len, files)):
            with pytest.raises(TruncatedError):
                container.split(packed[:length])
    with pytest.raises(CorruptError, match="1 bytes too many"):
        container.split(packed + b"-")


def test_identical_frames_take_a_byte() -> None:
    same = Frame(FrameKind.SAME, 40)
    few = FrameTable(0, 1000, (Frame(FrameKind.WHOLE, 40, 9), same))
    many = FrameTable(0, 1000, (Frame(FrameKind.WHOLE, 40, 9), *[same] * 101))
    assert len(pack_table(many)) == len(pack_table(few)) + 100


def file_of(table: bytes) -> bytes:
    check = zlib.crc32(table).to_bytes(4, "little")
    return SIGNATURE + IS_SEQUENCE + varint(len(table)) + table + check


START = varint(0) + varint(1000)
WHOLE = b"\1" + varint(0)
MALFORMED = {
    "empty": b"",
    "no frames": START,
    "one frame": START + WHOLE,
    "no ticks": varint(0) + varint(0) + 2 * WHOLE,
    "first is the same": START + b"\0" + WHOLE,
    "first is a part": START + b"\2" + 3 * varint(0) + WHOLE,
    "cut off": START + WHOLE + b"\2" + varint(0),
    "unknown flag": START + WHOLE + b"\x11" + varint(0),
    "metadata of the same": START + WHOLE + b"\x08",
    "number in too many bytes": START + WHOLE + b"\1\x80\0",
}


@pytest.mark.parametrize("table", MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_refused(table: bytes) -> None:
    for whole in (True, False):
        with pytest.raises(CorruptError):
            container.split(file_of(table), whole=whole)


@pytest.mark.parametrize(
    "table", [varint(1 << 32) + varint(1) + 2 * WHOLE, START + WHOLE + b"\5" + varint(1 << 32) + varint(0)]
)
def test_numbers_have_limits(table: bytes) -> None:
    with pytest.raises(LimitError):
        container.split(file_of(table))


def test_too_many_frames_are_refused_before_they_are_held() -> None:
    table = START + WHOLE + bytes(MOST_FRAMES - 1)
    assert len(parsed_table(Cursor(table), len(table)).frames) == MOST_FRAMES
    data = file_of(START + WHOLE + bytes(1 << 24))
    tracemalloc.start()
    with pytest.raises(LimitError, match="more than 65536 frames"):
        container.split(data)
    assert tracemalloc.get_traced_memory()[1] < 1 << 26
    tracemalloc.stop()


@given(st.binary(max_size=40), st.booleans())
def test_any_table_is_read_or_refused(table: bytes, right: bool) -> None:
    data = file_of(table) if right else SIGNATURE + IS_SEQUENCE + table
    try:
        found = read_table(Cursor(data[len(SIGNATURE) :]))
    except SaidError:
        return
    assert parsed_table(Cursor(pack_table(found)), len(pack_table(found))) == found


@given(st.integers(0, 40), st.integers(1, 255))
def test_a_changed_byte_is_noticed(place: int, change: int) -> None:
    table = FrameTable(3, 1000, (Frame(FrameKind.WHOLE, 40, 2), Frame(FrameKind.PART, 40, 1, 5, 6)))
    data = bytearray(pack_frames(table, [b"ab", b"c"]))
    end = len(data) - 3  # of the table and its checksum
    data[place % end] ^= change
    try:
        assert container.split(bytes(data)) is None  # one image, that is
    except SaidError:
        return
