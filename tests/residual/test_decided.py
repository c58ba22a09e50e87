"""Planes that are coded by decisions: everything comes back, and the C core does as its twin does."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from factory import residual, tables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saidcodec.entropy.bank import bank
from saidcodec.entropy.rans import AnsCoder
from saidcodec.errors import CorruptError
from saidcodec.residual import core
from saidcodec.residual.core import CoreEngine
from saidcodec.residual.decided import Row, logarithm, odds
from saidcodec.residual.engine import DECISION, SYMBOL_BITS, Plane
from saidcodec.residual.network import ResidualNetwork
from saidcodec.residual.reference import ReferenceEngine

REFERENCE = ReferenceEngine()
every_set = pytest.mark.parametrize("isa", core.instruction_sets() if core.available() else [])
EMPTY = np.zeros(0, np.uint32)
BELOW = np.array([7, 0, 0xFFFFFFFF, 5], np.uint32)  # what a stream may hold beside the samples
LOW = np.array([0, -255, -255])

few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def network(seed: int, sure: bool = False) -> ResidualNetwork:
    """A random one; where it is ``sure``, it always names the narrowest table around the reference."""
    rng = np.random.default_rng(seed)
    weights = residual(rng, bool(seed & 1), bool(seed & 2), 13 + seed, 3 + (seed > 1))
    for name in [name for name in weights if sure and name.startswith("residual.head_")]:
        weights[name][:] = 0
    return ResidualNetwork({**tables(rng), **weights})


NETWORKS = [*(network(seed) for seed in range(4)), network(2, sure=True)]  # the odd ones with copies


def random_plane(seed: int, height: int, width: int, components: int | None = None) -> Plane:
    """Slopes, steps, flat colours or noise, some of it known beforehand, with styles and x̂ here and there."""
    rng = np.random.default_rng(seed)
    components = components or int(rng.choice([1, 3]))
    y, x = np.indices((height, width))
    slope = np.stack([x * (c + 2) + y * (3 - c) for c in range(components)], -1)
    kind = rng.integers(4)
    if kind == 1:
        slope = slope // 40 * 90
    samples = slope % 256 + rng.integers(-2, 3, slope.shape) * int(kind == 0)
    if kind == 3:
        samples = rng.integers(LOW[:components], 256, slope.shape)
    coded = (rng.random((height, width)) < rng.choice([0.3, 0.9, 1.0])).astype(np.uint8)
    seen = rng.integers(LOW, 256, (height, width, 3)).astype(np.int16) if rng.random() < 0.5 else None
    styles = rng.integers(0, 2, (height, width)).astype(np.uint8)
    samples = samples.clip(LOW[:components], 255).astype(np.int16)
    return Plane(
        samples, coded, styles, seen, adaptive=True, by_parity=bool(rng.random() < 0.5), decided=True
    )


def unknown(plane: Plane) -> Plane:
    """The same plane as a decoder finds it."""
    return replace(plane, samples=plane.samples * (plane.coded[..., None] == 0))


def comes_back(net: ResidualNetwork, plane: Plane) -> np.ndarray:
    """Whether the reference gives a plane back; its words."""
    given = plane.samples.copy()
    symbols = REFERENCE.symbols(net, plane)
    assert np.array_equal(plane.samples, given)
    words = REFERENCE.push(BELOW, symbols)
    found = unknown(plane)
    assert np.array_equal(REFERENCE.decode(net, found, words), BELOW)
    assert np.array_equal(found.samples, plane.samples)
    return words


@given(st.integers(0, 2**32), st.sampled_from(NETWORKS), st.integers(1, 9), st.integers(1, 37))
@few
def test_round_trip(seed: int, net: ResidualNetwork, height: int, width: int) -> None:
    comes_back(net, random_plane(seed, height, width))


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 16), (20, 15), (9, 33)])
@pytest.mark.parametrize("components", [1, 3])
def test_shapes(shape: tuple[int, int], components: int) -> None:
    comes_back(NETWORKS[components], random_plane(sum(shape), *shape, components))


def habitual(known: float) -> Plane:
    """A plane with a habit, long enough for the weights of its segments to be improved several times."""
    rng = np.random.default_rng(4)
    y, x = np.indices((36, 40))
    luma = 100 + 60 * np.sin(x / 9) * np.cos(y / 7) + rng.normal(0, 2, x.shape)
    samples = np.stack([luma, luma / 2 - 40, 20 - luma / 3], 2) + rng.normal(0, 0.5, (*x.shape, 3))
    plane = random_plane(4, *x.shape, 3)
    coded = (rng.random(x.shape) >= known).astype(np.uint8)
    return replace(plane, samples=np.rint(samples).astype(np.int16), coded=coded)


@pytest.mark.parametrize("known", [0.0, 0.6])
def test_decisions_learn(known: float) -> None:
    plane, net = habitual(known), NETWORKS[2]
    by_tables = REFERENCE.push(BELOW, REFERENCE.symbols(net, replace(plane, decided=False)))
    assert len(comes_back(net, plane)) < 0.9 * len(by_tables)


def test_questions_about_copies_are_symbols_among_decisions() -> None:
    plane, copies = random_plane(1, 7, 20, 3), len(bank().tables)
    plane = replace(plane, coded=np.ones_like(plane.coded))
    symbols = REFERENCE.symbols(NETWORKS[1], plane)
    kinds = Counter("decision" if word & DECISION else "symbol" for word in symbols.tolist())
    assert kinds["symbol"] >= plane.coded.size
    assert kinds["decision"]
    ordinary = symbols[(symbols & DECISION) == 0]
    assert (ordinary >> SYMBOL_BITS >= copies).all()
    assert (REFERENCE.symbols(NETWORKS[0], plane) & DECISION).all()
    decisions = (symbols[(symbols & DECISION) > 0] ^ DECISION) >> 1
    assert decisions.min() >= 1
    assert decisions.max() < 1 << 16


def test_symbols_are_pushed_as_constriction_pushes_them() -> None:
    """A stack to which a decision was pushed holds the same words below it."""
    rng = np.random.default_rng(3)
    table = rng.integers(0, len(bank().tables), 500)
    symbols = (table << SYMBOL_BITS | rng.integers(0, 1021, 500)).astype(np.uint32)
    coder = AnsCoder()
    for word in symbols[::-1].tolist():
        coder.encode_reverse(word & 1023, bank().tables[word >> SYMBOL_BITS].model)
    words = coder.get_compressed()
    assert np.array_equal(REFERENCE.push(EMPTY, symbols), words)
    decision = np.array([DECISION | 40000 << 1 | 1], np.uint32)
    assert np.array_equal(
        REFERENCE.push(EMPTY, np.concatenate([decision, symbols])), REFERENCE.push(words, decision)
    )


def test_a_decision_that_there_is_not_is_refused() -> None:
    for p in (0, 1 << 16):
        with pytest.raises(ValueError, match="no such decision"):
            REFERENCE.push(EMPTY, np.array([DECISION | p << 1], np.uint32))


def test_decisions_need_adaptation_and_no_errors() -> None:
    plane = random_plane(3, 4, 5, 3)
    for wrong in ({"adaptive": False}, {"max_error": 1}):
        with pytest.raises(ValueError, match="Decisions need adaptation"):
            replace(plane, **wrong)


def test_measuring_takes_no_heed_of_decisions() -> None:
    plane = random_plane(5, 6, 11)
    plain = replace(plane, adaptive=False, by_parity=False, decided=False)
    assert np.array_equal(REFERENCE.measure(NETWORKS[1], plane), REFERENCE.measure(NETWORKS[1], plain))


@given(st.integers(0, 2**32), st.sampled_from(NETWORKS), st.integers(0, 60))
@few
def test_any_words_give_samples_or_are_corrupt(seed: int, net: ResidualNetwork, count: int) -> None:
    rng, plane = np.random.default_rng(seed), unknown(random_plane(seed, 6, 19))
    words = rng.integers(0, 1 << 32, count).astype(np.uint32)
    if count:
        words[-1] |= 1
    before = plane.samples[plane.coded == 0].copy()
    with suppress(CorruptError):
        REFERENCE.decode(net, plane, words)
    assert np.array_equal(plane.samples[plane.coded == 0], before)
    assert (plane.samples >= LOW[: plane.samples.shape[2]]).all()
    assert plane.samples.max() <= 255


def test_logarithms() -> None:
    for f in (1, 2, 3, 255, 256, 511, 512, 12345, (1 << 24) - 1, 1 << 24):
        assert abs(logarithm(f) - 256 * np.log(f)) < 2
    assert logarithm(0) == 0
    assert odds(1, 1 << 24) == -odds(1 << 24, 1) == -2047
    assert odds(0, 0) == odds(77, 77) == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_a_row_counts_values(sign: int) -> None:
    table = bank().tables[50]
    row = Row(table.edges, 100, sign)
    assert row.below(100 - 511) == 0
    assert row.below(100 + 511) == row.within((-2000, 2000)) == 1 << 24
    for value in (-300, 99, 100, 101, 400):
        assert row.within((value, value + 1)) == table.frequency[sign * (value - 100) + 510]


@every_set
@given(st.integers(0, 2**32), st.sampled_from(NETWORKS), st.integers(1, 12), st.integers(1, 40))
@few
def test_core_is_the_reference(isa: str, seed: int, net: ResidualNetwork, height: int, width: int) -> None:
    agree(CoreEngine(isa), net, random_plane(seed, height, width))


@every_set
@pytest.mark.parametrize("known", [0.0, 0.6])
def test_core_learns_as_the_reference_does(isa: str, known: float) -> None:
    agree(CoreEngine(isa), NETWORKS[2], habitual(known))


@every_set
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3), (34, 33)])
def test_core_takes_every_shape(isa: str, shape: tuple[int, int]) -> None:
    agree(CoreEngine(isa), NETWORKS[1], random_plane(sum(shape), *shape, 1))


def agree(own: CoreEngine, net: ResidualNetwork, plane: Plane) -> None:
    """Both engines give the same symbols and words, and decode each other's."""
    symbols = own.symbols(net, plane)
    assert np.array_equal(symbols, REFERENCE.symbols(net, plane))
    words = own.push(BELOW, symbols)
    assert np.array_equal(words, REFERENCE.push(BELOW, symbols))
    for one in (own, REFERENCE):
        found = unknown(plane)
        assert np.array_equal(one.decode(net, found, words), BELOW)
        assert np.array_equal(found.samples, plane.samples)


@every_set
@given(st.integers(0, 2**32), st.sampled_from(NETWORKS), st.integers(0, 60))
@few
def test_any_words_decode_alike(isa: str, seed: int, net: ResidualNetwork, count: int) -> None:
    rng, plane = np.random.default_rng(seed), unknown(random_plane(seed, 6, 19))
    words = rng.integers(0, 1 << 32, count).astype(np.uint32)
    if count:
        words[-1] |= 1
    outcomes = []
    for one in (CoreEngine(isa), REFERENCE):
        found = replace(plane, samples=plane.samples.copy())
        try:
            outcomes.append((one.decode(net, found, words).tolist(), found.samples.tolist()))
        except CorruptError:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]
