"""Images of more than eight bits a sample are read with all of them, or refused, but never rounded."""

import io
from pathlib import Path

import numpy as np
import pytest
from pictures import deep_png
from PIL import Image

from saidcodec import images
from saidcodec.errors import ImageError

DEEP = [
    path for path in sorted(Path(__file__).parents[1].joinpath("deep").iterdir()) if path.suffix != ".jxl"
]


@pytest.mark.parametrize(
    ("data", "sample"),
    [
        (deep_png(), 0x1234),
        (b"P6 1 1 65535\n" + b"\x12\x34" * 3, 0x1234),
        (b"P6 1 1 1023\n" + b"\1\2" * 3, 0x102),
    ],
)
def test_deep_colours_are_read_with_all_bits(data: bytes, sample: int) -> None:
    image = Image.open(io.BytesIO(data))
    assert image.mode == "RGB"
    for source in (image, io.BytesIO(data)):
        pixels, mode, _, _ = images.from_any(source)
        assert (pixels.dtype, pixels.tolist(), mode.mode) == (np.uint16, [[[sample] * 3]], "RGB;16")


@pytest.mark.parametrize("path", DEEP, ids=lambda path: path.name)
def test_deep_files_are_refused_by_every_door(path: Path) -> None:
    unread, read = Image.open(path), Image.open(path)
    read.load()
    for image in (
        unread,
        read,
        Image.open(io.BytesIO(path.read_bytes())),
        path,
        io.BytesIO(path.read_bytes()),
    ):
        with pytest.raises(ImageError, match="more than 8 bits"):
            images.from_any(image)
    assert unread.size == (4, 4)
    unread.load()  # still works


@pytest.mark.parametrize("name", ["deep.png", "deep.ppm"])
def test_deep_files_are_refused_after_they_were_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(deep_png() if name == "deep.png" else b"P6 1 1 65535\n" + b"\x12\x34" * 3)
    image = Image.open(path)
    image.load()
    assert image.mode == "RGB"
    with pytest.raises(ImageError, match="more than 8 bits"):
        images.from_any(image)


def test_a_deep_tiff_is_refused_after_it_was_read() -> None:
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "TIFF")
    image = Image.open(file)
    image.load()
    image.tag_v2[258] = (16, 16, 16)
    with pytest.raises(ImageError, match="more than 8 bits"):
        images.from_any(image)
