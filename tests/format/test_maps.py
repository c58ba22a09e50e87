"""Known maps: exact both ways, found where they apply, and refused where damaged."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, features

from saidcodec.encoder.preimage import mapped, recognised
from saidcodec.encoder.preimage.colours import planes_of, preimages
from saidcodec.encoder.preimage.mapping import in_layout
from saidcodec.errors import CorruptError
from saidcodec.format.maps import (
    MAPS,
    Layout,
    Mapped,
    Rounding,
    Siting,
    exceptions_bytes,
    most_exceptions,
    parse_head,
    settled,
    take_exceptions,
)

NAMES = [known.name for known in MAPS]
NO_PLACES, NO_VALUES = np.zeros(0, np.int64), np.zeros((0, 3), np.uint8)


def layouts() -> st.SearchStrategy[Layout]:
    bit = st.booleans()

    def make(
        siting: Siting, rows: bool, columns: bool, py: bool, px: bool, rounding: Rounding, ring: bool
    ) -> Layout:
        if siting == Siting.FULL or not (rows or columns):
            return Layout()
        phase = (int(py and rows), int(px and columns))
        centred = siting == Siting.CENTRED
        return Layout(
            siting,
            (rows, columns),
            phase,
            rounding if centred else Rounding.NEAREST,
            ring and siting != Siting.BOX,
        )

    return st.builds(make, st.sampled_from(Siting), bit, bit, bit, bit, st.sampled_from(Rounding), bit)


def photograph(height: int, width: int, seed: int = 1) -> np.ndarray:
    """A smooth colourful picture with some grain and edges, uint8 [h, w, 3]."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(20, 235, (max(2, height // 16), max(2, width // 16), 3), np.uint8))
    base = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    base[height // 3 : height // 2, width // 4 : width // 2] += (40, -30, 20)
    return np.clip(base + rng.normal(0, 3, base.shape), 0, 255).astype(np.uint8)


def jpeg(pixels: np.ndarray, quality: int, subsampling: int) -> np.ndarray:
    """Through a JPEG and back, as Pillow does it."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file))


def checked(rgb: np.ndarray) -> Mapped:
    """The picture's known map, after a round trip through its head."""
    number = recognised(rgb)
    assert number is not None
    made = mapped(rgb, number)
    assert made is not None
    assert (made.pixels() == rgb).all()
    head = made.head()
    parsed, length = parse_head(head + b"more", *rgb.shape[:2])
    assert length == len(head)
    assert parsed.luma.shape == made.luma.shape
    assert parsed.chroma.shape == made.chroma.shape
    assert (settled(parsed, made.luma, made.chroma).pixels() == rgb).all()
    return made


@pytest.mark.parametrize("number", range(1, len(MAPS) + 1), ids=NAMES)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_what_a_map_makes_has_a_preimage(number: int, data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 1 << 20))
    planes = np.random.default_rng(seed).integers(16, 236, (500, 3), np.uint8)
    known = MAPS[number - 1]
    colours = known.apply(planes[:, 0], planes[:, 1:])
    inside = ((colours > 0) & (colours < 255)).all(1)
    found = preimages(known, colours)
    assert (found[inside] >= 0).all()
    ok = found[:, 0] >= 0
    assert (known.apply(found[ok, 0], found[ok, 1:]) == colours[ok]).all()
    assert ok.mean() > 0.6


@given(layout=layouts(), height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 999))
@settings(max_examples=150, deadline=None)
def test_any_picture_round_trips_in_any_layout(layout: Layout, height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (height, width, 3), np.uint8)
    number = int(rng.integers(1, len(MAPS) + 1))
    made = in_layout(rgb, number, planes_of(rgb, MAPS[number - 1]), layout)
    assert (made.pixels() == rgb).all()
    if len(made.places) > most_exceptions(height * width):
        with pytest.raises(CorruptError):
            parse_head(made.head(), height, width)
        return
    parsed, _ = parse_head(made.head(), height, width)
    assert (settled(parsed, made.luma, made.chroma).pixels() == rgb).all()


HALVED = ((False, True), (True, False), (True, True))


