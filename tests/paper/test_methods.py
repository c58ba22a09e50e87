"""The experiments as far as seconds allow: shapes, gradients, falling losses, what methods promise."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "paper"))

import attend
import digit_sum
import methods
import results
import space
import spair

from saidcodec.errors import ModelError
from saidcodec.training.datasets import Dataset

MODULES = [spair, space]
MODELS = {spair: spair.Spair, space: space.Space}


def squares(n: int, seed: int = 0) -> np.ndarray:
    """Images with one or two bright squares of 10 pixels on black, uint8 [n, 64, 64, 3]."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, 64, 64, 3), np.uint8)
    for image in images:
        for x, y in rng.integers(0, 54, (int(rng.integers(1, 3)), 2)):
            image[y : y + 10, x : x + 10] = 220
    return images


def batches(rng: np.random.Generator) -> Iterator[np.ndarray]:
    images = squares(64)
    while True:
        yield images[rng.integers(0, 64, 16)]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


def test_crop_of_a_box_reads_what_is_in_it() -> None:
    images = torch.zeros(1, 1, 64, 64)
    images[..., 16:32, 8:24] = 1.0
    box = attend.of_corners(torch.tensor([[[8.0, 16.0, 24.0, 32.0]]]))
    inside = attend.crop(images, box, 8)
    assert inside.shape == (1, 1, 1, 8, 8)
    assert inside[..., 1:-1, 1:-1].min() == 1.0
    assert float(attend.corners(box)[0, 0, 3]) == 32.0


def test_paste_adds_glimpses_where_their_boxes_are() -> None:
    boxes = attend.of_corners(torch.tensor([[[8.0, 16.0, 24.0, 32.0], [40.0, 40.0, 56.0, 56.0]]]))
    drawn = attend.paste(torch.ones(1, 2, 1, 8, 8), boxes)
    assert drawn.shape == (1, 1, 64, 64)
    assert drawn[0, 0, 18:30, 10:22].min() == pytest.approx(1.0)
    assert drawn[0, 0, 42:54, 42:54].min() == pytest.approx(1.0)
    assert drawn[0, 0, :14].abs().max() == 0.0


def test_costs_are_zero_where_posterior_is_prior() -> None:
    half = torch.full((3,), 0.5)
    assert attend.normal_cost(half, half, 0.5, 0.5).abs().max() < 1e-6
    assert attend.presence_cost(torch.zeros(3), half).abs().max() < 1e-6
    assert float(attend.normal_cost(torch.tensor(1.0), torch.tensor(1.0), 0.0, 1.0)) == pytest.approx(0.5)


def test_count_prior_is_a_distribution_of_counts() -> None:
    """The chances of all 2^9 tellings add up to 1, and those of each count to its geometric share."""
    n = 2**attend.CELLS
    present = (torch.arange(n)[:, None] >> torch.arange(attend.CELLS) & 1).float()
    prior, chance = spair.CountPrior(n, 1.0), torch.ones(n, 1)
    for cell in range(attend.CELLS):
        yes = prior.next()
        told = present[:, cell : cell + 1]
        chance = chance * torch.where(told > 0.5, yes, 1.0 - yes)
        prior.tell(told)
    odds = 1.0 / (1.0 + math.exp(-spair.COUNT_END))
    shares = odds ** np.arange(attend.CELLS + 1.0)
    found = np.bincount(present.sum(1).long().numpy(), chance[:, 0].numpy())
    np.testing.assert_allclose(found, shares / shares.sum(), rtol=1e-3)


def test_masks_of_the_background_share_out_every_pixel() -> None:
    masks, shades, cost = space.Background()(torch.rand(2, 1, 64, 64))
    assert masks.shape == shades.shape == (2, space.COMPONENTS, 64, 64)
    assert masks.exp().sum(1).sub(1.0).abs().max() < 1e-5
    assert cost.shape == (2,)


@pytest.mark.parametrize("module", MODULES)
def test_every_weight_gets_a_gradient(module: ModuleType) -> None:
    model = MODELS[module]()
    loss, _ = model.loss(attend.grey(squares(4)), 0.5)
    loss.backward()
    lacking = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert lacking == []


@pytest.mark.parametrize("module", MODULES)
def test_encode_can_be_fine_tuned(module: ModuleType) -> None:
    model = MODELS[module]()
    latents = model.encode(torch.rand(5, 1, model.side, model.side))
    assert latents.shape == (5, module.LATENTS)
    assert latents.requires_grad


