"""The container's bytes: round trips, prefixes, and every kind of damage."""

import binascii
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidcodec.errors import (
    CorruptError,
    FormatError,
    LimitError,
    SaidError,
    TruncatedError,
    VersionError,
)
from saidcodec.format import container
from saidcodec.format.container import pack, unpack, varint
from saidcodec.format.header import MODES, MOST_PIXELS, SIGNATURE, VERSION, Header, Metadata
from saidcodec.format.tiling import Tiling

HEADER = Header(64, 64, "RGB", False, 2, 0, "0123abcd", 64, 2)
METADATA = Metadata(b"profile" * 9, b"MM\0*exif", b"<x:xmpmeta/>")
SMALL = pack(HEADER, METADATA, b"glimpses", [b"residual"], 0x01020304)
HEAD = len(SMALL) - 4 - len(b"residual") - 1  # bytes up to the head checksum's end


def headers() -> st.SearchStrategy[Header]:
    sides = st.one_of(st.integers(1, 300), st.integers(1, 1 << 11))

    def build(
        width: int, height: int, mode: str, grey: bool, coder: int, bound: int, side: int, bands: int
    ) -> Header:
        return Header(
            width,
            height,
            mode,
            grey and mode.startswith("RGB"),
            coder,
            bound,
            "00ff1234",
            16 << side,
            1 << bands,
        )

    return st.builds(
        build,
        sides,
        sides,
        st.sampled_from(MODES),
        st.booleans(),
        st.integers(0, 2),
        st.one_of(st.just(0), st.integers(1, 255)),
        st.integers(0, 5),
        st.integers(0, 6),
    )


def with_head(head: bytes, rest: bytes = b"") -> bytes:
    """A file of a head that was written by hand, with its right checksum."""
    return head + binascii.crc_hqx(head, 0xFFFF).to_bytes(2, "little") + rest


def with_metadata(body: bytes) -> bytes:
    """A file without residual whose unpacked metadata is ``body``."""
    packed = zlib.compress(body)
    head = SIGNATURE + b"\x06\x0a\x00\x00\x01\x23\xab\xcd\x00"
    return with_head(head + varint(len(packed)) + packed + varint(0), bytes(4))


@given(headers(), st.binary(max_size=300), st.data(), st.integers(0, 2**32 - 1))
def test_round_trip(header: Header, said: bytes, data: st.DataObject, checksum: int) -> None:
    count = (
        len(Tiling(header.width, header.height, header.side, header.most_bands).bands())
        if header.coder
        else 0
    )
    bands = [data.draw(st.binary(max_size=200)) for _ in range(count)]
    metadata = data.draw(st.builds(Metadata, st.binary(), st.binary(), st.binary()))
    file = unpack(pack(header, metadata, said, bands, checksum))
    assert file.header == header
    assert file.metadata == metadata
    assert file.said == said
    assert file.streams == tuple(bands)
    assert file.checksum == checksum


@pytest.mark.parametrize("mode", MODES)
def test_overhead_of_a_small_file_is_at_most_24_bytes(mode: str) -> None:
    header = replace(HEADER, mode=mode, max_error=255)
    said, residual = bytes(120), bytes(200)
    assert len(pack(header, Metadata(), said, [residual], 0)) - len(said) - len(residual) <= 24


def test_layout_byte_by_byte() -> None:
    header = Header(1000, 65, "RGBA", True, 1, 200, "deadbeef", 256, 4)
    file = pack(header, Metadata(), b"S", [b"a", b"bc", b"d"], 0x01020304)
    layout = 3 | 1 << 2 | 0 << 3 | 1 << 4 | 1 << 6
    head = (
        b"\xd3A\r\n\x06"
        + bytes([layout])
        + b"\xe7\x07\x40"
        + b"\xde\xad\xbe\xef"
        + b"\xc8\x01"
        + b"\x24"
        + b"\x01S"
    )
    assert file == with_head(head, b"\x06" + b"\x01\x02" + b"abcd" + b"\x04\x03\x02\x01")


def test_every_truncation_is_told() -> None:
    for length in range(1, len(SMALL)):
        with pytest.raises(TruncatedError, match="truncated"):
            unpack(SMALL[:length])
    with pytest.raises(FormatError):
        unpack(b"")


def test_a_single_band_has_no_length() -> None:
    header = replace(HEADER, most_bands=1)
    file = pack(header, METADATA, b"glimpses", [b"residual"], 0x01020304)
    assert len(file) == len(SMALL) - 1
    assert unpack(file).streams == (b"residual",)
    for length in range(1, HEAD + 4):
        with pytest.raises(TruncatedError, match="truncated"):
            unpack(file[:length])


def test_a_prefix_up_to_the_head_checksum_can_be_read() -> None:
    for length in range(len(SMALL)):
        if length < HEAD:
            with pytest.raises((TruncatedError, FormatError)):
                unpack(SMALL[:length], residual=False)
        else:
            file = unpack(SMALL[:length], residual=False)
            assert (file.header, file.metadata, file.said) == (HEADER, METADATA, b"glimpses")
            assert file.streams is None


def test_every_flipped_bit_of_the_head_is_found() -> None:
    for place in range(8 * HEAD):
        damaged = bytearray(SMALL)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(SaidError):
            unpack(bytes(damaged))


@given(st.binary(max_size=100))
def test_noise_is_refused(noise: bytes) -> None:
    for data in (noise, SIGNATURE + noise, SIGNATURE + b"\x06" + noise):
        with pytest.raises(SaidError):
            unpack(data)


@given(st.data())
def test_any_single_byte_changed_is_refused_or_harmless(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(SMALL) - 1))
    damaged = bytearray(SMALL)
    damaged[place] = data.draw(st.integers(0, 255))
    try:
        file = unpack(bytes(damaged))
    except SaidError:
        return
    assert file.header == HEADER
    assert place >= HEAD or bytes(damaged) == SMALL


