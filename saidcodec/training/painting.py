"""Boxes on the canvas, in torch: cropping and pasting, and what boxes, latents and errors cost in bits."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

CANVAS, SIDE = 64, 8
SAMPLES = 16  # along one side of a box that is looked at
SMALLEST_BOX = 4.0
VARIANCE_FLOOR = 1e-5
LOG2E = 1.0 / math.log(2.0)


def boxes_of(proposal: Tensor) -> Tensor:
    """(µ, σ) in -1..1 → (x0, y0, x1, y1) in canvas units, at least 4 wide, [n, 4]."""
    centre, half = (proposal[:, :2] + 1.0) * CANVAS / 2, proposal[:, 2:] * CANVAS / 2
    low = (centre - half).clamp(0.0, CANVAS - SMALLEST_BOX)
    high = torch.maximum(centre + half, low + SMALLEST_BOX).clamp_max(CANVAS)
    return torch.cat([low, high], 1)


def sample_matrix(low: Tensor, high: Tensor) -> Tensor:
    """Weights [n, 16, 64] of bilinear samples at 16 half-pixel centres of a box's side."""
    centres = (torch.arange(SAMPLES) + 0.5) / SAMPLES
    place = (low[:, None] + centres * (high - low)[:, None] - 0.5).clamp(0.0, CANVAS - 1.0)
    return (1.0 - (place[..., None] - torch.arange(float(CANVAS))).abs()).clamp_min(0.0)


