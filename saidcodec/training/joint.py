"""Both layers learn together: the VAE to say what the residual network can use.

Apart, the VAE learns to paint patches that look right, which costs more bits than a context coder that sees
them saves.  Together the loss is the file: the latents' KL and the residual's bits, both per image, with the
reconstruction between them (paper section 3.1: description length; the residual is a real coder's here).  The
boxes are those that the codec's own search finds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from saidcodec import codec
from saidcodec.encoder.price import BOX_WORTH
from saidcodec.errors import ModelError
from saidcodec.format import colour, container
from saidcodec.models import Model
from saidcodec.residual.context import WINDOW
from saidcodec.residual.context import around as around_of
from saidcodec.residual.copies import CLUES
from saidcodec.said import base
from saidcodec.said.description import Description
from saidcodec.training import checkpoints, export, networks, painting, residual, said, shrink
from saidcodec.training.looks import Scenes
from saidcodec.training.quantise import averaged, go_on, hold, rounded, set_quantised, steps_of
from saidcodec.training.residual_network import ResidualNetwork, with_style
from saidcodec.training.windows import COMPONENTS, INPUT_UNIT, Batch, Shape, Tiles, WindowSampler

WITHOUT = 0.15  # share of images whose SAID layer is off
PARTIAL = 0.15  # share of images that lack some of their glimpses
ROUNDS = 2  # of encoding images and learning the tables of what was chosen
LAVISH = 30.0  # bits
NEAR = 2  # canvas units about a box within which samples are drawn more often
LOOK_NICE = 0.3  # deviation of a patch's error that keeps previews recognisable, pixels in 0..1
LOOK_RIGHT = 0.05  # of the reconstruction's, while the VAE learns alone


@dataclass(frozen=True)
class Settings:
    steps: int
    seconds: float = math.inf  # stop the schedule after this much time, whatever the step
    batch: int = 48  # images
    windows: int = 256  # of each image
    rate: float = 1e-3
    qat_from: float = 0.5
    warm_up: float = 0.0  # share of the schedule in which the VAE learns alone to paint what is in the boxes
    base_step: int = 8  # x̂(0) has cells quantised in steps of 2**base_step
    flat: bool = False  # or is the flat base of that step
    whole: bool = True  # whether canvases are whole images
    grey: bool = False
    seed: int = 0
    log_every: int = 200
    shape: Shape = field(default_factory=Shape)


class Studio:
    """Everything of a set of scenes as tensors, and x̂ with a gradient."""

    def __init__(self, scenes: Scenes, settings: Settings):
        self.settings = settings
        grey, step = settings.grey, settings.base_step
        images = torch.from_numpy(scenes.images).permute(0, 3, 1, 2)
        self.images = images[:, :1] if grey else images
        starts = []
        for image in scenes.images:
            own = base.flat(step) if settings.flat else base.quantise(base.cells(image), step, grey)
            starts.append(base.start(own, step, painting.CANVAS, painting.CANVAS))
        self.starts = (
            torch.from_numpy(np.stack(starts)).to(torch.uint8).permute(0, 3, 1, 2)[:, : 1 if grey else 3]
        )
        self.boxes = torch.from_numpy(scenes.boxes).float()
        self.there = torch.from_numpy(scenes.there)
        planes = colour.forward(scenes.images)
        if grey:
            planes[..., 1:] = 0
        n = len(planes)
        tiles = Tiles(
            planes, np.zeros_like(planes), np.ones(n, np.uint8), np.full(n, grey, np.uint8), settings.whole
        )
        self.sampler = WindowSampler(settings.shape, tiles)
        near = torch.zeros(n, painting.CANVAS, painting.CANVAS)
        for boxes, there in zip(self.boxes.unbind(1), self.there.unbind(1), strict=True):
            grown = (boxes + torch.tensor([-NEAR, -NEAR, NEAR, NEAR])) * there[:, None]
            near = torch.maximum(near, painting.extent(grown)[:, 0])
        busy = self.sampler.is_busy.reshape(n, -1).float()
        self.chance = torch.full_like(busy, 1.0)
        for share, where in ((0.35, busy), (0.5, busy * near.flatten(1))):
            mean = where.mean(1, keepdim=True)
            self.chance += torch.where(mean > 0, share / 0.15 * where / mean.clamp_min(1e-9), 0.0)
        self.chance /= self.chance.sum(1, keepdim=True)

    def reconstruct(
        self, model: networks.Said, chosen: Tensor, there: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x̂ of the chosen images in sample values [n, c, 64, 64], their KL in bits [n], the misfit."""
        images, canvas = self.images[chosen].float() / 255.0, self.starts[chosen].float() / 255.0
        n, k = there.shape
        boxes, kept = self.boxes[chosen], there.reshape(-1)
        inside = painting.reduced(painting.samples(images, boxes)[kept], model.side)
        mean, log_variance = model.encoder(inside)
        own = torch.arange(n).repeat_interleave(k)[kept]
        kl = torch.zeros(n).index_add(0, own, painting.kl(mean, log_variance).sum(1))
        with torch.no_grad():
            if kept.any():
                model.posterior.lerp_(torch.exp(0.5 * log_variance).mean(0), 0.01)
        found = model.decoder(model.sample(mean, log_variance))
        misfit = (found[:, :3] - inside).square().sum() / n
        painted = found.new_zeros(n * k, *found.shape[1:])
        painted[kept] = found
        painted = painted.reshape(n, k, *painted.shape[1:])
        for t in range(k):
            after = painting.paste(canvas, boxes[:, t], painted[:, t], True)
            canvas = torch.where(there[:, t, None, None, None], after, canvas)
        return rounded(255.0 * canvas), kl, misfit

    def contexts(self, chosen: Tensor, seen: Tensor, on: Tensor) -> tuple[Batch, Tensor]:
        """Windows of the chosen images with x̂ in them, and each window's share of its image's pixels."""
        count, side = self.settings.windows, self.sampler.side
        place = torch.multinomial(self.chance[chosen], count, replacement=True)
        share = 1.0 / (count * self.chance[chosen].gather(1, place))
        place = place.reshape(-1)
        x, y = place % side, place // side
        batch = self.sampler.draw(chosen.repeat_interleave(count), y, x, count)
        around = self.sampler.around
        column, row = around_of(x[:, None], y[:, None], around[:, 0], around[:, 1], side, side)
        planes = to_planes(seen).flatten(2)  # [n, 3, side * side]
        own = torch.arange(len(chosen)).repeat_interleave(count)
        values = planes[own[:, None], :, row * side + column]  # [windows, around, 3]
        lit = on.repeat_interleave(count).float()
        difference = (values - batch.reference[:, None]) * lit[:, None, None]
        first = COMPONENTS * len(WINDOW)
        last = first + COMPONENTS * len(around)
        flat = difference.reshape(len(place), -1).clamp(-128.0, 127.0) / INPUT_UNIT
        flag = (127.0 / INPUT_UNIT) * lit[:, None]
        batch.context = torch.cat([batch.context[:, :first], flat, flag, batch.context[:, last + 1 :]], 1)
        return batch, share.reshape(-1)