@pytest.mark.parametrize("module", MODULES)
def test_training_lowers_the_loss_and_goes_on(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = attend.grey(squares(64))
    model = MODELS[module]()
    with torch.no_grad():
        before = float(model.loss(images, 1.0)[0])
    monkeypatch.setattr(attend, "WARM_UP", 1)
    run = tmp_path / "run.pt"
    model = module.train(batches, run, 40, 0, lambda line: None)
    with torch.no_grad():
        after = float(model.train().loss(images, 1.0)[0])
    assert after < 0.9 * before
    restored = MODELS[module]()
    restored.restore(run)
    for other in (restored, module.train(batches, run, 40, 0, lambda line: None)):
        for name, weight in other.state_dict().items():
            assert torch.equal(weight, model.state_dict()[name])


@pytest.mark.parametrize("module", MODULES)
def test_detections(module: ModuleType) -> None:
    found = module.detect(MODELS[module](), squares(3))
    assert len(found) == 3
    for boxes, sure, latents in found:
        assert boxes.shape == (9, 4)
        assert (boxes >= 0).all()
        assert (boxes <= 64).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert sure.shape == (9,)
        assert ((sure >= 0) & (sure <= 1)).all()
        assert latents.shape == (9, module.LATENTS)


def test_perfect_detections_measure_as_perfect() -> None:
    boxes = np.array([[[5, 5, 20, 20], [30, 30, 45, 45]], [[1, 2, 16, 17], [-1, -1, -1, -1]]], np.float32)
    data = Dataset(squares(2), boxes, np.array([2, 1]))
    doubtful = np.zeros((1, 4), np.float32)
    found = []
    for row, n in zip(boxes, (2, 1)):
        sure = np.array([0.9] * n + [0.1])
        found.append(
            methods.Seen(np.concatenate([row[:n], doubtful]), sure, sure > 0.5, np.zeros((n + 1, 10)))
        )
    figures = methods.measure(found, data)
    perfect = {"ap_paper": 1.0, "ap_common": 1.0, "count_error": 0.0, "exact_counts": 1.0}
    assert figures == {**perfect, "counted": 1.5, "true": 1.5}


@pytest.mark.parametrize("method", ["said", "said-vae8", "spair"])
def test_a_method_looks_as_it_was_trained(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods, "TRAIN_IMAGES", 16)
    digits = np.random.default_rng(0).integers(0, 256, (9, 28, 28), np.uint8)
    np.savez(tmp_path / "mnist.npz", x_train=digits, x_test=digits)
    model, settings = methods.trained(method, "multimnist", tmp_path / "mnist.npz", 0, 2, tmp_path / "runs")
    again, _ = methods.trained(method, "multimnist", tmp_path / "mnist.npz", 0, 2, tmp_path / "runs")
    if method in methods.SAID:
        with pytest.raises(ModelError, match="another number of steps"):
            methods.trained(method, "multimnist", tmp_path / "mnist.npz", 0, 3, tmp_path / "runs")
    for name, weight in again.state_dict().items():
        assert torch.equal(weight, model.state_dict()[name])
    data = methods.images_of("multimnist", tmp_path / "mnist.npz", "test", 3)
    for seen in methods.look(model, settings, data.images, 2):
        assert len(seen.boxes) == len(seen.sure) == len(seen.objects) == len(seen.latents)
        assert seen.objects.dtype == bool


def test_results_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    for seed, value in enumerate((0.25, 0.75)):
        results.save("detection", "said", seed, {"ap_paper": value})
    results.save("detection", "said-vae8", 0, {"ap_paper": 0.0})
    runs = results.load("detection", "said")
    assert [run["seed"] for run in runs] == [0, 1]
    assert results.spread(runs, "ap_paper") == "0.500 ± 0.250"
    assert results.spread(runs, "count_error") == "–"


@pytest.mark.parametrize("head", ["number", "digits"])
def test_sums_are_learnt_from_latents(head: str) -> None:
    """Latents that hold the digits in a line of their own make the sum learnable almost at once."""
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 10, (400, 5))
    latents = rng.normal(0, 0.1, (400, 5, 10)).astype(np.float32)
    latents[..., 3] += numbers / 4.5 - 1.0
    there = np.ones((400, 5), bool)
    there[::2, 4] = False
    sums = (numbers * there).sum(1)
    boxes = np.tile(np.array([0, 0, 16, 16], np.float32), (400, 5, 1))
    glimpses = digit_sum.Glimpses(boxes, latents, np.zeros((400, 5, 8, 8), np.uint8), there, sums)
    chance = digit_sum.learn(head, None, glimpses, glimpses, 0, 2e-3, 0)["test"]
    assert digit_sum.learn(head, None, glimpses, glimpses, 60, 2e-3, 0)["test"] > chance + 0.2


class Told(torch.nn.Sequential):
    """Says of the glimpses what it was told beforehand."""

    def __init__(self, each: torch.Tensor):
        super().__init__()
        self.each = each

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return self.each


def test_chances_of_sums_follow_from_those_of_digits() -> None:
    there = torch.tensor([[True, True, True], [True, False, False]])
    model = digit_sum.SumOfDigits(None, np.zeros((2, 3, 10), np.float32), there.numpy())
    each = torch.randn(4, 10)
    model.layers = Told(each)
    boxes = torch.tensor([0.0, 0.0, 8.0, 8.0]).expand(2, 3, 4)
    chances = model.chances(torch.zeros(2, 3, 10), boxes, there)
    p = each.softmax(1).detach().numpy()
    expected = np.convolve(np.convolve(p[0], p[1]), p[2])
    np.testing.assert_allclose(chances[0].detach().numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(chances[1, :10].detach().numpy(), p[3], atol=1e-6)


def test_the_size_of_a_box_tells_digits_apart() -> None:
    """Latents without any meaning, and boxes as wide as the digit is great."""
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 10, (400, 3))
    boxes = np.zeros((400, 3, 4), np.float32)
    boxes[..., 2] = 4 + 2 * numbers
    boxes[..., 3] = 16
    latents = rng.normal(size=(400, 3, 10)).astype(np.float32)
    there = np.ones((400, 3), bool)
    glimpses = digit_sum.Glimpses(boxes, latents, np.zeros((400, 3, 8, 8), np.uint8), there, numbers.sum(1))
    chance = digit_sum.learn("digits", None, glimpses, glimpses, 0, 2e-3, 0)["test"]
    assert digit_sum.learn("digits", None, glimpses, glimpses, 60, 2e-3, 0)["test"] > chance + 0.3
