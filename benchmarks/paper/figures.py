"""Figures 1 and 3 to 6 of the paper, as PNG files in docs/paper.

    python benchmarks/paper/figures.py --mnist mnist.npz --sheets FOLDER --runs DIR

Trains what it needs (SAID on each dataset, the baselines on Multi-MNIST, for figure 1 an auto-encoder of
whole images) or takes it from the folder of runs, where detection.py and lengths.py leave the same networks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import methods
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

import saidcodec
from saidcodec.training import networks, painting, said, watch

FOLDER = Path(__file__).parents[2] / "docs" / "paper"
SHOWN = 8
WHOLE_STEPS, WHOLE_BATCH, WHOLE_RATE = 1500, 32, 1e-3
WHOLE_DEVIATION = 0.08  # of the likelihood, as SAID's
ERROR_GAIN = 2.0


class WholeVae(nn.Module):
    """Images [n, 3, 64, 64] through ten numbers, without a smaller copy in between (figure 1)."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [*pairwise((3, 16, 32, 32, 32))]
        convolutions = [nn.Conv2d(a, b, 4, 2, 1) for a, b in sizes]
        self.encoder = nn.Sequential(
            *(layer for conv in convolutions for layer in (conv, nn.ReLU())),
            nn.Flatten(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 2 * networks.LATENTS),
        )  # fmt: skip
        back = [nn.ConvTranspose2d(b, a, 4, 2, 1) for a, b in reversed(sizes)]
        self.decoder = nn.Sequential(
            nn.Linear(networks.LATENTS, 128), nn.ReLU(), nn.Linear(128, 512), nn.ReLU(),
            nn.Unflatten(1, (32, 4, 4)),
            *(layer for conv in back[:-1] for layer in (conv, nn.ReLU())), back[-1], nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction, and KL in nats [n]."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance) if self.training else mean
        cost = 0.5 * (mean**2 + log_variance.exp() - 1.0 - log_variance).sum(1)
        return self.decoder(z), cost


def whole_vae(images: np.ndarray, path: Path) -> WholeVae:
    """Trained on uint8 images [n, 64, 64, 3], or read from ``path``."""
    torch.manual_seed(0)
    model = WholeVae()
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval()
    optimiser = torch.optim.Adam(model.parameters(), lr=WHOLE_RATE)
    source = methods.batches(images, WHOLE_BATCH)(np.random.default_rng(0))
    for step in range(WHOLE_STEPS):
        optimiser.param_groups[0]["lr"] = WHOLE_RATE * min(1.0, 2.0 * (1.0 - step / WHOLE_STEPS) + 0.01)
        x = said.on_device(next(source))
        again, cost = model(x)
        fit = (again - x).square().flatten(1).sum(1) / (2.0 * WHOLE_DEVIATION**2)
        loss = (fit + cost).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    torch.save(model.state_dict(), path)
    return model.eval()


@torch.no_grad()
def reconstructions(images: np.ndarray, whole: WholeVae, small: networks.Said) -> list[np.ndarray]:
    """The rows of figure 1, [n, 64, 64, 3] in 0..1: bilinear from 8×8, the VAE of 64×64, the VAE of 8×8."""
    x = said.on_device(images)
    cells = functional.avg_pool2d(x, painting.CANVAS // painting.SIDE)
    mean, _ = small.encoder(cells)
    again = small.decoder(small.latent(mean))[:, :3]
    enlarged = functional.interpolate(
        again, size=(painting.CANVAS,) * 2, mode="bilinear", align_corners=False
    )
    return [part.permute(0, 2, 3, 1).numpy() for part in (painting.start(x), whole(x)[0], enlarged)]


def error_map(images: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """|x - x̂| of uint8 images, enlarged in brightness; uint8 [n, 64, 64, 3]."""
    error = np.abs(images / 255.0 - painted) * ERROR_GAIN
    return (255.0 * error.clip(0, 1)).astype(np.uint8)


def sheet(rows: Sequence[Sequence[np.ndarray]], path: Path) -> None:
    """Rows of framed images as one PNG."""
    gap = 4
    around = ((0, gap), (0, gap), (0, 0))
    lines = [np.concatenate([np.pad(one, around, constant_values=255) for one in row], 1) for row in rows]
    FOLDER.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.concatenate(lines)[:-gap, :-gap])
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path.relative_to(FOLDER.parents[1]), flush=True)


def boxed(images: np.ndarray, boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [watch.framed(image, np.rint(own)) for image, own in zip(images, boxes, strict=True)]


def in_files(images: np.ndarray, name: str) -> list[np.ndarray]:
    """The boxes in files of the shipped model with the Gaussian residual."""
    files = (saidcodec.encode(image, model=name, residual="gaussian") for image in images)
    return [saidcodec.features(file).boxes.astype(float) for file in files]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, required=True, help="an .npz, idx file or folder of MNIST")
    parser.add_argument("--sheets", type=Path, required=True, help="folder of sheets of 64×64 scenes")
    parser.add_argument("--steps", type=int, help="of the networks' training; default: methods.STEPS")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of checkpoints and logs")
    wanted = parser.parse_args()
    paths = {"multimnist": wanted.mnist, "multidsprites": None, "clevr": wanted.sheets}
    tests = {name: methods.images_of(name, path, "test", SHOWN) for name, path in paths.items()}

    def network(method: str, name: str) -> tuple[methods.Model, said.Settings | None]:
        return methods.trained(method, name, paths[name], 0, wanted.steps, wanted.runs)

    def seen_by(method: str, learnt: str, name: str) -> list[np.ndarray]:
        """Boxes that count in the test images of ``name``, by a network that learnt on ``learnt``."""
        model, settings = network(method, learnt)
        looks = methods.GLIMPSES[learnt][1]
        return [one.boxes[one.objects] for one in methods.look(model, settings, tests[name].images, looks)]

    digits, scenes = tests["multimnist"], tests["clevr"]
    small, _ = network("said-vae8", "clevr")
    assert isinstance(small, networks.Said)
    learning = methods.images_of("clevr", wanted.sheets, "train", methods.TRAIN_IMAGES).images
    painted = reconstructions(scenes.images, whole_vae(learning, wanted.runs / "whole-vae.pt"), small)
    rows = [scenes.images, *(error_map(scenes.images, part) for part in painted)]
    sheet([[watch.framed(one, np.zeros((0, 4))) for one in row] for row in rows], FOLDER / "figure1.png")

    rows = [boxed(digits.images, methods.truths(digits))]
    rows += [
        boxed(digits.images, seen_by(method, "multimnist", "multimnist"))
        for method in ("spair", "space", "said")
    ]
    sheet(rows, FOLDER / "figure3.png")
    rows = [
        boxed(tests[name].images, seen_by("said", "clevr", name)) for name in ("multidsprites", "multimnist")
    ]
    sheet(rows, FOLDER / "figure4.png")
    for name, figure in (("clevr", "figure5.png"), ("multidsprites", "figure6.png")):
        ways = (seen_by("said", name, name), in_files(tests[name].images, name))
        sheet([boxed(tests[name].images, boxes) for boxes in ways], FOLDER / figure)


if __name__ == "__main__":
    main()
