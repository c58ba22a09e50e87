"""What the bands of an image may have been made of."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import saidcodec
from saidcodec.encoder import preimage


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
