"""Draw docs/glimpses.png: an image, and what its file says of it after each glimpse.

    python benchmarks/picture.py [--image FILE] [--model NAME] [--seed N]

Without --image it draws sprites.  An image is cut to its central square and reduced to the 64×64 pixels that
the scene models know.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import saidcodec
from saidcodec.inspection import draw_boxes
from saidcodec.training.datasets import canvas_of, multi_dsprites

PANEL, GAP, COLUMNS = 256, 8, 3
OUT = Path(__file__).parent.parent / "docs" / "glimpses.png"


def drawn(seed: int) -> np.ndarray:
    """The first image of as many sprites as there may be, uint8 RGB [64, 64, 3]."""
    found = multi_dsprites(100, seed)
    return np.asarray(found.images[found.counts.argmax()])


def sheet(panels: list[Image.Image], columns: int) -> Image.Image:
    """Pictures of one size in rows."""
    rows = -(-len(panels) // columns)
    whole = Image.new("RGB", (columns * (PANEL + GAP) - GAP, rows * (PANEL + GAP) - GAP), "white")
    for i, panel in enumerate(panels):
        shown = panel.resize((PANEL, PANEL), Image.Resampling.BOX)
        whole.paste(shown, (i % columns * (PANEL + GAP), i // columns * (PANEL + GAP)))
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, help="default: sprites that are drawn for it")
    parser.add_argument("--model", default="multidsprites")
    parser.add_argument("--seed", type=int, default=20_000, help="of the sprites")
    wanted = parser.parse_args()
    pixels = (
        drawn(wanted.seed) if wanted.image is None else canvas_of(Image.open(wanted.image).convert("RGB"))
    )
    data = saidcodec.encode(pixels, model=wanted.model)
    glimpses = saidcodec.inspect(data)["glimpses"]
    panels = [draw_boxes(pixels, [])]
    for n in range(len(glimpses) + 1):
        panels.append(draw_boxes(saidcodec.preview(data, n), glimpses[:n]))
    OUT.parent.mkdir(exist_ok=True)
    sheet(panels, COLUMNS).save(OUT, optimize=True)
    print(f"{OUT}: {len(glimpses)} glimpses, {len(data)} bytes")


if __name__ == "__main__":
    main()
