"""Descriptions there and back, what they cost, and what damaged ones raise."""

from dataclasses import replace

import numpy as np
import pytest
from factory import flat_colour_model, model_of, random_description, random_model, random_tensors
from hypothesis import given, settings
from hypothesis import strategies as st

from saidcodec.entropy.rans import TOTAL, Decoder, Encoder
from saidcodec.errors import CorruptError, ModelError, SaidError
from saidcodec.said import Description, account, render
from saidcodec.said.latent import kl_bits
from saidcodec.said.section import read_descriptions, tables_of, write_descriptions

MODEL = random_model(11)


def written(descriptions, grey, model=MODEL):
    encoder = Encoder()
    write_descriptions(descriptions, grey, model, encoder)
    return encoder.finish()


def same(a, b):
    fields = ("step", "base", "boxes", "latents")
    return all(np.array_equal(getattr(a, field), getattr(b, field)) for field in fields)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.booleans())
def test_descriptions_come_back(seed, count, grey):
    rng = np.random.default_rng(seed)
    descriptions = [random_description(rng, grey) for _ in range(count)]
    decoder = Decoder(written(descriptions, grey))
    found = read_descriptions(count, grey, MODEL, decoder)
    decoder.finish()
    assert len(found) == count
    assert all(same(a, b) for a, b in zip(descriptions, found))


@pytest.mark.parametrize("grey", [False, True])
def test_the_account_is_the_length_of_the_stream(grey):
    rng = np.random.default_rng(12)
    descriptions = [random_description(rng, grey) for _ in range(40)]
    bits = sum(account(d, grey, MODEL).bits(len(d.boxes)) for d in descriptions)
    assert abs(8 * len(written(descriptions, grey)) - bits) < 64


def test_the_account_of_fewer_glimpses_is_that_of_the_description_cut_off():
    description = random_description(np.random.default_rng(13), glimpses=6)
    whole = account(description, False, MODEL)
    for n in range(7):
        assert whole.bits(n) == pytest.approx(account(description.first(n), False, MODEL).bits(n))


def test_kl_is_that_of_the_paper():
    tensors = random_tensors()
    tensors["said.latent.multiplier"] = np.full(10, 16, np.int32)  # half a latent unit
    tensors["said.latent.posterior"] = np.full(10, 256, np.int32)  # a quarter
    latents = np.array([[2, -4, 0, 0, 0, 0, 0, 0, 0, 0]])  # 1 and -2 latent units
    nats = 0.5 * (1 + 4) + 10 * 0.5 * (1 / 16 - 1 - np.log(1 / 16))
    assert kl_bits(latents, model_of(tensors))[0] == pytest.approx(nats / np.log(2))


def test_the_encoder_takes_the_cheapest_scale():
    """A base without detail costs next to nothing but its step and scales."""
    flat = Description(8, np.zeros((8, 8, 3), np.int16), np.zeros((0, 4), int), np.zeros((0, 10), int))
    tables = tables_of(MODEL)
    dearest = tables.step.bits[8] + 3 * tables.scale.bits[0] + 1
    assert account(flat, False, MODEL).base < dearest


def test_many_tiles_share_one_stream():
    """Field by field: the symbols of one kind stand together (spec section 9.1)."""
    rng = np.random.default_rng(14)
    descriptions = [random_description(rng, glimpses=n) for n in (2, 0, 1)]
    decoder = Decoder(written(descriptions, False))
    tables = tables_of(MODEL)
    assert decoder.take(tables.step, 3).tolist() == [d.step for d in descriptions]
    scales = decoder.take(tables.scale, 9)
    for scale in scales:
        decoder.take(tables.distance[scale], 64)
    assert decoder.take(tables.count, 3).tolist() == [2, 0, 1]
    boxes = np.concatenate([d.boxes for d in descriptions])
    assert decoder.take(tables.box[0], 3).tolist() == (boxes[:, 2] - boxes[:, 0] - 1).tolist()
    assert decoder.take(tables.box[1], 3).tolist() == (boxes[:, 3] - boxes[:, 1] - 1).tolist()
    assert decoder.take(tables.box[2], 3).tolist() == boxes[:, 0].tolist()
    assert decoder.take(tables.box[3], 3).tolist() == boxes[:, 1].tolist()
    latents = np.concatenate([d.latents for d in descriptions])
    for table, column in zip(tables.latent, latents.T):
        assert decoder.take(table, 3).tolist() == (column + 64).tolist()
    decoder.finish()


@pytest.mark.parametrize("box", [(60, 0, 65, 1), (0, 63, 1, 66)])
def test_a_box_that_leaves_the_canvas_is_refused(box):
    description = random_description(np.random.default_rng(15), glimpses=1)
    wrong = replace(description, boxes=np.array([box]))
    with pytest.raises(CorruptError, match="box"):
        read_descriptions(1, False, MODEL, Decoder(written([wrong], False)))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 8), st.booleans())
def test_any_bytes_either_decode_or_are_refused(data, count, grey):
    try:
        decoder = Decoder(data)
        found = read_descriptions(count, grey, MODEL, decoder)
        decoder.finish()
    except SaidError:
        return
    for description in found:
        assert render(description, MODEL, 5, 9).shape == (9, 5, 3)


@pytest.mark.parametrize("name", [n for n in random_tensors() if n.startswith("said.") and "frequency" in n])
def test_unfit_tables_are_refused(name):
    missing = random_tensors()
    missing.pop(name)
    short = random_tensors()
    short[name] = short[name][..., :-1]
    heavy = random_tensors()
    heavy[name] = heavy[name] + 1
    holed = random_tensors()
    row = holed[name].reshape(-1, holed[name].shape[-1])[0]
    row[0] += row[-1]
    row[-1] = 0
    for tensors in (missing, short, heavy, holed):
        with pytest.raises(ModelError):
            tables_of(model_of(tensors))


def test_a_valid_model_has_all_tables():
    tables = tables_of(flat_colour_model())
    for table in (tables.step, tables.scale, tables.count, *tables.box, *tables.latent, *tables.distance):
        assert table.frequency.sum() == TOTAL
