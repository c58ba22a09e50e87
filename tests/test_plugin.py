"""Pillow opens and saves .said files."""

import copy
import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factory import Recorder, random_tensors
from PIL import Image, ImageSequence, PngImagePlugin

import saidcodec
from saidcodec import models
from saidcodec.plugins import pillow

pillow.register()
RNG = np.random.default_rng(2)
SHAPES = {"L": (6, 9), "LA": (6, 9, 2), "RGB": (6, 9, 3), "RGBA": (6, 9, 4)}


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models.save(tmp_path / "random.safetensors", random_tensors(), {"name": "random"})
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path))


def noise(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(RNG.integers(0, 256, SHAPES[mode]).astype(np.uint8))


def saved(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "SAID", model="random", **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", SHAPES)
def test_round_trip(mode: str, tmp_path: Path) -> None:
    image = noise(mode)
    path = tmp_path / "it.said"
    image.save(path, model="random")
    with Image.open(path) as back:
        assert (back.format, back.mode, back.size) == ("SAID", mode, (9, 6))
        assert Image.MIME["SAID"] == back.get_format_mimetype() == "image/x-said"
        np.testing.assert_array_equal(np.asarray(back), np.asarray(image))


def test_pixels_are_decoded_when_they_are_needed() -> None:
    data = bytearray(saved(noise()))
    data[-1] ^= 1  # of the pixels' checksum
    image = Image.open(io.BytesIO(bytes(data)))
    assert image.size == (9, 6)
    with pytest.raises(OSError, match="checksum"):
        image.load()


def test_options_reach_the_encoder() -> None:
    image = noise()
    back = np.asarray(Image.open(io.BytesIO(saved(image, max_error=9, residual="gaussian"))))
    assert 0 < abs(back.astype(int) - np.asarray(image)).max() <= 9


def test_metadata() -> None:
    tags = Image.Exif()
    tags[0x010F] = "A camera"
    image = Image.open(io.BytesIO(saved(noise(), exif=tags, icc_profile=b"profile", xmp=b"<x/>")))
    again = Image.open(io.BytesIO(saved(image)))
    for one in (image, again):
        assert one.getexif()[0x010F] == "A camera"
        assert one.info["icc_profile"] == b"profile"
        assert one.info["xmp"] == b"<x/>"
    assert "xmp" not in Image.open(io.BytesIO(saved(again, xmp=b""))).info


def test_files_of_the_api_and_of_pillow_are_the_same() -> None:
    image = noise()
    assert saved(image) == saidcodec.encode(image, model="random")


def test_what_cannot_be_saved() -> None:
    with pytest.raises(OSError, match="mode LAB"):
        Image.new("LAB", (2, 2)).save(io.BytesIO(), "SAID")


@pytest.mark.parametrize("length", [4, 6])
def test_files_cut_off_in_their_head_do_not_open(length: int) -> None:
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(saved(noise())[:length]))


@pytest.mark.parametrize("length", [8, 12, 30])
def test_files_cut_off_later_do_not_load(length: int) -> None:
    image = Image.open(io.BytesIO(saved(noise())[:length]))
    with pytest.raises(OSError, match="truncated"):
        image.load()


def test_other_files_are_left_to_others() -> None:
    file = io.BytesIO()
    noise().save(file, "PNG")
    assert Image.open(io.BytesIO(file.getvalue())).format == "PNG"


@pytest.mark.parametrize(
    "copied", [lambda image: pickle.loads(pickle.dumps(image)), copy.deepcopy, copy.copy]
)
@pytest.mark.parametrize("loaded", [False, True])
def test_copies_keep_their_pixels(copied: Any, loaded: bool, tmp_path: Path) -> None:
    image = noise("RGBA")
    image.save(tmp_path / "it.said", model="random", xmp=b"<x/>")
    opened = Image.open(tmp_path / "it.said")
    if loaded:
        opened.load()
    other = copied(opened)
    assert other.info["xmp"] == b"<x/>"
    np.testing.assert_array_equal(np.asarray(other), np.asarray(image))
    np.testing.assert_array_equal(np.asarray(opened), np.asarray(image))


def test_verify_notices_damage(tmp_path: Path) -> None:
    data = saved(noise())
    Image.open(io.BytesIO(data)).verify()
    (tmp_path / "bad.said").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    for source in (tmp_path / "bad.said", io.BytesIO(data[:-3]), io.BytesIO(data + b"-")):
        with pytest.raises(OSError, match="damaged"):
            Image.open(source).verify()


def test_a_list_of_one_frame_can_be_saved() -> None:
    image = noise()
    for options in ({"append_images": []}, {}):
        assert saved(image, save_all=True, **options) == saved(image)


def animation(name: str = "GIF", **options: Any) -> Image.Image:
    frames = [Image.new("RGB", (8, 8), (80 * i, 0, 0)) for i in range(3)]
    file = io.BytesIO()
    frames[0].save(file, name, save_all=True, append_images=frames[1:], **options)
    return Image.open(file)


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_current_frame_is_saved(name: str) -> None:
    image = animation(name)
    for frame in (0, 1, 2):
        image.seek(frame)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            data = saved(image, lossless=True)
        np.testing.assert_array_equal(saidcodec.decode(data), np.asarray(image.convert("RGB")))


def test_metadata_of_another_type() -> None:
    with pytest.raises(TypeError, match=r"metadata\.xmp must be bytes"):
        saved(noise(), xmp="<x/>")


def test_opening_reads_the_head_only() -> None:
    pixels = RNG.integers(0, 256, (140, 150, 3)).astype(np.uint8)
    file = Recorder(saved(Image.fromarray(pixels), residual="gaussian", glimpses=0))
    image = Image.open(file)
    assert (image.size, file.count < 20_000) == ((150, 140), True)  # other plugins look at the file, too
    image.load()
    assert file.count > 40_000


def test_the_limit_of_pillow_holds_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(noise())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))
    assert saidcodec.decode(data).shape == (6, 9, 3)
    assert Image.MAX_IMAGE_PIXELS == 20


