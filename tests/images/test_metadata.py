"""Metadata survives, or its loss is named."""

import io

import numpy as np
import pytest
from pictures import (
    ORIENTED,
    SHAPES,
    XMP,
    exif,
    icc,
    picture_of,
    pixels_of,
    reopened,
    source_with_metadata,
)
from PIL import Image

from saidcodec import images
from saidcodec.errors import ImageError, SaidWarning
from saidcodec.format.header import Metadata


@pytest.mark.parametrize("source", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("target", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_metadata_survives(source: str, target: str) -> None:
    pixels, _, metadata = images.from_pillow(source_with_metadata(source))
    assert metadata.icc == icc()
    assert metadata.xmp == XMP
    assert metadata.exif[:2] in (b"II", b"MM")
    file = io.BytesIO()
    images.save(picture_of(pixels, metadata), file, target)
    again = Image.open(io.BytesIO(file.getvalue()))
    tags = again.getexif()
    assert tags[0x010F] == "A camera"
    assert tags.get_ifd(0x8769)[0x9003] == "2001:02:03 04:05:06"
    if "TIFF" not in (source, target):  # Pillow turns a TIFF file's pixels itself
        assert tags[0x0112] == ORIENTED
    assert again.info["icc_profile"] == icc()
    assert again.info["xmp"] == XMP


def test_orientation_turns_no_pixels() -> None:
    image = reopened(Image.fromarray(pixels_of("RGB")), "PNG", exif=exif())
    pixels, _, metadata = images.from_pillow(image)
    assert pixels.shape == SHAPES["RGB"]
    assert images.to_pillow(picture_of(pixels, metadata)).getexif()[0x0112] == ORIENTED


def test_too_much_metadata_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saidcodec.images.metadata.MOST_METADATA", 2000)
    image = Image.new("L", (2, 2))
    image.info.update(icc_profile=bytes(500), xmp=bytes(3000))
    with pytest.warns(SaidWarning, match="XMP cannot be kept: it has 3000 bytes"):
        metadata = images.from_any(image)[2]
    assert metadata == Metadata(icc=bytes(500))


def test_metadata_that_a_format_cannot_hold() -> None:
    with pytest.raises(ImageError, match="cannot be written as JPEG"):
        images.save(
            picture_of(pixels_of("RGB"), Metadata(exif=b"MM\0*" + bytes(70_000))), io.BytesIO(), "JPEG"
        )


def test_metadata_that_a_format_drops_is_named() -> None:
    metadata = Metadata(icc=icc(), exif=exif().removeprefix(images.EXIF_PREFIX), xmp=XMP)
    with pytest.warns(SaidWarning, match="PPM does not keep the image's ICC profile and EXIF and XMP"):
        images.save_exactly(picture_of(pixels_of("RGB"), metadata), io.BytesIO(), "PPM")


@pytest.mark.parametrize("name", ["TIFF", "AVIF"])
def test_exif_that_is_none_is_left_out_where_it_must_be_valid(name: str) -> None:
    metadata = Metadata(exif=b"garbage bytes", xmp=b"<x/>")
    pixels = np.full((4, 4), 7, np.uint8)
    file = io.BytesIO()
    with pytest.warns(SaidWarning, match=f"{name} cannot hold the image's EXIF") as noted:
        images.save_exactly(picture_of(pixels, metadata), file, name)
    assert len(noted) == 1
    assert Image.open(file).info["xmp"] == b"<x/>"
