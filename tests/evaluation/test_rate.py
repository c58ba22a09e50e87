"""Every codec of a comparison gives every kind of image back, and one that does not is found out."""

import numpy as np
import pytest

from saidcodec.evaluation import rate

SHAPES = [(9, 7), (9, 7, 2), (9, 7, 3), (9, 7, 4)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("opaque", [False, True])
def test_every_codec_measures_every_kind(shape: tuple[int, ...], opaque: bool) -> None:
    pytest.importorskip("imagecodecs")
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    if len(shape) == 3 and shape[2] % 2 == 0:
        pixels[..., -1] = 255 if opaque else pixels[..., -1] % 2
    for peer in (*rate.peers(1), rate.own("photo", 1)):
        result = rate.measure(peer, [pixels, pixels])
        assert result.samples == 2 * pixels.size
        assert result.pixels == 2 * 63
        assert result.bytes > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_a_codec_that_loses_a_sample_is_found_out(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)
    for place in np.ndindex(*shape[2:] or (1,)):
        worse = pixels.copy()
        worse[(4, 5, *place) if len(shape) == 3 else (4, 5)] ^= 1
        peer = rate.Peer("it", lambda _: b"it", lambda _, worse=worse: worse)
        with pytest.raises(AssertionError, match="it did not give the same pixels back"):
            rate.measure(peer, [pixels])
