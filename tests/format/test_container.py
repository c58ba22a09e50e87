"""The container's bytes: round trips, prefixes, and every kind of damage."""

import binascii
import zlib
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import example, given
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
from saidcodec.format.colour import Transform
from saidcodec.format.container import head_check, head_of, unpack
from saidcodec.format.cursor import Cursor, varint
from saidcodec.format.header import (
    ADAPTIVE_PIXELS,
    MODES,
    MOST_PIXELS,
    OLD_SIGNATURE,
    SIGNATURE,
    VERSION,
    Header,
    Metadata,
    Mode,
    ResidualCoder,
)
from saidcodec.format.palette import Palette
from saidcodec.format.tiling import Tiling, choose_tiling


def pack(header: Header, metadata: Metadata, streams: Sequence[bytes]) -> bytes:
    return container.pack(header, head_of(header, metadata), streams)


HEADER = Header(64, 64, Mode.RGB, False, ResidualCoder.CONTEXT, 0, "0123", 64, 2)
NOW = rf"{VERSION[0]}\.{VERSION[1]}"
METADATA = Metadata(b"profile" * 9, b"MM\0*exif", b"<x:xmpmeta/>")
SMALL = pack(HEADER, METADATA, [b"stream"])
HEAD = len(SMALL) - len(b"stream")  # bytes before the only band's stream


def headers() -> st.SearchStrategy[Header]:
    sides = st.one_of(st.integers(1, 300), st.integers(1, 1 << 11))

    def build(
        sides: tuple[int, int], mode: Mode, grey: bool, coder: int, bound: int, tiling: tuple[int, int] | None
    ) -> Header:
        how = ResidualCoder(coder)
        replicated = grey and mode.startswith("RGB")
        bound = 0 if how == ResidualCoder.MIXED else bound
        return Header(*sides, mode, replicated, how, bound, "00ff", *(tiling or choose_tiling(*sides)))

    def adapted(header: Header, usual: bool) -> Header:
        return header._replace(adaptive=header.usually_adaptive == (usual or not header.coder.has_network))

    def formed(header: Header, key: tuple[int, ...], which: int, ranked: bool) -> Header:
        colours = 3 if header.mode == Mode.RGB else 1
        lossless = header._replace(max_error=0, coder=header.coder or ResidualCoder.GAUSSIAN)
        if which == 1 and header.mode in (Mode.L, Mode.RGB):
            return header._replace(key=key[:colours])
        if which == 2 and header.mode == Mode.L:
            return lossless._replace(depth=1, key=key[:1] if ranked else None)
        if which == 3 and header.mode == Mode.L:
            return lossless._replace(palette=Palette(b"abcdef", 3, 1), ranked=ranked)
        return header

    numbers = st.tuples(*[st.integers(0, (1 << 16) - 1)] * 3)
    built = st.builds(
        build,
        st.one_of(st.tuples(sides, sides), sides.map(lambda side: (side, side))),
        st.sampled_from(Mode),
        st.booleans(),
        st.integers(0, 3),
        st.one_of(st.just(0), st.integers(1, 255)),
        st.one_of(st.none(), st.sampled_from([(16 << side, 1 << b) for side in range(6) for b in range(7)])),
    )
    built = st.builds(formed, built, numbers, st.integers(0, 3), st.booleans())
    return st.builds(adapted, built, st.booleans())


def with_metadata(body: bytes) -> bytes:
    """A file of one pixel whose unpacked metadata is ``body``."""
    packed = zlib.compress(body)
    return SIGNATURE + b"\x22\x00\x01\x23" + varint(len(packed)) + packed + b"stream"


@given(headers(), st.data())
def test_round_trip(header: Header, data: st.DataObject) -> None:
    streams = [data.draw(st.binary(max_size=200)) for _ in range(Tiling.of(header).count_bands())]
    metadata = data.draw(st.builds(lambda *parts: Metadata(*parts), st.binary(), st.binary(), st.binary()))
    whole = pack(header, metadata, streams)
    file = unpack(whole)
    assert file.header == header
    assert file.metadata == metadata
    assert file.streams == tuple(streams)
    assert file.complete
    assert file.head == head_of(header, metadata)
    assert file.size == len(whole)


