"""A band and its stream; the choice of styles."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from factory import model_of, random_model, random_tensors

from saidcodec.entropy.rans import Decoder
from saidcodec.errors import CorruptError
from saidcodec.format import planes
from saidcodec.format.header import Header, Mode, ResidualCoder
from saidcodec.format.planes import NO_RECONSTRUCTION
from saidcodec.format.tiling import Tiling
from saidcodec.residual import band, engine
from saidcodec.residual.band import Outline, choose_styles, method_of, network_of, plane_of, probes

MODEL = random_model(7, copies=True)
RNG = np.random.default_rng(4)


def header_of(mode: Mode, coder: ResidualCoder, max_error: int = 0) -> Header:
    return Header(70, 45, mode, False, coder, max_error, MODEL.id, 32, 1)


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("max_error", [0, 3])
@pytest.mark.parametrize("coder", [ResidualCoder.GAUSSIAN, ResidualCoder.CONTEXT])
@pytest.mark.parametrize("mode", Mode)
def test_stored_tiles_lie_among_others(
    mode: Mode, coder: ResidualCoder, max_error: int, constant: bool
) -> None:
    header = header_of(mode, coder, max_error)
    (strip,) = Tiling.of(header).bands()
    assert len(strip.places) == 6
    channels = RNG.integers(90, 110, (45, 70, header.channels)).astype(np.uint8)
    for i in (1, 4):
        place = strip.places[i]
        channels[place] = RNG.integers(0, 256, channels[place].shape)
    if header.has_alpha and constant:
        for place in (strip.places[i] for i in (0, 2, 3, 5)):
            channels[(*place, -1)] = 200
    reconstruction = np.full((45, 70, 3), NO_RECONSTRUCTION, np.int16)
    reconstruction[strip.places[2]] = (100, 0, 0)
    outline = Outline(strip, np.isin(np.arange(6), (1, 4)), reconstruction)
    before = channels.copy()
    stream = band.write(header, method_of(header, MODEL), outline, channels)
    np.testing.assert_array_equal(channels, before)
    decoder = Decoder(stream)
    found = band.take(header, method_of(header, MODEL), outline, decoder)
    assert decoder.finish() == planes.checksum(header, found)
    assert np.abs(found.astype(int) - channels).max() <= max_error
    for i in (1, 4):
        np.testing.assert_array_equal(found[strip.places[i]], channels[strip.places[i]])
    with pytest.raises(CorruptError):
        Decoder(stream + b"\0")
    for damaged in (stream[:-4], stream + b"more", stream[:40] + b"more" + stream[44:]):
        decoder = Decoder(damaged)
        with suppress(CorruptError):  # impossible samples
            found = band.take(header, method_of(header, MODEL), outline, decoder)
            assert decoder.finish() != planes.checksum(header, found)


def test_probes_lie_in_their_tile_and_are_spread() -> None:
    for size, number in (((1, 1), 1), ((5, 9), 45), ((64, 64), 64), ((128, 128), 256), ((3, 128), 64)):
        place = (slice(7, 7 + size[0]), slice(11, 11 + size[1]))
        rows, columns = np.divmod(probes(place, 200), 200)
        assert len(rows) == number
        assert rows.min() >= 7
        assert columns.min() >= 11
        assert rows.max() < place[0].stop
        assert columns.max() < place[1].stop
        if number > 100:
            assert len(np.unique(rows)) > 0.9 * size[0]
            assert len(np.unique(columns)) > 0.9 * size[1]


def test_each_tile_has_the_style_that_suits_it() -> None:
    """The tensors of two styles differ only in how the style's input moves the scale of Y."""
    tensors = random_tensors(2)
    tensors["residual.trunk0.weight"][-2:] = [[63] * 16, [-63] * 16]
    network = network_of(model_of(tensors))
    values = np.full((16, 64, 1), 128, np.int16)
    values[:, 32:] = RNG.integers(0, 256, (16, 32, 1))
    plane = plane_of(values)
    places = [(slice(0, 16), slice(0, 32)), (slice(0, 16), slice(32, 64))]
    chosen = choose_styles(network, plane, places)
    spent = []
    for style in range(2):
        one = replace(plane, styles=np.full((16, 64), style, np.uint8))
        bits = engine.current().measure(network, one).reshape(16, 64)
        spent.append([bits[place].sum() for place in places])
    assert chosen.tolist() == np.argmin(spent, 0).tolist()
