"""The picture of ``inspect --picture``: the image with its boxes, numbered in the order of the glimpses."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

SMALLEST_SIDE = 512  # pixels; smaller images are enlarged by a whole factor
HUES = 7


def draw_boxes(pixels: np.ndarray, glimpses: list[dict[str, Any]]) -> Image.Image:
    """``pixels`` uint8 H×W or H×W×C with the boxes of ``glimpses`` (as ``inspect`` lists them)."""
    image = Image.fromarray(pixels).convert("RGB")
    factor = max(1, -(-SMALLEST_SIDE // max(image.size)))
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=14)
    for number, glimpse in enumerate(glimpses, 1):
        colour = ImageColor.getrgb(f"hsl({360 * (number - 1) // HUES % 360}, 90%, 60%)")
        x0, y0, x1, y1 = (factor * v for v in glimpse["box"])
        draw.rectangle((x0, y0, x1 - 1, y1 - 1), outline=colour, width=2)
        label = str(number)
        left, top, right, bottom = draw.textbbox((0, 0), label, font=font)
        width, height = right - left + 5, bottom - top + 5
        x, y = max(0, min(x0, image.width - 1 - width)), max(0, min(y0, image.height - 1 - height))
        draw.rectangle((x, y, x + width, y + height), fill=colour)
        draw.text((x + 3 - left, y + 2 - top), label, fill="black", font=font)
    return image
