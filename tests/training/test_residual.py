"""Training of the residual network, its export, and networks cut down from larger ones."""

from dataclasses import replace
from itertools import repeat

import numpy as np
import pytest
import torch

from saidcodec.errors import ModelError
from saidcodec.residual import engine
from saidcodec.residual.band import plane_of
from saidcodec.residual.context import MARKS
from saidcodec.residual.network import ResidualNetwork as EngineNetwork
from saidcodec.training import photos, quantise, residual, shrink
from saidcodec.training.residual_network import ResidualNetwork, with_style
from saidcodec.training.windows import Shape, Tiles, WindowSampler

torch.set_num_threads(1)
SHAPE = Shape(hidden=(32, 24), head=16, styles=2, around=())


def smooth(n, side, seed):
    """Tiles of slanted planes with a little noise: what a few steps of training learn a lot about."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    slope = rng.uniform(-1, 1, (2, n, 1, 1, 3))
    planes = 128 + slope[0] * x[..., None] + slope[1] * y[..., None] + rng.normal(0, 1, (n, side, side, 3))
    planes = np.rint(planes).clip(0, 255).astype(np.int16)
    return photos.Tiles(planes, np.zeros_like(planes), np.zeros(n, np.uint8), np.zeros(n, np.uint8))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    tiles = smooth(16, 24, 0)
    settings = residual.Settings(steps=120, tiles=8, group=64, qat_from=0.7, log_every=20, shape=SHAPE)
    lines = []
    path = tmp_path_factory.mktemp("residual") / "a.pt"
    network = residual.train(settings, lambda rng: iter(lambda: tiles, None), tiles, path, lines.append)
    return network, lines, path


def test_the_loss_falls(trained):
    _, lines, _ = trained
    bits = [float(line.split(" dev ")[1]) for line in lines if " dev " in line and "finished" not in line]
    torch.manual_seed(0)
    fresh = residual.evaluate(ResidualNetwork(SHAPE), WindowSampler(SHAPE, smooth(16, 24, 0)), 128)
    assert bits[-1] < fresh - 0.04


def test_a_finished_training_is_not_repeated(trained, tmp_path):
    network, _, path = trained
    tiles = smooth(4, 24, 1)
    settings = residual.Settings(steps=120, tiles=8, group=64, log_every=20, shape=SHAPE)
    again = residual.train(settings, lambda rng: iter(lambda: tiles, None), tiles, path, lambda line: None)
    for name, weight in again.state_dict().items():
        assert torch.equal(weight, network.state_dict()[name])


def test_a_model_file_reads_back_as_it_was_exported(trained):
    tensors = {**residual.export(trained[0]), "tile.style.frequency": np.ones(SHAPE.styles)}
    network = shrink.network_of(tensors)
    assert network.shape == SHAPE
    again = residual.export(network)
    for name, tensor in residual.export(trained[0]).items():
        assert np.array_equal(again[name], tensor), name


def test_a_network_with_copies_reads_back_likewise():
    torch.manual_seed(0)
    network = ResidualNetwork(replace(SHAPE, copies=True, styles=1))
    network.quantise(True)
    tensors = residual.export(network)
    again = shrink.network_of({**tensors, "tile.style.frequency": np.ones(1)})
    assert again.shape == network.shape
    for name, tensor in residual.export(again).items():
        if name.endswith(".bias"):  # first written from biases that were no whole numbers of steps
            assert np.abs(tensor - tensors[name]).max() <= 1, name
        else:
            assert np.array_equal(tensor, tensors[name]), name
    with pytest.raises(ModelError, match="copies"):
        shrink.network_of({**tensors, "residual.copies": tensors["residual.copies"][::-1]})


def test_cutting_nothing_changes_next_to_nothing(trained):
    network = shrink.network_of({**residual.export(trained[0]), "tile.style.frequency": np.ones(2)})
    sampler = WindowSampler(SHAPE, smooth(8, 24, 2))
    whole = residual.evaluate(network, sampler, 128)
    same = residual.evaluate(shrink.shrink(network, SHAPE, sampler), sampler, 128)
    assert abs(same - whole) < 0.01


def test_a_cut_network_starts_far_ahead(trained):
    network = shrink.network_of({**residual.export(trained[0]), "tile.style.frequency": np.ones(2)})
    sampler = WindowSampler(SHAPE, smooth(8, 24, 2))
    small = Shape(hidden=(16, 12), head=8, styles=2, around=())
    judge = WindowSampler(small, smooth(8, 24, 2))
    begun = []  # networks that know nothing yet differ by much
    for seed in range(4):
        torch.manual_seed(seed)
        begun.append(residual.evaluate(ResidualNetwork(small), judge, 128))
    fresh = np.mean(begun)
    cut = shrink.shrink(network, small, sampler)
    bits = residual.evaluate(cut, WindowSampler(small, smooth(8, 24, 2)), 128)
    assert cut.shape == small
    assert bits < fresh - 0.2


@pytest.mark.parametrize(
    ("small", "reason"),
    [
        (Shape(hidden=(16,), head=8, styles=2, around=()), "2 hidden layers"),
        (Shape(hidden=(64, 12), head=8, styles=2, around=()), "wide"),
        (Shape(hidden=(16, 12), head=8, styles=1, around=()), "styles"),
        (Shape(hidden=(16, 12), head=8, styles=2, around=((0, 0),)), "reconstruction"),
        (Shape(hidden=(16, 12), head=8, styles=2, around=(), copies=True), "copies"),
    ],
)
def test_what_cannot_be_cut_is_told(small, reason):
    assert reason in shrink.misfit(SHAPE, small)
    assert shrink.misfit(SHAPE, Shape(hidden=(16, 12), head=8, styles=2, around=())) is None


def test_an_unseen_reconstruction_changes_nothing(trained):
    """The flag of x̂ was never up in training, so a forced glimpse must not stir the network."""
    tensors = residual.export(trained[0])
    assert not tensors["residual.trunk0.weight"][57].any()


def test_differences_counted_from_other_origins_say_the_same(trained):
    shape = replace(SHAPE, adjacent=False, around=((0, 0), (1, 0)), marks=(64, 127))
    torch.manual_seed(1)
    old = ResidualNetwork(shape)
    tiles = smooth(8, 24, 2)  # differences so small that nothing is clipped
    whole = residual.evaluate(old, WindowSampler(shape, tiles), 128)
    new = shrink.recounted(old)
    assert new.shape == replace(shape, adjacent=True, marks=MARKS)
    assert residual.evaluate(new, WindowSampler(new.shape, tiles), 128) == pytest.approx(whole, abs=1e-3)
    assert shrink.recounted(new) is new

    old.quantise(True)
    quantise.go_on(old, {name: steps - 1 for name, steps in quantise.steps_of(old).items()})
    new = shrink.recounted(old)
    steps = quantise.steps_of(new)
    assert (steps["trunk.1"] == quantise.exponents(new.trunk[1].weight) - 1).all()
    assert (new.trunk[0].weight.abs().amax(1) <= quantise.WEIGHT_MAX / torch.exp2(steps["trunk.0"])).all()


def test_a_checkpoint_of_another_shape_is_not_continued(tmp_path):
    tiles = smooth(8, 24, 2)

    def run(shape):
        settings = residual.Settings(steps=2, tiles=4, group=64, shape=shape)
        return residual.train(
            settings, lambda rng: repeat(tiles), tiles, tmp_path / "a.pt", lambda line: None
        )

    run(replace(SHAPE, adjacent=False))
    with pytest.raises(ModelError, match="another shape"):
        run(SHAPE)


def test_strange_origins_are_not_read_back(trained):
    tensors = {**residual.export(trained[0]), "tile.style.frequency": np.ones(2)}
    tensors["residual.origins"] = tensors["residual.origins"][::-1]
    with pytest.raises(ModelError, match="origins"):
        shrink.network_of(tensors)


def test_what_is_exported_has_the_steps_it_trained_with(tmp_path):
    """Weights whose peak falls below half of what their steps reach."""
    settings = residual.Settings(steps=4, tiles=4, group=16, qat_from=0.0, shape=SHAPE, log_every=1)
    tiles, path = smooth(4, 24, 1), tmp_path / "a.pt"
    network = residual.train(settings, lambda rng: iter(lambda: tiles, None), tiles, path, lambda line: None)
    with torch.no_grad():
        network.trunk[1].weight *= 0.4
    mean = quantise.averaged(network)
    residual.save(path, network, mean, torch.optim.Adam(network.parameters()), 4, 0.0, settings)
    kept = residual.export(residual.load_checkpoint(path))
    expected = residual.export(network)
    assert all(np.array_equal(kept[name], expected[name]) for name in expected)
    assert np.abs(kept["residual.trunk1.weight"]).max() <= 26


def test_the_result_is_the_mean_of_the_last_states(tmp_path):
    """Also after an interruption; and no weight leaves what the steps of its integers can hold."""
    path, tiles = tmp_path / "a.pt", smooth(4, 24, 1)

    def run(steps):
        settings = residual.Settings(
            steps=steps, rate=30.0, tiles=4, group=16, qat_from=0.0, shape=SHAPE, log_every=1
        )
        return residual.train(settings, lambda rng: iter(lambda: tiles, None), tiles, path, lambda line: None)

    run(4)
    found = run(8)
    state = torch.load(path, weights_only=True)
    assert int(state["mean"]["n_averaged"]) == 8
    last = ResidualNetwork(SHAPE)
    last.load_state_dict(state["network"])
    weights = [network.trunk[1].weight.detach() for network in (found, last)]
    assert not torch.equal(*weights)
    most = quantise.WEIGHT_MAX / torch.exp2(state["exponents"]["trunk.1"])
    assert all((weight.abs().amax(1) <= most).all() for weight in weights)
    assert (weights[1].abs().amax(1) == most).any()


def test_integers_go_on_with_the_steps_of_their_file(tmp_path):
    """A layer's steps, as they were read, hold weights whose peak would ask for others."""
    tiles = smooth(4, 24, 1)
    settings = residual.Settings(steps=3, rate=1e-9, tiles=4, group=16, qat_from=0.0, shape=SHAPE)
    network = ResidualNetwork(SHAPE)
    with torch.no_grad():
        network.head_y.weight[0, 0] = 10.0
    network.quantise(True)
    with torch.no_grad():
        network.head_y.weight[0, 0] = 0.5
    tensors = {**residual.export(network), "tile.style.frequency": np.ones(SHAPE.styles)}
    found = residual.train(
        settings,
        lambda rng: iter(lambda: tiles, None),
        tiles,
        tmp_path / "a.pt",
        lambda line: None,
        shrink.network_of(tensors),
    )
    assert np.array_equal(residual.export(found)["residual.head_y.shift"], tensors["residual.head_y.shift"])
    assert quantise.exponents(found.head_y.weight)[0] > found.head_y.exponent[0]


