"""What the bands of an image may have been made of."""

from __future__ import annotations

import io
import weakref

import numpy as np
import pytest
from PIL import Image

import saidcodec
from saidcodec import models
from saidcodec.encoder import estimate, preimage, writing
from saidcodec.encoder.sources import Sources, repetition
from saidcodec.format.presentation import Presentation
from saidcodec.format.tiling import Tiling


def was_jpeg(height: int, width: int) -> np.ndarray:
    """A smooth picture that was a JPEG, uint8 [h, w, 3]."""
    small = np.random.default_rng(3).integers(40, 215, (height // 20, width // 20, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(file, "JPEG", subsampling=2)
    return np.asarray(Image.open(file))


def test_bands_are_searched_once_whatever_the_number_of_models(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []
    mapped = preimage.mapped

    def counted(rgb: np.ndarray, *more: object) -> object:
        searched.append(rgb.shape)
        return mapped(rgb, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(preimage, "mapped", counted)
    pixels = was_jpeg(140, 160)
    data = saidcodec.encode(pixels, effort="best")  # two models
    assert searched == [pixels.shape]
    assert np.array_equal(saidcodec.decode(data), pixels)


@pytest.mark.parametrize("kept", [False, True])
def test_sources_stay_only_where_several_models_ask(kept: bool) -> None:
    pixels = was_jpeg(140, 160)
    header = writing.header_of(pixels, Presentation("RGB"), models.find("photo"), "context", 0, "normal")
    sources, (band,) = Sources(header, pixels, True, kept), Tiling.of(header).bands()
    found = [weakref.ref(source) for source in sources.of(band, pixels)]
    assert found
    assert [source() is not None for source in found] == [kept] * len(found)


@pytest.mark.parametrize(("effort", "alone"), [("normal", True), ("best", False)])
def test_a_band_that_is_far_shorter_as_what_it_was_made_of_is_coded_so_alone(
    effort: str, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = []
    plan_band = writing.plan_band

    def counted(*arguments: object) -> object:
        planned.append(arguments)
        return plan_band(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(writing, "plan_band", counted)
    pixels = was_jpeg(200, 240)
    data = saidcodec.encode(pixels, effort=effort)
    assert bool(planned) != alone
    monkeypatch.setattr(estimate, "FAR", 0.0)
    assert saidcodec.encode(pixels, effort=effort) == data
    assert planned
    assert np.array_equal(saidcodec.decode(data), pixels)


def test_a_pattern_without_flat_places_is_tried_as_graphics() -> None:
    """Dithered pictures repeat themselves, but no pixel its neighbour."""
    tile = np.random.default_rng(4).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    pixels = np.tile(tile, (30, 22, 1))
    data = saidcodec.encode(pixels, model="photo")
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    assert len(data) < len(stream.getvalue())
    assert np.array_equal(saidcodec.decode(data), pixels)


@pytest.mark.parametrize(("side", "most"), [(32, 70), (256, 50), (600, 250)])
def test_gradients_take_next_to_nothing(side: int, most: int) -> None:
    y, x = np.mgrid[:side, :side]
    pixels = np.stack([x, y, (x + y) // 2], -1) * 255 // (side - 1)
    data = saidcodec.encode(pixels.astype(np.uint8))
    assert len(data) <= most
    assert np.array_equal(saidcodec.decode(data), pixels)


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (2, 2), (40, 700)])
def test_repetition_is_a_share(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
    assert 0 <= repetition(noise) < 0.05
    flat = np.ones((*shape, 4), np.uint8)
    assert repetition(flat) > 0.9 or min(shape) <= 2