@pytest.mark.parametrize("mode", [Mode(mode) for mode in MODES])
@pytest.mark.parametrize("replicated", [False, True])
@pytest.mark.parametrize("coder", ResidualCoder)
def test_a_head_of_64_by_64_has_seven_bytes(mode: Mode, replicated: bool, coder: ResidualCoder) -> None:
    header = Header(64, 64, mode, replicated and mode.startswith("RGB"), coder, 0, "0123", 64, 1)
    assert len(head_of(header, Metadata())) == 7


def test_layout_byte_by_byte() -> None:
    header = Header(1000, 65, Mode.RGBA, True, ResidualCoder.GAUSSIAN, 200, "deadbeef", 256, 4)
    layout = 5 | 1 << 3 | 0 << 5 | 1 << 6 | 1 << 7
    head = b"\xdb\r\n" + bytes([layout, 1]) + b"\xcf\x0f\x40" + b"\xde\xad" + b"\xc8\x01" + b"\x24"
    assert pack(header, Metadata(), [b"abcd"]) == head + b"\x04abcd"
    start = binascii.crc_hqx(b"\xde\xad\xbe\xef", 0xFFFF)
    assert head_check(head, "deadbeef") == binascii.crc_hqx(head, start).to_bytes(2, "little")


def test_near_lossless_colours_have_an_order() -> None:
    colours = Header(8, 8, Mode.RGB, False, ResidualCoder.CONTEXT, 2, "01234567", 16, 1)
    assert head_of(colours, Metadata()) == b"\xdb\r\n\x52\x0e\x01\x23\x02\x03"
    assert colours.transform == Transform.GBR
    other = colours._replace(differences=Transform.BGR)
    found = unpack(pack(other, Metadata(), [bytes(8)])).header
    assert found.transform == Transform.BGR
    for plain in (
        colours._replace(max_error=0),
        colours._replace(replicated=True),
        colours._replace(mode=Mode.L),
    ):
        assert plain.transform == Transform.YCOCG
        assert len(head_of(plain, Metadata())) == len(head_of(colours, Metadata())) - 1 - (
            not plain.max_error
        )
    with pytest.raises(CorruptError, match="order of channels"):
        unpack(b"\xdb\r\n\x52\x0e\x01\x23\x02\x06" + bytes(8))


def test_what_is_usual_is_not_written() -> None:
    plain = Header(200, 200, Mode.L, False, ResidualCoder.CONTEXT, 0, "0123", 64, 1, True)
    assert head_of(plain, Metadata()) == b"\xdb\r\n\x10\x8e\x03\x01\x23"
    assert plain.width * plain.height >= ADAPTIVE_PIXELS
    still = plain._replace(adaptive=False)
    assert head_of(still, Metadata()) == b"\xdb\r\n\x90\x02\x8e\x03\x01\x23"
    finer = plain._replace(side=32)
    assert head_of(finer, Metadata()) == b"\xdb\r\n\x90\x01\x8e\x03\x01\x23\x01"


def test_every_truncation_is_told() -> None:
    for length in range(1, len(SMALL)):
        with pytest.raises(TruncatedError, match="truncated"):
            unpack(SMALL[:length])
    with pytest.raises(FormatError):
        unpack(b"")


def test_a_single_band_has_no_length() -> None:
    header = HEADER._replace(most_bands=1)
    file = pack(header, METADATA, [b"stream"])
    assert unpack(file).streams == (b"stream",)
    end = len(file) - len(b"stream")
    for length in range(1, end):
        with pytest.raises(TruncatedError, match="truncated"):
            unpack(file[:length])
    assert unpack(file[: end + 2]).streams == (b"st",)  # what it lacks shows when it is decoded


def test_the_front_of_a_file_can_be_read() -> None:
    header = HEADER._replace(height=256, most_bands=4)
    whole = pack(header, METADATA, [b"abc", b"", b"d", b"ef"])
    end = whole.index(b"abc")
    for length in range(len(whole)):
        if length < end:
            with pytest.raises((TruncatedError, FormatError)):
                unpack(whole[:length], whole=False)
        else:
            file = unpack(whole[:length], whole=False)
            assert (file.header, file.metadata) == (header, METADATA)
            assert not file.complete
            assert b"".join(file.streams) == whole[end:length]


