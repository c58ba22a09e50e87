"""What ``saidcodec train`` says before any training begins."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from saidcodec import models
from saidcodec.cli import main
from saidcodec.training import sources
from saidcodec.training.commands import options

SHIPPED = Path(__file__).parents[2] / "models"


def run(*words):
    return CliRunner().invoke(main, ["train", *(str(word) for word in words)])


def refused(*words):
    result = run(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert result.stderr.endswith(".\n")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_datasets_are_those_there_are():
    assert list(options.DATASETS) == list(sources.SOURCES)


@pytest.fixture
def out(tmp_path):
    return ["--out", tmp_path / "a.safetensors", "--steps", 1]


@pytest.mark.parametrize("dataset", ["photographs", "scenes", "sheets", "multimnist"])
def test_an_empty_folder(dataset, tmp_path, out):
    (tmp_path / "empty").mkdir()
    sentence = refused("said", "--dataset", dataset, "--data", tmp_path / "empty", *out)
    assert "empty holds n" in sentence


def test_data_of_another_kind(tmp_path, out):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    (tmp_path / "noise.npz").write_bytes(b"noise")
    for name in ("other", "noise"):
        sentence = refused("said", "--dataset", "multimnist", "--data", tmp_path / f"{name}.npz", *out)
        assert sentence.count(f"{name}.npz: ") == 1
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "bad.png").write_bytes(b"noise")
    assert "bad.png cannot be read" in refused("said", "--dataset", "scenes", "--data", folder, *out)
    refused("said", "--dataset", "scenes", "--data", folder / "bad.png", *out)


def test_photographs_smaller_than_a_tile(tmp_path, out):
    folder = tmp_path / "folder"
    folder.mkdir()
    Image.new("RGB", (20, 20)).save(folder / "small.png")
    words = ["--dataset", "photographs", "--data", folder, "--said", folder / "small.png"]
    assert "64×64" in refused("residual", *words, *out)


def test_a_single_image_is_learned_from_and_held_out():
    parts = sources.split(np.zeros((1, 64, 64, 3), np.uint8), seed=0)
    assert [len(part) for part in parts] == [1, 1]


def test_existing_models_are_kept(tmp_path, out):
    (tmp_path / "a.safetensors").write_bytes(b"old")
    (tmp_path / "b").write_bytes(b"")
    for words in (
        ("said", "--dataset", "multidsprites", *out),
        ("residual", "--dataset", "multidsprites", "--said", tmp_path / "b", *out),
        ("tables", "--dataset", "multidsprites", "--model", tmp_path / "b", *out[:2]),
        ("joint", "--dataset", "multidsprites", "--model", tmp_path / "b", "--seconds", 1,
         "--said-checkpoint", tmp_path / "b", "--residual-checkpoint", tmp_path / "b", *out[:2]),
    ):  # fmt: skip
        assert "a.safetensors exists already; --force overwrites it" in refused(*words)
    assert (tmp_path / "a.safetensors").read_bytes() == b"old"


@pytest.mark.parametrize("words", [("--images", 0), ("--batch", 0)])
def test_numbers_that_leave_nothing_to_do(words, out):
    assert run("said", "--dataset", "multidsprites", *words, *out).exit_code == 2


@pytest.mark.parametrize("hidden", ["a", "8,", "0", "8;8", ""])
def test_widths_that_are_none(hidden, tmp_path, out):
    words = ["--dataset", "multidsprites", "--said", tmp_path, "--hidden", hidden]
    assert run("residual", *words, *out).exit_code == 2


@pytest.mark.parametrize("words", [["train"], ["train", "--help"], ["train", "said", "--help"]])
def test_help_needs_no_torch(words):
    code = f"import sys; sys.modules['torch'] = None\nfrom saidcodec.cli import main\nmain({words})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Usage:" in result.stdout + result.stderr
    assert "Error" not in result.stderr


@pytest.mark.parametrize("device", ["nowhere", "cuda:77"])
def test_devices_that_are_not_there(device, out):
    result = run("said", "--dataset", "multidsprites", "--device", device, *out)
    assert result.exit_code == 2
    assert f"no device {device} here" in result.stderr


def test_noise_is_not_for_photographs(tmp_path, out):
    layer = tmp_path / "layer.safetensors"
    layer.write_bytes(b"")
    words = ["--dataset", "photographs", "--data", tmp_path, "--said", layer, "--noise", 0.5]
    result = run("residual", *words, *out)
    assert result.exit_code == 2
    assert "crops of photographs are varied anyway" in result.stderr


def test_a_model_goes_on_as_integers_with_noise(tmp_path):
    """Two steps at a low rate leave nearly all weights as they are."""
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(rng.integers(90, 140, (64, 64, 3), np.uint8)).save(scenes / f"{i}.png")
    begin, made = SHIPPED / "clevr.safetensors", tmp_path / "a.safetensors"
    words = ["--dataset", "scenes", "--data", scenes, "--said", begin, "--begin", begin, "--out", made]
    result = run("residual", *words, "--noise", 0.5, "--rate", 1e-5, "--steps", 2)
    assert result.exit_code == 0, result.stderr
    before, after = (models.load(path).tensors for path in (begin, made))
    name = "residual.trunk1.weight"
    shift = name.replace("weight", "shift")
    assert np.array_equal(after[shift], before[shift])
    assert np.mean(after[name] == before[name]) > 0.99
