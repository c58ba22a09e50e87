"""Files of 16 bits a sample: written, and read with all their bits."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from factory import EVERY_KIND
from pictures import XMP, exif, icc, picture_of
from PIL import Image, ImageOps

import saidcodec
from saidcodec import images
from saidcodec.errors import ImageError, SaidWarning
from saidcodec.format.header import Metadata, Resolution, Text, Unit
from saidcodec.format.presentation import Presentation
from saidcodec.images import deep_tiff
from saidcodec.images.saving_frames import same_frames

MODES = {1: "I;16", 2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}


def picture(channels: int, height: int = 11, width: int = 17) -> np.ndarray:
    rng = np.random.default_rng(channels)
    smooth = np.arange(width)[None, :, None] * 3000 + np.arange(height)[:, None, None] * 41
    pixels = (smooth + rng.integers(0, 300, (height, width, channels))).astype(np.uint16)
    return pixels[..., 0] if channels == 1 else pixels


def written(pixels: np.ndarray, name: str, metadata: Metadata) -> bytes:
    file = io.BytesIO()
    images.save_exactly(picture_of(pixels, metadata), file, name)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "channels"), [*(("PNG", c) for c in MODES), *(("TIFF", c) for c in (1, 3, 4))]
)
def test_what_is_written_is_read(name: str, channels: int) -> None:
    pixels = picture(channels)
    metadata = Metadata(icc=icc(), xmp=XMP, exif=b"" if name == "TIFF" else exif().removeprefix(b"Exif\0\0"))
    data = written(pixels, name, metadata)
    found, mode, kept, _ = images.from_file(data, None)
    np.testing.assert_array_equal(found, pixels)
    assert (found.dtype, mode.mode, kept) == (np.uint16, MODES[channels], metadata)
    shown = Image.open(io.BytesIO(data))  # what other programs see
    shown.load()
    assert shown.size == (17, 11)
    if channels > 2:
        np.testing.assert_array_equal(np.asarray(shown), pixels >> 8)


def test_rows_of_a_png_are_filtered() -> None:
    smooth = picture(3, 60, 60)
    assert len(written(smooth, "PNG", Metadata())) < 0.9 * len(zlib.compress(smooth.astype(">u2").tobytes()))


def test_grey_comes_from_pillow() -> None:
    pixels = picture(1)
    found, mode, _, _ = images.from_pillow(Image.fromarray(pixels))
    np.testing.assert_array_equal(found, pixels)
    assert mode.mode == "I;16"
    for data in (b"P5 17 11 65535\n", b"P5 17 11 60000\n"):
        found, _, _, _ = images.from_file(data + pixels.astype(">u2").tobytes(), None)
        np.testing.assert_array_equal(found, pixels)


def big_endian_tiff(pixels: np.ndarray, rows: int) -> bytes:
    """An RGB TIFF file without compression, with so many rows in a strip."""
    height, width, _ = pixels.shape
    strips = [pixels[y : y + rows].astype(">u2").tobytes() for y in range(0, height, rows)]
    count, longs = len(strips), b""
    at = 8 + 2 + 12 * 9 + 4
    start = at + 6 + 8 * count
    places = [start + sum(map(len, strips[:i])) for i in range(count)]
    bits = struct.pack(">3H", 16, 16, 16)
    offsets, sizes = (struct.pack(f">{count}I", *part) for part in (places, [*map(len, strips)]))
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, at),
        (259, 3, 1, 1 << 16),
        (262, 3, 1, 2 << 16),
    ]
    tags += [
        (273, 4, count, at + 6),
        (277, 3, 1, 3 << 16),
        (278, 4, 1, rows),
        (279, 4, count, at + 6 + 4 * count),
    ]
    for tag in tags:
        longs += struct.pack(">HHII", *tag)
    head = struct.pack(">2sHIH", b"MM", 42, 8, len(tags)) + longs + bytes(4)
    return head + bits + offsets + sizes + b"".join(strips)


@pytest.mark.parametrize("rows", [3, 6])
def test_tiff_files_of_other_orders_and_several_strips(rows: int) -> None:
    pixels = picture(3)
    found, mode, _, _ = images.from_file(big_endian_tiff(pixels, rows), None)
    np.testing.assert_array_equal(found, pixels)
    assert mode.mode == "RGB;16"


def test_a_colour_that_stands_for_transparency_is_kept() -> None:
    data = written(picture(3), "PNG", Metadata())
    key = picture(3)[4, 5]
    body = struct.pack(">3H", *key.tolist())
    chunk = struct.pack(">I", 6) + b"tRNS" + body + struct.pack(">I", zlib.crc32(b"tRNS" + body))
    found = images.from_file(data[:33] + chunk + data[33:], None)
    assert found.presentation == Presentation("RGB;16", key=tuple(key.tolist()))
    np.testing.assert_array_equal(found.pixels, picture(3))
    np.testing.assert_array_equal(found.smooth().pixels[..., 3] == 0, (picture(3) == key).all(2))


@pytest.mark.parametrize("name", ["JPEG", "WEBP", "GIF", "BMP"])
def test_other_formats_are_refused(name: str) -> None:
    with pytest.raises(ImageError, match=r"\.png and \.tif can, and --lossy"):
        images.save_exactly(picture_of(picture(3), Metadata()), io.BytesIO(), name)


def test_a_loss_is_not_advised_where_it_would_not_help() -> None:
    """JPEG has no alpha, which a key becomes."""
    keyed = picture_of(picture(3), Metadata())
    keyed = keyed._replace(presentation=keyed.presentation._replace(key=(1, 2, 3)))
    with pytest.raises(ImageError, match=r"can\.$"):
        images.save_exactly(keyed, io.BytesIO(), "JPEG")
    with pytest.raises(ImageError, match=r"can, and --lossy"):
        images.save_exactly(keyed, io.BytesIO(), "WEBP")


@pytest.mark.parametrize("channels", MODES)
def test_where_loss_is_allowed_they_get_the_upper_bits(channels: int) -> None:
    file = io.BytesIO()
    images.save(picture_of(picture(channels), Metadata(icc=icc())), file, "WEBP")
    found, _, kept, _ = images.from_file(file.getvalue(), None)
    assert found.dtype == np.uint8
    colours = found.reshape(11, 17, -1)[..., : 3 if channels > 2 else 1].squeeze()
    wanted = (picture(channels) >> 8).reshape(11, 17, -1)[..., : 3 if channels > 2 else 1].squeeze()
    np.testing.assert_array_equal(colours, wanted)
    assert kept.icc == icc()


def test_what_tiff_does_not_keep_is_told() -> None:
    for pages in (1, 2):
        shown = [picture_of(picture(3), Metadata(exif=b"no EXIF"))] * pages
        with pytest.warns(SaidWarning, match="EXIF: it is not valid"):
            images.save_any(shown, 0, io.BytesIO(), "TIFF", False)
    with pytest.raises(ImageError, match="grey and alpha"):
        images.save(picture_of(picture(2), Metadata()), io.BytesIO(), "TIFF")


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_files_that_are_cut_off_are_refused(name: str) -> None:
    data = written(picture(3), name, Metadata())
    for end in range(60, len(data) - 20, 97):
        with pytest.raises(ImageError):
            images.from_file(data[:end], None)
    with pytest.raises(ImageError):
        images.from_file(b"P6 5 5 65535\n" + bytes(149), None)


@pytest.mark.parametrize("channels", MODES)
def test_a_png_keeps_all_kinds_of_metadata(channels: int) -> None:
    chunks = ((b"gAMA", bytes([0, 0, 177, 143])), (b"sBIT", bytes([12] * channels)))
    background = bytes([1, 2] * (3 if channels > 2 else 1))
    metadata = EVERY_KIND._replace(chunks=(*chunks, (b"bKGD", background)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = images.from_file(written(picture(channels), "PNG", metadata), None)[2]
    assert images.differing(found, metadata) == []


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_tiff_keeps_the_resolution(channels: int) -> None:
    metadata = Metadata(xmp=XMP, resolution=Resolution(Unit.INCH, (300, 1), (145, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = written(picture(channels), "TIFF", metadata)
    assert images.from_file(data, None)[2] == metadata
    assert Image.open(io.BytesIO(data)).info["dpi"] == (300, 72.5)
    with pytest.warns(SaidWarning, match=r"TIFF does not keep the image's texts \(Title\)"):
        written(picture(channels), "TIFF", Metadata(texts=(Text("Title", "text"),)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_keeps_exif_and_is_turned_once(orientation: int) -> None:
    tags = Image.Exif()
    tags[0x010F], tags[0x0112] = "A camera", orientation
    tags.get_ifd(0x8769)[0x9003] = "2001:02:03 04:05:06"
    data = written(picture(3), "TIFF", Metadata(exif=tags.tobytes().removeprefix(b"Exif\0\0")))
    found, _, kept, _ = images.from_file(data, None)
    turned = Image.fromarray((picture(3) >> 8).astype(np.uint8))
    turned.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(found >> 8, np.asarray(ImageOps.exif_transpose(turned)))
    again = Image.Exif()
    again.load(b"Exif\0\0" + kept.exif)
    assert again[0x010F] == "A camera"
    assert again.get_ifd(0x8769)[0x9003] == "2001:02:03 04:05:06"
    assert 0x0112 not in again or again[0x0112] == 1


def test_large_pages_have_several_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep_tiff, "STRIP_BYTES", 4 * 6 * 17 - 1)
    data = written(picture(3), "TIFF", Metadata(icc=icc()))
    assert len(Image.open(io.BytesIO(data)).tag_v2[273]) == 4
    monkeypatch.setattr(deep_tiff, "LIMIT", len(data))
    with pytest.raises(ImageError, match="too large for one TIFF file; --frame takes one"):
        written(picture(3), "TIFF", Metadata(icc=icc()))


def test_pages_of_all_kinds_come_back() -> None:
    pages = [picture(3), picture(1)[:5], (picture(2) >> 8).astype(np.uint8), picture(4), picture(3)[:, :4]]
    kept = [Metadata(icc=icc()), Metadata(), Metadata(xmp=XMP), Metadata(), Metadata()]
    shown = [picture_of(*one) for one in zip(pages, kept, strict=True)]
    file = io.BytesIO()
    images.save_any(shown, 0, file, "TIFF", False)
    found = [*images.several_frames(images.ImageFile(file.getvalue(), None))]
    for one, wanted in zip(found, shown, strict=True):
        np.testing.assert_array_equal(one.pixels, wanted.pixels)
        assert (one.pixels.dtype, one.metadata) == (wanted.pixels.dtype, wanted.metadata)
    with pytest.raises(ImageError, match=r"PNG cannot hold .*; \.tif can"):
        images.save_any([shown[0]] * 2, 0, io.BytesIO(), "PNG", False)
    with pytest.raises(ImageError, match="grey and alpha"):
        images.save_any([picture_of(picture(2))] * 2, 0, io.BytesIO(), "TIFF", False)


def test_a_file_of_other_samples_is_not_the_same() -> None:
    file = io.BytesIO()
    shown = [picture_of(picture(3)), picture_of(picture(1))]
    images.save_any(shown, 0, file, "TIFF", False)
    found = images.several_frames(images.ImageFile(file.getvalue(), None))
    assert same_frames(found, shown, "TIFF")
    assert not same_frames(found, shown[:1], "TIFF")
    assert not same_frames(found, [shown[0], picture_of(picture(1) ^ 1)], "TIFF")


def test_frames_are_kept_and_had_one_by_one() -> None:
    frames = [picture(3), picture(3), picture(3)[:5], picture(1)]
    frames[1] = frames[1].copy()
    frames[1][0, 0] = frames[1][-1, -1] = 9
    with saidcodec.Frames(saidcodec.encode_frames(frames)) as found:
        for one, other in zip(found, frames, strict=True):
            np.testing.assert_array_equal(one, other)
    file = io.BytesIO()
    pages = [Image.fromarray(picture(1)), Image.fromarray(picture(1)[:5])]
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    with saidcodec.Frames(saidcodec.encode(io.BytesIO(file.getvalue()))) as found:
        for one, page in zip(found, pages, strict=True):
            np.testing.assert_array_equal(one, np.asarray(page))


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_samples_of_32_bits_are_refused_by_name(kind: type) -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((4, 5), 9, kind)).save(file, "TIFF")
    with pytest.raises(ImageError, match="Samples of 32 bits or floating-point ones cannot be encoded"):
        images.from_any(io.BytesIO(file.getvalue()))
