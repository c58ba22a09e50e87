"""The ANS coder against the integer rANS of the spec, written out in plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidcodec.entropy.rans import TOTAL, AnsCoder, Decoder, Encoder, Table, bytes_of, uniform, words_of
from saidcodec.errors import CorruptError


def table_of(weights):
    """A valid table whose shape follows positive weights."""
    weights = np.asarray(weights, float)
    frequency = 1 + np.floor(weights / weights.sum() * (TOTAL - len(weights))).astype(np.int64)
    frequency[weights.argmax()] += TOTAL - frequency.sum()
    return Table(frequency)


def plain_rans(parts, bottom):
    """Bytes of ``parts`` [(symbols, table)] by the arithmetic of the spec, section 3."""
    state, words = bottom, []
    for symbols, table in reversed(parts):
        start = np.concatenate([[0], np.cumsum(table.frequency)])
        for symbol in reversed(list(symbols)):
            frequency = int(table.frequency[symbol])
            if state >= frequency << 40:
                words.append(state & 0xFFFFFFFF)
                state >>= 32
            state = (state // frequency << 24) + int(start[symbol]) + state % frequency
    while state:
        words.append(state & 0xFFFFFFFF)
        state >>= 32
    first = words.pop() if words and words[-1] < 1 << 30 else 0
    length = next(n for n in range(1, 5) if first < 1 << (8 * n - 2))
    head = ((length - 1) << (8 * length - 2) | first).to_bytes(length, "big")
    return head + b"".join(word.to_bytes(4, "big") for word in reversed(words))


tables = st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=60).map(table_of)
messages = st.lists(
    tables.flatmap(
        lambda table: st.tuples(st.lists(st.integers(0, len(table) - 1), max_size=30), st.just(table))
    ),
    max_size=6,
)


bottoms = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 63, 64, 2**22, 2**30 - 1, 2**30]))


@given(messages, bottoms)
def test_words_are_those_of_the_plain_integer_coder(message, bottom):
    encoder = Encoder()
    for symbols, table in message:
        encoder.add(np.array(symbols, np.int32), table)
    data = encoder.finish(bottom)
    assert data == plain_rans(message, bottom)
    decoder = Decoder(data)
    for symbols, table in message:
        assert decoder.take(table, len(symbols)).tolist() == symbols
    assert decoder.finish() == bottom


def test_a_nearly_certain_symbol_costs_what_its_frequency_says():
    table = Table(np.array([TOTAL - 1, 1]))
    encoder = Encoder()
    encoder.add(np.zeros(1_000_000, np.int32), table)
    assert len(encoder.finish()) <= 5
    assert table.bits[1] == 24


def test_groups_are_the_same_as_single_runs():
    a, b = uniform(7), table_of([1, 2, 3])
    grouped, single = Encoder(), Encoder()
    grouped.add_groups(np.array([6, 5, 2, 0], np.int32), [a, b], [2, 2])
    single.add(np.array([6, 5]), a)
    single.add(np.array([2, 0]), b)
    data = grouped.finish()
    assert data == single.finish()
    assert Decoder(data).take_groups([a, b], [2, 2]).tolist() == [6, 5, 2, 0]


def test_symbols_that_somebody_else_codes_are_part_of_the_same_stream():
    a, b = uniform(7), table_of([1, 2, 3])
    symbols = np.arange(40, dtype=np.int32) % 3

    def push(words):
        coder = AnsCoder(words)
        coder.encode_reverse(symbols, b.model)
        return coder.get_compressed()

    for before, after in (([6, 5], [1] * 30), ([], []), ([3], [])):
        plain, pushed = Encoder(), Encoder()
        for encoder in (plain, pushed):
            encoder.add(np.array(before, np.int32), a)
            if encoder is plain:
                encoder.add(symbols, b)
            else:
                encoder.add_pushed(push)
            encoder.add(np.array(after, np.int32), a)
        data = pushed.finish(7)
        assert data == plain.finish(7)
        decoder = Decoder(data)
        assert decoder.take(a, len(before)).tolist() == before
        coder = AnsCoder(decoder.words())
        assert coder.decode(b.model, len(symbols)).tolist() == symbols.tolist()
        decoder.resume(coder.get_compressed())
        assert decoder.take(a, len(after)).tolist() == after
        assert decoder.finish() == 7


@given(messages, messages, bottoms)
def test_a_finished_stream_may_follow(before, after, bottom):
    whole, first, second = Encoder(), Encoder(), Encoder()
    for parts, encoders in ((before, (whole, first)), (after, (whole, second))):
        for symbols, table in parts:
            for encoder in encoders:
                encoder.add(np.array(symbols, np.int32), table)
    first.add_stream(second.finish(bottom))
    assert first.finish() == whole.finish(bottom)


@pytest.mark.parametrize("n", [1, 2, 3, 44, 256, 1021])
def test_uniform_tables_are_valid(n):
    frequency = uniform(n).frequency
    assert frequency.sum() == TOTAL
    assert frequency.max() - frequency.min() <= 1


def test_the_bottom_costs_no_more_than_its_bits():
    """What lies under the symbols fills the state, which would otherwise take as many bits for nothing."""
    symbols = np.random.default_rng(0).integers(0, 7, 1000)
    sizes = []
    for seed in range(200):
        encoder = Encoder()
        encoder.add(symbols, uniform(7))
        sizes.append(len(encoder.finish(0xFFFFFFFF - seed * 12345)))
    spent = 1000 * np.log2(7) + 32
    assert max(sizes) <= spent / 8 + 1.5
    assert min(sizes) >= spent / 8


def test_the_front_of_a_stream_can_be_read():
    symbols = np.arange(200) % 7
    encoder = Encoder()
    encoder.add(symbols, uniform(7))
    data = encoder.finish(99)
    for length in range(9, len(data)):
        sure = max(0, int((8 * length - 96) / np.log2(7)))
        assert Decoder(data[:length], whole=False).take(uniform(7), sure).tolist() == symbols[:sure].tolist()


def test_leftovers_are_refused():
    encoder = Encoder()
    encoder.add(np.arange(200) % 7, uniform(7))
    data = encoder.finish(2**31)
    decoder = Decoder(data)
    decoder.take(uniform(7), 199)
    with pytest.raises(CorruptError, match="more than its symbols"):
        decoder.finish()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x40",
        b"\x80\x01",
        b"\x3f\x00",
        b"\x00\x3f\xff\xff\xff",
        b"\x40\x3f",
        b"\x80\x3f\xff",
        b"\x00\x00\x00\x00\x00",
    ],
)
def test_every_stream_has_one_spelling(data):
    with pytest.raises(CorruptError):
        Decoder(data)


@given(st.binary(min_size=1, max_size=40))
def test_any_bytes_are_refused_or_come_back(data):
    try:
        words = words_of(data, whole=True)
    except CorruptError:
        return
    assert bytes_of(words) == data


def test_a_stream_that_ends_early_gives_another_bottom():
    encoder = Encoder()
    encoder.add(np.arange(200) % 7, uniform(7))
    decoder = Decoder(encoder.finish(2**31 + 5)[:-4])
    decoder.take(uniform(7), 200)
    assert decoder.finish() != 2**31 + 5