@given(st.binary(max_size=100))
@example(b"\n" + bytes(7))  # version 0.10 after the signature of versions up to 0.5
def test_noise_is_refused(noise: bytes) -> None:
    for data in (noise, SIGNATURE + noise, OLD_SIGNATURE + noise):
        with suppress(SaidError):
            file = unpack(data)
            assert data.startswith(SIGNATURE)
            assert pack(file.header, file.metadata, file.streams) == data or file.metadata != Metadata()


@given(st.integers(0, len(SMALL) - 1), st.integers(1, 255))
def test_any_single_byte_changed_is_refused_or_another_head(place: int, change: int) -> None:
    damaged = bytearray(SMALL)
    damaged[place] ^= change
    with suppress(SaidError):
        file = unpack(bytes(damaged))
        assert (head_check(file.head, "0123abcd") != head_check(SMALL[: HEAD - 1], "0123abcd")) == (
            place < HEAD - 1
        )


@pytest.mark.parametrize("byte", [0xD0, 0xD6, 0xD7, 0xD8, 0xDF])
def test_other_versions_are_named(byte: int) -> None:
    with pytest.raises(VersionError, match=rf"version 0\.{byte & 15}; this program reads {NOW}"):
        unpack(bytes([byte]) + SMALL[1:])


@pytest.mark.parametrize("byte", [0x03, 0x04, 0x05])
def test_older_versions_are_named(byte: int) -> None:
    with pytest.raises(VersionError, match=rf"version 0\.{byte}; this program reads {NOW}"):
        unpack(OLD_SIGNATURE + bytes([byte]) + bytes(30))


@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n", b"\xd3A\n", b"\xd8\n", b"\xe6\r\n", b"GIF89a", b"\0" * 100]
)
def test_foreign_files(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"not a \.said file"):
        unpack(data)


@pytest.mark.parametrize(
    ("width", "height"),
    [(1 << 31, 1 << 31), ((1 << 24) + 1, 1), (1, (1 << 24) + 1), (1 << 14, (1 << 14) + 1), (1 << 34, 1)],
)
def test_claims_beyond_the_limits(width: int, height: int) -> None:
    same = width == height
    head = SIGNATURE + b"\x02" + varint(2 * (width - 1) + (not same)) + (b"" if same else varint(height - 1))
    with pytest.raises(LimitError, match="limit of 268435456"):
        unpack(head + bytes(20))


def test_the_largest_image_is_within_the_limits() -> None:
    header = HEADER._replace(width=1 << 14, height=1 << 14, side=512, most_bands=64)
    file = unpack(pack(header, METADATA, [b""] * Tiling.of(header).count_bands()))
    assert file.header.width * file.header.height == MOST_PIXELS


def test_tiles_are_bounded() -> None:
    with pytest.raises(LimitError, match="more than"):
        unpack(pack(HEADER._replace(side=1024), METADATA, [b""]))


@pytest.mark.parametrize("number", [b"\x80\x00", b"\xff\x80\x00", b"\x80\x80\x80\x80\x00"])
def test_numbers_have_one_spelling(number: bytes) -> None:
    with pytest.raises(CorruptError, match="more bytes than it needs"):
        unpack(SIGNATURE + b"\x02" + number + bytes(20))


def test_endless_numbers() -> None:
    with pytest.raises(LimitError):
        unpack(SIGNATURE + b"\x02" + b"\xff" * 100)