@pytest.mark.parametrize("siting", [Siting.BOX, Siting.FIRST, Siting.CENTRED])
def test_smooth_planes_are_found_again(siting: Siting) -> None:
    height, width, shares = 48, 64, []
    for seed in range(15):
        layout = Layout(siting, HALVED[seed % 3])
        ycc = photograph(height, width, seed)
        number = seed % len(MAPS) + 1
        rows, columns = layout.grid(height, width)
        chroma = (ycc[:rows, :columns, 1:].astype(int) // 4 + 96).astype(np.uint8)
        luma = (ycc[..., 0] // 2 + 70).astype(np.uint8)
        rgb = Mapped(number, layout, luma, chroma, NO_PLACES, NO_VALUES).pixels()
        made = in_layout(rgb, number, planes_of(rgb, MAPS[number - 1]), layout)
        assert (made.pixels() == rgb).all()
        shares.append(len(made.places) / (height * width))
    assert np.mean(shares) < 0.01


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [60, 75, 90, 97])
def test_decoded_jpegs_are_recognised(quality: int, subsampling: int) -> None:
    made = checked(jpeg(photograph(160, 208), quality, subsampling))
    assert MAPS[made.number - 1].name == "JFIF, libjpeg"
    assert made.layout.halved == ((False, False), (False, True), (True, True))[subsampling]
    assert len(made.places) < 0.005 * 160 * 208


@pytest.mark.parametrize(
    "turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_LEFT_RIGHT]
)
@pytest.mark.parametrize("subsampling", [1, 2])
def test_turned_and_cropped_jpegs_are_recognised(turn: Image.Transpose, subsampling: int) -> None:
    turned = np.asarray(Image.fromarray(jpeg(photograph(192, 224), 85, subsampling)).transpose(turn))
    made = checked(np.ascontiguousarray(turned[13:, 7:-2]))
    assert sum(made.layout.halved) == subsampling
    assert len(made.places) < 0.005 * 192 * 224


def test_decoded_webp_is_recognised() -> None:
    file = io.BytesIO()
    Image.fromarray(photograph(160, 208)).save(file, "WEBP", quality=85)
    made = checked(np.asarray(Image.open(file).convert("RGB")))
    assert "libwebp" in MAPS[made.number - 1].name
    assert made.layout.halved == (True, True)


def test_text_drawn_over_a_jpeg_becomes_exceptions() -> None:
    image = Image.fromarray(jpeg(photograph(200, 240), 85, 2))
    ImageDraw.Draw(image).text((20, 30), "drawn over it, later", fill=(250, 20, 200))
    made = checked(np.asarray(image))
    assert made.layout.halved == (True, True)
    assert 100 < len(made.places) < 0.04 * 200 * 240
    assert len(made.head()) < 4 * len(made.places)


@pytest.mark.parametrize("make", [
    lambda: photograph(128, 128),
    lambda: np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8),
    lambda: np.full((50, 50, 3), 77, np.uint8),
    lambda: np.zeros((1, 1, 3), np.uint8),
])  # fmt: skip
def test_other_pictures_are_left_alone(make: object) -> None:
    assert callable(make)
    assert recognised(make()) is None


@given(st.lists(st.booleans(), min_size=1, max_size=80), st.integers(0, 999))
def test_exceptions_round_trip(marks: list[bool], seed: int) -> None:
    places = np.flatnonzero(marks)
    values = np.random.default_rng(seed).integers(0, 256, (len(places), 3), np.uint8)
    back = take_exceptions(exceptions_bytes(places, values), len(marks))
    assert (back[0] == places).all()
    assert (back[1] == values).all()


@given(st.binary(max_size=40))
@settings(max_examples=300, deadline=None)
def test_damaged_heads_are_refused_or_read(data: bytes) -> None:
    try:
        made, length = parse_head(data, 9, 7)
    except CorruptError:
        return
    assert length <= len(data)
    assert made.chroma.size >= 1


@given(st.binary(max_size=40), st.integers(1, 60))
def test_damaged_exceptions_are_refused_or_read(data: bytes, pixels: int) -> None:
    try:
        places, values = take_exceptions(data, pixels)
    except CorruptError:
        return
    assert len(places) == len(values)
    assert (np.diff(places) > 0).all()
    assert not len(places) or places[-1] < pixels


def test_decoded_avif_is_recognised() -> None:
    if not features.check("avif"):
        pytest.skip("Pillow was built without AVIF.")
    file = io.BytesIO()
    Image.fromarray(photograph(160, 208)).save(file, "AVIF", quality=85, subsampling="4:2:0")
    made = checked(np.asarray(Image.open(file).convert("RGB")))
    assert "libyuv" in MAPS[made.number - 1].name
    assert made.layout.halved == (True, True)
