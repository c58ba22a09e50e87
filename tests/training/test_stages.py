"""``saidcodec train --data DIR --name NAME``: from a folder to a model and its page, interrupted or not."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import saidcodec
from saidcodec import models
from saidcodec.cli import main
from saidcodec.encoder import refine
from saidcodec.training import adapt, card, datasets, folder, joint, residual, said, stages, windows

torch.set_num_threads(1)


def run(*words):
    return CliRunner().invoke(main, ["train", *(str(word) for word in words)])


@pytest.fixture
def sprites(tmp_path):
    place = tmp_path / "sprites"
    place.mkdir()
    for i, pixels in enumerate(datasets.multi_dsprites(12, 0).images):
        Image.fromarray(pixels).save(place / f"{i:02d}.png")
    return place


@pytest.fixture
def quick(monkeypatch):
    """Stages of a few small steps, which say how they went; [name, steps of each stage]."""
    lines = []
    for module, changes in (
        (said, {"steps": 6, "batch": 4, "iterations": 2}),
        (residual, {"steps": 30, "tiles": 4, "group": 64, "log_every": 10}),
        (joint, {"steps": 4, "batch": 4, "windows": 32, "log_every": 2}),
    ):
        settings = module.Settings

        def smaller(settings=settings, changes=changes, **given):
            return settings(**{**given, **changes, "seconds": 1e9})

        monkeypatch.setattr(module, "Settings", smaller)
    monkeypatch.setattr(stages, "silent", lines.append)
    monkeypatch.setattr(stages, "LOOKED_AT", 1)
    monkeypatch.setattr(stages, "HIDDEN", (16, 12))
    monkeypatch.setattr(stages, "HEAD", 8)
    plain = card.peers
    monkeypatch.setattr(card, "peers", lambda *words: [plain(*words)[0], plain(*words)[-1]])
    return lines


def test_a_model_of_both_layers_in_spite_of_an_interruption(sprites, tmp_path, quick, monkeypatch):
    out = tmp_path / "mine.safetensors"
    words = ["--data", sprites, "--name", "mine", "--out", out, "--minutes", 0.1]
    monkeypatch.delitem(stages.CANDIDATES, "adapted")
    with monkeypatch.context() as patch:
        patch.setattr(joint, "train", interrupt)
        stopped = run(*words)
    assert stopped.exit_code == 1
    assert "--resume goes on from" in stopped.stderr
    assert stopped.stderr.endswith("Error: Interrupted.\n")
    assert {path.name for path in tmp_path.iterdir()} == {"sprites", "mine.training"}
    assert "holds an unfinished training: --resume goes on" in run(*words).stderr

    before = len(quick)
    bits = [float(line.split(" dev ")[1]) for line in quick if " dev " in line]
    assert bits[-1] < bits[0]
    done = run(*words, "--resume")
    assert done.exit_code == 0, done.stderr
    assert "12 images, sides of 64 pixels, colour, flat colours; 1 held out." in done.stdout
    assert (
        "SAID layer 0.015, residual network 0.03, both together 0.04, photo model, adapted 0.015."
        in done.stdout
    )
    assert not any(" dev " in line for line in quick[before:])  # only what was missing was trained
    assert {path.name for path in tmp_path.iterdir()} == {"sprites", "mine.safetensors", "mine.md"}

    model = models.load(out)
    assert model.name == "mine"
    assert model.sees_reconstruction
    pixels = folder.read(sprites, 0).held_out[0]
    data = saidcodec.encode(pixels, model=model)
    assert np.array_equal(saidcodec.decode(data, model=model), pixels)
    page = (tmp_path / "mine.md").read_text()
    shown = len(saidcodec.features(data, model=model).objects.boxes)
    assert shown
    for expected in (
        model.id,
        "| PNG (optimised) | ",
        f"| saidcodec mine | {len(data):,} | ",
        "--minutes=0.1",
        f"| objects in the files of held-out images | {shown}.0 an image |",
    ):
        assert expected in page


def fields(place):
    """Three noisy images of 3×2 tiles of sprites."""
    place.mkdir()
    rng = np.random.default_rng(0)
    tiles = datasets.multi_dsprites(12, 0).images
    for i in range(0, 12, 4):
        rows = [np.concatenate(tiles[k : k + 2], 1) for k in (i, i + 2)]
        field = np.concatenate([*rows, rows[0]]) + rng.integers(0, 6, (192, 128, 1))
        Image.fromarray(field.clip(0, 255).astype(np.uint8)).save(place / f"{i:02d}.png")
    return place


def test_objects_are_learnt_from_the_tiles_of_larger_images(tmp_path, quick, monkeypatch):
    place, out = fields(tmp_path / "fields"), tmp_path / "mine.safetensors"
    monkeypatch.setattr(stages, "OBJECTS_WORTH", 9.0)

    def features(file, model):
        """As if files held boxes as soon as the model is one of objects, however short its training."""
        return SimpleNamespace(boxes=np.zeros((1 if refine.proposal_of(model) else 0, 4)))

    monkeypatch.setattr(stages, "features", features)
    learnt = []
    plain = windows.WindowSampler.__init__

    def watched(self, shape, tiles):
        learnt.append(tiles)
        plain(self, shape, tiles)

    monkeypatch.setattr(windows.WindowSampler, "__init__", watched)
    done = run("--data", place, "--name", "mine", "--out", out, "--minutes", 0.1, "--objects")
    assert done.exit_code == 0, done.stderr
    assert "SAID layer 0.015" in done.stdout
    assert not any(tiles.whole for tiles in learnt)  # positions in a tile say nothing of those in an image
    assert "--minutes=0.1 --objects" in (tmp_path / "mine.md").read_text()
    model = models.load(out)
    assert refine.proposal_of(model) == "hills"
    pixels = folder.read(place, 0).held_out[0]
    data = saidcodec.encode(pixels, model=model)
    assert np.array_equal(saidcodec.decode(data, model=model), pixels)


@pytest.mark.parametrize(
    ("objects", "boxes", "size", "kept"),
    [
        (False, 1, 101, "photo"),
        (True, 1, 101, "multidsprites"),
        (True, 0, 101, "photo"),
        (True, 1, 103, "photo"),
    ],
)
def test_boxes_may_cost_a_little_where_they_are_wanted(
    sprites, tmp_path, monkeypatch, objects, boxes, size, kept
):
    plan = stages.Plan(folder.read(sprites, 0), 1.0, 0, "cpu", tmp_path, objects)
    made = {name: lambda *words, name=name: models.find(name).tensors for name in ("photo", "multidsprites")}
    monkeypatch.setattr(stages, "CANDIDATES", made)

    def files(one, images):
        return [bytes(size if one.name == "multidsprites" else 100)]

    def features(file, model):
        return SimpleNamespace(boxes=np.zeros((boxes if model.name == "multidsprites" else 0, 4)))

    monkeypatch.setattr(stages.adapt, "held_out_files", files)
    monkeypatch.setattr(stages, "features", features)
    assert stages.train(plan, lambda label: None).id == models.find(kept).id


def test_tiny_images_are_left_out_where_objects_are_wanted(tmp_path):
    place = tmp_path / "tiny"
    place.mkdir()
    for i in range(3):
        Image.new("RGB", (47, 200), (i, i, i)).save(place / f"{i}.png")
    result = run("--data", place, "--name", "mine", "--out", tmp_path / "mine.safetensors", "--objects")
    assert result.exit_code == 1
    assert "no image that can be read" in result.stderr
    assert "smaller than 48×48 pixels" in result.stderr


def interrupt(*words):
    raise KeyboardInterrupt


def test_large_pictures_adapt_the_model_of_photographs(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(adapt, "RATE", 1e-2)  # all steps of a training so short are warm-up
    place = tmp_path / "striped"
    place.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        pixels = np.tile([0, 40, 10, 50], 50)[None, :170, None] + rng.integers(0, 3, (70, 170, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(place / f"{i}.png")
    out = tmp_path / "mine.safetensors"
    result = run("--data", place, "--name", "mine", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "30 of training: photo model, adapted 30." in result.stdout
    photo = models.find("photo").tensors
    assert {name: tensor.shape for name, tensor in models.load(out).tensors.items()} == {
        name: tensor.shape for name, tensor in photo.items()
    }


def test_the_smallest_model_is_kept(sprites, tmp_path, monkeypatch):
    plan = stages.Plan(folder.read(sprites, 0), 1.0, 0, "cpu", tmp_path)
    shipped = ("photo", "multidsprites", "clevr")
    made = {name: lambda *words, name=name: models.find(name).tensors for name in shipped}
    monkeypatch.setattr(stages, "CANDIDATES", made)
    assert stages.train(plan, lambda label: None).id == models.find("multidsprites").id


def test_a_training_of_other_images_is_not_resumed(sprites, tmp_path):
    plan = stages.Plan(folder.read(sprites, 0), 1.0, 0, "cpu", tmp_path / "work")
    with pytest.raises(saidcodec.SaidError, match="no training to resume"):
        stages.prepare(plan, resume=True)
    stages.prepare(plan, resume=False)
    stages.prepare(plan, resume=True)
    for other in (
        replace(plan, seed=1),
        replace(plan, objects=True),
        replace(plan, images=replace(plan.images, learning=[])),
    ):
        with pytest.raises(saidcodec.SaidError, match="another training"):
            stages.prepare(other, resume=True)


def test_an_empty_folder_is_one_sentence(tmp_path):
    result = run("--data", tmp_path, "--name", "mine", "--out", tmp_path / "mine.safetensors")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "holds no image that can be read" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ("--data", "."),
        ("--name", "mine"),
        ("--data", ".", "--name", "a/b"),
        ("--data", ".", "--name", "a", "--out", "a.md"),
        ("--data", ".", "said"),
        ("--resume", "adapt"),
        ("--data", ".", "--name", "mine", "--minutes", 0),
        ("--data", ".", "--name", "mine", "--device", "nowhere"),
    ],
)
def test_wrong_usage(words):
    assert run(*words).exit_code == 2


@pytest.mark.parametrize("places", [(), (1, 5, 7)])
def test_pictures_without_objects_are_no_reason_to_fail(places, tmp_path, quick, monkeypatch):
    """Nothing is proposed in most, or in all, among them those that are held out."""
    place, rng = tmp_path / "grounds", np.random.default_rng(0)
    place.mkdir()
    for i in range(10):
        pixels = rng.normal(100, 4, (48, 48, 3))
        if i in places:
            pixels[10:30, 15:35] += 70
        Image.fromarray(pixels.astype(np.uint8)).save(place / f"{i:02}.png")
    monkeypatch.delitem(stages.CANDIDATES, "adapted")
    out = tmp_path / "mine.safetensors"
    done = run("--data", place, "--name", "mine", "--out", out, "--minutes", 0.1)
    assert done.exit_code == 0, done.stderr
    assert any("no glimpses" in line for line in quick)
    assert not any("nan" in line for line in quick)
    pixels = folder.read(place, 0).held_out[0]
    model = models.load(out)
    assert np.array_equal(saidcodec.decode(saidcodec.encode(pixels, model=model), model=model), pixels)


@pytest.mark.parametrize(("ground", "dark"), [(10, True), (120, False), (240, False)])
def test_the_ground_says_whether_a_base_is_black(ground, dark):
    images = [np.full((50, 50, 3), ground, np.uint8) for _ in range(3)]
    images[0][:40] = 255 - ground
    assert folder.Images(images[1:], images[:1], []).dark == dark
