"""The C core on every instruction set of this machine against the NumPy reference."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from factory import residual, tables
from hypothesis import given, settings
from hypothesis import strategies as st

from saidcodec.entropy.bank import bank
from saidcodec.entropy.rans import AnsCoder
from saidcodec.errors import CorruptError, ModelError
from saidcodec.format.planes import NO_RECONSTRUCTION
from saidcodec.residual import core, engine
from saidcodec.residual.core import CoreEngine
from saidcodec.residual.engine import SYMBOL_BITS, Plane
from saidcodec.residual.network import ResidualNetwork
from saidcodec.residual.reference import ReferenceEngine

REFERENCE = ReferenceEngine()
SETS = core.instruction_sets() if core.available() else []
if not SETS:
    pytest.skip("the core was not built", allow_module_level=True)
every_set = pytest.mark.parametrize("isa", SETS)


def network(seed: int, hidden: int = 16, told: int = 3) -> ResidualNetwork:
    rng = np.random.default_rng(seed)
    return ResidualNetwork({**tables(rng), **residual(rng, bool(seed & 1), bool(seed & 2), hidden, told)})


NETWORKS = [network(seed, 13 + seed, 3 + (seed > 3)) for seed in range(8)]


def random_plane(rng: np.random.Generator, height: int, width: int, lossless: bool = False) -> Plane:
    """Samples from noise to flat, some of them known, styles, x̂ and a calibration here and there."""
    components = int(rng.choice([1, 3]))
    spread = int(rng.choice([1, 3, 30, 256]))
    low = np.array([0, -255, -255])[:components]
    samples = rng.integers(0, spread, (height, width, components)) + rng.integers(0, 256 - spread + 1)
    samples = np.where(rng.random((height, width, 1)) < 0.1, rng.integers(low, 256), samples)
    if rng.random() < 0.5:
        samples = (samples // 8 * 8).clip(low)
    coded = (rng.random((height, width)) < rng.choice([0.3, 0.9, 1.0])).astype(np.uint8)
    seen = None
    if rng.random() < 0.7:
        seen = rng.integers([0, -255, -255], 256, (height, width, 3))
        seen[:, width // 2 :] = NO_RECONSTRUCTION if rng.random() < 0.5 else seen[:, width // 2 :]
        seen = seen.astype(np.int16)
    max_error = 0 if lossless or rng.random() < 0.6 else int(rng.choice([1, 2, 3, 9, 255]))
    styles = rng.integers(0, 2, (height, width)).astype(np.uint8)
    adaptive = bool(rng.random() < 0.5)
    rows = None
    if not adaptive and rng.random() < 0.5:
        rows = tuple(rng.integers(0, len(bank().tables), len(bank().tables)).tolist())
    by_parity = adaptive and bool(rng.random() < 0.5)
    return Plane(samples.astype(np.int16), coded, styles, seen, max_error, adaptive, by_parity, rows=rows)


def again(plane: Plane, samples: np.ndarray) -> Plane:
    """The same plane with samples of its own."""
    return replace(plane, samples=samples.copy())


def unknown(plane: Plane) -> Plane:
    """The same plane as a decoder finds it."""
    return again(plane, plane.samples * (plane.coded[..., None] == 0))


@every_set
@given(st.integers(0, 2**32), st.sampled_from(NETWORKS), st.integers(1, 12), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_core_is_the_reference(isa: str, seed: int, net: ResidualNetwork, height: int, width: int) -> None:
    rng, own = np.random.default_rng(seed), CoreEngine(isa)
    plane = random_plane(rng, height, width)
    mine, theirs = again(plane, plane.samples), again(plane, plane.samples)
    symbols = own.symbols(net, mine)
    assert np.array_equal(symbols, REFERENCE.symbols(net, theirs))
    assert np.array_equal(mine.samples, theirs.samples)
    if not plane.max_error:
        assert np.array_equal(mine.samples, plane.samples)
    head = rng.integers(1, 1 << 32, int(rng.integers(4))).astype(np.uint32)
    words = own.push(head, symbols)
    assert np.array_equal(words, REFERENCE.push(head, symbols))
    for one in (own, REFERENCE):
        found = unknown(plane)
        assert np.array_equal(one.decode(net, found, words), head)
        assert np.array_equal(found.samples, mine.samples)
    count = int(rng.choice([0, 1, 2, 17]))  # few lie in a small part of the plane
    places = rng.integers(0, height * width, count).astype(np.int32)
    bits = REFERENCE.measure(net, plane)
    assert np.array_equal(own.measure(net, plane), bits)
    assert np.array_equal(own.measure(net, plane, places), bits[places])
    styles = rng.integers(0, net.styles, count).astype(np.uint8)
    assert np.array_equal(
        own.measure(net, plane, places, styles), REFERENCE.measure(net, plane, places, styles)
    )


@every_set
@given(st.integers(0, 2**32), st.sampled_from(NETWORKS), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_a_comparison_is_the_difference(isa: str, seed: int, net: ResidualNetwork, h: int, w: int) -> None:
    rng = np.random.default_rng(seed)
    plane = replace(random_plane(rng, h, w, lossless=True), adaptive=False, by_parity=False)
    seen = rng.integers([0, -255, -255], 256, (h, w, 3)).astype(np.int16)
    plane = replace(plane, reconstruction=seen)
    lengths = REFERENCE.measure(net, plane).reshape(h, w)
    rectangles, inside, expected = [], [], []
    for _ in range(int(rng.integers(0, 4))):
        (top, bottom), (left, right) = np.sort(rng.integers(0, h + 1, 2)), np.sort(rng.integers(0, w + 1, 2))
        other = seen.copy()
        other[top:bottom, left:right] += rng.integers(0, 2, (bottom - top, right - left, 1)).astype(np.int16)
        rectangles.append([top, left, bottom, right])
        inside.append(other[top:bottom, left:right].reshape(-1, 3))
        more = REFERENCE.measure(net, replace(plane, reconstruction=other)).astype(
            np.int64
        ) - lengths.reshape(-1)
        expected.append(more[plane.coded.reshape(-1) > 0].sum())
    for one in (CoreEngine(isa), REFERENCE):
        boxes = np.array(rectangles, np.int32).reshape(-1, 4)
        found = one.compare(net, plane, lengths, boxes, np.concatenate([np.zeros((0, 3), np.int16), *inside]))
        assert found.tolist() == expected


def test_a_comparison_that_does_not_fit_is_refused() -> None:
    plane = replace(random_plane(np.random.default_rng(3), 4, 5, lossless=True), reconstruction=None)
    lengths, inside = np.zeros((4, 5), np.uint32), np.zeros((2, 3), np.int16)
    seen = replace(plane, reconstruction=np.zeros((4, 5, 3), np.int16))
    for one, box, pixels in [
        (plane, [0, 0, 1, 2], inside),
        (seen, [0, 0, 1, 2], inside[:1]),
        (seen, [0, -1, 1, 1], inside),
        (seen, [3, 0, 5, 1], inside),
        (seen, [0, 0, 1, 2], inside.astype(np.int32)),
    ]:
        for own in (CoreEngine(), REFERENCE):
            with pytest.raises(ValueError, match="comparison"):
                own.compare(NETWORKS[0], one, lengths, np.array([box], np.int32), pixels)


def test_lengths_are_those_of_the_symbols() -> None:
    plane = random_plane(np.random.default_rng(5), 9, 14, lossless=True)
    plane = replace(plane, coded=np.ones_like(plane.coded), adaptive=False, by_parity=False, rows=None)
    for net in NETWORKS:
        symbols = CoreEngine().symbols(net, plane)
        measured = CoreEngine().measure(net, plane).sum() / (1 << engine.LENGTH_BITS)
        frequency = [table.frequency for table in (*bank().tables, *bank().copies)]
        exact = sum(24 - np.log2(frequency[s >> SYMBOL_BITS][s & 1023]) for s in symbols.tolist())
        assert measured == pytest.approx(exact, abs=1e-4 * len(symbols))


def test_words_are_those_of_constriction() -> None:
    rng = np.random.default_rng(8)
    tables_ = [table.model for table in (*bank().tables, *bank().copies)]
    table = rng.integers(0, len(tables_), 3000)
    symbol = np.where(table < len(bank().tables), rng.integers(0, 1021, 3000), rng.integers(0, 2, 3000))
    coder = AnsCoder()
    for t, s in zip(table[::-1], symbol[::-1].astype(np.int32), strict=True):
        coder.encode_reverse(s, tables_[t])
    symbols = (table << SYMBOL_BITS | symbol).astype(np.uint32)
    assert np.array_equal(CoreEngine().push(np.zeros(0, np.uint32), symbols), coder.get_compressed())


@every_set
@given(st.integers(0, 2**32), st.sampled_from(NETWORKS), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_any_words_decode_alike(isa: str, seed: int, net: ResidualNetwork, count: int) -> None:
    rng = np.random.default_rng(seed)
    plane = random_plane(rng, 6, 9)
    words = rng.integers(0, 1 << 32, count).astype(np.uint32)
    if count:
        words[-1] |= 1
    outcomes = []
    for one in (CoreEngine(isa), REFERENCE):
        found = unknown(plane)
        try:
            outcomes.append((one.decode(net, found, words).tolist(), found.samples.tolist()))
        except CorruptError:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]


@every_set
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("shift", [0, 7, 24])
def test_sums_at_the_limit(isa: str, sign: int, shift: int) -> None:
    """Every layer's weights are as great as they may be, its bias fills what is left below 2^24."""
    tensors = {**tables(np.random.default_rng(2)), **residual(np.random.default_rng(2), False, False, 512, 4)}
    for name in [name for name in tensors if name.startswith("residual.") and name.endswith(".weight")]:
        weight = tensors[name]
        weight[:] = sign * 63
        weight[:, ::3] *= -1
        left = (1 << 24) - 1 - 255 * np.abs(weight.astype(np.int64)).sum(0)
        tensors[name.replace("weight", "bias")] = (left * np.sign(weight[0])).astype(np.int32)
        tensors[name.replace("weight", "shift")][:] = shift
    net = ResidualNetwork(tensors)
    plane = random_plane(np.random.default_rng(7), 5, 19, lossless=True)
    assert np.array_equal(CoreEngine(isa).symbols(net, plane), REFERENCE.symbols(net, plane))


