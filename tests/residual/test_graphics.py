"""The coder of flat images: the C core and its twin give the same bytes, and everything comes back."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from saidcodec.residual import decisions as decisions_in_python
from saidcodec.residual import graphics, graphics_reference

needs_core = pytest.mark.skipif(not graphics.available(), reason="the library was not built")
EMPTY = np.zeros(0, np.uint32)
BELOW = np.array([7, 0, 0xFFFFFFFF, 5], np.uint32)  # what a stream may hold beside the pixels

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
many = settings(max_examples=300, deadline=None)


@st.composite
def pictures(draw: st.DrawFn, most: int = 24) -> np.ndarray:
    """Noise of few or many colours, boxes, gradients, repeated blocks: uint8 [height, width, channels]."""
    height, width = draw(st.integers(1, most)), draw(st.integers(1, 3 * most))
    channels = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    colours = rng.integers(0, 256, (draw(st.integers(1, 5)), channels), dtype=np.uint8)
    kind = draw(st.sampled_from(["flat", "noise", "few", "boxes", "gradient", "blocks"]))
    y, x = np.mgrid[:height, :width]
    if kind == "flat":
        return np.broadcast_to(colours[0], (height, width, channels)).copy()
    if kind == "noise":
        return rng.integers(0, 256, (min(height, 6), min(width, 12), channels), dtype=np.uint8)
    if kind == "few":
        return colours[rng.integers(0, len(colours), (height, width))]
    if kind == "gradient":
        return (np.stack([x * (k + 1) + y * 3 for k in range(channels)], -1) // 2).astype(np.uint8)[:10]
    if kind == "blocks":
        block = colours[rng.integers(0, len(colours), (5, 7))]
        return np.tile(block, (height // 5 + 1, width // 7 + 1, 1))[:height, :width].copy()
    picture = np.broadcast_to(colours[0], (height, width, channels)).copy()
    for _ in range(4):
        top, left = int(rng.integers(height)), int(rng.integers(width))
        picture[top : top + 5, left : left + 9] = colours[rng.integers(len(colours))]
    return picture


def drawn(name: str) -> Image.Image:
    """A small picture of a kind that the coder is for."""
    if name == "page":
        page = Image.new("1", (620, 880), 1)
        draw = ImageDraw.Draw(page)
        for i in range(30):
            draw.text((40, 30 + i * 26), f"Dear Sir or Madam, lorem ipsum dolor sit amet {i} ", fill=0)
        return page.convert("L")
    if name == "window":
        window = Image.new("RGB", (640, 400), (245, 245, 245))
        draw = ImageDraw.Draw(window)
        draw.rectangle((0, 0, 640, 40), fill=(30, 60, 120))
        draw.rectangle((0, 40, 120, 400), fill=(225, 228, 232))
        for i in range(18):
            draw.text((130 + i % 3 * 165, 60 + i // 3 * 36), f"File Edit View {i}", fill=(20, 20, 20))
        return window
    if name == "sprite":
        cells = np.random.default_rng(1).integers(0, 6, (16, 16), dtype=np.uint8) * 50
        return Image.fromarray(cells).convert("RGB").resize((256, 256), Image.Resampling.NEAREST)
    return Image.new("RGB", (2000, 2000), (200, 200, 200))


def array(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def size(pixels: np.ndarray) -> int:
    """Bytes of a stream that holds nothing but these pixels."""
    return len(graphics.push(EMPTY, graphics.encode(pixels)).astype("<u4").tobytes().rstrip(b"\0"))


@needs_core
@few
@given(pictures())
def test_core_and_twin_give_the_same_bytes(pixels: np.ndarray) -> None:
    decisions = graphics.encode(pixels)
    np.testing.assert_array_equal(decisions, graphics_reference.encode(pixels))
    words = graphics.push(BELOW, decisions)
    np.testing.assert_array_equal(words, decisions_in_python.push(BELOW, decisions))
    for decode in (graphics.decode, graphics_reference.decode):
        found, left = decode(words, pixels.shape)
        np.testing.assert_array_equal(found, pixels)
        np.testing.assert_array_equal(left, BELOW)


@needs_core
@pytest.mark.parametrize("name", ["page", "window"])
def test_core_and_twin_agree_on_drawings(name: str) -> None:
    pixels = array(drawn(name))[30:80, 100:190]
    decisions = graphics.encode(pixels)
    np.testing.assert_array_equal(decisions, graphics_reference.encode(pixels))
    words = graphics.push(EMPTY, decisions)
    found, left = graphics_reference.decode(words, pixels.shape)
    np.testing.assert_array_equal(found, pixels)
    assert len(left) == 0


@many
@given(pictures(most=40 if graphics.available() else 6))
def test_everything_comes_back(pixels: np.ndarray) -> None:
    found, left = graphics.decode(graphics.push(EMPTY, graphics.encode(pixels)), pixels.shape)
    np.testing.assert_array_equal(found, pixels)
    assert len(left) == 0


def test_the_length_is_that_of_the_stream() -> None:
    pixels = np.random.default_rng(5).integers(0, 3, (20, 30, 1), dtype=np.uint8)
    decisions = graphics.encode(pixels)
    words = graphics.push(EMPTY, decisions)
    assert 0 <= 32 * len(words) - graphics.bits(decisions) < 64


@needs_core
@many
@given(pictures(), st.data())
def test_changed_streams_decode_to_something(pixels: np.ndarray, data: st.DataObject) -> None:
    words = graphics.push(EMPTY, graphics.encode(pixels))
    words = words[: data.draw(st.integers(0, len(words)))]
    for _ in range(data.draw(st.integers(0, 3))):
        if len(words):
            words[data.draw(st.integers(0, len(words) - 1))] = data.draw(st.integers(0, 2**32 - 1))
    shape = data.draw(st.sampled_from([pixels.shape, (9, 40, 3), (40, 9, 4), (33, 64, 1)]))
    found, left = graphics.decode(words, shape)
    assert found.shape == shape
    assert len(left) <= len(words) + 2


@needs_core
@given(st.binary(max_size=400), st.integers(1, 4))
def test_core_and_twin_agree_on_noise_as_a_stream(noise: bytes, channels: int) -> None:
    words = np.frombuffer(noise[: len(noise) // 4 * 4], "<u4").astype(np.uint32)
    shape = (5, 24, channels)
    for mine, other in zip(graphics.decode(words, shape), graphics_reference.decode(words, shape)):
        np.testing.assert_array_equal(mine, other)


@needs_core
@pytest.mark.parametrize(("name", "most"), [("page", 0.95), ("window", 0.6), ("sprite", 0.9), ("blank", 0.2)])
def test_drawings_are_small(name: str, most: float) -> None:
    """Against the smaller of PNG and WebP; Pillow's own font draws the text."""
    image, others = drawn(name), []
    for kind, options in (
        ("PNG", {"optimize": True}),
        ("WEBP", {"lossless": True, "method": 6, "quality": 100}),
    ):
        out = io.BytesIO()
        image.save(out, kind, **options)
        others.append(out.tell())
    assert size(array(image)) <= most * min(others)


@needs_core
def test_one_colour_costs_next_to_nothing() -> None:
    assert size(array(drawn("blank"))) <= 32


@pytest.mark.parametrize("shape", [(0, 3, 1), (3, 0, 1), (3, 3, 5), (3, 3, 0), (3, 3), (1 << 15, 1 << 14, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape|Pixels"):
        graphics.decode(EMPTY, shape)


def test_other_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        graphics.encode(np.zeros((3, 3, 1), np.int16))
    for push in (graphics.push, decisions_in_python.push):
        for impossible in (0, 1, 1 << 17, 1 << 31 | 25 << 24, 1 << 31 | 3 << 24 | 8):
            with pytest.raises(ValueError, match="decision"):
                push(EMPTY, np.array([impossible], np.uint32))
