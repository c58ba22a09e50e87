import numpy as np
import pytest
import torch
from click.testing import CliRunner

from saidcodec import codec, integer, models
from saidcodec.cli import main
from saidcodec.encoder import proposal
from saidcodec.entropy.rans import TOTAL
from saidcodec.errors import ModelError
from saidcodec.training import datasets, export, networks, painting, said, sources, watch

torch.set_num_threads(1)


def settings(**changes):
    return said.Settings(**{"steps": 40, "batch": 8, "iterations": 2, "rate": 2e-3, **changes})


@pytest.fixture(scope="module")
def images():
    return datasets.multi_dsprites(24, seed=0).images


def batches(images, size=8):
    return lambda rng: sources.endless(images, size, False, rng)


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    lines = []
    model = said.train(settings(), batches(images), folder / "a.pt", lines.append, log_every=10)
    return model, lines, folder / "a.pt"


def bits_saved(line):
    """Of the residual, less what the latents cost."""
    saved, spent = line.split(" saved ")[1].split(" KL ")
    return float(saved) - float(spent.split()[0])


def test_descriptions_get_shorter_and_latents_get_steps(trained):
    model, lines, _ = trained
    assert bits_saved(lines[-1]) > bits_saved(lines[0]) + 100
    assert ((model.multiplier >= 1) & (model.multiplier <= 128)).all()


def test_resuming_goes_on(trained, images, tmp_path):
    _, _, path = trained
    (tmp_path / "b.pt").write_bytes(path.read_bytes())
    lines = []
    said.train(settings(steps=50), batches(images), tmp_path / "b.pt", lines.append, log_every=10)
    assert [line.split()[1] for line in lines] == ["50"]


def test_same_seed_same_weights(images, tmp_path):
    two = [
        said.train(settings(steps=3), batches(images), tmp_path / name, lambda line: None)
        for name in ("a", "b")
    ]
    for a, b in zip(two[0].parameters(), two[1].parameters()):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "changes", [{"alpha": False}, {"scope": False}, {"vae_start": True}, {"search": False}, {"grey": True}]
)
def test_switches(changes, images):
    model = networks.Said()
    losses, canvas, boxes = said.run(model, said.on_device(images[:4]), settings(**changes))
    losses.total.backward()
    assert torch.isfinite(losses.total)
    assert torch.isfinite(canvas).all()
    assert len(boxes) == 2
    assert model.glimpse.dense1.weight.grad.abs().sum() > 0


def test_a_frozen_vae_stays(trained, images, tmp_path):
    model, _, path = trained
    taught = said.train(
        settings(steps=3, frozen=True, own=0.5),
        batches(images),
        tmp_path / "c.pt",
        begin=path,
        log=lambda line: None,
    )
    for a, b in zip(model.decoder.parameters(), taught.decoder.parameters()):
        assert torch.equal(a, b)
    assert torch.equal(model.multiplier, taught.multiplier)
    assert not torch.equal(model.glimpse.dense1.weight, taught.glimpse.dense1.weight)


def test_rehearsal_improves_the_vae(images, tmp_path):
    lines = []
    chosen = settings(steps=60, rehearsal=1.0)
    said.train(chosen, batches(images), tmp_path / "d.pt", lines.append, log_every=20)
    losses = [float(line.split(" loss ")[1].split()[0]) for line in lines]
    assert losses[-1] < 0.9 * losses[0]


def test_random_boxes_are_boxes():
    boxes = painting.random_boxes(torch.rand(5, 64, 64), 8)
    assert boxes.shape == (5, 8, 4)
    assert (boxes == boxes.round()).all()
    assert (boxes >= 0).all()
    assert (boxes <= 64).all()
    assert (boxes[..., 2:] - boxes[..., :2] >= painting.SMALLEST_BOX).all()