@every_set
@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (2, 3), (70, 90), (129, 65)])
def test_shapes(isa: str, shape: tuple[int, int]) -> None:
    plane = random_plane(np.random.default_rng(sum(shape)), *shape)
    for net in NETWORKS[:2]:
        own = again(plane, plane.samples)
        words = CoreEngine(isa).push(np.zeros(0, np.uint32), CoreEngine(isa).symbols(net, own))
        found = unknown(plane)
        assert not len(CoreEngine(isa).decode(net, found, words))
        assert np.array_equal(found.samples, own.samples)


def test_what_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="does not run"):
        CoreEngine("mmx")
    with pytest.raises(ValueError, match="no such symbol"):
        CoreEngine().push(np.zeros(0, np.uint32), np.array([400 << SYMBOL_BITS], np.uint32))
    plane = random_plane(np.random.default_rng(1), 3, 3)
    with pytest.raises(ValueError, match="refuses"):
        CoreEngine().measure(NETWORKS[0], plane, np.array([9], np.int32))
    with pytest.raises(ValueError, match="An array of a plane"):
        Plane(plane.samples[:, ::-1], plane.coded, plane.styles, None)
    monkeypatch.setenv(engine.ENGINE_VARIABLE, "fpga")
    engine.current.cache_clear()
    try:
        with pytest.raises(ModelError, match="must be core or reference"):
            engine.current()
    finally:
        engine.current.cache_clear()


