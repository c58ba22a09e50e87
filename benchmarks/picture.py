"""Draw docs/glimpses.png: an image, and what its file says of it after each glimpse.

    python benchmarks/picture.py [--image FILE] [--model NAME] [--glimpses N]

The image is cut to its central square and reduced to the 64×64 pixels that the scene models know.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import saidcodec
from saidcodec.inspection import draw_boxes
from saidcodec.said.description import CANVAS

PANEL, GAP, COLUMNS = 256, 8, 3
OUT = Path(__file__).parent.parent / "docs" / "glimpses.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, default=OUT.parent.parent / "examples" / "scene.png")
    parser.add_argument("--model", default="clevr")
    parser.add_argument("--glimpses", type=int, default=7)
    wanted = parser.parse_args()
    image = Image.open(wanted.image).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    pixels = np.asarray(square.resize((CANVAS, CANVAS), Image.Resampling.BOX))
    data = saidcodec.encode(pixels, model=wanted.model, residual="gaussian", glimpses=wanted.glimpses)
    glimpses = saidcodec.inspect(data)["glimpses"]
    panels = [draw_boxes(pixels, [])]
    for n in range(len(glimpses) + 1):
        panels.append(draw_boxes(saidcodec.preview(data, n), glimpses[:n]))
    rows = -(-len(panels) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (PANEL + GAP) - GAP, rows * (PANEL + GAP) - GAP), "white")
    for i, panel in enumerate(panels):
        shown = panel.resize((PANEL, PANEL), Image.Resampling.BOX)
        sheet.paste(shown, (i % COLUMNS * (PANEL + GAP), i // COLUMNS * (PANEL + GAP)))
    OUT.parent.mkdir(exist_ok=True)
    sheet.save(OUT, optimize=True)
    print(f"{OUT}: {len(glimpses)} glimpses, {len(data)} bytes")


if __name__ == "__main__":
    main()