def test_crop_and_paste_agree_at_a_patch_sized_box():
    image = torch.rand(1, 3, 64, 64)
    box = torch.tensor([[8.0, 16.0, 16.0, 24.0]])
    exact = image[:, :, 16:24, 8:16]
    painted = painting.paste(
        torch.zeros_like(image), box, torch.cat([exact, torch.ones(1, 1, 8, 8)], 1), True
    )
    assert torch.allclose(painted[:, :, 16:24, 8:16], exact, atol=1e-6)
    assert painted.sum() == pytest.approx(float(exact.sum()), rel=1e-4)
    whole = painting.crop(image.mean() + torch.zeros_like(image), box, 8)
    assert torch.allclose(whole, image.mean().expand_as(whole))


def integer_decoder(tensors, z):
    layers = [
        integer.Layer(*(tensors[f"said.decoder.{i}.{part}"] for part in ("weight", "bias", "shift")))
        for i in range(sum(name.startswith("said.decoder") for name in tensors) // 3)
    ]
    assert not any(layer.problem() for layer in layers)
    x = layers[1].run(layers[0].run(z)).reshape(-1, 4, 4, 32)
    for i, layer in enumerate(layers[2:], 2):
        x = layer.run(integer.windows3x3(x)).reshape(*x.shape[:3], layer.weight.shape[1])
        if i == 2 or (i == 4 and len(layers) == 7):
            x = x.repeat(2, 1).repeat(2, 2)
    return x


@pytest.fixture(scope="module")
def finer():
    """Untrained networks of patches of 16×16."""
    torch.manual_seed(3)
    model = networks.Said(16)
    model.posterior.fill_(0.2)
    model.quantise()
    return model


@pytest.mark.parametrize("side", [8, 16])
def test_the_exported_decoder_computes_the_trained_one(trained, finer, side):
    model = trained[0] if side == 8 else finer
    tensors = export.said_tensors(model)
    z = np.random.default_rng(0).integers(0, 256, (200, 10)).astype(np.uint8)
    with torch.no_grad():
        real = model.decoder((torch.from_numpy(z).float() - 128.0) / 32.0).permute(0, 2, 3, 1)
    exact = integer_decoder(tensors, z).astype(int)
    assert (torch.round(real * 255).numpy() == exact).all()


def test_exported_tables_are_tables(trained, images):
    tensors = export.with_statistics(export.said_tensors(trained[0]), images[:4], False, most=2, rounds=1)
    tables = [name for name in tensors if name.endswith("frequency")]
    assert len(tables) == 6
    for name in tables:
        assert (tensors[name] >= 1).all()
        assert (tensors[name].sum(-1) == TOTAL).all()
    with pytest.raises(ValueError, match="Both layers"):
        export.merge(tensors, tensors, {})


@pytest.mark.parametrize("side", [8, 16])
def test_numpy_networks_equal_torch(trained, finer, side):
    model = trained[0] if side == 8 else finer
    tensors = export.said_tensors(model)
    file = models.Model("test", "0", tensors, {})
    rng = np.random.default_rng(0)
    error = rng.uniform(-1, 1, (3, 64, 64, 3)).astype(np.float32)
    scope = rng.integers(0, 2, (3, 64, 64)).astype(np.float32)
    patches = rng.random((5, side, side, 3), np.float32)
    with torch.no_grad():
        seen = torch.from_numpy(np.concatenate([error, scope[..., None]], -1)).permute(0, 3, 1, 2)
        boxes = painting.boxes_of(model.glimpse(seen)).numpy()
        means = model.encoder(torch.from_numpy(patches).permute(0, 3, 1, 2))[0].numpy()
    assert np.abs(proposal.propose(error, scope, file) - boxes).max() < 1e-3  # canvas units
    assert np.abs(proposal.encode_patches(patches, file) - means).max() < 1e-4


def test_metrics_and_picture(trained, tmp_path):
    data = datasets.multi_dsprites(6, seed=5)
    figures = watch.metrics(trained[0], data, 3, settings())
    assert 0 <= figures["ap_paper"] <= 1
    assert 0 <= figures["boxes"] <= 3
    watch.picture(trained[0], data.images[:3], 3, settings(), tmp_path / "boxes.png")
    assert (tmp_path / "boxes.png").stat().st_size > 500


def test_of_a_grey_image_one_channel_counts():
    torch.manual_seed(0)
    model = networks.Said()
    images = np.repeat(datasets.multi_dsprites(3, seed=5).images[..., :1], 3, 3)
    seen = watch.watch(model, images, 1, settings(grey=True))
    assert seen.reconstruction.shape == (3, 64, 64, 3)
    assert (seen.reconstruction[..., 0] == seen.reconstruction[..., 2]).all()
    before, after = said.on_device(images)[:, :1], torch.from_numpy(seen.reconstruction[..., 0])[:, None]
    saved = painting.residual_bits(before - painting.start(before)) - painting.residual_bits(before - after)
    assert seen.saved[:, 0] == pytest.approx(saved.numpy(), rel=1e-3, abs=0.1)


def test_a_checkpoint_of_other_settings_is_refused(images, tmp_path):
    said.train(settings(steps=2), batches(images), tmp_path / "c.pt", lambda line: None)
    said.train(settings(steps=3), batches(images), tmp_path / "c.pt", lambda line: None)
    with pytest.raises(ModelError, match="another alpha"):
        said.train(settings(steps=4, alpha=False), batches(images), tmp_path / "c.pt", lambda line: None)


def test_commands(tmp_path):
    def run(*words):
        return CliRunner().invoke(main, ["train", *(str(word) for word in words)])

    digits = np.random.default_rng(0).integers(0, 256, (9, 28, 28), np.uint8)
    np.savez(tmp_path / "mnist.npz", x_train=digits, x_test=digits)
    data = ["--dataset", "multimnist", "--data", tmp_path / "mnist.npz", "--images", 8]
    first, both = tmp_path / "first.safetensors", tmp_path / "both.safetensors"
    result = run("said", *data, "--out", first, "--steps", 40, "--batch", 4, "--glimpses", 2, "--grey")
    assert result.exit_code == 0, result.output
    assert models.load(first).metadata["name"] == "first"
    assert (tmp_path / "first.png").exists()
    seen = ["--said", first, "--said-checkpoint", tmp_path / "first.pt", "--glimpses", 2]
    result = run("residual", *data, *seen, "--out", both, "--steps", 2, "--hidden", "16,16")
    assert result.exit_code == 0, result.output
    image = datasets.multi_mnist(digits, 1, seed=4).images[0]
    model = models.load(both)
    assert (codec.decode(codec.encode(image, model=model), model=model) == image).all()

    smaller = tmp_path / "smaller.safetensors"
    words = ["--said", both, "--said-checkpoint", tmp_path / "first.pt", "--glimpses", 2, "--begin", both]
    result = run("residual", *data, *words, "--out", smaller, "--steps", 1, "--hidden", "8,8", "--head", 16)
    assert result.exit_code == 0, result.output
    assert models.load(smaller).tensors["residual.trunk1.weight"].shape == (8, 8)
    assert models.load(smaller).tensors["said.decoder.0.bias"].tolist() == (
        model.tensors["said.decoder.0.bias"].tolist()
    )

    again = tmp_path / "again.safetensors"
    result = run("tables", *data, "--model", both, "--grey", "--images", 2, "--out", again)
    assert result.exit_code == 0, result.output
    assert "encoder.box.worth" not in models.load(again).tensors
    assert models.load(again).metadata["name"] == "again"
    result = run("residual", *data, *words, "--out", again, "--steps", 1, "--hidden", "8", "--force")
    assert result.exit_code == 2
    assert "hidden layers" in result.output

    assert run("said", "--dataset", "sheets", "--out", "x", "--steps", 1).exit_code == 2
    assert run("said", *data, "--out", "x").exit_code == 2

    alone = ["--said", first, "--steps", 2, "--hidden", "16,16", "--out"]
    result = run("residual", *data, *alone, tmp_path / "blind.safetensors")  # sees no reconstruction
    assert result.exit_code == 0, result.output
    assert models.load(tmp_path / "blind.safetensors").tensors["residual.around"].shape == (0, 2)
    alone[1] = both  # sees that of this model's files
    result = run("residual", *data, *alone, tmp_path / "onward.safetensors")
    assert result.exit_code == 0, result.output
    onward = models.load(tmp_path / "onward.safetensors")
    assert onward.sees_reconstruction
    assert (codec.decode(codec.encode(image, model=onward), model=onward) == image).all()
