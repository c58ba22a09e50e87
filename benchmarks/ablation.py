"""What the residual network's parts are worth: small trainings of equal length on photographs.

    python benchmarks/ablation.py FOLDER [--seconds 240]

FOLDER holds images to learn from; the last tenth of them is measured on.  Every row is one training of its
own: bits per sub-pixel of the real-valued network before its quantisation-aware phase, and of the integers
after it, beside its multiply-adds a pixel.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
import torch
from PIL.Image import Image

from saidcodec.residual.context import WINDOW
from saidcodec.training import datasets, photos, residual
from saidcodec.training.windows import COMPONENTS, Batch, Shape, Tiles, WindowSampler

POOL, FRESH, TILE = 1024, 64, 96
QAT_FROM = 0.7


@dataclass(frozen=True)
class Variant:
    name: str
    hidden: tuple[int, ...] = (160, 128, 128, 128)
    styles: int = 8
    window: int = len(WINDOW)  # neighbours, the nearest

    @property
    def shape(self) -> Shape:
        # Differences from the reference: a neighbour that is not looked at is no origin of another.
        return Shape(hidden=self.hidden, styles=self.styles, adjacent=False)

    @property
    def products(self) -> int:
        """Multiply-adds a pixel, without those of neighbours that are not looked at."""
        unseen = COMPONENTS * (len(WINDOW) - self.window)
        sizes = (self.shape.inputs - unseen, *self.hidden)
        trunk = sum(a * b for a, b in pairwise(sizes))
        last, head = self.hidden[-1], self.shape.head
        return trunk + 3 * last + (2 * last + 9 + 6) * head


VARIANTS = (
    Variant("hidden 160, 128, 128, 128"),
    Variant("12 neighbours", window=12),
    Variant("6 neighbours", window=6),
    Variant("one style", styles=1),
    Variant("hidden 96, 64, 64, 64", hidden=(96, 64, 64, 64)),
    Variant("hidden 64, 32, 32", hidden=(64, 32, 32)),
)


class Narrow(WindowSampler):
    """Contexts in which the farther neighbours read as equal to the reference."""

    near = len(WINDOW)

    def draw(self, tile: torch.Tensor, y: torch.Tensor, x: torch.Tensor, group: int) -> Batch:
        batch = super().draw(tile, y, x, group)
        farthest = np.argsort([dx * dx + dy * dy for dx, dy in WINDOW], kind="stable")[self.near :]
        columns = COMPONENTS * torch.from_numpy(farthest)[:, None] + torch.arange(COMPONENTS)
        batch.context[:, columns.reshape(-1)] = 0.0
        return batch


def measure(variant: Variant, images: list[Image], development: Tiles, seconds: float) -> list[float]:
    """Bits per sub-pixel on ``development``: real-valued, then integer."""
    Narrow.near = variant.window
    residual.WindowSampler = Narrow  # type: ignore[misc, attr-defined]
    found: list[float] = []

    def pool(rng: np.random.Generator) -> Iterator[Tiles]:
        return photos.pools(images, POOL, FRESH, TILE, rng)

    with tempfile.TemporaryDirectory() as folder:
        for share, checkpoint in ((QAT_FROM, "real.pt"), (1.0 - QAT_FROM, "integer.pt")):
            begin = residual.load_checkpoint(Path(folder) / "real.pt") if found else None
            settings = residual.Settings(
                steps=10**9,
                seconds=seconds * share,
                rate=5e-4 if found else 2e-3,
                qat_from=0.0 if found else 2.0,
                shape=variant.shape,
            )
            network = residual.train(
                settings, pool, development, Path(folder) / checkpoint, lambda line: None, begin
            )
            network.quantise(begin is not None)
            found.append(residual.evaluate(network, Narrow(variant.shape, development)))
    return found


@click.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--seconds", default=240.0, show_default=True, help="Of each training.")
def main(folder: Path, seconds: float) -> None:
    images = datasets.open_folder(folder)
    last = max(1, len(images) // 10)
    development = photos.whole_tiles(images[-last:], TILE)
    click.echo("| network | multiply-adds a pixel | bits per sub-pixel, real-valued | integer |")
    click.echo("|---|---|---|---|")
    for variant in VARIANTS:
        real, integer = measure(variant, images[:-last], development, seconds)
        click.echo(f"| {variant.name} | {variant.products:,} | {real:.3f} | {integer:.3f} |")


if __name__ == "__main__":
    main()
