"""Images in and out: no visible pixel changes, metadata survives, and what cannot be kept is refused."""

import io
import struct
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from saidcodec import images
from saidcodec.errors import FileError, ImageError, LimitError, SaidWarning
from saidcodec.format.container import Metadata

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


class Interface:
    """Nothing but an array interface."""

    def __init__(self, pixels: np.ndarray):
        self.kept = pixels
        self.__array_interface__ = pixels.__array_interface__


def variants(pixels: np.ndarray, folder: Path) -> dict[str, Any]:
    """The same pixels in memory of every sort."""
    wide = np.zeros((2 * pixels.shape[0], 3 * pixels.shape[1], *pixels.shape[2:]), np.uint8)
    wide[::2, ::3] = pixels
    mapped = np.memmap(folder / "mapped", np.uint8, "w+", shape=pixels.shape)
    mapped[:] = pixels
    frozen = pixels.copy()
    frozen.flags.writeable = False
    return {
        "plain": pixels,
        "Fortran": np.asfortranarray(pixels),
        "backwards": pixels[::-1, ::-1].copy()[::-1, ::-1],
        "spread": wide[::2, ::3],
        "turned": np.ascontiguousarray(pixels.swapaxes(0, 1)).swapaxes(0, 1),
        "mapped": mapped,
        "frozen": frozen,
        "interface": Interface(pixels),
        "unmasked": np.ma.array(pixels),
        "record": pixels.view(np.recarray),
    }


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 7, 4), (5, 1, 2), (1, 1, 1)])
def test_arrays_of_every_memory_order_and_class(shape: tuple[int, ...], tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, shape).astype(np.uint8)
    for name, given in variants(pixels, tmp_path).items():
        found, _, _ = images.from_any(given)
        assert type(found) is np.ndarray, name
        assert found.flags.c_contiguous
        assert found.strides == np.empty(found.shape, np.uint8).strides
        np.testing.assert_array_equal(found, pixels.reshape(found.shape))


def test_a_matrix_and_a_repeated_row() -> None:
    grey = pixels_of("L")
    found, mode, _ = images.from_any(np.matrix(grey))
    assert (type(found), mode) == (np.ndarray, "L")
    np.testing.assert_array_equal(found, grey)
    repeated = np.broadcast_to(grey[:1], (6, 7))
    np.testing.assert_array_equal(images.from_any(repeated)[0], repeated)


def test_masked_pixels_are_refused() -> None:
    with pytest.raises(ImageError, match="masked pixels"):
        images.from_any(np.ma.masked_greater(pixels_of("RGB"), 100))


def test_an_array_that_breaks_when_it_is_read() -> None:
    class Broken:
        def __array__(self, *_: object, **__: object) -> np.ndarray:
            raise RuntimeError("no device")

    with pytest.raises(ImageError, match="cannot be read: no device"):
        images.from_any(Broken())


DEEP = [path for path in sorted(Path(__file__).with_name("deep").iterdir()) if path.suffix != ".jxl"]


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


def test_an_image_of_a_file_that_is_gone_is_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "it.png"
    Image.fromarray(pixels_of("RGB")).save(path)
    image = Image.open(path)
    image.load()
    path.unlink()
    assert images.from_any(image)[1] == "RGB"
    path.write_bytes(b"something else")
    assert images.from_any(image)[1] == "RGB"


def animation() -> Image.Image:
    frames = [Image.new("RGB", (4, 4), (80 * i, 0, 0)) for i in range(3)]
    return reopened(frames[0], "GIF", save_all=True, append_images=frames[1:])