def to_planes(canvas: Tensor) -> Tensor:
    """x̂ [n, 3 or 1, h, w] → Y, Co, Cg, [n, 3, h, w], floors as in ``colour`` with a straight gradient."""
    if canvas.shape[1] == 1:
        return torch.cat([canvas, torch.zeros_like(canvas), torch.zeros_like(canvas)], 1)
    red, green, blue = canvas.unbind(1)
    orange = red - blue
    middle = blue + rounded(orange / 2 - 0.25)
    excess = green - middle
    return torch.stack([middle + rounded(excess / 2 - 0.25), orange, excess], 1)


def train(
    settings: Settings,
    scenes: Scenes,
    development: Scenes,
    layer: tuple[networks.Said, dict[str, object]],
    network: ResidualNetwork,
    out: tuple[Path, Path],
    log: Callable[[str], None] = print,
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """Continue a SAID layer, as ``begun`` gives it, and a residual network of ``settings.shape`` together;
    writes checkpoints of both layers, ``out``."""
    torch.manual_seed(settings.seed)
    model, said_settings = layer
    model.multiplier.zero_()
    set_quantised(model, False)
    vae = [*model.encoder.parameters(), *model.decoder.parameters()]
    optimiser = torch.optim.AdamW(
        [
            {"params": network.parameters(), "weight_decay": 1e-4},
            {"params": vae, "weight_decay": 0.0},
        ],
        lr=settings.rate,
        betas=(0.9, 0.99),
    )
    studio, judge = Studio(scenes, settings), Studio(development, settings)
    quick = residual.quick_type()
    result = network  # later the mean of its states as integers
    mean: AveragedModel | None = None
    began, step = time.monotonic(), 0
    while (share := max(step / settings.steps, (time.monotonic() - began) / settings.seconds)) < 1.0:
        progress(share)
        rate = settings.rate * min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * share))
        for group in optimiser.param_groups:
            group["lr"] = rate
        warming = share < settings.warm_up
        if max(settings.qat_from, settings.warm_up) <= share:
            network.quantise(True)
            if share < said.SETTLED and (step % said.REFITTED == 0 or not model.multiplier.any()):
                model.quantise()
        chosen = torch.randint(len(studio.images), (settings.batch,))
        if warming:
            loss = painted_alone(studio, model, chosen) / 100.0
        else:
            bits, kl, misfit = costs(studio, model, network, chosen, quick)
            loss = (bits.mean() + kl.mean()) / 1000.0 + misfit / (1000.0 * 2 * math.log(2) * LOOK_NICE**2)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        nn.utils.clip_grad_norm_(vae, 1.0)
        optimiser.step()
        hold(model)
        if not warming:
            network.bound()
        if network.qat:
            mean = mean or averaged(network)
            mean.update_parameters(network)
            result = residual.result_of(mean)
        step += 1
        if step % settings.log_every == 0 and warming:
            spent = time.monotonic() - began
            log(f"step {step} seconds {spent:.0f} glimpse {100.0 * float(loss.detach()):.0f} bits")
        elif step % settings.log_every == 0:
            log(
                f"step {step} seconds {time.monotonic() - began:.0f} lr {rate:.1e} "
                + report(judge, model, result)
            )
            save(out, model, said_settings, result, settings)
    progress(1.0)
    if not model.multiplier.any():  # too short a training for a phase of its own
        model.quantise()
    save(out, model, said_settings, result, settings)
    log("finished: " + report(judge, model, result))