@pytest.mark.parametrize("mode", SHAPES)
def test_drafts_are_reduced_images(mode: str) -> None:
    image = noise(mode)
    opened = Image.open(io.BytesIO(saved(image)))
    assert opened.draft("L", (4, 3)) == (mode, (0, 0, 4.5, 3))
    assert opened.draft(mode, (2, 2)) is None
    assert opened.size == (5, 3)
    rounded = 4 if mode.endswith("A") else 1  # Pillow rounds each colour times its alpha
    np.testing.assert_allclose(np.asarray(opened).astype(int), np.asarray(image.reduce(2)), atol=rounded)
    assert opened.draft(mode, (1, 1)) is None


def test_thumbnails() -> None:
    pixels = np.add.outer(np.arange(90), np.arange(120)).astype(np.uint8)
    data = saved(Image.fromarray(pixels), residual="gaussian", glimpses=0)
    small, wanted = Image.open(io.BytesIO(data)), Image.fromarray(pixels)
    small.thumbnail((20, 20))
    wanted.thumbnail((20, 20), reducing_gap=None)
    assert small.size == wanted.size == (20, 15)
    np.testing.assert_allclose(np.asarray(small).astype(int), np.asarray(wanted), atol=2)


def test_boxes_are_told_when_the_pixels_are_there() -> None:
    data = (Path(__file__).parent / "vectors" / "clevr-glimpses.said").read_bytes()
    boxes = [tuple(box) for box in saidcodec.features(data).boxes.tolist()]
    image = Image.open(io.BytesIO(data))
    assert "boxes" not in image.info
    image.load()
    assert image.info["boxes"] == boxes
    small = Image.open(io.BytesIO(data))
    small.draft(None, (16, 16))
    small.load()
    for (x0, y0, x1, y1), (a, b, c, d) in zip(boxes, small.info["boxes"]):
        assert (a, b, c, d) == (x0 // 4, y0 // 4, -(-x1 // 4), -(-y1 // 4))
    plain = Image.open(io.BytesIO(saved(noise())))
    plain.load()
    assert "boxes" not in plain.info


def test_imageio_reads_and_writes_through_pillow(tmp_path: Path) -> None:
    from imageio import v3

    pixels = np.asarray(noise())
    v3.imwrite(tmp_path / "it.said", pixels, model="random")
    np.testing.assert_array_equal(v3.imread(tmp_path / "it.said"), pixels)
    np.testing.assert_array_equal(v3.imread((tmp_path / "it.said").read_bytes()), pixels)
    assert v3.improps(tmp_path / "it.said").shape == (6, 9, 3)


def test_what_pillow_tells_of_an_image_goes_both_ways() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "a title")
    info.add_itxt("Author", "Łukasz", "pl", "Autor")
    info.add(b"gAMA", (45455).to_bytes(4, "big"))
    info.add(b"sRGB", b"\1")
    file = io.BytesIO()
    noise().save(file, "PNG", pnginfo=info, dpi=(300, 150))
    first = Image.open(io.BytesIO(saved(Image.open(file), comment="seen")))
    again = Image.open(io.BytesIO(saved(first.convert("L"))))
    for image in (first, again):
        assert [round(number, 3) for number in image.info["dpi"]] == [299.999, 150.012]
        assert image.info["comment"] == b"seen"
        assert (image.info["gamma"], image.info["srgb"]) == (0.45455, 1)
        assert image.info["Title"] == "a title"
        assert (image.info["Author"], image.info["Author"].lang) == ("Łukasz", "pl")
        assert image.info["Author"].tkey == "Autor"
    other = Image.open(io.BytesIO(saved(first, dpi=(72, 72), comment="")))
    assert (other.info["dpi"], "comment" in other.info) == ((72, 72), False)


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_go_through(name: str, tmp_path: Path) -> None:
    source = animation(name, **({"lossless": True} if name == "WEBP" else {}))
    path = tmp_path / "it.said"
    source.save(path, save_all=True, model="random", duration=[40, 70, 1000 / 30], loop=2)
    with Image.open(path) as image:
        assert (image.n_frames, image.is_animated, image.info["loop"]) == (3, True, 2)
        for number, duration in ((2, 1000 / 30), (0, 40), (1, 70)):
            image.seek(number)
            source.seek(number)
            assert image.tell() == number
            assert image.info["duration"] == pytest.approx(duration)
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), np.asarray(source.convert("RGB")))
        with pytest.raises(EOFError):
            image.seek(3)
        assert len([*ImageSequence.Iterator(image)]) == 3
        image.seek(0)
        again = io.BytesIO()
        image.save(again, "SAID", save_all=True, model="random")
    assert again.getvalue() == path.read_bytes()