def test_a_frame_that_was_sought_is_taken() -> None:
    image = animation()
    image.seek(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (images.from_any(image)[0] == (160, 0, 0)).all()
        assert (images.from_any(image.copy())[0] == (160, 0, 0)).all()


def test_the_first_frame_is_taken_with_a_warning() -> None:
    with pytest.warns(SaidWarning, match="first of the image's 3 frames"):
        assert (images.from_any(animation())[0] == 0).all()


def test_animations_in_files_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "moves.gif"
    animation().save(path, save_all=True)
    with pytest.raises(ImageError, match=r"moves\.gif: Animations"):
        images.from_any(path)


def tiff(tags: dict[int, tuple[int, int, bytes]], big: bool) -> bytes:
    """A grey TIFF of one pixel, or a BigTIFF; ``tags``: number to type, count and value."""
    offset, count, entry = ("<Q", "<Q", "<HHQ8s") if big else ("<I", "<H", "<HHI4s")
    short, long = 3, 4
    known = {
        256: (short, 1, b"\1"), 257: (short, 1, b"\1"), 258: (short, 1, b"\x08"), 259: (short, 1, b"\1"),
        262: (short, 1, b"\1"), 273: (long, 1, b""), 277: (short, 1, b"\1"), 278: (short, 1, b"\1"),
        279: (long, 1, b"\1"), 271: (2, 4, b"Cam\0"),
    }  # fmt: skip
    all_tags = {**known, **tags}
    head = b"II+\0\x08\0\0\0" if big else b"II*\0"
    head += struct.pack(offset, len(head) + struct.calcsize(offset))
    size = struct.calcsize(entry)
    end = len(head) + struct.calcsize(count) + size * len(all_tags) + struct.calcsize(offset)
    all_tags[273] = (long, 1, struct.pack("<I", end + 8))
    body, outside = b"", b""
    for tag in sorted(all_tags):
        kind, number, value = all_tags[tag]
        if len(value) > struct.calcsize(offset):
            outside, value = value, struct.pack(offset, end)
        body += struct.pack(entry, tag, kind, number, value)
    return (
        head
        + struct.pack(count, len(all_tags))
        + body
        + struct.pack(offset, 0)
        + outside.ljust(8, b"\0")
        + b"\x99"
    )


@pytest.mark.parametrize("big", [False, True])
def test_tiff_files_of_both_sizes(big: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels, mode, metadata = images.from_file(tiff({}, big), "it")
    assert (pixels.tolist(), mode) == ([[0x99]], "L")
    tags = images.parsed_exif(metadata.exif)
    assert tags is not None
    assert tags[271] == "Cam"


@pytest.mark.parametrize("big", [False, True])
def test_a_tag_that_exif_cannot_hold_is_named(big: bool) -> None:
    data = tiff({65000: (16, 1, struct.pack("<Q", 1 << 40))}, big)
    with pytest.warns(SaidWarning, match="cannot be kept: 65000"):
        pixels, _, metadata = images.from_file(data, "it")
    assert pixels.tolist() == [[0x99]]
    tags = images.parsed_exif(metadata.exif)
    assert tags is not None
    assert (tags[271], 65000 in tags) == ("Cam", False)


def test_too_much_metadata_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MOST_METADATA", 2000)
    image = Image.new("L", (2, 2))
    image.info.update(icc_profile=bytes(500), xmp=bytes(3000))
    with pytest.warns(SaidWarning, match="XMP cannot be kept: it has 3000 bytes"):
        metadata = images.from_any(image)[2]
    assert metadata == Metadata(icc=bytes(500))


@pytest.mark.parametrize("name", ["TIFF", "AVIF"])
def test_exif_that_is_none_is_left_out_where_it_must_be_valid(name: str) -> None:
    metadata = Metadata(exif=b"garbage bytes", xmp=b"<x/>")
    pixels = np.full((4, 4), 7, np.uint8)
    file = io.BytesIO()
    with pytest.warns(SaidWarning, match=f"{name} cannot hold the image's EXIF") as noted:
        images.save_exactly(pixels, metadata, file, name)
    assert len(noted) == 1
    assert Image.open(file).info["xmp"] == b"<x/>"


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF", "JPEG2000", "TGA", "ICO", "GIF", "PPM", "BMP"])
@pytest.mark.parametrize("mode", SHAPES)
def test_saving_exactly_saves_the_same_or_refuses(mode: str, name: str) -> None:
    pixels = RNG.integers(0, 256, (40, 50, *SHAPES[mode][2:])).astype(np.uint8)
    file = io.BytesIO()
    exact = {"PNG", "WEBP", "TIFF", "ICO", "TGA", "JPEG2000"}
    exact |= {"PPM", "BMP"} if mode in ("L", "RGB") else set()
    exact |= {"GIF"} if mode == "L" else set()
    if name in exact:
        images.save_exactly(pixels, Metadata(), file, name)
        back = Image.open(file)
        np.testing.assert_array_equal(
            np.asarray(back.convert("RGBA")), np.asarray(Image.fromarray(pixels).convert("RGBA"))
        )
    else:
        with pytest.raises(ImageError, match=f"{name}"):
            images.save_exactly(pixels, Metadata(), file, name)


def test_colours_do_not_go_through_avif() -> None:
    pixels = RNG.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    with pytest.raises(ImageError, match=r"AVIF cannot hold this 50×40 RGB image exactly; .*--lossy"):
        images.save_exactly(pixels, Metadata(), io.BytesIO(), "AVIF")


def test_an_opaque_alpha_may_go() -> None:
    pixels = pixels_of("RGBA")
    pixels[..., 3] = 255
    images.save_exactly(pixels, Metadata(), io.BytesIO(), "PPM")


def test_icons_keep_their_size_or_are_refused() -> None:
    file = io.BytesIO()
    images.save_exactly(np.zeros((100, 37, 3), np.uint8), Metadata(), file, "ICO")
    assert Image.open(file).size == (37, 100)
    with pytest.raises(ImageError, match=r"cannot be written as ICO: .*; \.png, \.webp and \.tif can"):
        images.save_exactly(np.zeros((300, 37, 3), np.uint8), Metadata(), io.BytesIO(), "ICO")


def test_metadata_that_a_format_drops_is_named() -> None:
    metadata = Metadata(icc=icc(), exif=exif().removeprefix(images.EXIF_PREFIX), xmp=XMP)
    with pytest.warns(SaidWarning, match="PPM does not keep the image's ICC profile and EXIF and XMP"):
        images.save_exactly(pixels_of("RGB"), metadata, io.BytesIO(), "PPM")


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_a_turned_image_is_the_same_when_read_back(name: str) -> None:
    metadata = Metadata(exif=exif().removeprefix(images.EXIF_PREFIX))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images.save_exactly(pixels_of("RGB"), metadata, io.BytesIO(), name)


def test_pillow_s_limit_is_left_alone() -> None:
    before = Image.MAX_IMAGE_PIXELS
    images.open_image(io.BytesIO(b"P5 16384 16384 255\n"), "it")
    assert before == Image.MAX_IMAGE_PIXELS


def test_files_without_a_name() -> None:
    with pytest.raises(ImageError, match=r"^The file is not an image that Pillow can open\.$"):
        images.from_any(io.BytesIO(b"noise"))
    file = io.BytesIO()
    animation().save(file, "GIF", save_all=True)
    file.seek(0)
    with pytest.raises(ImageError, match=r"^Animations"):
        images.from_any(file)


def test_animations_that_are_cut_off() -> None:
    frames = [Image.fromarray(RNG.integers(0, 256, (30, 30, 3)).astype(np.uint8)) for _ in range(3)]
    for name in ("GIF", "PNG", "WEBP", "TIFF"):
        file = io.BytesIO()
        frames[0].save(file, name, save_all=True, append_images=frames[1:])
        for length in range(20, len(file.getvalue()), len(file.getvalue()) // 9):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with suppress(ImageError):  # unless the first frame is whole
                    image = images.open_image(io.BytesIO(file.getvalue()[:length]), "it")
                    assert images.from_any(image)[1] in SHAPES