def paste_matrix(low: Tensor, high: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Bilinear weights [n, 64, side] of a patch in the canvas, and the box's extent [n, 64]."""
    pixels = torch.arange(float(CANVAS)) + 0.5
    place = ((pixels - low[:, None]) / (high - low)[:, None] * side - 0.5).clamp(0.0, side - 1.0)
    hat = (1.0 - (place[..., None] - torch.arange(float(side))).abs()).clamp_min(0.0)
    inside = ((pixels > low[:, None]) & (pixels < high[:, None])).float()
    return hat, inside


def samples(images: Tensor, boxes: Tensor) -> Tensor:
    """[n, c, 64, 64] and boxes [n, k, 4] → their insides [n * k, c, 16, 16]; differentiable in the boxes."""
    n, k, _ = boxes.shape
    flat = boxes.reshape(-1, 4)
    across = sample_matrix(flat[:, 0], flat[:, 2]).reshape(n, 1, k, SAMPLES, CANVAS)
    down = sample_matrix(flat[:, 1], flat[:, 3]).reshape(n, 1, k * SAMPLES, CANVAS)
    rows = (down @ images).reshape(n, -1, k, SAMPLES, CANVAS)
    found = rows @ across.transpose(3, 4)  # [n, c, k, 16, 16]
    return found.transpose(1, 2).reshape(n * k, -1, SAMPLES, SAMPLES)


def reduced(inside: Tensor, side: int) -> Tensor:
    """Samples [n, c, 16, 16] of boxes → patches [n, 3, side, side]; an image of one channel is grey."""
    return functional.avg_pool2d(inside, SAMPLES // side).expand(-1, 3, -1, -1)


def crop(images: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Patches [n, 3, side, side] of the boxes [n, 4]."""
    return reduced(samples(images, boxes[:, None]), side)


def colours(paint: Tensor, channels: int) -> Tensor:
    """The colours of patches [n, 4, h, w], or the grey that YCoCg-R makes of them, [n, channels, h, w]."""
    if channels == 3:
        return paint[:, :3]
    return (paint[:, :1] + 2.0 * paint[:, 1:2] + paint[:, 2:3]) / 4.0


def paste(canvas: Tensor, boxes: Tensor, patches: Tensor, alpha: bool) -> Tensor:
    """x̂(t+1) = (1 - m) x̂(t) + m ε̂; canvas [n, c, 64, 64], patches [n, 4, side, side]."""
    across, columns = paste_matrix(boxes[:, 0], boxes[:, 2], patches.shape[-1])
    down, rows = paste_matrix(boxes[:, 1], boxes[:, 3], patches.shape[-2])
    paint = down[:, None] @ patches @ across[:, None].transpose(2, 3)
    mask = (rows[:, :, None] * columns[:, None, :])[:, None]
    if alpha:
        mask = mask * paint[:, 3:]
    return canvas + mask * (colours(paint, canvas.shape[1]) - canvas)


def start(images: Tensor) -> Tensor:
    """x̂(0): 8×8 cell means, bilinearly up-sampled; [n, 3, 64, 64]."""
    cells = functional.avg_pool2d(images, CANVAS // SIDE)
    return functional.interpolate(cells, size=(CANVAS, CANVAS), mode="bilinear", align_corners=False)


def extent(boxes: Tensor) -> Tensor:
    """1 inside the boxes [n, 4], 0 outside; [n, 1, 64, 64]."""
    centres = (torch.arange(CANVAS) + 0.5)[None]
    across = (centres > boxes[:, :1]) & (centres < boxes[:, 2:3])
    down = (centres > boxes[:, 1:2]) & (centres < boxes[:, 3:])
    return (down[:, :, None] & across[:, None, :])[:, None].float()


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q(z) ‖ N(0, I)) in bits, [n, 10]."""
    return 0.5 * LOG2E * (mean**2 + log_variance.exp() - 1.0 - log_variance)


def position_bits(proposal: Tensor) -> Tensor:
    """KL(N(µ, σ²) ‖ N(0, 1)) in bits, the paper's price of a box (equation 4); [n, 4] → [n]."""
    mu, sigma = proposal[:, :2], proposal[:, 2:]
    return (0.5 * LOG2E * (mu**2 + sigma**2 - 1.0) - torch.log2(sigma)).sum(1)


def residual_bits(error: Tensor) -> Tensor:
    """N log2 σ of [n, c, 64, 64], the paper's code length up to a constant; [n]."""
    return 0.5 * error[0].numel() * torch.log2(error.square().flatten(1).mean(1) + VARIANCE_FLOOR)


def candidates(boxes: Tensor, error: Tensor, scope: Tensor) -> Tensor:
    """Integer boxes to try besides the proposal: moved, rescaled, and around large errors; [n, k, 4]."""
    n = len(boxes)
    moved = boxes[:, None] + torch.randn(n, 4, 4) * 3.0
    energy = error.square().sum(1, keepdim=True) * (0.3 + 0.7 * scope)
    found = []
    sums = functional.pad(energy.cumsum(2).cumsum(3), (1, 0, 1, 0))
    for side in (9, 13, 17, 23):
        upper, lower = sums[..., :-side, :], sums[..., side:, :]
        local = lower[..., side:] - lower[..., :-side] - upper[..., side:] + upper[..., :-side]
        index = local.flatten(1).argmax(1)
        width = local.shape[3]
        x, y = (index % width).float(), (index // width).float()
        box = torch.stack([x, y, x + side, y + side], 1)
        found.append(box + torch.randint(-1, 2, (n, 4)))
    options = torch.cat([boxes[:, None], moved, torch.stack(found, 1)], 1)
    low = torch.round(options[..., :2]).clamp(0.0, CANVAS - SMALLEST_BOX)
    high = torch.maximum(torch.round(options[..., 2:]), low + SMALLEST_BOX).clamp_max(CANVAS)
    return torch.cat([low, high], 2)


def random_boxes(energy: Tensor, count: int) -> Tensor:
    """Boxes of 6 to 32 canvas units, every second one about a pixel drawn by ``energy`` [n, 64, 64];
    [n, count, 4]."""
    n = len(energy)
    half = (
        3.0
        * torch.exp(torch.rand(n, count, 1) * math.log(32.0 / 6.0))
        * torch.exp(0.2 * torch.randn(n, count, 2))
    )
    drawn = torch.multinomial(energy.flatten(1) + 1e-6, count, replacement=True)
    peaks = torch.stack([drawn % CANVAS, drawn // CANVAS], 2) + torch.randn(n, count, 2) * half / 2
    chance = (torch.arange(count) % 2 == 0)[:, None]
    centre = torch.where(chance, torch.rand(n, count, 2) * CANVAS, peaks)
    low = torch.round(centre - half).clamp(0.0, CANVAS - SMALLEST_BOX)
    high = torch.maximum(torch.round(centre + half), low + SMALLEST_BOX).clamp_max(CANVAS)
    return torch.cat([low, high], 2)
