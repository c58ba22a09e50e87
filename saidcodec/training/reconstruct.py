"""x̂(T) of training images, for a residual network to learn from what it will see in files."""

from __future__ import annotations

import numpy as np
import torch

from saidcodec import codec
from saidcodec.format import colour, container
from saidcodec.many import encode_many
from saidcodec.models import Model
from saidcodec.said import base, render
from saidcodec.training import networks, painting, said
from saidcodec.training.windows import Tiles

STEPS = (4, 6, 8)  # quantisation of the base, as in encoder/plan.py
WITHOUT = 0.2  # share of tiles whose SAID layer is off
PARTIAL = 0.15  # share of the others that lack some of their glimpses, where files say which they have


@torch.no_grad()
def reconstruct(
    model: networks.Said, images: np.ndarray, settings: said.Settings, most: int, rng: np.random.Generator
) -> np.ndarray:
    """One x̂ of each uint8 image [n, 64, 64, 3], after a random or a paying number of glimpses; uint8."""
    grey = settings.grey
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255.0
    starts = []
    for image in images:
        step = int(rng.choice(STEPS))
        quantised = base.quantise(base.cells(image), step, grey)
        starts.append(base.start(quantised, step, painting.CANVAS, painting.CANVAS))
    canvas = torch.from_numpy(np.stack(starts)).permute(0, 3, 1, 2).float() / 255.0
    if grey:
        x, canvas = x[:, :1], canvas[:, :1]
    limit = torch.from_numpy(np.where(rng.random(len(x)) < 0.3, rng.integers(0, most + 1, len(x)), most))
    scope = torch.ones(len(x), 1, painting.CANVAS, painting.CANVAS)
    going = torch.ones(len(x), dtype=torch.bool)
    whole = torch.tensor([[16.0, 16.0, 48.0, 48.0]]).expand(len(x), 4)
    for t in range(most):
        options = painting.candidates(whole, x - canvas, scope)
        boxes, gain = said.best_box(model, x, canvas, options, settings)
        going &= (gain > 16.0) & (t < limit)  # a box costs about two bytes
        mean, _ = model.encoder(painting.crop(x, boxes, model.side))
        after = painting.paste(canvas, boxes, model.decoder(model.latent(mean)), settings.alpha)
        canvas = torch.where(going[:, None, None, None], after, canvas)
        scope = torch.where(going[:, None, None, None], scope * (1.0 - painting.extent(boxes)), scope)
    shown = (canvas * 255.0).round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1)
    return shown.permute(0, 2, 3, 1).contiguous().numpy()


def tiles(model: networks.Said, images: np.ndarray, settings: said.Settings, most: int, seed: int) -> Tiles:
    """The images as tiles for the residual network, most of them with an x̂."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    planes = colour.forward(images)
    seen = np.empty_like(planes)
    for i in range(0, len(images), 64):
        seen[i : i + 64] = colour.forward(reconstruct(model, images[i : i + 64], settings, most, rng))
    if settings.grey:
        planes[..., 1:], seen[..., 1:] = 0, 0
    on = (rng.random(len(images)) >= WITHOUT).astype(np.uint8)
    return Tiles(planes, seen, on, np.full(len(images), settings.grey, np.uint8))


def tiles_of_files(model: Model, images: np.ndarray, seed: int) -> Tiles:
    """The images uint8 [n, 64, 64, 3] as tiles, with the x̂ that a model's own files hold.

    Of some images a glimpse or more is left out, of some the whole SAID layer, so that the network works
    with less, too.
    """
    rng = np.random.default_rng(seed)
    planes = colour.forward(images)
    seen, on = np.zeros_like(planes), np.zeros(len(images), np.uint8)
    grey = (planes[..., 1:] == 0).all(axis=(1, 2, 3)).astype(np.uint8)
    for i, file in enumerate(encode_many([*images], model=model)):
        (description,) = codec.read_said(container.unpack(file), model).descriptions
        if description is None or rng.random() < WITHOUT:
            continue
        if rng.random() < PARTIAL:
            description = description.first(int(rng.integers(0, len(description.boxes) + 1)))
        on[i], seen[i] = 1, colour.forward(render(description, model, painting.CANVAS, painting.CANVAS))
    seen[grey == 1, ..., 1:] = 0
    return Tiles(planes, seen, on, grey)
