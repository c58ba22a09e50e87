"""What is chosen and advised is what the writers can do."""

import io
import warnings
from itertools import combinations_with_replacement

import numpy as np
import pytest
from pictures import RNG

from saidcodec import images
from saidcodec.errors import ImageError, SaidWarning
from saidcodec.format.header import BY_NAME
from saidcodec.format.palette import Palette
from saidcodec.format.presentation import Presentation
from saidcodec.images import holding
from saidcodec.picture import Picture

CHANNELS = {"1": 1, "P": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}
COLOURS = bytes(range(12))
KINDS = {
    **{mode: Presentation(mode) for mode in (*CHANNELS, *BY_NAME) if mode != "P"},
    "P": Presentation("P", Palette(COLOURS, 3)),
    "P with a clear colour": Presentation("P", Palette(COLOURS, 3, 2)),
    "P with half clear colours": Presentation("P", Palette(COLOURS, 3, b"\0\x80\xff")),
    "P of RGBA": Presentation("P", Palette(COLOURS, 4)),
    "1 with a key": Presentation("1", key=(255,)),
    "L with a key": Presentation("L", key=(7,)),
    "RGB with a key": Presentation("RGB", key=(7, 7, 7)),
}


def picture(kind: str, height: int = 6) -> Picture:
    """An image of random samples, of which some have the key."""
    shown = KINDS[kind]
    channels = CHANNELS[BY_NAME.get(shown.mode, shown.mode)]
    values = {"1": 2, "P": 3}.get(shown.mode, 65536 if shown.mode in BY_NAME else 256)
    pixels = RNG.integers(0, values, (height, 8, channels) if channels > 1 else (height, 8))
    pixels[0, :3] = 1 if shown.mode in ("1", "P") else 7
    return Picture(pixels.astype({2: bool, 65536: np.uint16}.get(values, np.uint8)), shown)


def kinds_of(frames: list[Picture]) -> list[images.Kind]:
    return [images.Kind(one.presentation, *one.pixels.shape[1::-1]) for one in frames]


def written(frames: list[Picture], suffix: str) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SaidWarning)
        images.save_any(frames, 0, file, images.format_of(f"*{suffix}"), lossy=False)
    return file.getvalue()


def refusal(frames: list[Picture], suffix: str) -> str:
    """The sentence that refuses to write frames; empty where they are written."""
    try:
        written(frames, suffix)
    except ImageError as error:
        return str(error)
    return ""


def check(frames: list[Picture]) -> None:
    """Every format that is named holds the frames; where one refuses them, the sentence names the others."""
    named = holding.suffixes_for(kinds_of(frames))
    assert images.suffix_for(kinds_of(frames)) in (named or [".tif"])
    for suffix in named:
        assert written(frames, suffix)
    for suffix in {".png", ".tif", ".bmp"} - {*named}:
        way = f"; {' and '.join(named)} can" if named else "; --frame takes one of them"
        assert way in (refusal(frames, suffix) or way)


@pytest.mark.parametrize("kind", KINDS)
def test_one_image(kind: str) -> None:
    check([picture(kind)])


@pytest.mark.parametrize("kind", KINDS)
def test_frames_of_one_kind(kind: str) -> None:
    check([picture(kind), picture(kind), picture(kind)])
    check([picture(kind), picture(kind, 5)])


def test_frames_of_two_kinds() -> None:
    for one, other in combinations_with_replacement(KINDS, 2):
        check([picture(one), picture(other)])


def test_cmyk_stands_beside_deep_pages() -> None:
    pages = [picture("CMYK"), picture("RGB;16"), picture("CMYK", 5), picture("RGBA")]
    found = images.several_frames(images.ImageFile(written(pages, ".tif"), "it.tif"))
    assert found is not None
    for one, wanted in zip(found, pages, strict=True):
        assert one.presentation == wanted.presentation
        np.testing.assert_array_equal(one.pixels, wanted.pixels)


@pytest.mark.parametrize("kind", ["P with half clear colours", "RGB with a key"])
@pytest.mark.parametrize("suffix", [".tif", ".webp"])
def test_transparency_of_colours_becomes_alpha(kind: str, suffix: str) -> None:
    one = picture(kind)
    back = images.from_file(written([one], suffix), None)
    np.testing.assert_array_equal(back.pixels, one.smooth().pixels)


def test_a_palette_that_becomes_colours_is_named() -> None:
    with pytest.warns(SaidWarning, match="TIFF does not keep the image's palette"):
        images.save_exactly(picture("P with a clear colour"), io.BytesIO(), "TIFF")


def test_a_writer_that_stumbles_is_not_quoted() -> None:
    sentence = refusal([picture("P with half clear colours")], ".gif")
    assert sentence == "GIF cannot hold an image of mode P; .png and .tif can."
