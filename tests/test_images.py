"""Images in and out: no visible pixel changes, metadata survives, and what cannot be kept is refused."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from saidcodec import images
from saidcodec.container import Metadata
from saidcodec.errors import FileError, ImageError, LimitError

RNG = np.random.default_rng(5)
SHAPES = {"L": (5, 7), "LA": (5, 7, 2), "RGB": (5, 7, 3), "RGBA": (5, 7, 4)}
XMP = b'<?xpacket begin="\xef\xbb\xbf"?><x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
ORIENTED = 6


def pixels_of(mode: str) -> np.ndarray:
    return RNG.integers(0, 256, SHAPES[mode]).astype(np.uint8)


def icc() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(**more: Any) -> bytes:
    tags = Image.Exif()
    tags[0x010F] = "A camera"
    tags[0x0112] = ORIENTED
    tags.get_ifd(0x8769)[0x9003] = "2001:02:03 04:05:06"
    return tags.tobytes()


def reopened(image: Image.Image, name: str, **options: Any) -> Image.Image:
    file = io.BytesIO()
    image.save(file, name, **options)
    return Image.open(io.BytesIO(file.getvalue()))


def seen(image: Image.Image) -> np.ndarray:
    """What is visible of an image: RGBA, with the colour of transparent pixels wiped out."""
    shown = np.array(image.convert("RGBA"))
    shown[shown[..., 3] == 0] = 0
    return shown


def seen_after(image: Image.Image) -> np.ndarray:
    pixels, mode, metadata = images.from_pillow(image)
    back = images.to_pillow(pixels, metadata)
    assert back.mode == mode
    return seen(back)


@pytest.mark.parametrize("mode", SHAPES)
def test_the_four_modes_are_kept_exactly(mode: str) -> None:
    pixels = pixels_of(mode)
    found, found_mode, metadata = images.from_pillow(Image.fromarray(pixels))
    assert (found_mode, metadata) == (mode, Metadata())
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, pixels)
    back = images.to_pillow(found, metadata)
    assert back.mode == mode
    np.testing.assert_array_equal(np.asarray(back), pixels)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 2), (3, 4, 3), (3, 4, 4), (1, 1)])
def test_arrays(shape: tuple[int, ...]) -> None:
    pixels, mode, _ = images.from_any(np.ones(shape, np.uint8))
    assert pixels.shape[:2] == shape[:2]
    assert len(Image.new(mode, (1, 1)).getbands()) == (1 if len(shape) == 2 else shape[2])


@pytest.mark.parametrize("shape", [(), (4,), (0, 4), (4, 0, 3), (3, 4, 5), (3, 4, 0), (1, 3, 4, 3)])
def test_arrays_that_are_no_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="is no image"):
        images.from_any(np.ones(shape, np.uint8))


@pytest.mark.parametrize("dtype", [np.uint16, np.int8, np.float32, bool])
def test_arrays_of_other_types(dtype: Any) -> None:
    with pytest.raises(ImageError, match="8-bit"):
        images.from_any(np.ones((3, 4), dtype))


def test_bilevel_becomes_grey() -> None:
    bits = RNG.integers(0, 2, (9, 13)).astype(bool)
    pixels, mode, _ = images.from_pillow(Image.fromarray(bits))
    assert mode == "L"
    np.testing.assert_array_equal(pixels, bits * np.uint8(255))


def test_palette() -> None:
    image = Image.fromarray(pixels_of("RGB")).quantize(11)
    assert images.from_pillow(image)[1] == "RGB"
    np.testing.assert_array_equal(seen_after(image), seen(image))


@pytest.mark.parametrize("transparency", [3, bytes([0, 99, 255, 7])])
def test_palette_with_transparency(transparency: Any) -> None:
    image = reopened(Image.fromarray(pixels_of("RGB")).quantize(11), "PNG", transparency=transparency)
    assert image.mode == "P"
    assert images.from_pillow(image)[1] == "RGBA"
    np.testing.assert_array_equal(seen_after(image), seen(image))


def test_palette_of_colours_with_alpha() -> None:
    image = Image.new("P", (4, 1))
    image.putpalette(bytes(range(16)), "RGBA")
    image.putdata([0, 1, 2, 3])
    pixels, mode, _ = images.from_pillow(image)
    assert mode == "RGBA"
    np.testing.assert_array_equal(pixels.reshape(-1), np.arange(16))


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (7, 8, 9)), ("1", 0)])
def test_a_colour_that_means_transparent(mode: str, key: Any) -> None:
    image = Image.new(mode, (6, 2), 1)
    image.putpixel((1, 1), key)
    opened = reopened(image, "PNG", transparency=key)
    assert "transparency" in opened.info
    _, found_mode, _ = images.from_pillow(opened)
    assert found_mode == ("RGBA" if mode == "RGB" else "LA")
    shown = seen_after(opened)
    assert shown[1, 1, 3] == 0
    assert (shown[..., 3] == 255).sum() == 11
    np.testing.assert_array_equal(shown, seen(opened))


@pytest.mark.parametrize("mode", ["PA", "RGBX", "YCbCr"])
def test_equivalent_modes(mode: str) -> None:
    source = Image.fromarray(pixels_of("RGB"))
    image = source.quantize(8).convert("PA") if mode == "PA" else source.convert(mode)
    np.testing.assert_array_equal(seen_after(image), seen(image))


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_alpha(mode: str) -> None:
    image = Image.fromarray(pixels_of(mode.upper())).convert(mode)
    pixels, found, _ = images.from_pillow(image)
    assert found == mode.upper()
    np.testing.assert_array_equal(pixels, np.asarray(image.convert(mode.upper())))


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "HSV", "I", "F", "I;16"])
def test_modes_that_are_refused(mode: str) -> None:
    with pytest.raises(ImageError, match=f"mode {mode} "):
        images.from_pillow(Image.new(mode, (3, 3)))


def deep_png() -> bytes:
    """A PNG of one pixel with 16 bits a channel, which Pillow would show as 8-bit RGB."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compress(b"\0" + b"\x12\x34" * 3)
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data", [deep_png(), b"P6 1 1 65535\n" + b"\x12\x34" * 3, b"P6 1 1 1023\n" + b"\1\2" * 3]
)
def test_deep_colours_are_refused_not_rounded(data: bytes) -> None:
    image = Image.open(io.BytesIO(data))
    assert image.mode == "RGB"
    with pytest.raises(ImageError, match="more than 8 bits"):
        images.from_pillow(image)


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_are_refused(name: str) -> None:
    frames = [Image.fromarray(pixels_of("RGB")) for _ in range(3)]
    image = reopened(frames[0], name, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="Animations"):
        images.from_pillow(image)


