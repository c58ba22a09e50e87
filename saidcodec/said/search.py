"""The glimpse loop of the encoder: where to look, and whether it pays (paper section 3; not part of the format).

The paper takes the one box that its glimpse network proposes.  The format does not care where a box came
from, so each iteration also tries boxes around that proposal and around the largest errors, and keeps the
one that saves the most bits by the paper's own account: N log σ of the residual less the bits of
box and latent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from saidcodec.models import Model
from saidcodec.said import base
from saidcodec.said.code import Tables, box_symbols, latent_bits
from saidcodec.said.description import CANVAS, LATENTS, Description, box_pixels
from saidcodec.said.painter import blend, paste, patches
from saidcodec.said.propose import encode_patches, propose
from saidcodec.said.resampling import SIDE

FINEST = 0  # the step of the base whose error map the glimpse network was trained on
SHIFTS = ((0, 0), (-2, 0), (2, 0), (0, -2), (0, 2))  # canvas units
GROWTHS = ((0, 0), (-2, -2), (2, 2), (-2, 0), (2, 0), (0, -2), (0, 2))  # of width and height
PEAK_SIDES = (10, 14, 18, 26)  # boxes tried around the largest errors
SMALLEST_BOX = 4  # canvas units
NOISE = 1.0  # variance that no glimpse is credited with explaining, in squared sample values
CROP = 2 * SIDE  # samples along one side of a crop before it is halved


def describe(
    tiles: Sequence[np.ndarray], grey: bool, model: Model, limit: int, steps: Sequence[int]
) -> list[list[Description]]:
    """For each tile, uint8 RGB [h, w, 3], a description per base step with up to ``limit`` glimpses.

    The latents say what is in a box, whatever was painted before, so the glimpses are searched once,
    over the coarsest base, and serve them all.
    """
    return [describe_tile(tile, grey, model, limit, steps) for tile in tiles]


def describe_tile(
    tile: np.ndarray, grey: bool, model: Model, limit: int, steps: Sequence[int]
) -> list[Description]:
    cell = base.cells(tile)
    boxes, latents = np.zeros((0, 4), np.int64), np.zeros((0, LATENTS), np.int64)
    if limit:
        boxes, latents = glimpse(tile, cell, grey, model, limit, max(steps))
    return [Description(step, base.quantise(cell, step, grey), boxes, latents) for step in steps]


def glimpse(
    tile: np.ndarray, cell: np.ndarray, grey: bool, model: Model, limit: int, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [n, 4] and quantised latents [n, 10], in the order in which they pay."""
    height, width = tile.shape[:2]
    target = tile.astype(np.int32)
    seen = base.start(base.quantise(cell, FINEST, grey), FINEST, width, height)
    painted = base.start(base.quantise(cell, step, grey), step, width, height)
    scope = np.ones((CANVAS, CANVAS), np.float32)
    tables = Tables(model)
    samples = height * width * (1 if grey else 3)
    boxes: list[np.ndarray] = []
    latents: list[np.ndarray] = []
    while len(boxes) < limit:
        error = on_canvas((target - seen).astype(np.float32) / 255.0)
        proposed = propose(error[None], scope[None], model)[0]
        options = around(proposed, error, scope)
        chosen = None
        for _ in range(2):  # the best of the wide choice, then the best of its neighbourhood
            codes, paints = look(tile, options, model)
            scores = gains(target, painted, options, paints, samples)
            scores -= latent_bits(codes, tables) + box_bits(options, tables)
            best = int(np.argmax(scores))
            chosen = (scores[best], options[best], codes[best], paints[best])
            options = neighbours(options[best])
        score, box, code, paint = chosen
        if score <= 0:
            break
        paste(painted, box, paint)
        paste(seen, box, paint)
        x0, y0, x1, y1 = box
        scope[y0:y1, x0:x1] = 0
        boxes.append(box)
        latents.append(code)
    return np.array(boxes, np.int64).reshape(-1, 4), np.array(latents, np.int64).reshape(-1, LATENTS)


def on_canvas(values: np.ndarray) -> np.ndarray:
    """float [h, w, 3] → [64, 64, 3] by area."""
    if values.shape[:2] == (CANVAS, CANVAS):
        return values
    channels = [
        np.asarray(Image.fromarray(values[..., c]).resize((CANVAS, CANVAS), Image.Resampling.BOX))
        for c in range(3)
    ]
    return np.stack(channels, -1)


