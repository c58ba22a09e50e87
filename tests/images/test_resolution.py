"""Resolutions survive from format to format."""

import io
import math
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import picture_of
from PIL import Image, TiffImagePlugin
from pngs import body_of

from saidcodec import images
from saidcodec.errors import SaidWarning
from saidcodec.format.header import Metadata, Resolution, Unit
from saidcodec.images import resolution

PIXELS = np.zeros((4, 6, 3), np.uint8)
TERMS = st.integers(1, (1 << 32) - 1)
FOUND = {
    "dpi": Resolution(Unit.INCH, (300, 1), (150, 1)),
    "metre": Resolution(Unit.METRE, (11811, 1), (2835, 1)),
    "centimetre": Resolution(Unit.CENTIMETRE, (118, 1), (41, 1)),
    "fraction": Resolution(Unit.INCH, (145, 2), (145, 2)),
    "aspect": Resolution(Unit.NONE, (4, 3), (1, 1)),
    "square": Resolution(Unit.NONE, (1, 1), (1, 1)),
}


def through(metadata: Metadata, name: str, save: Any = images.save) -> Metadata:
    file = io.BytesIO()
    save(picture_of(PIXELS, metadata), file, name)
    return images.from_file(file.getvalue(), "it")[2]


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("found", FOUND.values(), ids=FOUND)
def test_formats_without_loss_keep_it(name: str, found: Resolution) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = through(Metadata(resolution=found), name, images.save_exactly)
    assert (back.icc, back.exif, back.xmp, back.texts) == (b"", b"", b"", ())
    assert resolution.alike(back.resolution, found)
    if name != "PNG" and found.unit != Unit.NONE:
        assert resolution.per_inch(back.resolution) == resolution.per_inch(found)


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_that_pixels_are_square_is_kept_as_it_was_said(name: str) -> None:
    assert through(Metadata(resolution=FOUND["square"]), name).resolution == FOUND["square"]


def test_jpeg_says_of_itself_that_pixels_are_square() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert through(Metadata(resolution=FOUND["square"]), "JPEG") == Metadata()


@pytest.mark.parametrize("found", [FOUND[name] for name in FOUND if name not in ("fraction", "square")])
def test_jpeg_keeps_it(found: Resolution) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resolution.alike(through(Metadata(resolution=found), "JPEG").resolution, found)


def test_jpeg_rounds_what_it_cannot_hold() -> None:
    with pytest.warns(SaidWarning, match="JPEG does not keep the image's resolution"):
        back = through(Metadata(resolution=FOUND["fraction"]), "JPEG")
    assert back.resolution == Resolution(Unit.INCH, (72, 1), (72, 1))


def test_webp_has_no_place_beside_other_exif() -> None:
    tags = Image.Exif()
    tags[0x010F] = "A camera"
    exif = tags.tobytes().removeprefix(images.EXIF_PREFIX)
    with pytest.warns(SaidWarning, match="WEBP does not keep the image's resolution"):
        back = through(Metadata(exif=exif, resolution=FOUND["dpi"]), "WEBP", images.save_exactly)
    assert back == Metadata(exif=exif)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "BMP"])
def test_files_of_pillow(name: str) -> None:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, name, dpi=(300, 150))
    found = images.from_file(file.getvalue(), "it")[2]
    assert resolution.alike(found.resolution, FOUND["dpi"])
    assert found.exif == b""
    for target in ("PNG", "JPEG", "TIFF", "BMP"):
        out = io.BytesIO()
        images.save(picture_of(PIXELS, found), out, target)
        assert [round(number) for number in Image.open(out).info["dpi"]] == [300, 150]


def test_exif_says_it_where_the_file_does_not() -> None:
    tags = Image.Exif()
    tags.update({282: TiffImagePlugin.IFDRational(118, 1), 283: TiffImagePlugin.IFDRational(41), 296: 3})
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", exif=tags)
    found = images.from_file(file.getvalue(), "it")[2]
    assert found.resolution == FOUND["centimetre"]
    assert found.exif == tags.tobytes().removeprefix(images.EXIF_PREFIX)
    assert images.from_file(file.getvalue(), "it")[2] == through(found, "JPEG")


def test_exif_of_a_png_stays_there() -> None:
    tags = Image.Exif()
    tags.update({282: TiffImagePlugin.IFDRational(118, 1), 283: TiffImagePlugin.IFDRational(41), 296: 3})
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG", exif=tags)
    kept = images.from_file(file.getvalue(), "it")[2]
    assert kept == Metadata(exif=tags.tobytes().removeprefix(images.EXIF_PREFIX))
    assert images.from_any(Image.open(file))[2] == kept
    out = io.BytesIO()
    images.save(picture_of(PIXELS, kept), out, "PNG")
    assert body_of(out.getvalue(), b"eXIf") == kept.exif
    assert body_of(out.getvalue(), b"pHYs") is None
    for name in ("JPEG", "TIFF"):  # whose readers look there, or have the tags as their own
        assert resolution.alike(through(kept, name).resolution, FOUND["centimetre"])


@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"])
def test_files_that_say_none_have_none(name: str) -> None:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, name)
    assert (images.from_file(file.getvalue(), "it")[2].resolution is None) == (name != "BMP")


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf, 1 << 33, "72", None])
def test_numbers_that_are_no_resolution(bad: Any) -> None:
    image = Image.fromarray(PIXELS)
    image.info["dpi"] = (72, bad)
    assert images.from_any(image)[2] == Metadata()


@given(st.builds(Resolution, st.sampled_from(Unit), st.tuples(TERMS, TERMS), st.tuples(TERMS, TERMS)))
def test_whatever_the_numbers_are_they_can_be_written(found: Resolution) -> None:
    assert resolution.alike(found, found)
    assert resolution.described(found)
    for part in (resolution.as_phys(found), resolution.as_jfif(found)):
        assert all(0 <= number < 1 << 32 for number in part)
    assert max(resolution.as_jfif(found)) < 1 << 16
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("PNG", "TIFF", "WEBP", "JPEG"):
            through(Metadata(resolution=found), name)


def test_floats_are_the_fractions_that_they_were() -> None:
    assert resolution.fraction(299.9994) == Fraction(1499997, 5000)
    assert resolution.fraction(72.5) == Fraction(145, 2)
