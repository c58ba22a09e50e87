"""Frames in the palette of the first one: the same colours, by the same indices where nothing changes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from saidcodec import images
from saidcodec.errors import SaidWarning
from saidcodec.images.indices import Indices

# The second and the third entry are alike.
COLOURS = np.array([[0, 0, 0], [9, 8, 7], [9, 8, 7], [255, 0, 0], [0, 255, 0], [1, 2, 3]], np.uint8)
CLEAR = 3


def indexed(pixels: np.ndarray, clear: int | None = None) -> Image.Image:
    image = Image.fromarray(pixels.astype(np.uint8))
    image.putpalette(COLOURS.tobytes())
    if clear is not None:
        image.info["transparency"] = clear
    return image


@given(st.integers(0, 999), st.sampled_from([None, CLEAR]), st.booleans())
def test_colours_become_indices_again(seed: int, clear: int | None, in_palette: bool) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, len(COLOURS), (3, 5, 6))
    frames = [indexed(one, clear) for one in pixels]
    mode = "RGB" if clear is None else "RGBA"
    indices = Indices(frames[0])
    last = pixels[0]
    for frame, own in zip(frames[1:], pixels[1:], strict=True):
        found = indices.of(frame if in_palette else frame.convert(mode))
        assert found is not None
        np.testing.assert_array_equal(COLOURS[found], COLOURS[own])
        np.testing.assert_array_equal(found == CLEAR, own == CLEAR)
        same = (COLOURS[last] == COLOURS[own]).all(2)
        np.testing.assert_array_equal(found[same], (own if in_palette else last)[same])
        last = found


def test_what_the_palette_lacks_is_no_index() -> None:
    first = indexed(np.zeros((4, 4)))
    for other in (
        Image.new("RGB", (4, 4), (0, 0, 1)),
        Image.new("RGBA", (4, 4), (0, 0, 0, 128)),
        Image.new("RGBA", (4, 4)),
        Image.new("RGB", (3, 4)),
    ):
        assert Indices(first).of(other) is None


def gif(frames: list[Image.Image], **options: object) -> images.ImageFile:
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], optimize=False, **options)
    return images.ImageFile(file.getvalue(), None)


@pytest.mark.parametrize("clear", [None, CLEAR])
def test_a_gif_of_one_palette_keeps_it(clear: int | None) -> None:
    pixels = np.random.default_rng(3).integers(0, len(COLOURS), (3, 8, 9))
    pixels[1:, 2:] = pixels[0, 2:]
    file = gif([indexed(one, clear) for one in pixels], disposal=1 if clear is None else 2)
    found = images.several_frames(file)
    assert found is not None
    for _ in range(2):
        frames = [*found]
        assert {one.presentation.mode for one in frames} == {"P"}
        assert len({one.presentation for one in frames}) == 1
        shown = np.array([one.colours()[..., :3] for one in frames])
        opaque = np.ones(shown.shape[:3], bool) if clear is None else pixels != CLEAR
        np.testing.assert_array_equal(shown[opaque], COLOURS[pixels][opaque])
    out = io.BytesIO()
    images.save_any(frames, 0, out, "GIF", False)
    again = [*images.several_frames(images.ImageFile(out.getvalue(), None))]
    assert [one.presentation for one in again] == [one.presentation for one in frames]


def test_a_gif_of_several_palettes_becomes_colours_with_a_note() -> None:
    file = gif([Image.new("RGB", (6, 6), (40 * n, 9, 255 - n)) for n in range(3)])
    found = images.several_frames(file)
    with pytest.warns(SaidWarning, match="palettes of the image's frames are not kept") as told:
        modes = [one.presentation.mode for one in found]
    assert modes == ["RGB"] * 3
    assert len([*found]) == 3
    assert len(told) == 1


def test_pages_keep_their_own_modes() -> None:
    pages = [
        indexed(np.eye(5)),
        Image.fromarray(np.eye(6) > 0),
        Image.new("CMYK", (3, 4), (1, 2, 3, 4)),
        indexed(np.eye(5)).convert("RGB"),
    ]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    found = [*images.several_frames(images.ImageFile(file.getvalue(), None))]
    assert [one.presentation.mode for one in found] == ["P", "1", "CMYK", "RGB"]
    out = io.BytesIO()
    images.save_any(found, 1, out, "TIFF", False)
    again = [*images.several_frames(images.ImageFile(out.getvalue(), None))]
    for one, other, page in zip(again, found, pages, strict=True):
        assert one.presentation == other.presentation
        np.testing.assert_array_equal(one.pixels, np.asarray(page))