def valid(boxes: np.ndarray) -> np.ndarray:
    """Integer boxes inside the canvas and not too small, each once; int [n, 4]."""
    corners = np.rint(boxes).astype(np.int64)
    low = np.clip(corners[:, :2], 0, CANVAS - SMALLEST_BOX)
    high = np.clip(corners[:, 2:], low + SMALLEST_BOX, CANVAS)
    return np.unique(np.concatenate([low, high], 1), axis=0)


def around(proposed: np.ndarray, error: np.ndarray, scope: np.ndarray) -> np.ndarray:
    """Boxes to try: the proposal, shifted and rescaled, and boxes where the error is largest."""
    options = [proposed]
    for dx, dy in SHIFTS:
        for dw, dh in GROWTHS:
            options.append(proposed + (dx - dw / 2, dy - dh / 2, dx + dw / 2, dy + dh / 2))
    energy = (error.astype(np.float64) ** 2).sum(-1) * (0.25 + 0.75 * scope)
    sums = np.pad(energy.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    for side in PEAK_SIDES:
        inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
        y, x = np.unravel_index(int(inside.argmax()), inside.shape)
        options.append(np.array((x, y, x + side, y + side), float))
    return valid(np.array(options))


def neighbours(box: np.ndarray) -> np.ndarray:
    """The box with each of its sides moved a little."""
    options = [box]
    for side in range(4):
        for move in (-2, -1, 1, 2):
            moved = box.copy()
            moved[side] += move
            options.append(moved)
    for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        options.append(box + (dx, dy, dx, dy))
    return valid(np.array(options))


def look(tile: np.ndarray, boxes: np.ndarray, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Quantised latents [n, 10] of the boxes' crops and the patches they decode to, [n, 8, 8, 4]."""
    means = encode_patches(crop(tile, boxes), model)
    width = model.tensors["said.latent.multiplier"] / 32.0
    reach = (model.tensors["said.latent.frequency"].shape[1] - 1) // 2
    codes = np.clip(np.rint(means / width), -reach, reach).astype(np.int64)
    return codes, patches(codes, model)


def crop(tile: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Bilinear crops of a tile, float32 [n, 8, 8, 3] in 0..1: 16×16 samples, averaged by fours."""
    height, width = tile.shape[:2]
    centres = (np.arange(CROP) + 0.5) / CROP
    scaled = boxes * (np.array([width, height, width, height]) / CANVAS)
    x = scaled[:, :1] + centres * (scaled[:, 2:3] - scaled[:, :1]) - 0.5
    y = scaled[:, 1:2] + centres * (scaled[:, 3:] - scaled[:, 1:2]) - 0.5
    left, fx = split(x, width)
    top, fy = split(y, height)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    fx, fy = fx[:, None, :, None], fy[:, :, None, None]
    rows, below = top[:, :, None], bottom[:, :, None]
    upper = tile[rows, left[:, None]] * (1 - fx) + tile[rows, right[:, None]] * fx
    lower = tile[below, left[:, None]] * (1 - fx) + tile[below, right[:, None]] * fx
    fine = upper * (1 - fy) + lower * fy
    halved = fine.reshape(len(boxes), SIDE, 2, SIDE, 2, 3).mean((2, 4))
    return (halved / 255.0).astype(np.float32)


def split(place: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Sample positions → (index of the sample before, share of the one after), clamped to ``n`` samples."""
    place = np.clip(place, 0, n - 1)
    index = np.floor(place).astype(np.int64)
    return index, place - index


def gains(
    target: np.ndarray, painted: np.ndarray, boxes: np.ndarray, paints: np.ndarray, samples: int
) -> np.ndarray:
    """Bits that each box would save of the residual by N log σ (paper equation 2); float64 [n]."""
    squares = ((target - painted) ** 2).sum(-1)
    total = float(squares.sum())
    after = np.empty(len(boxes))
    height, width = target.shape[:2]
    for i, (box, paint) in enumerate(zip(boxes, paints)):
        place = box_pixels(box, width, height)
        new = blend(painted[place], paint)
        after[i] = total - squares[place].sum() + ((target[place] - new) ** 2).sum()
    count = target.size
    return 0.5 * samples * np.log2((total / count + NOISE) / (after / count + NOISE))


def box_bits(boxes: np.ndarray, tables: Tables) -> np.ndarray:
    """Bits of boxes [n, 4]; float64 [n]."""
    symbols = box_symbols(boxes)
    return np.stack([table.bits[column] for table, column in zip(tables.box, symbols.T)]).sum(0)