def test_images_are_appended() -> None:
    frames = [noise() for _ in range(3)]
    for options in ({"save_all": True}, {}):
        data = saved(frames[0], append_images=frames[1:], duration=20, **options)
        with saidcodec.Frames(data) as found:
            assert (found.plays, found.durations) == (0, [20, 20, 20])
            for one, other in zip(found, frames):
                np.testing.assert_array_equal(one, np.asarray(other))
    image = Image.open(io.BytesIO(saved(frames[0], append_images=[noise("L").resize((4, 3))])))
    image.seek(1)
    assert (image.mode, image.size, np.asarray(image).shape) == ("L", (4, 3), (3, 4))


def test_pages_keep_their_sizes(tmp_path: Path) -> None:
    pages = [noise(), noise("L").resize((4, 3)), noise("RGBA")]
    data = saved(pages[0], append_images=pages[1:])
    Image.open(io.BytesIO(data)).save(tmp_path / "it.tif", save_all=True)
    back = Image.open(tmp_path / "it.tif")
    for number, page in enumerate(pages):
        back.seek(number)
        np.testing.assert_array_equal(np.asarray(back), np.asarray(page))


def test_damage_in_a_later_frame_is_noticed_there() -> None:
    frames = [noise() for _ in range(2)]
    data = bytearray(saved(frames[0], append_images=frames[1:]))
    data[-1] ^= 1
    image = Image.open(io.BytesIO(bytes(data)))
    image.load()
    image.seek(1)
    with pytest.raises(OSError, match="checksum"):
        image.load()
    with pytest.raises(OSError, match="damaged"):
        Image.open(io.BytesIO(bytes(data))).verify()
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(bytes(data[:-1])))


def test_a_copy_of_an_animation_is_its_frame() -> None:
    frames = [noise() for _ in range(2)]
    image = Image.open(io.BytesIO(saved(frames[0], append_images=frames[1:])))
    image.seek(1)
    other = copy.deepcopy(image)
    assert other.n_frames == 1
    np.testing.assert_array_equal(np.asarray(other), np.asarray(frames[1]))


@pytest.mark.parametrize("replicated", [False, True])
def test_colours_of_16_bits_have_no_mode_in_pillow(replicated: bool, tmp_path: Path) -> None:
    """Also where all channels are the same, so that one is coded."""
    pixels = np.random.default_rng(3).integers(0, 65536, (5, 6, 3)).astype(np.uint16)
    if replicated:
        pixels[:] = pixels[..., :1]
    path = tmp_path / "deep.said"
    path.write_bytes(saidcodec.encode(pixels))
    with pytest.raises(OSError, match=r"no mode for RGB;16 images; saidcodec\.decode"):
        Image.open(path)


def test_frames_of_several_sizes_and_modes_have_memory_of_their_own() -> None:
    frames = [np.zeros((40, 50), np.uint8), np.full((40, 50, 3), 65, np.uint8), np.full((9, 8), 3, np.uint16)]
    image = Image.open(io.BytesIO(saidcodec.encode_frames(frames)))
    for number in (0, 1, 2, 1, 0):
        image.seek(number)
        np.testing.assert_array_equal(np.asarray(image), frames[number])
