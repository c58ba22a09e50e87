"""Both layers in one training, from what is shipped to a model that decodes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from saidcodec import codec, models
from saidcodec.cli import main
from saidcodec.errors import ModelError
from saidcodec.training import (
    checkpoints,
    datasets,
    defaults,
    export,
    joint,
    looks,
    networks,
    residual,
    said,
    sources,
)
from saidcodec.training.windows import Shape

torch.set_num_threads(1)
SHIPPED = Path(__file__).parents[2] / "models"
SHAPE = Shape(styles=1, around=defaults.WIDE)
pytestmark = pytest.mark.skipif(not models.installed(), reason="no model is shipped")


def residual_bits(line: str) -> list[float]:
    """Of held-out images: without glimpses, and with all."""
    return [float(line.split(word)[1].split()[0].rstrip(";")) for word in ("residual ", "glimpses ")]


def test_layers_learn_together_and_their_export_decodes(tmp_path: Path) -> None:
    images = datasets.multi_dsprites(10, seed=0).images
    seen = tmp_path / "said.pt"
    first = said.Settings(steps=3, batch=4, iterations=2)
    said.train(first, lambda rng: sources.endless(images, 4, False, rng), seen, lambda line: None)

    settings = joint.Settings(
        steps=40, batch=4, windows=64, log_every=2, rate=4e-3, qat_from=0.7, shape=SHAPE
    )
    shipped = SHIPPED / "clevr.safetensors"
    scenes, held_out = (
        looks.look(part, models.load(shipped), 3, settings.grey, settings.base_step)
        for part in (images[2:], images[:2])
    )
    assert scenes.there.any()
    out, lines = (tmp_path / "a.pt", tmp_path / "b.pt"), []
    network = joint.widened(models.load(shipped), SHAPE)
    joint.train(settings, scenes, held_out, joint.begun(seen, False), network, out, lines.append)
    before, after = residual_bits(lines[0]), residual_bits(lines[-1])
    assert max(before) < 15_000  # of networks that know nothing: more than 30,000
    assert after[0] < 0.9 * before[0]
    assert after[1] < 0.9 * before[1]
    vae = [checkpoints.read(path)["model"]["encoder.conv0.weight"] for path in (seen, out[0])]
    assert not torch.equal(*vae)

    trained, _ = export.load_said(out[0])
    tensors = {
        **export.said_tensors(trained),
        **residual.export(residual.load_checkpoint(out[1])),
        **export.style_table(np.ones(1)),
    }
    settled = joint.settle(tensors, images[:1], False, 5.0)
    models.save(tmp_path / "c.safetensors", settled, {"name": "c"})
    model = models.load(tmp_path / "c.safetensors")
    assert model.sees_reconstruction
    data = codec.encode(images[0], model=model, glimpses=2)
    assert np.array_equal(codec.decode(data, model=model), images[0])


def test_the_vae_learns_alone_from_regions(tmp_path: Path) -> None:
    images = datasets.multi_dsprites(12, seed=0).images
    scenes, held_out = (looks.look_at_objects(part, "regions", 4) for part in (images[2:], images[:2]))
    assert 1 <= scenes.there.sum(1).mean() <= 4
    settings = joint.Settings(steps=150, warm_up=1.0, batch=8, log_every=50, rate=3e-3, shape=SHAPE)
    seen, out, lines = tmp_path / "said.pt", (tmp_path / "a.pt", tmp_path / "b.pt"), []
    torch.manual_seed(0)
    checkpoints.write(seen, {"model": networks.Said(16).state_dict(), "settings": {}})
    network = joint.widened(models.load(SHIPPED / "clevr.safetensors"), SHAPE)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    joint.train(settings, scenes, held_out, joint.begun(seen, False), network, out, lines.append)
    bits = [float(line.split(" glimpse ")[1].split()[0]) for line in lines[:-1]]
    assert bits[-1] < 0.8 * bits[0]
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())


@pytest.mark.parametrize(
    ("name", "reason"), [("multidsprites", "copies"), ("photo", "another residual network")]
)
def test_networks_of_another_kind_are_refused(name: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        joint.widened(models.load(SHIPPED / f"{name}.safetensors"), SHAPE)


def test_a_whole_model_goes_on_as_integers_in_the_boxes_of_its_files(tmp_path: Path) -> None:
    """One step at a low rate leaves nearly all weights as they are."""
    begin, out = SHIPPED / "multidsprites.safetensors", tmp_path / "a.safetensors"
    words = ["--dataset", "multidsprites", "--images", 20, "--model", begin, "--boxes", "files"]
    more = ["--noise", 0.1, "--rate", 1e-6, "--seconds", 0.01, "--out", out]
    result = CliRunner().invoke(main, ["train", "joint", *map(str, words + more)])
    assert result.exit_code == 0, result.output
    assert "a glimpse saves" in result.output
    before, after = (models.load(path).tensors for path in (begin, out))
    for name in ("regions", "box.worth"):
        assert np.array_equal(after[f"encoder.{name}"], before[f"encoder.{name}"])
    for name in ("residual.trunk1", "said.decoder.3"):
        assert np.array_equal(after[f"{name}.shift"], before[f"{name}.shift"])
        assert np.mean(after[f"{name}.weight"] == before[f"{name}.weight"]) > 0.99
    image, model = datasets.multi_dsprites(1, seed=3).images[0], models.load(out)
    assert np.array_equal(codec.decode(codec.encode(image, model=model), model=model), image)


def test_what_cannot_go_on_is_refused_before_any_look(tmp_path: Path) -> None:
    sprites, out = str(SHIPPED / "multidsprites.safetensors"), str(tmp_path / "a.safetensors")
    words = [
        "train",
        "joint",
        "--dataset",
        "multidsprites",
        "--images",
        "4",
        "--seconds",
        "0.01",
        "--out",
        out,
    ]
    told = CliRunner().invoke(main, [*words, "--model", sprites, "--boxes", "files", "--base-step", "4"])
    assert told.exit_code == 2
    assert "a base of their own" in told.stderr
    tensors = models.load(SHIPPED / "multidsprites.safetensors").tensors
    half = {name: tensor for name, tensor in tensors.items() if not name.startswith("encoder.vae")}
    models.save(tmp_path / "half.safetensors", half, {"name": "half"})
    lacking = CliRunner().invoke(main, [*words, "--model", str(tmp_path / "half.safetensors")])
    assert lacking.exit_code == 1
    assert lacking.stderr == "Error: The model lacks the tensor encoder.vae.conv0.weight.\n"
    assert lacking.stdout == ""


def test_a_residual_network_goes_on_beside_another_said_layer(tmp_path: Path) -> None:
    seen, out = tmp_path / "said.pt", tmp_path / "a.safetensors"
    torch.manual_seed(0)
    checkpoints.write(seen, {"model": networks.Said(16).state_dict(), "settings": {"steps": 1}})
    begin = SHIPPED / "multidsprites.safetensors"
    words = ["--dataset", "multidsprites", "--images", 20, "--model", begin, "--boxes", "regions"]
    more = ["--said-checkpoint", seen, "--seconds", 0.01, "--box-worth", 3, "--out", out]
    result = CliRunner().invoke(main, ["train", "joint", *map(str, words + more)])
    assert result.exit_code == 0, result.output
    after = models.load(out).tensors
    assert after["encoder.box.worth"].tolist() == [3.0]
    assert not np.array_equal(
        after["said.decoder.3.weight"], models.load(begin).tensors["said.decoder.3.weight"]
    )
