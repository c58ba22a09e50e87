"""What a .said file does not keep is named, and what it keeps is not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from saidcodec import losses

RGB = Image.fromarray(np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def text() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "a title")
    return info


def chunk(kind: bytes) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add(kind, b"private")
    return info


@pytest.mark.parametrize(
    ("data", "lost"),
    [
        (saved(RGB, "PNG"), []),
        (saved(RGB, "PNG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"), []),
        (saved(RGB, "JPEG"), []),
        (saved(RGB, "JPEG", progressive=True, xmp=b"<x/>"), []),
        (saved(RGB, "WEBP", lossless=True), []),
        (saved(RGB.convert("LA"), "PNG"), []),
        (saved(RGB, "TIFF"), []),
        (saved(RGB, "TIFF", dpi=(300, 300)), []),
        (saved(RGB, "PNG", pnginfo=text()), []),
        (saved(RGB, "PNG", pnginfo=chunk(b"prVt")), ["PNG chunks prVt"]),
        (saved(RGB, "PNG", dpi=(300, 300)), []),
        (saved(RGB, "JPEG", comment="seen"), []),
        (saved(RGB.convert("P"), "PNG"), []),
        (saved(RGB.convert("1"), "PNG"), []),
        (saved(RGB, "PNG", transparency=(0, 1, 2)), []),
    ],
)
def test_losses(data: bytes, lost: list[str]) -> None:
    assert losses.of(data, "it") == lost


def test_an_icon_of_several_sizes_loses_them() -> None:
    square = RGB.resize((64, 64))
    assert losses.of(saved(square, "ICO", sizes=[(16, 16), (32, 32)]), "it") == ["its other sizes"]
    assert losses.of(saved(square, "ICO", sizes=[(32, 32)]), "it") == []
