"""The public API: exact round trips of every kind of image, however it is decoded."""

from collections.abc import Callable

import numpy as np
import pytest
from factory import flat_colour_model, random_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import saidcodec
from saidcodec import codec, models
from saidcodec.errors import LimitError, ModelError
from saidcodec.format import container, tiling
from saidcodec.format.header import Metadata
from saidcodec.residual import core, engine

RANDOM, FLAT, COPYING = random_model(), flat_colour_model(), random_model(7, copies=True)
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
RNG = np.random.default_rng(8)


def noise(height: int, width: int, channels: int) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, channels)).astype(np.uint8)


def smooth(height: int, width: int, channels: int) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [128 + 100 * np.sin(rows / (9 + c) + columns / (13 - c)) for c in range(channels)]
    return (np.stack(planes, -1) + RNG.normal(0, 1, (height, width, channels))).clip(0, 255).astype(np.uint8)


def flat(height: int, width: int, channels: int) -> np.ndarray:
    pixels = np.zeros((height, width, channels), np.uint8)
    pixels[height // 3 :, width // 4 : width // 2 + 1] = 200
    return pixels


def shaped(pixels: np.ndarray) -> np.ndarray:
    """H×W×1 as H×W, which is how it comes back."""
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


def same(pixels: np.ndarray, data: bytes, **options: object) -> None:
    back = saidcodec.decode(data, **options)  # type: ignore[arg-type]
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, pixels)


@given(
    st.integers(1, 80),
    st.integers(1, 80),
    st.sampled_from(list(CHANNELS)),
    st.sampled_from([noise, smooth, flat]),
    st.sampled_from(["context", "gaussian"]),
    st.sampled_from([None, 0, 2]),
    st.sampled_from([RANDOM, COPYING]),
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_image_comes_back(
    height: int,
    width: int,
    mode: str,
    kind: Callable[[int, int, int], np.ndarray],
    residual: str,
    glimpses: int | None,
    model: models.Model,
) -> None:
    pixels = shaped(kind(height, width, CHANNELS[mode]))
    data = saidcodec.encode(pixels, model=model, residual=residual, glimpses=glimpses)
    assert len(data) <= pixels.size + 200  # what does not compress is stored; random tables cost the rest
    same(pixels, data, model=model)
    assert saidcodec.inspect(data, model=model)["mode"] == mode


@pytest.mark.parametrize("size", [(1, 1), (1, 4097), (4097, 1), (63, 65), (2, 2), (161, 160), (3, 700)])
@pytest.mark.parametrize("channels", [1, 4])
def test_awkward_sizes(size: tuple[int, int], channels: int) -> None:
    for kind in (noise, smooth):
        pixels = shaped(kind(*size, channels))
        same(pixels, saidcodec.encode(pixels, model=FLAT), model=FLAT)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_grey_image_in_colours_costs_what_a_grey_one_does(channels: int) -> None:
    grey = smooth(40, 40, 1)
    alpha = noise(40, 40, channels - 3)
    colour = np.concatenate([grey, grey, grey, alpha], -1)
    data = saidcodec.encode(colour, model=FLAT)
    same(colour, data, model=FLAT)
    plain = shaped(np.concatenate([grey, alpha], -1))
    assert len(data) == len(saidcodec.encode(plain, model=FLAT))


@pytest.mark.parametrize("alpha", [0, 77, 255])
def test_constant_alpha_costs_next_to_nothing(alpha: int) -> None:
    colour = smooth(50, 50, 3)
    with_alpha = np.concatenate([colour, np.full((50, 50, 1), alpha, np.uint8)], -1)
    data = saidcodec.encode(with_alpha, model=FLAT)
    same(with_alpha, data, model=FLAT)
    assert len(data) <= len(saidcodec.encode(colour, model=FLAT)) + 4


def test_any_number_of_threads_gives_the_same_file_and_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "DIVIDED_PIXELS", 1 << 14)
    pixels = np.concatenate([smooth(81, 104, 3), flat(81, 104, 3)])
    for model in (FLAT, COPYING):
        files = {saidcodec.encode(pixels, model=model, threads=threads) for threads in (1, 2, 4)}
        assert len(files) == 1
        (data,) = files
        assert len(container.unpack(data).streams or ()) == 2
        for threads in (1, 2, 4):
            same(pixels, data, model=model, threads=threads)