def test_a_photograph_with_further_views_is_its_first() -> None:
    frames = [Image.fromarray(pixels_of("RGB")) for _ in range(2)]
    image = reopened(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert image.format == "MPO"
    assert images.from_pillow(image)[1] == "RGB"


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_truncated_images(name: str) -> None:
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (90, 90, 3)).astype(np.uint8)).save(file, name)
    data = file.getvalue()
    for length in range(0, len(data) - 20, len(data) // 40):
        with pytest.raises(ImageError):
            images.from_pillow(images.open_image(io.BytesIO(data[:length]), "it"))


def test_what_is_no_image() -> None:
    with pytest.raises(ImageError, match="holiday is not an image"):
        images.open_image(io.BytesIO(b"no image"), "holiday")


def test_too_many_pixels_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    header = b"P5 16385 16384 255\n"
    with pytest.raises(LimitError, match=r"it has more pixels.*16385×16384"):
        images.open_image(io.BytesIO(header), "it")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    image = Image.open(io.BytesIO(header))
    with pytest.raises(LimitError, match="16385×16384"):
        images.from_pillow(image)
    with pytest.raises(LimitError, match="it has more pixels"):
        images.open_image(io.BytesIO(b"P5 100000 100000 255\n"), "it")


def test_large_images_are_opened_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert images.open_image(io.BytesIO(b"P5 16384 16384 255\n"), "it").width == 16384


def source_with_metadata(name: str) -> Image.Image:
    image = Image.fromarray(RNG.integers(0, 256, (8, 8, 3)).astype(np.uint8))
    options: dict[str, Any] = {"icc_profile": icc(), "exif": exif(), "xmp": XMP}
    if name == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP)
        options["pnginfo"] = info
    if name == "TIFF":
        tags = Image.Exif()
        tags.load(exif())
        del tags[0x0112]  # Pillow turns a TIFF file's pixels itself
        tags[700] = XMP
        options["exif"] = tags
    return reopened(image, name, **options)


@pytest.mark.parametrize("source", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("target", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_metadata_survives(source: str, target: str) -> None:
    pixels, _, metadata = images.from_pillow(source_with_metadata(source))
    assert metadata.icc == icc()
    assert metadata.xmp == XMP
    assert metadata.exif[:2] in (b"II", b"MM")
    file = io.BytesIO()
    images.save(pixels, metadata, file, target)
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
    assert images.to_pillow(pixels, metadata).getexif()[0x0112] == ORIENTED


def test_a_tiff_file_says_of_itself_only_what_is_true() -> None:
    """EXIF that claims another size or compression must not end up as the file's own tags."""
    tags = Image.Exif()
    tags[256], tags[257], tags[259], tags[0x010F] = 4000, 3000, 6, "A camera"
    file = io.BytesIO()
    pixels = pixels_of("RGB")
    images.save(pixels, Metadata(exif=tags.tobytes().removeprefix(images.EXIF_PREFIX)), file, "TIFF")
    image = Image.open(io.BytesIO(file.getvalue()))
    assert image.getexif()[0x010F] == "A camera"
    np.testing.assert_array_equal(np.array(image), pixels)


def test_encoding_leaves_the_callers_image_alone() -> None:
    image = source_with_metadata("TIFF")
    image.load()
    before = dict(image.getexif())
    images.from_pillow(image)
    assert dict(image.getexif()) == before


@pytest.mark.parametrize("mode", SHAPES)
@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_lossless_formats_keep_every_sample(mode: str, name: str) -> None:
    pixels = pixels_of(mode)
    file = io.BytesIO()
    images.save(pixels, Metadata(), file, name)
    back = Image.open(io.BytesIO(file.getvalue()))
    np.testing.assert_array_equal(np.array(back.convert(mode)), pixels)


def test_formats_by_suffix() -> None:
    names = {"a.png": "PNG", "b.JPG": "JPEG", "-": "PNG", "c.tif": "TIFF", "d.webp": "WEBP", "e.ppm": "PPM"}
    assert {target: images.format_of(target) for target in names} == names
    for target in ("a", "a.txt", "folder.png/a", ".png"):
        with pytest.raises(FileError, match="no image format"):
            images.format_of(target)


def test_modes_that_a_format_cannot_hold() -> None:
    with pytest.raises(ImageError, match="RGBA image cannot be written as JPEG"):
        images.save(pixels_of("RGBA"), Metadata(), io.BytesIO(), "JPEG")


def test_metadata_that_a_format_cannot_hold() -> None:
    with pytest.raises(ImageError, match="cannot be written as JPEG"):
        images.save(pixels_of("RGB"), Metadata(exif=b"MM\0*" + bytes(70_000)), io.BytesIO(), "JPEG")


def test_an_image_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "it.png"
    Image.new("L", (3, 2)).save(path)
    assert images.open_image(path, "it").size == (3, 2)