def begun(seen: Path | Model, grey: bool) -> tuple[networks.Said, dict[str, object]]:
    """The SAID layer of a checkpoint or a model, and the settings it was trained with, or of a model might
    have been.  Raises ModelError."""
    if isinstance(seen, Model):
        model = export.said_in(seen)
        return model, asdict(said.Settings(steps=0, side=model.side, grey=grey))
    state = checkpoints.read(seen, "model", "settings")
    return networks.said_of(state["model"]), state["settings"]


def widened(begin: Path | Model, shape: Shape) -> ResidualNetwork:
    """The residual network of a checkpoint or a model, which may see x̂ at fewer places than ``shape`` asks
    for.  That of a model which sees as much goes on as integers.

    Raises ModelError if it differs from that shape in anything else."""
    if isinstance(begin, Model):
        narrower = shrink.network_of(begin.tensors)
    else:
        narrower = residual.load_checkpoint(begin)
    old, name = narrower.shape, begin.name if isinstance(begin, Model) else begin
    if not set(old.around) <= set(shape.around):
        raise ModelError(f"{name} sees the reconstruction where joint training does not.")
    wider = replace(shape, hidden=old.hidden, head=old.head, adjacent=old.adjacent, marks=old.marks)
    fits = replace(wider, around=old.around, surprises=old.surprises)
    if old != fits:
        raise ModelError(
            f"{name} holds another residual network than joint training knows: {old}, not {fits}."
        )
    network = ResidualNetwork(wider)
    weights = dict(narrower.state_dict())
    for layer in ("hidden_co.weight", "hidden_cg.weight"):
        hidden, told, clues = weights[layer].split(parts_of(old, layer), 1)
        weights[layer] = torch.cat([hidden, shrink.retold(told, old.surprises, shape.surprises), clues], 1)
    first = COMPONENTS * len(WINDOW)
    narrow = weights["trunk.0.weight"]
    wide = torch.zeros(len(narrow), shape.inputs)
    wide[:, :first] = narrow[:, :first]
    for i, offset in enumerate(old.around):
        at = first + COMPONENTS * shape.around.index(tuple(offset))
        wide[:, at : at + COMPONENTS] = narrow[:, first + COMPONENTS * i :][:, :COMPONENTS]
    rest = shape.inputs - first - COMPONENTS * len(shape.around)
    wide[:, shape.inputs - rest :] = narrow[:, narrow.shape[1] - rest :]
    weights["trunk.0.weight"] = wide
    network.load_state_dict(weights)
    network = shrink.recounted(network)
    if isinstance(begin, Model) and network.shape == old:
        network.quantise(True)
        go_on(network, steps_of(narrower))
    return network


def parts_of(shape: Shape, layer: str) -> list[int]:
    """How many inputs of a chroma head's hidden layer are hidden activations, what components tell, clues."""
    components = 1 if layer.startswith("hidden_co") else 2
    return [shape.hidden[-1], components * shape.surprises, CLUES if shape.copies else 0]


def costs(
    studio: Studio,
    model: networks.Said,
    network: ResidualNetwork,
    chosen: Tensor,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor]:
    """Bits of the residual and of the latents of each chosen image, [n] each, and the patches' misfit."""
    n = len(chosen)
    on = torch.rand(n) >= WITHOUT
    partial = (torch.rand(n, 1) < PARTIAL) & (torch.rand(n, studio.there.shape[1]) < 0.5)
    there = studio.there[chosen] & on[:, None] & ~partial
    seen, kl, misfit = studio.reconstruct(model, chosen, there)
    batch, share = studio.contexts(chosen, seen, on)
    bits = window_bits(network, batch, dtype)
    return (bits.sum(1) * share).reshape(n, -1).sum(1), kl, misfit