@every_set
@pytest.mark.parametrize("known", [0.0, 0.6])
@pytest.mark.parametrize(("max_error", "by_parity"), [(0, False), (1, True), (5, False), (0, True)])
def test_adaptation_over_many_samples(isa: str, max_error: int, by_parity: bool, known: float) -> None:
    """Long enough for the weights to be solved for several times, and worth it for a plane with a habit."""
    rng = np.random.default_rng(4)
    y, x = np.indices((48, 70))
    luma = 100 + 60 * np.sin(x / 9) * np.cos(y / 7) + rng.normal(0, 2, x.shape)
    samples = np.stack([luma, luma / 2 - 40, 20 - luma / 3], 2) + rng.normal(0, 0.5, (*x.shape, 3))
    plane = random_plane(rng, 48, 70)
    coded = (rng.random(x.shape) >= known).astype(np.uint8)
    whole = np.rint(samples).astype(np.int16)
    how = {"max_error": max_error, "adaptive": True, "by_parity": by_parity}
    plane = replace(plane, samples=whole, coded=coded, **how)
    net = NETWORKS[4]
    mine, theirs = again(plane, plane.samples), again(plane, plane.samples)
    symbols = CoreEngine(isa).symbols(net, mine)
    assert np.array_equal(symbols, REFERENCE.symbols(net, theirs))
    assert np.array_equal(mine.samples, theirs.samples)
    words = CoreEngine(isa).push(np.zeros(0, np.uint32), symbols)
    found = unknown(plane)
    assert not len(CoreEngine(isa).decode(net, found, words))
    assert np.array_equal(found.samples, mine.samples)
    plain = replace(plane, samples=plane.samples.copy(), adaptive=False, by_parity=False)
    assert len(words) < len(CoreEngine(isa).push(np.zeros(0, np.uint32), CoreEngine(isa).symbols(net, plain)))


