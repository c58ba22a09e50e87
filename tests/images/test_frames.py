"""Images of several frames are read one frame at a time, as Pillow shows them."""

import io
import struct
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import RNG, SHAPES, animation, pixels_of, reopened, seen
from PIL import Image

from saidcodec import images
from saidcodec.errors import ImageError, SaidWarning
from saidcodec.format.header import Metadata


def file_of(frames: list[Image.Image], name: str, **options: Any) -> images.ImageFile:
    file = io.BytesIO()
    frames[0].save(file, name, save_all=True, append_images=frames[1:], **options)
    return images.ImageFile(file.getvalue(), "it")


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "TIFF"])
def test_frames_are_what_pillow_shows(name: str) -> None:
    frames = [Image.fromarray(pixels_of("RGB")) for _ in range(3)]
    file = file_of(frames, name, duration=[40, 70, 110], loop=3)
    found = images.several_frames(file)
    assert found is not None
    assert found.count == 3
    assert found.plays == {"GIF": 4, "TIFF": 1}.get(name, 3)  # GIF files count repetitions
    shown = Image.open(io.BytesIO(file.data))
    for _ in range(2):  # each pass is the same
        for number, one in enumerate(found):
            shown.seek(number)
            np.testing.assert_array_equal(one.pixels, np.asarray(shown.convert(one.presentation.mode)))
            assert one.duration == (0 if name == "TIFF" else [40, 70, 110][number])
    assert len({one.presentation.mode for one in found}) == 1


@pytest.mark.parametrize("alphas", [b"", bytes([0, 128, 255]), bytes([255, 255, 0])])
def test_palettes_are_there_in_every_pass(alphas: bytes) -> None:
    frames = [Image.fromarray(RNG.integers(0, 9, (8, 9)).astype(np.uint8), "P") for _ in range(3)]
    palette = RNG.integers(0, 256, 27).astype(np.uint8).tobytes()
    for frame in frames:
        frame.putpalette(palette)
    data = file_of(frames, "PNG").data
    place = data.index(b"IDAT") - 4
    transparency = struct.pack(">I", len(alphas)) + b"tRNS" + alphas
    transparency += struct.pack(">I", zlib.crc32(transparency[4:]))
    file = images.ImageFile(data[:place] + transparency * bool(alphas) + data[place:], None)
    wanted, opened = [], Image.open(io.BytesIO(file.data))
    for number in range(3):
        opened.seek(number)
        wanted.append(seen(opened))
    found = images.several_frames(file)
    for _ in range(2):
        shown = [seen(Image.fromarray(one.colours())) for one in found]
        np.testing.assert_array_equal(shown, wanted)
    assert len({one.tobytes() for one in wanted}) == 3


def test_frames_of_one_animation_have_one_mode() -> None:
    frames = [Image.new("L", (4, 4), 7), Image.new("RGB", (4, 4), (1, 2, 3)), Image.new("LA", (4, 4), (9, 0))]
    found = images.ImageFrames(frames)
    assert [one.presentation.mode for one in found] == ["RGBA"] * 3
    assert [one.pixels[0, 0].tolist() for one in found] == [[7, 7, 7, 255], [1, 2, 3, 255], [9, 9, 9, 0]]


def test_pages_keep_their_modes_sizes_and_metadata() -> None:
    pages = [Image.new("L", (4, 4), 7), Image.new("RGB", (6, 3)), Image.new("RGB", (6, 3), (9, 9, 9))]
    for number, page in enumerate(pages):
        page.encoderinfo = {"dpi": (72 + number, 72)}
    found = images.several_frames(file_of(pages, "TIFF"))
    assert found is not None
    assert [(one.presentation.mode, one.pixels.shape) for one in found] == [
        ("L", (4, 4)), ("RGB", (3, 6, 3)), ("RGB", (3, 6, 3))
    ]  # fmt: skip
    assert [one.metadata.resolution.across for one in found] == [(72, 1), (73, 1), (74, 1)]


def test_the_metadata_of_an_animation_is_that_of_its_first_frame() -> None:
    frames = [Image.new("RGB", (4, 4), (i, 0, 0)) for i in range(3)]
    found = images.several_frames(file_of(frames, "PNG", dpi=(72, 72)))
    assert found is not None
    metadata = [one.metadata for one in found]
    assert metadata[0].resolution is not None
    assert metadata == [metadata[0]] * 3


def test_files_of_one_frame_have_not_several() -> None:
    for name in ("GIF", "PNG", "WEBP", "TIFF", "JPEG"):
        file = io.BytesIO()
        Image.new("L", (4, 4)).save(file, name)
        assert images.several_frames(images.ImageFile(file.getvalue(), None)) is None
    assert images.several_frames(np.zeros((4, 4), np.uint8)) is None


def test_a_picture_for_viewers_without_animation_is_no_frame() -> None:
    frames = [Image.new("L", (4, 4), 50 * i) for i in range(4)]
    with pytest.warns(SaidWarning, match="stands for the animation"):
        found = images.several_frames(file_of(frames, "PNG", default_image=True))
    assert found is not None
    assert [one.pixels[0, 0] for one in found] == [50, 100, 150]


def test_a_photograph_with_further_views_is_its_first() -> None:
    frames = [Image.fromarray(pixels_of("RGB")) for _ in range(2)]
    image = reopened(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert image.format == "MPO"
    assert images.several_frames(image) is None
    assert images.from_pillow(image).presentation.mode == "RGB"


def test_a_frame_that_was_sought_is_taken() -> None:
    image = animation()
    image.seek(2)
    assert images.several_frames(image) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (images.from_any(image)[0] == (160, 0, 0)).all()
        assert (images.from_any(image.copy())[0] == (160, 0, 0)).all()


def test_passes_leave_the_image_where_it_was() -> None:
    image = animation()
    found = images.several_frames(image)
    assert found is not None
    assert [one.pixels[0, 0, 0] for one in found] == [0, 80, 160]
    assert image.tell() == 0


def test_where_one_frame_is_needed_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "moves.gif"
    animation().save(path, save_all=True)
    with pytest.raises(ImageError, match=r"moves\.gif: It has several frames"):
        images.from_any(path)
    with pytest.warns(SaidWarning, match="first of the image's 3 frames"):
        assert (images.from_any(animation())[0] == 0).all()


def test_metadata_can_be_given() -> None:
    metadata = Metadata(comment=b"given")
    found = images.ImageFrames([animation()], metadata=metadata)
    assert [one.metadata for one in found] == [metadata] * 3


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_that_are_cut_off(name: str) -> None:
    frames = [Image.fromarray(RNG.integers(0, 256, (30, 30, 3)).astype(np.uint8)) for _ in range(3)]
    data = file_of(frames, name).data
    for length in range(20, len(data), len(data) // 9):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with suppress(ImageError):  # unless some frames are whole
                found = images.several_frames(images.ImageFile(data[:length], "it"))
                assert found is None or {one.presentation.mode for one in found} <= {*SHAPES}
