"""Chunks of PNG files are read, fitted to the pixels' mode and written back."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from pictures import picture_of, pixels_of
from PIL import Image

from saidcodec import images
from saidcodec.errors import SaidWarning
from saidcodec.format.header import Metadata, Resolution, Text, Unit
from saidcodec.images import png_chunks

COLOURS = (
    (b"cICP", bytes([1, 13, 0, 1])),
    (b"gAMA", struct.pack(">I", 45455)),
    (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
    (b"sRGB", b"\1"),
    (b"tIME", struct.pack(">H5B", 2026, 11, 26, 15, 0, 60)),
)
TEXTS = (
    Text("Title", "caf\xe9"),
    Text("Title", "twice"),
    Text("Long", "word " * 900),
    Text("Author", "Łukasz", "pl", "Autor"),
    Text("Long", "длинный " * 900, "ru"),
    Text("Empty", ""),
)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(image: Image.Image, *chunks: tuple[bytes, bytes], last: bytes = b"") -> bytes:
    """A PNG file with these chunks before its pixels and ``last`` behind them."""
    file = io.BytesIO()
    image.save(file, "PNG")
    data = file.getvalue()
    at = data.index(b"IDAT") - 4
    return data[:at] + b"".join(chunk(*one) for one in chunks) + data[at:-12] + last + data[-12:]


def chunks_in(data: bytes) -> list[tuple[bytes, bytes]]:
    return [(kind, data[start : start + length]) for kind, start, length in png_chunks.places(data)]


@pytest.mark.parametrize(
    ("mode", "more"),
    [
        ("L", ((b"sBIT", b"\5"), (b"bKGD", b"\0\x20"))),
        ("LA", ((b"sBIT", b"\5\6"), (b"bKGD", b"\0\x20"))),
        ("RGB", ((b"sBIT", b"\5\6\5"), (b"bKGD", b"\0\1\0\2\0\3"))),
        ("RGBA", ((b"sBIT", b"\5\6\5\4"), (b"bKGD", b"\0\1\0\2\0\3"))),
    ],
)
def test_colours_time_texts_and_resolution_come_back(
    mode: str, more: tuple[tuple[bytes, bytes], ...]
) -> None:
    metadata = Metadata(
        xmp="<x>ł</x>".encode(),
        resolution=Resolution(Unit.METRE, (11811, 1), (5000, 1)),
        texts=TEXTS,
        chunks=(*COLOURS, *more),
    )
    file = io.BytesIO()
    images.save_exactly(picture_of(pixels_of(mode), metadata), file, "PNG")
    found = images.from_file(file.getvalue(), "it")[2]
    assert found.texts == TEXTS
    assert found == metadata
    order = [kind for kind, _ in chunks_in(file.getvalue())]
    assert order.index(b"sRGB") < order.index(b"bKGD") < order.index(b"IDAT")
    image = Image.open(file)
    image.load()
    assert image.info["gamma"] == 0.45455
    assert image.text["Author"].lang == "pl"


def test_chunks_in_another_order_are_the_same() -> None:
    chunks = ((b"bKGD", b"\0\x20"), (b"gAMA", bytes([0, 0, 177, 143])), (b"sBIT", b"\5"))
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images.save_exactly(picture_of(pixels_of("L"), Metadata(chunks=chunks)), file, "PNG")
    found = images.from_file(file.getvalue(), None)[2]
    assert found.chunks != chunks
    assert images.differing(found, Metadata(chunks=chunks)) == []
    assert images.differing(found, Metadata(chunks=chunks[1:])) == ["PNG chunks"]


def test_texts_behind_the_pixels_keep_their_order() -> None:
    last = chunk(b"tEXt", b"b\0two") + chunk(b"iTXt", b"a\0\1\0en\0A\0" + zlib.compress(b"three"))
    data = with_chunks(Image.new("L", (2, 2)), (b"zTXt", b"c\0\0" + zlib.compress(b"one")), last=last)
    texts = images.from_file(data, "it")[2].texts
    assert texts == (Text("c", "one"), Text("b", "two"), Text("a", "three", "en", "A"))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"zTXt", b"key\0\0" + zlib.compress(b"text")[:-3]),
        (b"zTXt", b"key\0\0nonsense"),
        (b"zTXt", b"key\0\1" + zlib.compress(b"text")),
        (b"iTXt", b"key\0\0\0en\0\0\xff\xfe"),
        (b"iTXt", b"key\0\0\0"),
        (b"tEXt", b"key"),
    ],
)
def test_damaged_texts_are_named(kind: bytes, body: bytes) -> None:
    with pytest.warns(SaidWarning, match="text key cannot be kept"):
        assert png_chunks.read(with_chunks(Image.new("L", (2, 2)), (kind, body))).texts == ()


def test_a_text_that_unpacks_to_too_much_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_chunks, "MOST_METADATA", 1000)
    data = with_chunks(Image.new("L", (2, 2)), (b"zTXt", b"key\0\0" + zlib.compress(bytes(10_000))))
    with pytest.warns(SaidWarning, match="text key"):
        assert png_chunks.read(data).texts == ()


def test_chunks_of_palettes_and_few_bits_fit_the_pixels() -> None:
    palette = Image.fromarray(pixels_of("RGB")).quantize(11)
    data = with_chunks(palette, (b"sBIT", b"\5\6\5"), (b"bKGD", b"\3"))
    assert images.from_file(data, "it")[2].chunks == (
        (b"sBIT", b"\5\6\5"),
        (b"bKGD", b"\3"),
    )
    bilevel = Image.fromarray(np.eye(5, dtype=bool))
    data = with_chunks(bilevel, (b"sBIT", b"\1"), (b"bKGD", b"\0\1"))
    assert images.from_file(data, "it")[2].chunks == ((b"sBIT", b"\1"), (b"bKGD", b"\0\1"))


def test_palette_and_bilevel_images_keep_their_own() -> None:
    palette = png_chunks.read(with_chunks(Image.new("P", (2, 2)), (b"sBIT", b"\5\6\5"), (b"bKGD", b"\0")))
    assert png_chunks.for_mode(palette, "P") == palette.chunks
    bilevel = png_chunks.read(with_chunks(Image.new("1", (2, 2)), (b"sBIT", b"\1"), (b"bKGD", b"\0\1")))
    assert png_chunks.for_mode(bilevel, "1") == bilevel.chunks


def test_keys_are_told_without_control_characters() -> None:
    data = with_chunks(Image.new("L", (2, 2)), (b"tEXt", b"\x1b[2J\nkey"))
    with pytest.warns(SaidWarning, match=r"text \?\[2J\?key cannot"):
        png_chunks.read(data)


def test_a_transparent_colour_has_no_significant_bits_of_its_own() -> None:
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, "PNG", transparency=(1, 2, 3))
    data = file.getvalue()
    at = data.index(b"tRNS") - 4
    data = data[:at] + chunk(b"sBIT", b"\5\6\5") + data[at:]
    assert images.from_file(data, "it")[2].chunks == ((b"sBIT", b"\5\6\5"),)


def test_chunks_of_a_wrong_length_are_named() -> None:
    with pytest.warns(SaidWarning, match="PNG chunk gAMA cannot be kept"):
        found = images.from_file(with_chunks(Image.new("L", (2, 2)), (b"gAMA", bytes(5))), "it")[2]
    assert found == Metadata()


def test_a_file_that_is_cut_off_ends_the_list() -> None:
    data = with_chunks(Image.new("L", (2, 2)), *COLOURS)
    for length in range(8, len(data)):
        assert len(chunks_in(data[:length])) <= len(chunks_in(data))


def test_deleting_the_metadata_of_an_open_image_deletes_it(tmp_path: Path) -> None:
    """What Pillow's user sees of an image is what is encoded of it, whatever its file says."""
    path = tmp_path / "it.png"
    path.write_bytes(with_chunks(Image.new("L", (2, 2)), *COLOURS, (b"tEXt", b"Title\0text")))
    image = Image.open(path)
    told = images.from_any(image)[2]
    assert told.texts == (Text("Title", "text"),)
    assert {kind for kind, _ in told.chunks} == {b"gAMA", b"cHRM", b"sRGB"}
    assert set(told.chunks) < set(COLOURS)
    image.info.clear()
    assert images.from_any(image)[2] == Metadata()
