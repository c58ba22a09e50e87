"""Forms: what a file says of modes beyond the common ones."""

import pytest

from saidcodec.errors import CorruptError
from saidcodec.format import container
from saidcodec.format.header import Header, Metadata, Mode, ResidualCoder
from saidcodec.format.palette import Palette

GREY = Header(8, 8, Mode.L, False, ResidualCoder.CONTEXT, 0, "0123", 16, 1)
COLOUR = GREY._replace(mode=Mode.RGB)
LAYOUT, FORM = 3, 4  # places of these bytes in a head without an extension


def head_of(header: Header) -> bytes:
    return container.head_of(header, Metadata())


def read(head: bytes) -> Header:
    return container.unpack(head + b"stream").header


@pytest.mark.parametrize(
    ("header", "form", "more"),
    [
        (GREY._replace(mode=Mode.CMYK), 6, b""),
        (GREY._replace(depth=1), 8, b""),
        (GREY._replace(depth=1, key=(255,)), 8 | 64, b"\xff\x01"),
        (GREY._replace(key=(3,)), 64, b"\x03"),
        (COLOUR._replace(key=(1, 2, 3)), 2 | 64, b"\1\2\3"),
        (COLOUR._replace(replicated=True, key=(1, 1, 1)), 4 | 64, b"\1\1\1"),
        (GREY._replace(palette=Palette(b"abc")), 7, b"\0\0abc"),
        (GREY._replace(palette=Palette(b"abc"), ranked=True), 7 | 128, b"\0\0abc"),
    ],
)
def test_a_form_follows_the_layout(header: Header, form: int, more: bytes) -> None:
    head = head_of(header)
    assert head == b"\xdb\r\n" + bytes([16 | 7, form]) + b"\x0e\x01\x23" + more
    assert read(head) == header


@pytest.mark.parametrize(
    "form",
    [
        *range(6),  # modes of a layout
        6 | 64, 7 | 64, 1 | 64, 3 | 64, 5 | 64,  # a key of what has alpha, or none
        0 | 128, 6 | 128, 8 | 128,  # ranks of nothing
        1 | 8, 2 | 8, 6 | 8, 7 | 8,  # one bit of colours
        *range(24, 64, 8),  # other depths
    ],
)  # fmt: skip
def test_a_form_that_there_is_not_is_refused(form: int) -> None:
    head = bytearray(head_of(GREY._replace(mode=Mode.CMYK)))
    head[FORM] = form
    with pytest.raises(CorruptError, match="does not exist"):
        read(bytes(head) + b"\1\1\1\0\0abc")


def test_mode_six_is_refused() -> None:
    head = bytearray(head_of(GREY))
    head[LAYOUT] |= 6
    with pytest.raises(CorruptError, match="does not exist"):
        read(bytes(head))


@pytest.mark.parametrize("header", [GREY._replace(depth=1), GREY._replace(palette=Palette(b"abc"))])
@pytest.mark.parametrize("change", [{"max_error": 1}, {"coder": ResidualCoder.NONE}])
def test_bits_and_indices_are_lossless(header: Header, change: dict[str, int]) -> None:
    with pytest.raises(CorruptError, match="does not exist"):
        read(head_of(header._replace(**change)))


def test_a_number_of_a_key_has_sixteen_bits() -> None:
    assert read(head_of(GREY._replace(key=(65535,)))).key == (65535,)
    with pytest.raises(CorruptError, match="does not exist"):
        read(head_of(GREY._replace(key=(65536,))))


def test_what_is_shown() -> None:
    palette = Palette(b"abc")
    shown = {
        "1": GREY._replace(depth=1),
        "L": GREY,
        "RGB": COLOUR,
        "CMYK": GREY._replace(mode=Mode.CMYK),
        "P": GREY._replace(palette=palette),
    }
    assert {header.presentation.mode for header in shown.values()} == set(shown)
    assert shown["P"].presentation.palette == palette
    assert GREY._replace(key=(3,)).presentation.key == (3,)


WIDE = COLOUR._replace(depth=12, model="")


@pytest.mark.parametrize("header", [WIDE, WIDE._replace(depth=16, mode=Mode.L, max_error=32767)])
def test_wide_images_have_a_depth_and_no_model(header: Header) -> None:
    head = head_of(header)
    channels = 2 if header.mode == Mode.RGB else 0
    start = b"\xdb\r\n" + bytes([16 | 7 | 64 * bool(header.max_error), channels | 16, header.depth, 0x0E])
    assert head.startswith(start)
    assert read(head) == header
    assert read(head).presentation.mode == ("RGB;16" if channels else "I;16")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (LAYOUT, 7), (LAYOUT, 8 | 7), (LAYOUT, 24 | 7),  # other residual coders
        (FORM, 6 | 16), (FORM, 7 | 16), (FORM, 3 | 16 | 64), (FORM, 2 | 16 | 128),  # not wide
        (FORM + 1, 8), (FORM + 1, 17), (FORM + 1, 0), (FORM + 1, 255),  # depths
    ],
)  # fmt: skip
def test_wide_images_that_there_are_not_are_refused(place: int, value: int) -> None:
    head = bytearray(head_of(WIDE))
    head[place] = value
    with pytest.raises(CorruptError, match="does not exist"):
        read(bytes(head) + b"\1\1\1\1")


@pytest.mark.parametrize(("mode", "key"), [(Mode.L, (4095,)), (Mode.RGB, (0, 4095, 7))])
def test_numbers_of_a_wide_key_are_samples(mode: Mode, key: tuple[int, ...]) -> None:
    header = WIDE._replace(mode=mode, key=key)
    assert read(head_of(header)) == header
    assert read(head_of(header)).presentation.key == key
    with pytest.raises(CorruptError, match="does not exist"):
        read(head_of(header._replace(key=(*key[:-1], 4096))))


def test_errors_of_wide_images_are_bounded() -> None:
    with pytest.raises(CorruptError, match="impossible error"):
        read(head_of(WIDE._replace(max_error=32768)))
