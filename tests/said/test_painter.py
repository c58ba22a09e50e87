"""x̂(T) against the plain decoder, and what is special about it."""

import numpy as np
import plain_decoder
import pytest
from factory import flat_colour_model, model_of, random_description, random_model, random_tensors
from hypothesis import given, settings
from hypothesis import strategies as st

from saidcodec.errors import ModelError
from saidcodec.said import Description, render, render_steps
from saidcodec.said.painter import patches

SIZES = [(64, 64), (1, 1), (3, 90), (130, 77)]


@pytest.mark.parametrize("fine", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_rendering_is_the_plain_integer_arithmetic(size, fine):
    model = random_model(5, fine=fine)
    description = random_description(np.random.default_rng(sum(size)), glimpses=4)
    found = render(description, model, *size)
    assert found.dtype == np.uint8
    parts = description.step, description.base, description.boxes, description.latents
    assert (found == plain_decoder.render(model.tensors, *parts, *size)).all()


@pytest.mark.parametrize("fine", [False, True])
def test_the_random_model_uses_its_whole_range(fine):
    """So that the comparison above means something."""
    found = patches(np.random.default_rng(0).integers(-64, 65, (50, 10)), random_model(5, fine=fine))
    assert found.shape == (50, *(2 * (16 if fine else 8,)), 4)
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
    shortened = random_tensors(fine=True)
    del shortened["said.decoder.6.weight"]
    for tensors in (missing, heavy, narrow, floating, wild, shortened):
        with pytest.raises(ModelError):
            patches(np.zeros((1, 10), int), model_of(tensors))