@pytest.mark.parametrize("byte", [0x00, 0x01, 0x03, 0x04, 0x0F, 0x10, 0x11, 0xF1])
def test_other_versions_are_named(byte: int) -> None:
    with pytest.raises(VersionError, match=rf"version {byte >> 4}\.{byte & 15}; this program reads 0\.5"):
        unpack(SMALL[:4] + bytes([byte]) + SMALL[5:])


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n", b"\xd3A\n", b"GIF89a", b"\0" * 100])
def test_foreign_files(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"not a \.said file"):
        unpack(data)


@pytest.mark.parametrize(
    ("width", "height"),
    [(1 << 31, 1 << 31), ((1 << 24) + 1, 1), (1, (1 << 24) + 1), (1 << 14, (1 << 14) + 1), (1 << 35, 1)],
)
def test_claims_beyond_the_limits(width: int, height: int) -> None:
    head = SIGNATURE + b"\x06\x02" + varint(width - 1) + varint(height - 1)
    with pytest.raises(LimitError, match="limit of 268435456"):
        unpack(head + bytes(20))


def test_the_largest_image_is_within_the_limits() -> None:
    header = replace(HEADER, width=1 << 14, height=1 << 14, side=512, most_bands=64)
    file = unpack(pack(header, METADATA, b"", [b""] * 64, 0))
    assert file.header.width * file.header.height == MOST_PIXELS


def test_tiles_are_bounded() -> None:
    with pytest.raises(LimitError, match="more than"):
        unpack(pack(replace(HEADER, side=1024), METADATA, b"", [b""], 0))


@pytest.mark.parametrize("number", [b"\x80\x00", b"\xff\x80\x00", b"\x80\x80\x80\x80\x00"])
def test_numbers_have_one_spelling(number: bytes) -> None:
    with pytest.raises(CorruptError, match="more bytes than it needs"):
        unpack(SIGNATURE + b"\x06\x02" + number + bytes(20))


def test_endless_numbers() -> None:
    with pytest.raises(LimitError):
        unpack(SIGNATURE + b"\x06\x02" + b"\xff" * 100)


@given(st.integers(0, (1 << 35) - 1))
def test_numbers(value: int) -> None:
    cursor = container.Cursor(varint(value))
    assert cursor.varint() == value
    assert cursor.at == len(cursor.data) == max(1, -(-value.bit_length() // 7))


@pytest.mark.parametrize("layout", [0x80, 0x90, 0x70, 0x04, 0x05])
def test_impossible_layouts(layout: int) -> None:
    with pytest.raises(CorruptError, match="does not exist"):
        unpack(SIGNATURE + bytes([VERSION[1], layout]) + bytes(20))


@pytest.mark.parametrize("bound", [0, 256])
def test_impossible_error_bounds(bound: int) -> None:
    with pytest.raises(CorruptError, match="error bound"):
        unpack(SIGNATURE + b"\x06\x42\x00\x00" + bytes(4) + varint(bound) + bytes(20))


def test_trailing_bytes_are_refused() -> None:
    for tail in (b"\0", b"more"):
        with pytest.raises(CorruptError, match=f"{len(tail)} bytes too many"):
            unpack(SMALL + tail)


def test_lengths_of_bands_that_do_not_add_up() -> None:
    header = replace(HEADER, height=256, most_bands=4)
    good = pack(header, Metadata(), b"", [b"abc", b"", b"d", b"ef"], 0)
    assert unpack(good).streams == (b"abc", b"", b"d", b"ef")
    start = good.index(b"\x03\x00\x01abc")
    bad = good[:start] + b"\x7f" + good[start + 1 :]
    with pytest.raises(CorruptError, match="add up"):
        unpack(bad)
    with pytest.raises(CorruptError, match="table of lengths"):
        unpack(good[: start - 1] + b"\x02\x00\x00" + good[-4:])


def test_unknown_metadata_is_skipped_unless_critical() -> None:
    exif = b"\x02\x03II*"
    assert unpack(with_metadata(b"\x7f\x02ab\x7f\x00" + exif)).metadata == Metadata(exif=b"II*")
    with pytest.raises(VersionError, match="critical"):
        unpack(with_metadata(exif + b"\x80\x01x"))


@pytest.mark.parametrize("body", [b"\x02", b"\x02\x05II*", b"\x02\x80", b"\x02\x01I\x02\x01I"])
def test_damaged_metadata(body: bytes) -> None:
    with pytest.raises(CorruptError, match="metadata"):
        unpack(with_metadata(body))


@pytest.mark.parametrize("packed", [b"", b"noise", zlib.compress(b"")[:-1], zlib.compress(b"") + b"x"])
def test_damaged_packing_of_metadata(packed: bytes) -> None:
    head = SIGNATURE + b"\x06\x0a\x00\x00" + bytes(5) + varint(len(packed)) + packed + varint(0)
    with pytest.raises(CorruptError, match="metadata is damaged"):
        unpack(with_head(head, bytes(4)))


def test_a_metadata_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MOST_METADATA", 1 << 16)
    with pytest.raises(LimitError, match="unpacks to more than 65536"):
        unpack(with_metadata(bytes(1 << 20)))
    with pytest.raises(LimitError, match="more than the limit"):
        pack(HEADER, Metadata(icc=bytes(1 << 17)), b"", [b""], 0)


def test_sizes_account_for_the_sections() -> None:
    sizes = unpack(SMALL).sizes
    assert sizes["said"] == len(b"glimpses")
    assert sizes["residual"] == len(b"residual")
    assert sizes["metadata"] == len(container.pack_metadata(METADATA))