def test_threads_that_begin_together_get_one_whole_bank() -> None:
    plane = replace(random_plane(np.random.default_rng(4), 20, 30, lossless=True), adaptive=True)
    wanted = CoreEngine().symbols(NETWORKS[0], again(plane, plane.samples))
    for _ in range(20):
        core.made_bank.cache_clear()
        core.measured_bank.cache_clear()
        together = threading.Barrier(4)

        def work() -> np.ndarray:
            together.wait()  # noqa: B023
            return CoreEngine().symbols(NETWORKS[0], again(plane, plane.samples))

        with ThreadPoolExecutor(4) as pool:
            found = [pool.submit(work) for _ in range(4)]
            assert all(np.array_equal(one.result(), wanted) for one in found)


@every_set
def test_rows_follow_each_other_down_a_tall_plane(isa: str) -> None:
    """So tall that the weights of rows move to the start of their memory several times."""
    rng = np.random.default_rng(8)
    y, x = np.indices((500, 7))
    samples = (100 + 60 * np.sin(y / 9) + 9 * (x % 3) + rng.normal(0, 2, x.shape))[..., None]
    plane = Plane(np.rint(samples).astype(np.int16), *np.ones((2, 500, 7), np.uint8), None, adaptive=True)
    plane.styles[:] = 0
    assert np.array_equal(CoreEngine(isa).symbols(NETWORKS[4], plane), REFERENCE.symbols(NETWORKS[4], plane))


def test_parities_need_adaptation() -> None:
    plane = random_plane(np.random.default_rng(4), 20, 30, lossless=True)
    with pytest.raises(ValueError, match="Parities need adaptation"):
        replace(plane, adaptive=False, by_parity=True)
