"""Items of metadata: round trips, and what is malformed is refused, as by the plain decoder."""

import tracemalloc
import zlib

import plain_decoder
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidcodec import arguments
from saidcodec.errors import CorruptError, LimitError, SaidError
from saidcodec.format.cursor import varint
from saidcodec.format.header import Metadata, Resolution, Text, Unit
from saidcodec.format.metadata import CHUNKS, MOST_TEXTS, items_of, metadata_of

TERMS = st.tuples(st.integers(1, (1 << 32) - 1), st.integers(1, (1 << 32) - 1))
LATIN = st.characters(min_codepoint=1, max_codepoint=255)
ASCII = st.characters(min_codepoint=1, max_codepoint=127)
NO_NUL = st.characters(min_codepoint=1, exclude_categories=["Cs"])
TEXTS = st.builds(
    Text, st.text(LATIN, min_size=1, max_size=79), st.text(), st.text(ASCII), st.text(NO_NUL, max_size=9)
)


@st.composite
def chunks(draw: st.DrawFn) -> tuple[tuple[bytes, bytes], ...]:
    kinds = draw(st.lists(st.sampled_from(sorted(CHUNKS)), unique=True))
    lengths = [draw(st.sampled_from(CHUNKS[kind])) for kind in kinds]
    return tuple((kind, draw(st.binary(min_size=n, max_size=n))) for kind, n in zip(kinds, lengths))


ANY = st.builds(
    Metadata,
    st.binary(),
    st.binary(),
    st.binary(),
    st.none() | st.builds(Resolution, st.sampled_from(Unit), TERMS, TERMS),
    st.lists(TEXTS, max_size=4).map(tuple),
    st.binary(),
    chunks(),
)


@given(ANY)
def test_round_trip(metadata: Metadata) -> None:
    items = items_of(metadata)
    assert metadata_of(items) == metadata
    assert set(plain_decoder.items(zlib.compress(items))) == {
        kind for kind, value in enumerate(metadata, 1) if value
    }
    arguments.check_metadata(metadata)


def item(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + varint(len(value)) + value


def fields(*values: bytes) -> bytes:
    return b"".join(varint(len(value)) + value for value in values)


ONE = varint(1)
MALFORMED = {
    "no resolution": item(4, b""),
    "unit": item(4, b"\4" + 4 * ONE),
    "three numbers": item(4, b"\1" + 3 * ONE),
    "five numbers": item(4, b"\1" + 5 * ONE),
    "nought": item(4, b"\1" + 3 * ONE + b"\0"),
    "too large": item(4, b"\1" + 3 * ONE + varint(1 << 32)),
    "no texts": item(5, b""),
    "three fields": item(5, fields(b"key", b"", b"")),
    "no key": item(5, fields(b"", b"", b"", b"text")),
    "long key": item(5, fields(b"k" * 80, b"", b"", b"text")),
    "key beyond Latin-1": item(5, fields("ł".encode(), b"", b"", b"text")),
    "key with NUL": item(5, fields(b"k\0", b"", b"", b"text")),
    "language beyond ASCII": item(5, fields(b"k", "é".encode(), b"", b"text")),
    "language with NUL": item(5, fields(b"k", b"\0", b"", b"text")),
    "translated with NUL": item(5, fields(b"k", b"", b"\0", b"text")),
    "no UTF-8": item(5, fields(b"k", b"", b"", b"\xff")),
    "surrogate": item(5, fields(b"k", b"", b"", b"\xed\xa0\x80")),
    "no comment": item(6, b""),
    "no chunks": item(7, b""),
    "unknown chunk": item(7, b"prVt" + fields(b"body")),
    "chunk of pixels": item(7, b"IDAT" + fields(b"body")),
    "wrong length": item(7, b"gAMA" + fields(bytes(5))),
    "twice": item(7, 2 * (b"sRGB" + fields(b"\0"))),
    "cut off": item(7, b"sRG"),
    "kind twice": 2 * item(6, b"comment"),
}


@pytest.mark.parametrize("items", MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_refused(items: bytes) -> None:
    with pytest.raises(CorruptError, match="metadata"):
        metadata_of(items)
    with pytest.raises(plain_decoder.RefusedError):
        plain_decoder.items(zlib.compress(items))


def test_too_many_texts_are_refused_before_they_are_held() -> None:
    text = fields(b"k", b"", b"", b"")
    assert len(metadata_of(item(5, MOST_TEXTS * text)).texts) == MOST_TEXTS
    items = item(5, (1 << 20) * text)
    tracemalloc.start()
    with pytest.raises(LimitError, match="more than 4096 texts"):
        metadata_of(items)
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()
    with pytest.raises(plain_decoder.RefusedError):
        plain_decoder.items(zlib.compress(items[: 1 << 16]))


@given(st.integers(4, 7), st.binary(max_size=60))
def test_any_bytes_are_refused_or_read_by_both(kind: int, value: bytes) -> None:
    items = item(kind, value)
    try:
        metadata = metadata_of(items)
    except SaidError:
        with pytest.raises(plain_decoder.RefusedError):
            plain_decoder.items(zlib.compress(items))
    else:
        assert plain_decoder.items(zlib.compress(items)) == {kind: value}
        assert metadata_of(items_of(metadata)) == metadata


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        (Metadata(comment="text"), TypeError),
        (Metadata(resolution=(72, 72)), TypeError),
        (Metadata(texts=[Text("key", "text")]), TypeError),
        (Metadata(texts=("text",)), TypeError),
        (Metadata(texts=(Text("", "text"),)), ValueError),
        (Metadata(texts=(Text("key", "\ud800"),)), ValueError),
        (Metadata(chunks=((b"gAMA", b""),)), ValueError),
        (Metadata(resolution=Resolution(Unit.INCH, (0, 1), (1, 1))), ValueError),
    ],
)
def test_arguments_that_cannot_be_written(metadata: Metadata, error: type[Exception]) -> None:
    with pytest.raises(error, match="metadata"):
        arguments.check_metadata(metadata)
