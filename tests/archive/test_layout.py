"""Groups and indexes as bytes: what is written is read, and what is damaged or beyond a limit is refused."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saidcodec.archive import layout
from saidcodec.archive.layout import Head, Place, runs_of
from saidcodec.entropy.bank import bank
from saidcodec.errors import CorruptError, LimitError, SaidError, TruncatedError
from saidcodec.format.cursor import Cursor, varint
from saidcodec.format.header import Header, Metadata, Mode, ResidualCoder

TABLES = len(bank().tables)


def header(width: int = 8, height: int = 4, mode: str = "L", model: str = "01020304") -> Header:
    return Header(width, height, Mode(mode), False, ResidualCoder.CONTEXT, 0, model, 64, 1)


HEAD = Head(
    model="01020304",
    kinds=(header(), header(5, 5, "RGBA"), None),
    kind=(0, 0, 0, 1, 2, 0),
    together=2,
    rows=tuple(7 if row == 3 else row for row in range(TABLES)),
    lengths=(2, 300, 4, 5),
    names=("a/1.png", "a/2.png", "a/2é.png", "", "b.png", "c.png"),
    labels=("", "x", "y", "y", "ü", "z"),
    metadata=(Metadata(), Metadata(icc=b"1" * 200), Metadata(exif=b"2"), *(Metadata(),) * 3),
    said=(b"grey", b""),
)
RUNS = [bytes(length) for length in HEAD.lengths]
FRONT = b"\0" * layout.START


def read(group: bytes) -> Head:
    head, start = layout.read_group(FRONT + group, len(FRONT))
    assert start == len(FRONT + group) - sum(head.lengths)
    return head


names = st.text(
    st.characters(exclude_characters="/\\\n", exclude_categories=("Cs", "Cc")), max_size=20
).filter(lambda name: name not in (".", ".."))
labels = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=5)
metadata = st.builds(lambda *parts: Metadata(*parts), *[st.binary(max_size=9)] * 3)
kinds = st.none() | st.builds(
    header, st.integers(1, 128), st.integers(1, 128), st.sampled_from([*map(str, Mode)])
)


@st.composite
def heads(draw: st.DrawFn) -> Head:
    count = draw(st.integers(1, 12))
    there = tuple(draw(st.lists(kinds, min_size=1, max_size=min(count, 3), unique=True)))
    kind = tuple(draw(st.integers(0, len(there) - 1)) for _ in range(count))
    together = draw(st.integers(1, 5))
    runs = runs_of([there[number] is not None for number in kind], together)
    rows = [*range(TABLES)]
    for row in draw(st.lists(st.integers(0, TABLES - 1), max_size=9)):
        rows[row] = draw(st.integers(0, TABLES - 1))
    return Head(
        model="01020304",
        kinds=there,
        kind=kind,
        together=together,
        rows=tuple(rows) if rows != [*range(TABLES)] else None,
        lengths=tuple(draw(st.integers(0, 1 << 14)) for _ in runs),
        names=tuple(draw(names) for _ in range(count)),
        labels=tuple(draw(labels) for _ in range(count)) if draw(st.booleans()) else None,
        metadata=tuple(draw(metadata) for _ in range(count)),
        said=(draw(st.binary(max_size=9)), draw(st.binary(max_size=9))),
    )


@given(heads())
@settings(max_examples=80, deadline=None)
def test_a_head_comes_back(head: Head) -> None:
    group = layout.pack_group(head, [bytes(length) for length in head.lengths])
    assert read(group) == head


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 6))
def test_runs_hold_shared_images_that_are_neighbours(shared: list[bool], together: int) -> None:
    runs = runs_of(shared, together)
    assert [image for run in runs for image in run] == [*range(len(shared))]
    for run, after in zip(runs, [*runs[1:], None]):
        assert len(run) <= together
        assert len(run) == 1 or all(shared[image] for image in run)
        if after and shared[run.start] and shared[after.start]:
            assert len(run) == together


def test_every_flipped_bit_of_a_head_is_found() -> None:
    group = layout.pack_group(HEAD, RUNS)
    for place in range(8 * (len(group) - sum(HEAD.lengths))):
        damaged = bytearray(group)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(SaidError):
            read(bytes(damaged))


def test_a_head_that_is_cut_off_is_truncated() -> None:
    group = layout.pack_group(HEAD, RUNS)
    for length in range(len(group) - sum(HEAD.lengths)):
        with pytest.raises(TruncatedError):
            layout.read_group(FRONT + group[:length], len(FRONT))


def resealed(facts: bytes, said: tuple[bytes, bytes] = HEAD.said, body: int = sum(HEAD.lengths)) -> bytes:
    """A group with other facts and a right checksum: what only a malicious writer makes."""
    parts = b"".join(varint(len(part)) + part for part in (zlib.compress(facts), *said))
    packed = bytes([layout.GROUP]) + varint(len(parts)) + varint(body) + parts
    return packed + layout.checksum(packed) + bytes(body)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_any_facts_are_read_or_refused(place: int, other: bytes) -> None:
    facts = bytearray(layout.facts_of(HEAD))
    facts[place : place + len(other)] = other
    try:
        head = read(resealed(bytes(facts)))
    except SaidError:
        return
    assert len(head.names) == len(head.metadata) == len(head)
    assert max(head.kind) < len(head.kinds)


def changed(**facts: object) -> bytes:
    return resealed(layout.facts_of(replace(HEAD, **facts)))


@pytest.mark.parametrize(
    ("group", "error", "sentence"),
    [
        (resealed(varint(layout.MOST_IMAGES + 1)), LimitError, "claims 65537"),
        (resealed(varint(0)), LimitError, "claims 0"),
        (resealed(varint(9) + varint(1) + bytes(4) + varint(10)), LimitError, "claims 10"),
        (resealed(layout.facts_of(HEAD) + b"\0"), CorruptError, "bytes too many"),
        (resealed(layout.facts_of(HEAD)[:-1]), CorruptError, "ends within a field"),
        (resealed(layout.facts_of(HEAD), body=310), CorruptError, "do not add up"),
        (resealed(bytes(1 << 27)), LimitError, "unpacks to more than"),
        (changed(names=("../x", *HEAD.names[1:])), CorruptError, "leads out of the archive"),
        (changed(names=("/x", *HEAD.names[1:])), CorruptError, "leads out of the archive"),
        (changed(names=("a\\b", *HEAD.names[1:])), CorruptError, "a character that names cannot have"),
        (changed(names=("a" * 5000, *HEAD.names[1:])), CorruptError, "has 5000 bytes"),
        (changed(labels=("x",)), CorruptError, "one label for each image"),
        (changed(labels=("\x9b", *HEAD.labels[1:])), CorruptError, "that labels cannot have"),
        (changed(kind=(3, *HEAD.kind[1:])), CorruptError, "of a kind that there is not"),
        (changed(model="02020304"), CorruptError, "another model than the group"),
        (changed(kinds=(header()._replace(adaptive=True), None, header())), CorruptError, "cannot share"),
        (changed(kinds=(header(200, 200), None, header())), CorruptError, "cannot share"),
        (changed(kinds=(header()._replace(depth=9, model=""), None, header())), CorruptError, "cannot share"),
    ],
)
def test_what_is_refused(group: bytes, error: type[SaidError], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        read(group)


def test_many_large_images_are_beyond_the_limit() -> None:
    count = layout.MOST_SHARED_PIXELS // layout.MOST_IMAGE_PIXELS + 1
    columns = {"names": ("",) * count, "metadata": (Metadata(),) * count, "labels": None}
    head = replace(
        HEAD, kinds=(header(128, 128),), kind=(0,) * count, together=count, lengths=(9,), **columns
    )
    with pytest.raises(LimitError, match="more than the limit of 16777216"):
        read(layout.pack_group(head, [bytes(9)]))


def test_a_calibration_names_tables_that_there_are() -> None:
    for entries in ([(0, TABLES)], [(TABLES, 0)], [(5, 1), (0, 2)]):
        packed = varint(len(entries)) + b"".join(varint(gap) + varint(row) for gap, row in entries)
        with pytest.raises(CorruptError, match="a table that there is not"):
            layout.parse_rows(Cursor(packed))


PLACES = [Place(layout.START, 40, 3), Place(layout.START + 40, 200, 70)]
INDEXED = bytes(layout.START + 240) + layout.pack_index(PLACES)


def test_an_index_comes_back() -> None:
    assert layout.read_index(INDEXED) == PLACES
    assert layout.read_index(bytes(layout.START) + layout.pack_index([])) == []


def test_every_flipped_bit_of_an_index_is_found() -> None:
    start = layout.START + 240
    for place in range(8 * (len(INDEXED) - start)):
        damaged = bytearray(INDEXED)
        damaged[start + place // 8] ^= 1 << place % 8
        with pytest.raises((CorruptError, TruncatedError), match="index"):
            layout.read_index(bytes(damaged))


@pytest.mark.parametrize(
    "places", [PLACES[:1], [*PLACES, PLACES[0]], [Place(0, 240, 0)], [Place(0, 240, 1 << 17)]]
)
def test_an_index_that_does_not_fit_is_wrong(places: list[Place]) -> None:
    with pytest.raises(CorruptError, match="index is wrong"):
        layout.read_index(bytes(layout.START + 240) + layout.pack_index(places))
