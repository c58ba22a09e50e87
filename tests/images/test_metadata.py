"""Metadata survives, or its loss is named."""

import io
import warnings

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
from PIL import Image, ImageOps

from saidcodec import codec, images
from saidcodec.errors import ImageError, SaidWarning
from saidcodec.format.header import Metadata, Resolution, Text, Unit


@pytest.mark.parametrize("source", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("target", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_metadata_survives(source: str, target: str) -> None:
    pixels, _, metadata, _ = images.from_pillow(source_with_metadata(source))
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
    pixels, _, metadata, _ = images.from_pillow(image)
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
    with pytest.raises(ImageError, match="JPEG cannot hold an image of mode RGB: EXIF"):
        images.save(
            picture_of(pixels_of("RGB"), Metadata(exif=b"MM\0*" + bytes(70_000))), io.BytesIO(), "JPEG"
        )


def test_metadata_that_a_format_drops_is_named() -> None:
    metadata = Metadata(icc=icc(), exif=exif().removeprefix(images.EXIF_PREFIX), xmp=XMP)
    with pytest.warns(SaidWarning, match="PPM does not keep the image's ICC profile, EXIF and XMP"):
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


@pytest.mark.parametrize("source", ["JPEG", "GIF"])
@pytest.mark.parametrize("target", ["JPEG", "GIF", "PNG"])
def test_comments_survive(source: str, target: str) -> None:
    image = reopened(Image.fromarray(np.zeros((8, 8), np.uint8)), source, comment=b"seen \xe9")
    pixels, _, metadata, _ = images.from_pillow(image)
    assert metadata.comment == b"seen \xe9"
    file = io.BytesIO()
    images.save(
        picture_of(np.full((8, 8), pixels[0, 0, 0] if pixels.ndim > 2 else 0, np.uint8), metadata),
        file,
        target,
    )
    found = images.from_file(file.getvalue(), "it")[2]
    if target == "PNG":
        assert found.texts == (Text("Comment", "seen é"),)
        assert images.differing(found, metadata) == []
    else:
        assert found.comment == metadata.comment


def test_a_text_of_png_becomes_a_comment() -> None:
    metadata = Metadata(texts=(Text("Comment", "gesehen é"),))
    for name in ("JPEG", "GIF"):
        file = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            images.save(picture_of(np.zeros((8, 8), np.uint8), metadata), file, name)
        found = images.from_file(file.getvalue(), "it")[2]
        assert found.comment == "gesehen é".encode()
        assert images.differing(found, metadata) == []


def test_of_several_comments_the_last_is_kept() -> None:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "JPEG", comment=b"last")
    data = file.getvalue()
    data = data[:2] + b"\xff\xfe\0\7first" + data[2:]
    with pytest.warns(SaidWarning, match="2 comments only the last"):
        assert images.from_file(data, "it")[2].comment == b"last"


def test_what_a_format_cannot_hold_is_named_once() -> None:
    metadata = Metadata(
        xmp=b"<x/>",
        resolution=Resolution(Unit.INCH, (300, 1), (300, 1)),
        texts=(Text("Title", "a"), Text("Author", "b")),
        comment=b"c",
        chunks=((b"gAMA", bytes(4)), (b"sRGB", b"\0")),
    )
    lost = r"comment, texts \(Title, Author\) and PNG chunks \(gAMA, sRGB\)\.$"
    for name, save, more in (("WEBP", images.save_exactly, ""), ("PPM", images.save, "XMP, resolution, ")):
        with pytest.warns(SaidWarning, match=f"^{name} does not keep the image's {more}{lost}") as noted:
            save(picture_of(pixels_of("RGB"), metadata), io.BytesIO(), name)
        assert len(noted) == 1


@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_image_that_is_turned_is_turned_once(source: str, target: str) -> None:
    """Viewers show the same after any way through a .said file."""
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, 8:] = 255
    tags = Image.Exif()
    tags[0x0112] = ORIENTED
    before = reopened(Image.fromarray(pixels), source, exif=tags)
    found, _, metadata, _ = images.from_pillow(before)
    data = codec.encode(found, metadata=metadata, model="photo", effort="fast")
    decoded, _, kept, _ = codec.decode_image(data)
    file = io.BytesIO()
    images.save(picture_of(decoded, kept), file, target)
    shown = ImageOps.exif_transpose(Image.open(file))
    assert shown.size == (8, 16)
    wanted = np.asarray(ImageOps.exif_transpose(Image.fromarray(pixels)).rotate(-90, expand=True))
    np.testing.assert_allclose(np.asarray(shown).astype(int), wanted, atol=9)


def test_a_comment_that_is_too_long_for_jpeg_is_named() -> None:
    with pytest.warns(SaidWarning, match="JPEG does not keep the image's comment"):
        images.save(picture_of(pixels_of("RGB"), Metadata(comment=bytes(65534))), io.BytesIO(), "JPEG")
    file = io.BytesIO()
    images.save(picture_of(pixels_of("RGB"), Metadata(comment=bytes(65533))), file, "JPEG")
    assert images.from_file(file.getvalue(), "it")[2].comment == bytes(65533)