def test_a_finished_training_goes_on_for_longer(trained, tmp_path):
    """Back in real numbers, the mean of the shorter training is forgotten."""
    _, _, short = trained
    tiles, path = smooth(16, 24, 0), tmp_path / "a.pt"
    path.write_bytes(short.read_bytes())

    def run(steps):
        settings = residual.Settings(
            steps=steps, tiles=8, group=64, qat_from=0.7, log_every=1000, shape=SHAPE
        )
        return residual.train(settings, lambda rng: iter(lambda: tiles, None), tiles, path, lambda line: None)

    found = run(240)
    assert found.qat
    assert int(torch.load(path, weights_only=True)["mean"]["n_averaged"]) == 240 - 168
    kept = residual.export(residual.load_checkpoint(path))
    assert all(np.array_equal(kept[name], tensor) for name, tensor in residual.export(found).items())


@pytest.mark.parametrize("phase", [0.0, 1.0])
def test_a_checkpoint_without_a_mean_goes_on(phase, tmp_path):
    path, tiles = tmp_path / "a.pt", smooth(4, 24, 1)
    settings = residual.Settings(steps=8, tiles=4, group=16, qat_from=phase, shape=SHAPE, log_every=1)
    pool = lambda rng: iter(lambda: tiles, None)  # noqa: E731
    residual.train(replace(settings, steps=4), pool, tiles, path, lambda line: None)
    state = torch.load(path, weights_only=True)
    del state["mean"]
    torch.save(state, path)
    assert residual.load_checkpoint(path).qat
    assert residual.train(settings, pool, tiles, path, lambda line: None).qat