@given(st.integers(0, (1 << 35) - 1))
def test_numbers(value: int) -> None:
    cursor = Cursor(varint(value))
    assert cursor.varint() == value
    assert cursor.at == len(cursor.data) == max(1, -(-value.bit_length() // 7))


@pytest.mark.parametrize(
    "layout", [b"\x06", b"\x07", b"\x58", b"\x80\x00", b"\x90\x04", b"\x90\x83", b"\x80\x02", b"\x88\x02"]
)
def test_impossible_layouts(layout: bytes) -> None:
    with pytest.raises(CorruptError, match="does not exist"):
        unpack(SIGNATURE + layout + bytes(20))


def test_parities_are_a_bit_of_the_head() -> None:
    found = HEADER._replace(width=200, height=200, most_bands=1, adaptive=True, by_parity=True)
    assert head_of(found, METADATA)[4] == 8
    assert head_of(found._replace(decided=True), METADATA)[4] == 4 | 8
    assert unpack(pack(found, METADATA, [b"stream"])).header == found
    for still in (
        found._replace(adaptive=False),
        found._replace(width=20, height=20, side=32, adaptive=False),
    ):
        with pytest.raises(CorruptError, match="does not exist"):
            unpack(pack(still, METADATA, [b"stream"]))


def test_decisions_are_a_bit_of_the_head() -> None:
    decided = HEADER._replace(width=200, height=200, most_bands=1, adaptive=True, decided=True)
    assert head_of(decided, METADATA)[4] == 4
    assert unpack(pack(decided, METADATA, [b"stream"])).header == decided
    small = decided._replace(width=20, height=20, side=32)
    assert head_of(small, METADATA)[4] == 2 | 4
    mixed = decided._replace(coder=ResidualCoder.MIXED)
    assert unpack(pack(mixed, METADATA, [b"stream"])).header == mixed
    wide = decided._replace(width=(1 << 15) + 1, height=16)
    with pytest.raises(LimitError, match="decisions over 32769 columns"):
        unpack(pack(wide, METADATA, [b"stream"]))


@pytest.mark.parametrize(
    "head",
    [
        b"\x92\x06\x8e\x03\x01\x23",  # large, without adaptation
        b"\x92\x04\x26\x01\x23",  # small, without adaptation
        b"\xd2\x04\x8e\x03\x01\x23\x01",  # near-lossless
        b"\x97\x04\x12\x0a\x8e\x03",  # wide
        b"\x97\x06\x12\x0a\x26",  # wide, and small
        b"\x8a\x04\x8e\x03\x01\x23",  # Gaussian
        b"\x82\x04\x8e\x03\x01\x23",  # without a residual
    ],
)
def test_decisions_need_adaptation_and_no_errors(head: bytes) -> None:
    with pytest.raises(CorruptError, match="does not exist"):
        unpack(SIGNATURE + head + bytes(20))


def test_a_square_has_one_side() -> None:
    with pytest.raises(CorruptError, match="same side twice"):
        unpack(SIGNATURE + b"\x02\x0f\x07" + bytes(20))


@pytest.mark.parametrize("bound", [0, 256])
def test_impossible_error_bounds(bound: int) -> None:
    with pytest.raises(CorruptError, match="error bound"):
        unpack(SIGNATURE + b"\x42\x00" + bytes(2) + varint(bound) + bytes(20))


def test_trailing_bytes_are_refused() -> None:
    for tail in (b"\0", b"more"):
        with pytest.raises(CorruptError, match=f"{len(tail)} bytes too many"):
            unpack(SMALL + tail)


def test_more_bands_than_bytes_are_refused_at_once() -> None:
    header = HEADER._replace(width=16, height=1 << 15, side=16, most_bands=1 << 11)
    data = head_of(header, Metadata()) + bytes(100)
    for whole in (True, False):
        with pytest.raises(TruncatedError, match="cannot hold 2048 bands"):
            unpack(data, whole=whole)


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
    with pytest.raises(CorruptError, match="metadata is damaged"):
        unpack(SIGNATURE + b"\x22\x00" + bytes(2) + varint(len(packed)) + packed + bytes(4))


def test_a_metadata_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("container", "metadata"):
        monkeypatch.setattr(f"saidcodec.format.{module}.MOST_METADATA", 1 << 16)
    with pytest.raises(LimitError, match="unpacks to more than 65536"):
        unpack(with_metadata(bytes(1 << 20)))
    with pytest.raises(LimitError, match="more than the limit"):
        pack(HEADER, Metadata(icc=bytes(1 << 17)), [b""])


def test_the_size_of_metadata_is_told() -> None:
    assert unpack(SMALL).metadata_bytes == len(container.pack_metadata(METADATA))
