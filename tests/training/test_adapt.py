"""``saidcodec train adapt``: better on the images at hand, or nothing at all."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import saidcodec
from saidcodec import models
from saidcodec.cli import main
from saidcodec.training import adapt, datasets, export, folder

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def striped(tmp_path_factory):
    """A folder of what no photograph shows: columns that alternate, and little noise."""
    place = tmp_path_factory.mktemp("striped")
    rng = np.random.default_rng(0)
    for i in range(10):
        columns = np.tile([0, 40, 10, 50], 18)[:70]
        pixels = columns[None, :, None] + rng.integers(0, 160, 3) + rng.integers(0, 3, (66, 70, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(place / f"{i}.png")
    return place


usual = adapt.settings_for


def settings(seconds=1e9, **changes):
    return replace(usual(seconds, 0), tiles=8, group=32, log_every=10, **changes)


NO_TIME = 1e-9
PARTS = ("weight", "bias")


def test_a_model_learns_what_the_images_have_in_common(striped, tmp_path):
    images, model, lines = folder.read(striped, 0), models.find("photo"), []
    tensors = adapt.adapted(model, images, settings(steps=60, rate=1e-2), tmp_path / "a.pt", log=lines.append)
    bits = [float(line.split(" dev ")[1]) for line in lines if " lr " in line]
    assert bits[-1] < bits[0] - 0.05
    made = models.Model("a", models.identify(tensors), tensors, {})
    before, after = (adapt.file_bytes(one, images) for one in (model, made))
    assert after < 0.97 * before
    for name, tensor in export.without_residual(model.tensors).items():
        assert np.array_equal(tensors[name], tensor), name
    data = saidcodec.encode(images.held_out[0], model=made)
    assert np.array_equal(saidcodec.decode(data, model=made), images.held_out[0])


@pytest.mark.parametrize("name", ["photo", "multimnist", "multidsprites"])
def test_training_begins_at_the_model_itself(name, tmp_path):
    """Of every kind of network; with copies, too."""
    for i, pixels in enumerate(datasets.multi_dsprites(4, 0).images):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    images, model = folder.read(tmp_path, 0), models.find(name)
    tensors = adapt.adapted(model, images, settings(NO_TIME), tmp_path / "a.pt")
    for key in (key for key in tensors if key.endswith(".shift") and key.startswith("residual.")):
        weight, bias = ((real(each, key, part) for each in (tensors, model.tensors)) for part in PARTS)
        assert np.array_equal(*weight), key
        assert np.array_equal(tensors[key], model.tensors[key]), key
        assert np.allclose(*bias, rtol=1e-5, atol=2.0 ** -tensors[key].max()), key
    stepped = adapt.adapted(model, images, settings(steps=2), tmp_path / "b.pt")
    assert stepped.keys() == model.tensors.keys()


def real(tensors, key, part):
    return tensors[key.replace("shift", part)] * 2.0 ** -tensors[key]


def run(*words):
    return CliRunner().invoke(main, ["train", "adapt", *(str(word) for word in words)])


def test_the_command_tells_what_was_gained(striped, tmp_path, monkeypatch):
    monkeypatch.setattr(adapt, "settings_for", lambda seconds, seed: settings(steps=60, rate=1e-2))
    out = tmp_path / "mine.safetensors"
    result = run("--model", "photo", "--data", striped, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert " fewer than the " in result.stdout
    assert models.load(out).name == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.safetensors"]
    assert "exists already" in run("--model", "photo", "--data", striped, "--out", out).stderr


def test_a_model_that_is_no_better_is_not_written(striped, tmp_path, monkeypatch):
    monkeypatch.setattr(adapt, "settings_for", lambda seconds, seed: settings(NO_TIME))
    result = run("--model", "photo", "--data", striped, "--out", tmp_path / "mine.safetensors")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Nothing is written: ")
    assert not list(tmp_path.iterdir())


def test_an_interrupted_training_goes_on(striped, tmp_path):
    images, model, lines = folder.read(striped, 0), models.find("multimnist"), []

    def stop(share):
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapt.adapted(model, images, settings(steps=30), tmp_path / "a.pt", stop, lines.append)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]
    adapt.adapted(model, images, settings(steps=30), tmp_path / "a.pt", log=lines.append)
    assert [line.split()[1] for line in lines if " lr " in line] == ["10", "20", "30"]


def test_bad_input(striped, tmp_path):
    (tmp_path / "empty").mkdir()
    out = tmp_path / "mine.safetensors"
    for words in (("photo", tmp_path / "empty"), ("nothing", striped)):
        result = run("--model", words[0], "--data", words[1], "--out", out)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert result.stderr.startswith("Error: ")
