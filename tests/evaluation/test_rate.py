"""Every codec of a comparison gives every kind of image back, and one that does not is found out."""

import numpy as np
import pytest

from saidcodec.evaluation import rate

SHAPES = [(9, 7), (9, 7, 2), (9, 7, 3), (9, 7, 4)]


def noise(shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [*SHAPES, (1, 1), (1, 1, 2), (1, 1, 3), (1, 1, 4)])
@pytest.mark.parametrize("opaque", [False, True])
def test_every_codec_measures_every_kind(shape: tuple[int, ...], opaque: bool) -> None:
    pixels = noise(shape)
    if shape[2:] in ((2,), (4,)):
        pixels[..., -1] = 255 if opaque else pixels[..., -1] % 2
    pillow = rate.Peer("WebP of Pillow", rate.pillow_webp, rate.pillow_open, rate.coloured)
    for peer in (*rate.peers(1), pillow, rate.own("photo", 1)):
        result = rate.measure(peer, [pixels, pixels])
        assert result.samples == 2 * pixels.size
        assert result.pixels == 2 * shape[0] * shape[1]
        assert result.bytes > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_a_codec_that_loses_a_sample_is_found_out(shape: tuple[int, ...]) -> None:
    pixels = noise(shape)
    for place in np.ndindex(*shape[2:]):
        worse = pixels.copy()
        worse[(4, 5, *place)] ^= 1
        careless = rate.Peer("careless", lambda _: b"it", lambda _, worse=worse: worse)
        with pytest.raises(AssertionError, match="careless did not give the same pixels back"):
            rate.measure(careless, [pixels])


def test_other_channels_are_not_the_same_pixels() -> None:
    grey = noise((9, 7))
    opaque = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    for given, back in ((opaque, opaque[..., :3]), (grey, opaque[..., :3]), (opaque, grey)):
        careless = rate.Peer("careless", lambda _: b"it", lambda _, back=back: back)
        with pytest.raises(AssertionError, match="careless"):
            rate.measure(careless, [given])
    one = rate.Peer("one channel", lambda _: b"it", lambda _: grey[..., None])
    assert rate.measure(one, [grey]).bytes == 2
