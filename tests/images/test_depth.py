"""Bits a sample, read from the headers of formats that Pillow shows in eight bits (files: tests/deep)."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saidcodec.images import depth

DEEP = sorted(Path(__file__).parents[1].joinpath("deep").iterdir())


@pytest.mark.parametrize("path", DEEP, ids=lambda path: path.name)
def test_a_file_says_how_deep_it_is(path: Path) -> None:
    """Their names begin with their depth."""
    with open(path, "rb") as file:
        assert depth.bits_in(file) == int(path.stem)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "JPEG2000", "AVIF", "WEBP", "TIFF"])
def test_ordinary_files_have_eight_bits(name: str) -> None:
    file = io.BytesIO()
    Image.fromarray(np.zeros((9, 8, 3), np.uint8)).save(file, name)
    assert depth.bits_in(file) == 8


@pytest.mark.parametrize("path", DEEP, ids=lambda path: path.name)
def test_files_that_are_cut_off_are_no_error(path: Path) -> None:
    data = path.read_bytes()
    for length in range(len(data)):
        assert 8 <= depth.bits_in(io.BytesIO(data[:length])) <= 16


def test_the_deepest_colour_of_a_palette_counts() -> None:
    palette = struct.pack(">I4sHB3B", 14 + 3 - 2, b"pclr", 0, 3, 7, 11, 7)
    header = struct.pack(">I4s", 8 + len(palette), b"jp2h") + palette
    signature = struct.pack(">I4sI", 12, b"jP  ", 0x0D0A870A)
    assert depth.bits_in(io.BytesIO(signature + header)) == 12


def bits(*fields: tuple[int, int]) -> bytes:
    """Values of given widths, from the lowest bit on, behind JPEG XL's signature."""
    number = at = 0
    for value, width in fields:
        number |= value << at
        at += width
    return depth.CODESTREAM_JXL + number.to_bytes(-(-at // 8) + 8, "little")


def test_jpeg_xl_headers_with_every_field() -> None:
    size = ((0, 1), (0, 2), (99, 9), (0, 3), (1, 2), (9, 13))  # a height and a width of their own
    preview = ((1, 1), (2, 2), (3, 5), (1, 3))  # in eighths, square
    animation = ((0, 2), (0, 2), (0, 2), (0, 1))
    extra = ((0, 1), (1, 1), (0, 3), (1, 1), *size, (1, 1), *preview, (1, 1), *animation)
    assert depth.bits_in(io.BytesIO(bits(*size, *extra, (0, 1), (2, 2)))) == 12
    assert depth.bits_in(io.BytesIO(bits(*size, *extra, (1, 1), (1, 2)))) == 16  # floating point
    assert depth.bits_in(io.BytesIO(bits(*size, (1, 1)))) == 8