@pytest.mark.skipif(not core.available(), reason="the core was not built")
@pytest.mark.parametrize("options", [{}, {"max_error": 2}, {"glimpses": 2}])
@pytest.mark.parametrize("model", [FLAT, COPYING])
def test_both_engines_agree(
    model: models.Model, options: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.concatenate([smooth(70, 90, 4), noise(70, 90, 4)], 1)
    files = []
    for name in ("reference", "core"):
        monkeypatch.setenv(engine.ENGINE_VARIABLE, name)
        engine.current.cache_clear()
        files.append(saidcodec.encode(pixels, model=model, **options))  # type: ignore[arg-type]
    assert files[0] == files[1]
    decoded = saidcodec.decode(files[0], model=model)
    monkeypatch.setenv(engine.ENGINE_VARIABLE, "reference")
    engine.current.cache_clear()
    same(decoded, files[0], model=model)
    monkeypatch.undo()
    engine.current.cache_clear()


@pytest.mark.parametrize("bound", [1, 2, 3, 8, 60, 255])
@pytest.mark.parametrize("mode", list(CHANNELS))
@pytest.mark.parametrize("residual", ["context", "gaussian"])
def test_near_lossless_keeps_its_bound(bound: int, mode: str, residual: str) -> None:
    for kind in (noise, flat):
        pixels = shaped(kind(20, 31, CHANNELS[mode]))
        data = saidcodec.encode(pixels, model=FLAT, residual=residual, max_error=bound)
        back = saidcodec.decode(data, model=FLAT)
        assert back.shape == pixels.shape
        assert abs(back.astype(int) - pixels).max() <= bound


def test_a_larger_error_makes_a_smaller_file() -> None:
    pixels = noise(64, 64, 3)
    sizes = [
        len(saidcodec.encode(pixels, model=FLAT, residual="gaussian", max_error=d)) for d in (0, 1, 4, 16)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] / 1.5


@pytest.mark.parametrize("shape", [(160, 150), (60, 70), (60, 70, 3), (160, 150, 3)])
def test_quanta_save_what_they_are_wide(shape: tuple[int, ...]) -> None:
    """Of noise without a pattern each sample has log2(2D + 1) bits less, also of three channels: there the
    differences of independent channels, instead of YCoCg, lose a little."""
    middle = 100 + 30 * np.sin(np.arange(shape[1]) / 20)[:, None].reshape(shape[1], *[1] * (len(shape) - 2))
    rng = np.random.default_rng(1)
    pixels = np.clip(middle + rng.normal(0, 20, shape), 0, 255).astype(np.uint8)
    exact = len(saidcodec.encode(pixels, model="photo"))
    for bound in (1, 3, 7):
        saved = 8 * (exact - len(saidcodec.encode(pixels, model="photo", max_error=bound))) / pixels.size
        assert abs(saved - np.log2(2 * bound + 1)) < (0.25 if len(shape) == 3 else 0.05)


@pytest.mark.parametrize(("dtype", "side"), [(np.uint8, 130), (np.uint16, 50)])
def test_graphics_take_no_more_bytes_where_errors_are_allowed(dtype: type, side: int) -> None:
    """A near-lossless file is not told what repeats, and would be many times as large."""
    y, x = np.mgrid[:side, :side]
    drawing = np.stack([x * 2 % 256, y * 2 % 256, (x // 10 * 37 + y // 10 * 91) % 256], -1).astype(dtype)
    exact, near = (saidcodec.encode(drawing, max_error=error) for error in (0, 2))
    assert len(near) <= len(exact)
    assert np.abs(saidcodec.decode(near).astype(int) - drawing).max() <= 2


@pytest.mark.parametrize("mode", ["P", "1"])
def test_drawings_keep_their_palette_where_that_is_shorter(mode: str) -> None:
    y, x = np.mgrid[:140, :140]
    greys = np.where((x // 9 + y // 7) % 3, x // 14 * 20, 255).astype(np.uint8)
    drawing = Image.fromarray(greys).convert(mode)
    exact, near = (saidcodec.encode(drawing, max_error=error) for error in (0, 2))
    assert len(near) <= len(exact)


def test_progress_never_goes_back() -> None:
    told: list[float] = []
    drawing = np.tile(np.arange(200, dtype=np.uint8)[:, None, None], (1, 200, 3))
    saidcodec.encode(drawing, max_error=1, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1


def test_without_residual_the_file_is_its_preview() -> None:
    pixels = flat(40, 60, 3)
    data = saidcodec.encode(pixels, model=FLAT, residual="none")
    np.testing.assert_array_equal(saidcodec.decode(data, model=FLAT), saidcodec.preview(data, model=FLAT))


def test_forced_glimpses() -> None:
    data = saidcodec.encode(flat(64, 64, 3), model=FLAT, residual="gaussian", glimpses=3)
    account = saidcodec.inspect(data, model=FLAT)
    assert len(account["glimpses"]) <= 3
    assert account["bits"]["latents"] > 0
    assert (
        saidcodec.inspect(saidcodec.encode(flat(64, 64, 3), model=FLAT, glimpses=0), model=FLAT)["glimpses"]
        == []
    )


def test_pillow_images_and_their_metadata() -> None:
    image = Image.fromarray(smooth(9, 8, 3))
    image.info["icc_profile"] = b"profile"
    data = saidcodec.encode(image, model=FLAT)
    pixels, presentation, metadata, _ = codec.decode_image(data, model=FLAT)
    assert (presentation.mode, metadata) == ("RGB", Metadata(icc=b"profile"))
    np.testing.assert_array_equal(pixels, np.asarray(image))
    other = saidcodec.encode(image, model=FLAT, metadata=Metadata(xmp=b"<x/>"))
    assert codec.decode_image(other, model=FLAT)[2] == Metadata(xmp=b"<x/>")


def test_any_memory_layout() -> None:
    pixels = smooth(30, 40, 3)
    for view in (pixels[::-1, ::2], pixels.transpose(1, 0, 2), np.asfortranarray(pixels)):
        same(view, saidcodec.encode(view, model=FLAT), model=FLAT)


def test_the_input_is_not_changed() -> None:
    pixels = smooth(30, 30, 3)
    before = pixels.copy()
    for options in ({}, {"max_error": 4}, {"residual": "none"}):
        saidcodec.encode(pixels, model=FLAT, **options)  # type: ignore[arg-type]
        np.testing.assert_array_equal(pixels, before)


@pytest.mark.skipif(not models.installed(), reason="no model is shipped")
@pytest.mark.parametrize("channels", [3, 4])
def test_tiles_of_noise_are_stored_beside_others_that_are_not(channels: int) -> None:
    pixels = smooth(192, 256, channels)
    pixels[:60, 70:120] = np.random.default_rng(1).integers(0, 256, (60, 50, channels))
    data = saidcodec.encode(pixels, model="photo")
    kinds = kinds_of(data)
    assert np.bincount(kinds, minlength=3).tolist() == [len(kinds) - 1, 0, 1]
    same(pixels, data)


def kinds_of(data: bytes) -> np.ndarray:
    file = container.unpack(data)
    return codec.read_said(file, models.find_id(file.header.model)).kinds


def test_progress_goes_up_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "DIVIDED_PIXELS", 1 << 13)
    monkeypatch.setattr(tiling, "BAND_ROWS", 50)
    pixels = smooth(200, 300, 1)
    told: list[list[float]] = [[], []]
    data = saidcodec.encode(pixels, model=FLAT, progress=told[0].append)
    codec.decode_image(data, model=FLAT, progress=told[1].append)
    for shares in told:
        assert len(shares) > 3
        assert shares == sorted(shares)
        assert shares[-1] == 1.0


def test_encoding_twice_gives_the_same_file() -> None:
    pixels = smooth(50, 50, 3)
    assert saidcodec.encode(pixels, model=FLAT) == saidcodec.encode(pixels, model=FLAT)


@pytest.mark.parametrize("options", [{"residual": "magic"}, {"max_error": -1}, {"max_error": 256}])
def test_wrong_options(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        saidcodec.encode(flat(3, 3, 1), model=FLAT, **options)  # type: ignore[arg-type]


def test_images_beyond_the_limits_are_refused() -> None:
    strip = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), ((1 << 24) + 1, 1), (0, 0))
    with pytest.raises(LimitError, match="limit"):
        saidcodec.encode(strip, model=FLAT)


def test_models_by_name_need_to_be_there() -> None:
    with pytest.raises(ModelError, match="no model nothing"):
        saidcodec.encode(flat(3, 3, 1), model="nothing")


@pytest.mark.skipif(not models.installed(), reason="no model is shipped")
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shipped_models(channels: int) -> None:
    for pixels in (shaped(flat(64, 64, channels)), shaped(smooth(100, 180, channels))):
        data = saidcodec.encode(pixels)
        same(pixels, data)
        assert len(data) < pixels.nbytes
        account = saidcodec.inspect(data)
        assert sum(account["bits"].values()) == 2 * account["bits"]["total"] == 16 * len(data)
        assert account["model"]["id"].startswith(container.unpack(data).header.model)


@pytest.mark.parametrize("shape", [(128, 128, 4), (260, 140, 4), (300, 61, 3)])
@pytest.mark.parametrize("max_error", [0, 2])
def test_larger_images_adapt(shape: tuple[int, ...], max_error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that are long enough to learn from say so in their header, whatever their number of bands."""
    monkeypatch.setattr(tiling, "DIVIDED_PIXELS", 1 << 15)
    rng = np.random.default_rng(len(shape))
    steps = rng.integers(-2, 3, shape).cumsum(0) + rng.integers(-2, 3, shape).cumsum(1)
    pixels = np.clip(128 + steps, 0, 255).astype(np.uint8)
    data = saidcodec.encode(pixels, model="photo", max_error=max_error)
    assert container.unpack(data).header.adaptive
    assert len(container.unpack(data).streams or ()) == (2 if shape[1] == 140 else 1)
    difference = saidcodec.decode(data).astype(int) - pixels
    assert np.abs(difference).max() <= max_error