def test_quantised_weights_go_on_with_their_steps(trained, tmp_path):
    network, _, _ = trained
    coarse = ResidualNetwork(SHAPE)
    coarse.load_state_dict(network.state_dict())
    coarse.quantise(True)
    steps = {name: exponent - 1 for name, exponent in quantise.steps_of(coarse).items()}
    quantise.go_on(coarse, steps)
    tiles, path = smooth(4, 24, 1), tmp_path / "a.pt"
    settings = residual.Settings(steps=2, tiles=4, group=16, qat_from=0.0, shape=SHAPE)
    found = residual.train(
        settings, lambda rng: iter(lambda: tiles, None), tiles, path, lambda line: None, coarse
    )
    assert all(torch.equal(found.get_submodule(name).exponent, step) for name, step in steps.items())


def test_a_network_with_copies_learns_flat_colours(tmp_path):
    """Its loss falls, and what the core measures with its export is the loss."""
    rng = np.random.default_rng(5)
    colours = rng.integers(0, 256, (12, 4, 4, 3)).astype(np.int16) - np.array([0, 128, 128], np.int16)
    planes = np.ascontiguousarray(colours.repeat(6, 1).repeat(6, 2))
    empty = np.zeros(len(planes), np.uint8)
    tiles = photos.Tiles(planes, np.zeros_like(planes), empty, empty)
    shape = Shape(hidden=(24, 16), head=8, styles=1, around=(), copies=True)
    settings = residual.Settings(
        steps=60, tiles=8, group=64, keen=True, qat_from=0.6, log_every=60, shape=shape
    )
    network = residual.train(
        settings, lambda rng: iter(lambda: tiles, None), tiles, tmp_path / "c.pt", lambda line: None
    )
    torch.manual_seed(0)
    whole = planes.shape[1] * planes.shape[2]
    fresh = residual.evaluate(ResidualNetwork(shape), WindowSampler(shape, tiles), whole)
    assert residual.evaluate(network, WindowSampler(shape, tiles), whole) < 0.9 * fresh
    made = EngineNetwork({**residual.export(network), "tile.style.frequency": np.ones(1)})
    place = np.arange(whole)
    batch = WindowSampler(shape, tiles).draw(
        torch.zeros(whole, dtype=torch.int64), torch.tensor(place // 24), torch.tensor(place % 24), whole
    )
    with torch.no_grad():
        bits = network(with_style(batch.context, torch.zeros(whole, dtype=torch.int64), shape), batch.sample,
                       batch.reference, batch.copies).sum()  # fmt: skip
    measured = engine.current().measure(made, plane_of(planes[0])).sum() / (1 << engine.LENGTH_BITS)
    assert measured == pytest.approx(float(bits), rel=0.05)


def test_pictures_in_which_nothing_happens_can_be_learnt_from() -> None:
    planes = np.full((3, 16, 16, 3), 40, np.int16)
    tiles = Tiles(planes, np.zeros_like(planes), np.zeros(3, np.uint8), np.zeros(3, np.uint8))
    batch = WindowSampler(Shape(), tiles).keen(torch.Generator().manual_seed(0), 50)
    assert len(batch.sample) == 50
    assert torch.allclose(batch.weight, torch.ones_like(batch.weight))
