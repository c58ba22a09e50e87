"""x̂(T) against an independent int64 implementation of the spec's section 9."""

import numpy as np
import pytest
from factory import flat_colour_model, model_of, random_description, random_model, random_tensors
from hypothesis import given, settings
from hypothesis import strategies as st
from test_resampling import plain_upsample

from saidcodec.errors import ModelError
from saidcodec.said import Description, render, render_steps
from saidcodec.said.painter import patches

SIZES = [(64, 64), (1, 1), (3, 90), (130, 77)]


def plain_layer(tensors, i, x):
    """int64 [n, in] → int64 [n, out]."""
    weight, bias, shift = (
        tensors[f"said.decoder.{i}.{part}"].astype(np.int64) for part in ("weight", "bias", "shift")
    )
    total = x @ weight + bias
    unit = np.int64(1) << shift
    down, rest = total // unit, total % unit
    up = (2 * rest > unit) | ((2 * rest == unit) & (down % 2 == 1))
    return np.clip(down + up, 0, 255)


def plain_conv(tensors, i, x):
    """int64 [h, w, c] → int64 [h, w, out]."""
    side = len(x)
    rows = []
    for y in range(side):
        for column in range(side):
            window = []
            for ky in (-1, 0, 1):
                for kx in (-1, 0, 1):
                    inside = 0 <= y + ky < side and 0 <= column + kx < side
                    window.append(x[y + ky, column + kx] if inside else np.zeros(x.shape[2], np.int64))
            rows.append(np.concatenate(window))
    return plain_layer(tensors, i, np.array(rows)).reshape(side, side, -1)


def plain_patch(tensors, latent):
    """R, G, B, alpha of a patch, int64 [8, 8, 4]."""
    x = np.clip(128 + latent.astype(np.int64) * tensors["said.latent.multiplier"], 0, 255)[None]
    x = plain_layer(tensors, 1, plain_layer(tensors, 0, x)).reshape(4, 4, 32)
    x = plain_conv(tensors, 2, x)
    x = np.kron(x, np.ones((2, 2, 1), np.int64))
    for i in (3, 4, 5):
        x = plain_conv(tensors, i, x)
    return x


def plain_start(description, width, height):
    """x̂(0), int64 [h, w, 3]."""
    cells = np.zeros((8, 8, 3), int)
    for y in range(8):
        for x in range(8):
            luma, orange, green = (int(v) << description.step for v in description.base[y, x])
            luma = min(max(luma, 0), 255)
            orange, green = (min(max(v, -255), 255) for v in (orange, green))
            middle = luma - (green >> 1)
            blue = middle - (orange >> 1)
            cells[y, x] = np.clip([blue + orange, green + middle, blue], 0, 255)
    return np.stack([plain_upsample(cells[..., c], width, height) for c in range(3)], -1)


def plain_render(description, tensors, width, height):
    canvas = plain_start(description, width, height)
    for box, latent in zip(description.boxes, description.latents):
        x0, y0, x1, y1 = (int(v) for v in box)
        left, right = x0 * width // 64, (x1 * width + 63) // 64
        top, bottom = y0 * height // 64, (y1 * height + 63) // 64
        patch = plain_patch(tensors, latent)
        paint = np.stack([plain_upsample(patch[..., c], right - left, bottom - top) for c in range(4)], -1)
        for y in range(top, bottom):
            for x in range(left, right):
                *colour, alpha = (int(v) for v in paint[y - top, x - left])
                for c in range(3):
                    canvas[y, x, c] += ((colour[c] - canvas[y, x, c]) * alpha + 127) // 255
    return canvas


@pytest.mark.parametrize("size", SIZES)
def test_rendering_is_the_plain_integer_arithmetic(size):
    model = random_model(5)
    description = random_description(np.random.default_rng(sum(size)), glimpses=4)
    found = render(description, model, *size)
    assert found.dtype == np.uint8
    assert (found == plain_render(description, model.tensors, *size)).all()


def test_the_random_model_uses_its_whole_range():
    """So that the comparison above means something."""
    found = patches(np.random.default_rng(0).integers(-64, 65, (50, 10)), random_model(5))
    for channel in range(4):
        assert len(np.unique(found[..., channel])) > 100


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 70))
def test_patches_do_not_depend_on_their_company(seed, n):
    model = random_model(6)
    latents = np.random.default_rng(seed).integers(-64, 65, (n, 10))
    together = patches(latents, model)
    for i in (0, n // 2, n - 1):
        assert (patches(latents[i : i + 1], model) == together[i : i + 1]).all()


def test_every_step_is_the_description_cut_off_there():
    model = random_model(7)
    description = random_description(np.random.default_rng(8), glimpses=5)
    steps = list(render_steps(description, model, 50, 40))
    assert len(steps) == 6
    for n, step in enumerate(steps):
        assert (step == render(description.first(n), model, 50, 40)).all()


def test_a_flat_opaque_patch_fills_exactly_the_pixels_of_its_box():
    latents = np.zeros((1, 10), int)
    latents[0, :3] = (31, -32, 0)
    description = Description(0, np.zeros((8, 8, 3), np.int16), np.array([[10, 20, 30, 21]]), latents)
    found = render(description, flat_colour_model(), 100, 50)
    expected = np.zeros((50, 100, 3), int)
    expected[15:17, 15:47] = (
        252,
        0,
        128,
    )  # rows 20*50/64 .. 21*50/64, columns 10*100/64 .. 30*100/64, outwards
    assert (found == expected).all()


@pytest.mark.parametrize("alpha", [0, 1, 127, 128, 254, 255])
def test_blending_ends_at_the_paint_and_never_leaves_a_byte(alpha):
    tensors = random_tensors()
    tensors["said.decoder.5.weight"] = np.zeros((144, 4), np.int8)
    tensors["said.decoder.5.shift"] = np.zeros(4, np.int32)
    for under in (0, 100, 255):
        for paint in (0, 100, 255):
            tensors["said.decoder.5.bias"] = np.array([paint, paint, paint, alpha], np.int32)
            base = np.zeros((8, 8, 3), np.int16)
            base[..., 0] = under
            description = Description(0, base, np.array([[0, 0, 64, 64]]), np.zeros((1, 10), int))
            found = render(description, model_of(tensors), 16, 16)
            assert (found == under + ((paint - under) * alpha + 127) // 255).all()
            if alpha in (0, 255):
                assert (found == (paint if alpha else under)).all()


def test_an_unfit_decoder_is_refused():
    missing = random_tensors()
    del missing["said.decoder.3.bias"]
    heavy = random_tensors()
    heavy["said.decoder.0.weight"] = np.full((10, 128), 64, np.int8)
    narrow = random_tensors()
    narrow["said.decoder.1.weight"] = narrow["said.decoder.1.weight"][:, :256]
    floating = random_tensors()
    floating["said.decoder.2.bias"] = floating["said.decoder.2.bias"].astype(np.float32)
    wild = random_tensors()
    wild["said.latent.multiplier"] = np.zeros(10, np.int32)
    for tensors in (missing, heavy, narrow, floating, wild):
        with pytest.raises(ModelError):
            patches(np.zeros((1, 10), int), model_of(tensors))