def painted_alone(studio: Studio, model: networks.Said, chosen: Tensor) -> Tensor:
    """Bits of what each glimpse of the chosen images leaves inside its box, by a normal distribution, and of
    its latents, as if it were the only one; mean over the glimpses."""
    boxes, kept = studio.boxes[chosen], studio.there[chosen].reshape(-1)
    both = (studio.images[chosen].float() / 255.0, studio.starts[chosen].float() / 255.0)
    inside, under = (painting.samples(images, boxes)[kept] for images in both)
    mean, log_variance = model.encoder(painting.reduced(inside, model.side))
    paint = model.decoder(model.sample(mean, log_variance))
    paint = nn.functional.interpolate(paint, size=inside.shape[-2:], mode="bilinear", align_corners=False)
    painted = under + paint[:, 3:] * (painting.colours(paint, inside.shape[1]) - under)
    left = (painted - inside).square().flatten(1).sum(1)
    bits = left / (2 * math.log(2) * LOOK_RIGHT**2) + painting.kl(mean, log_variance).sum(1)
    return bits.sum() / max(1, len(bits))


def window_bits(network: ResidualNetwork, batch: Batch, dtype: torch.dtype) -> Tensor:
    """Weighted bits of the components of a batch's windows under a network's only style; [N, 3]."""
    style = torch.zeros(len(batch.sample), dtype=torch.long)
    context = with_style(batch.context, style, network.shape).to(dtype)
    bits: Tensor = network(context, batch.sample, batch.reference, batch.copies) * batch.weight
    return bits


@torch.no_grad()
def report(studio: Studio, model: networks.Said, network: ResidualNetwork) -> str:
    """Mean bits of development images with all their glimpses and without any, on the same windows."""
    chosen = torch.arange(len(studio.images))
    found = []
    for lit in (True, False):
        state = torch.random.get_rng_state()
        torch.manual_seed(1)
        on = torch.full((len(chosen),), lit)
        seen, kl, _ = studio.reconstruct(model, chosen, studio.there & lit)
        batch, share = studio.contexts(chosen, seen, on)
        torch.random.set_rng_state(state)
        bits = window_bits(network, batch, torch.float32)
        found.append((float((bits.sum(1) * share).sum()) / len(chosen), float(kl.mean())))
    glimpses = float(studio.there.sum(1).float().mean())
    (with_all, kl_bits), (without, _) = found
    if not glimpses:
        return f"residual {without:.0f} bits, and no glimpses"
    saved = (without - with_all) / glimpses
    return (
        f"residual {without:.0f} bits, with glimpses {with_all:.0f}; "
        f"a glimpse saves {saved:.1f} and has {kl_bits / glimpses:.1f} bits of latents"
    )


def settle(
    tensors: Mapping[str, np.ndarray], images: np.ndarray, grey: bool, worth: float | None
) -> dict[str, np.ndarray]:
    """Model tensors with the coding tables that suit what the encoder chooses on uint8 images.

    While tables are learnt, in ROUNDS turns, a box is worth ``LAVISH`` bits, so that all that might pay is
    counted; in the result it is worth ``worth`` bits, or what it was worth before (None).
    """
    settled = dict(tensors)
    for i in range(ROUNDS):
        settled[BOX_WORTH] = np.array([LAVISH], np.float32)
        model = Model("in training", f"{i:08x}", settled, {})
        described: list[Description | None] = []
        for image in images:
            file = container.unpack(codec.encode(image, model=model))
            described += codec.read_said(file, model).descriptions
        settled.update(export.learnt_tables(described, grey))
        settled.update(export.learnt_latents(described, settled["said.latent.multiplier"]))
    del settled[BOX_WORTH]
    if worth is not None:
        settled[BOX_WORTH] = np.array([worth], np.float32)
    elif BOX_WORTH in tensors:
        settled[BOX_WORTH] = tensors[BOX_WORTH]
    return settled


def save(
    out: tuple[Path, Path],
    model: networks.Said,
    said_settings: dict[str, object],
    network: ResidualNetwork,
    settings: Settings,
) -> None:
    """Checkpoints that ``export`` reads: of the SAID layer with its own settings, and of the residual."""
    known = replace(settings, shape=network.shape)
    for path, content in (
        (out[0], {"model": model.state_dict(), "exponents": steps_of(model), "settings": said_settings}),
        (
            out[1],
            {"network": network.state_dict(), "exponents": steps_of(network), "settings": asdict(known)},
        ),
    ):
        checkpoints.write(path, content)
