"""Several frames out: the same frames, or an error."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from factory import EVERY_KIND
from pictures import RNG, SHAPES, frame_of
from PIL import Image

from saidcodec import images
from saidcodec.errors import ImageError, SaidWarning
from saidcodec.format.header import Metadata, Resolution, Unit
from saidcodec.images.saving_frames import save_frames
from saidcodec.picture import Picture


def frames_of(mode: str, colours: int = 256, metadata: Metadata = EVERY_KIND) -> list[Picture]:
    """Four frames, the third of which is the second again; fully transparent pixels are black."""
    base = (RNG.integers(0, colours, (20, 24, *SHAPES[mode][2:])) * (255 // (colours - 1))).astype(np.uint8)
    if mode.endswith("A"):
        base[..., -1] = np.where(base[..., -1] < 128, 0, 255) if colours < 256 else base[..., -1]
        base[base[..., -1] == 0] = 0
    frames = []
    for number in range(3):
        pixels = base.copy()
        pixels[number : number + 4, 2:5] = 255
        frames.append(frame_of(pixels, mode, metadata, [50, 70, 120][number]))
    return [*frames[:2], frames[1], frames[2]]


def saved(frames: list[Picture], name: str, plays: int = 3, lossy: bool = False) -> images.ImageFrames:
    file = io.BytesIO()
    save_frames(frames, plays, file, name, lossy=lossy)
    found = images.several_frames(images.ImageFile(file.getvalue(), "it"))
    assert found is not None
    return found


@pytest.mark.parametrize("mode", SHAPES)
@pytest.mark.parametrize("name", ["PNG", "WEBP", "GIF"])
def test_animations_keep_frames_durations_and_plays(name: str, mode: str) -> None:
    frames = frames_of(mode, 4 if name == "GIF" else 256, Metadata())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = saved(frames, name)
    assert found.plays == 3
    shown = [*found]
    assert [one.duration for one in shown] == [50, 140, 120]
    for one, other in zip(shown, (frames[0], frames[1], frames[3])):
        np.testing.assert_array_equal(
            np.asarray(Image.fromarray(one.colours()).convert("RGBA")),
            np.asarray(Image.fromarray(other.pixels).convert("RGBA")),
        )


@pytest.mark.parametrize("plays", [0, 1, 2, 7])
@pytest.mark.parametrize("name", ["PNG", "WEBP", "GIF"])
def test_how_often_animations_are_shown(name: str, plays: int) -> None:
    assert saved(frames_of("L", 4, Metadata()), name, plays).plays == plays


def test_pages_keep_sizes_modes_and_metadata() -> None:
    pages = [
        frame_of(RNG.integers(0, 256, shape).astype(np.uint8), mode, metadata)
        for (mode, shape), metadata in zip(
            SHAPES.items(),
            (
                Metadata(),
                Metadata(resolution=Resolution(Unit.INCH, (300, 1), (150, 1)), xmp=b"<x/>"),
                Metadata(icc=b"profile"),
                Metadata(),
            ),
        )
    ]
    pages[1] = frame_of(pages[1].pixels[:3], "LA", pages[1].metadata)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [*saved(pages, "TIFF")]
    for one, other in zip(found, pages, strict=True):
        assert (one.presentation.mode, one.metadata) == (other.presentation.mode, other.metadata)
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_metadata_of_the_first_frame_is_kept() -> None:
    found = [*saved(frames_of("RGB"), "PNG")]
    assert images.differing(found[0].metadata, EVERY_KIND) == []


@pytest.mark.parametrize("name", ["WEBP", "GIF", "TIFF"])
def test_what_is_lost_beside_the_frames_is_named(name: str) -> None:
    with pytest.warns(SaidWarning) as noted:
        saved(frames_of("RGB", 4), name)
    sentences = [str(one.message) for one in noted]
    assert [sentence.startswith(f"{name} does not keep the image's ") for sentence in sentences][-1]
    assert ("TIFF does not keep how long frames are shown." in sentences) == (name == "TIFF")


@pytest.mark.parametrize(("name", "step"), [("GIF", 10), ("WEBP", 1)])
def test_durations_are_rounded_with_a_note(name: str, step: int) -> None:
    frames = [frame_of(one.pixels, one.presentation.mode, Metadata(), 33.3) for one in frames_of("L", 4)]
    with pytest.warns(SaidWarning, match=f"{name} holds the durations of frames in steps of {step} ms"):
        assert next(iter(saved(frames, name))).duration == step * round(33.3 / step)
    assert next(iter(saved(frames, "PNG"))).duration == pytest.approx(33.3)


@pytest.mark.parametrize(
    ("frames", "name", "sentence"),
    [
        (frames_of("RGB"), "GIF", r"GIF cannot hold a frame of more than 256 colours.*\.png and \.tif can"),
        (frames_of("LA"), "GIF", "GIF cannot hold a frame of more than 256 colours or of half transparent"),
        (frames_of("RGB"), "BMP", r"BMP cannot hold the 4 frames; \.png and \.tif can"),
        ([*frames_of("RGB"), frame_of(np.zeros((3, 3), np.uint8), "L", Metadata())], "PNG", "several sizes"),
    ],
)
def test_what_a_format_cannot_hold(frames: list[Picture], name: str, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence):
        saved(frames, name)


def test_hidden_colours_do_not_go_through_webp() -> None:
    frames = frames_of("RGBA", metadata=Metadata())
    frames[0].pixels[0, 0] = 9, 8, 7, 0
    with pytest.raises(ImageError, match="WEBP cannot hold these frames exactly"):
        saved(frames, "WEBP")
    assert saved(frames, "WEBP", lossy=True).count == 3
    assert tuple(next(iter(saved(frames, "PNG"))).pixels[0, 0]) == (9, 8, 7, 0)


def test_more_colours_are_made_fewer_where_loss_is_allowed(tmp_path: Path) -> None:
    assert saved(frames_of("RGB", metadata=Metadata()), "GIF", lossy=True).count == 3


@pytest.mark.parametrize(("name", "deep"), [("PNG", False), ("TIFF", True)])
def test_modes_that_frames_lose_are_told_also_where_the_first_keeps_its_own(name: str, deep: bool) -> None:
    grey = RNG.integers(0, 4000, (20, 24)).astype(np.uint16 if deep else np.uint8)
    colours = Image.fromarray(RNG.integers(0, 256, (20, 24, 3)).astype(np.uint8)).quantize(9)
    frames = [images.from_any(grey), images.from_any(colours), images.from_any(grey)]
    with pytest.warns(SaidWarning, match=f"{name} does not keep the modes of these frames"):
        save_frames(frames, 0, io.BytesIO(), name)
