"""What a SAID model in training does: its glimpses one by one, the metrics of held-out images, a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from saidcodec.evaluation import detection
from saidcodec.training import networks, painting, said
from saidcodec.training.datasets import Dataset

ENLARGED = 3
COLOURS = ((255, 64, 64), (64, 255, 64), (96, 128, 255), (255, 255, 0), (0, 255, 255), (255, 0, 255))


@dataclass(frozen=True)
class Glimpses:
    """K glimpses of n images."""

    boxes: np.ndarray  # int64 [n, K, 4], canvas units
    saved: np.ndarray  # [n, K], bits of the residual
    spent: np.ndarray  # [n, K], KL in bits
    latents: np.ndarray  # float32 [n, K, 10], the posterior's means
    reconstruction: np.ndarray  # float32 [n, 64, 64, 3] in 0..1, after the last


def watch(
    model: networks.Said, images: np.ndarray, iterations: int, settings: said.Settings, rounds: int = 0
) -> Glimpses:
    """Let a model look at uint8 images [n, 64, 64, 3]: the glimpse network alone, as the paper measures it,
    or with ``rounds`` of search about its proposals, of which the box that saves the most bits is kept."""
    with torch.device(settings.device), torch.no_grad():
        return watch_there(model, said.on_device(images), iterations, settings, rounds)


def watch_there(
    model: networks.Said, x: Tensor, iterations: int, settings: said.Settings, rounds: int
) -> Glimpses:
    """``watch`` on the current device, images float [n, 3, 64, 64]; of grey ones a channel counts."""
    if settings.grey:
        x = x[:, :1]
    canvas = said.first(model, x, settings)
    scope = torch.ones(len(x), 1, painting.CANVAS, painting.CANVAS)
    rows: list[tuple[Tensor, ...]] = []
    for _ in range(iterations):
        error = x - canvas
        boxes = torch.round(
            painting.boxes_of(model.glimpse(torch.cat([error.expand(-1, 3, -1, -1), scope], 1)))
        )
        for _ in range(rounds):
            options = painting.candidates(boxes, error, scope)
            boxes, _ = said.best_box(model, x, canvas, options, settings)
        mean, log_variance = model.encoder(painting.crop(x, boxes, model.side))
        patch = model.decoder(model.latent(mean))
        after = painting.paste(canvas, boxes, patch, settings.alpha)
        saved = painting.residual_bits(error) - painting.residual_bits(x - after)
        rows.append((boxes, saved, painting.kl(mean, log_variance).sum(1), mean))
        canvas = after
        if settings.scope:
            scope = scope * (1.0 - painting.extent(boxes))
    boxes, saved, spent, means = [torch.stack(column, 1) for column in zip(*rows, strict=True)]
    return Glimpses(
        boxes.long().cpu().numpy(),
        saved.cpu().numpy(),
        spent.cpu().numpy(),
        means.cpu().numpy(),
        canvas.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).cpu().numpy(),
    )


def metrics(
    model: networks.Said, data: Dataset, iterations: int, settings: said.Settings
) -> dict[str, float]:
    """Figures of held-out images for the model's card; those about boxes only where truth is known."""
    parts = [watch(model, data.images[i : i + 100], iterations, settings) for i in range(0, len(data), 100)]
    boxes, saved, spent = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("boxes", "saved", "spent")
    )
    counts = detection.glimpses_that_pay(saved, spent)
    kept = np.arange(iterations) < counts[:, None]
    found = {
        "boxes": float(counts.mean()),
        "saved": float((saved * kept).sum(1).mean()),
        "kl": float((spent * kept).sum(1).mean()),
    }
    if data.boxes is not None and data.counts is not None:
        truths = [row[: int(n)] for row, n in zip(data.boxes, data.counts, strict=True)]
        pairs = detection.match(list(boxes), list(saved - spent), truths)
        found["ap_paper"] = detection.mean_precision(pairs)
        found["ap_common"] = detection.mean_precision(pairs, detection.COMMON_THRESHOLDS)
        found["count_error"], found["count_exact"] = detection.count_error(counts, data.counts)
    return found


def framed(pixels: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """An enlarged uint8 image [64, 64, 3] with its boxes, coloured in the order of the glimpses."""
    side = ENLARGED * painting.CANVAS
    image = Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    for i, (x0, y0, x1, y1) in enumerate(np.asarray(boxes, int) * ENLARGED):
        draw.rectangle((x0, y0, x1 - 1, y1 - 1), outline=COLOURS[i % len(COLOURS)])
    return np.asarray(image)


def picture(
    model: networks.Said, images: np.ndarray, iterations: int, settings: said.Settings, path: Path
) -> None:
    """Write a PNG: the images with the boxes that pay above, their reconstructions below."""
    seen = watch(model, images, iterations, settings)
    counts = detection.glimpses_that_pay(seen.saved, seen.spent)
    painted = np.rint(seen.reconstruction.clip(0, 1) * 255).astype(np.uint8)
    pairs = zip(images, painted, seen.boxes, counts, strict=True)
    columns = [np.concatenate([framed(a, b[:n]), framed(p, b[:0])]) for a, p, b, n in pairs]
    Image.fromarray(np.concatenate(columns, 1)).save(path)
