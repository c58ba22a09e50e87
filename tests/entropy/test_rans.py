"""The ANS coder against the integer rANS of the spec, written out in plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidcodec.entropy.rans import TOTAL, AnsCoder, Decoder, Encoder, Table, uniform
from saidcodec.errors import CorruptError


def table_of(weights):
    """A valid table whose shape follows positive weights."""
    weights = np.asarray(weights, float)
    frequency = 1 + np.floor(weights / weights.sum() * (TOTAL - len(weights))).astype(np.int64)
    frequency[weights.argmax()] += TOTAL - frequency.sum()
    return Table(frequency)


def plain_rans(parts):
    """Bytes of ``parts`` [(symbols, table)] by the arithmetic of the spec, section 3."""
    state, words = 0, []
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
    return b"".join(word.to_bytes(4, "little") for word in words).rstrip(b"\0")


tables = st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=60).map(table_of)
messages = st.lists(
    tables.flatmap(
        lambda table: st.tuples(st.lists(st.integers(0, len(table) - 1), max_size=30), st.just(table))
    ),
    max_size=6,
)


@given(messages)
def test_words_are_those_of_the_plain_integer_coder(message):
    encoder = Encoder()
    for symbols, table in message:
        encoder.add(np.array(symbols, np.int32), table)
    data = encoder.finish()
    assert data == plain_rans(message)
    decoder = Decoder(data)
    for symbols, table in message:
        assert decoder.take(table, len(symbols)).tolist() == symbols
    decoder.finish()


def test_a_nearly_certain_symbol_costs_what_its_frequency_says():
    table = Table(np.array([TOTAL - 1, 1]))
    encoder = Encoder()
    encoder.add(np.zeros(1_000_000, np.int32), table)
    assert len(encoder.finish()) <= 4
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
        data = pushed.finish()
        assert data == plain.finish()
        decoder = Decoder(data)
        assert decoder.take(a, len(before)).tolist() == before
        coder = AnsCoder(decoder.words())
        assert coder.decode(b.model, len(symbols)).tolist() == symbols.tolist()
        decoder.resume(coder.get_compressed())
        assert decoder.take(a, len(after)).tolist() == after
        decoder.finish()


@pytest.mark.parametrize("n", [1, 2, 3, 44, 256, 1021])
def test_uniform_tables_are_valid(n):
    frequency = uniform(n).frequency
    assert frequency.sum() == TOTAL
    assert frequency.max() - frequency.min() <= 1


def test_leftovers_and_trailing_zeros_are_refused():
    encoder = Encoder()
    encoder.add(np.arange(200) % 7, uniform(7))
    data = encoder.finish()
    decoder = Decoder(data)
    decoder.take(uniform(7), 199)
    with pytest.raises(CorruptError):
        decoder.finish()
    with pytest.raises(CorruptError):
        Decoder(data + b"\0")


def test_a_stream_that_ends_early_is_refused():
    encoder = Encoder()
    encoder.add(np.arange(200) % 7, uniform(7))
    decoder = Decoder(encoder.finish()[4:])
    decoder.take(uniform(7), 200)
    with pytest.raises(CorruptError):
        decoder.finish()
