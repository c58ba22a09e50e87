"""The paper's three networks in torch: where to look, what a patch says, what a latent paints (section 3)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from saidcodec.encoder.proposal import STRIDES
from saidcodec.said.painter import DENSE, DOUBLED_AFTER, FINE_SIDE, SHAPES
from saidcodec.said.resampling import SIDE
from saidcodec.training.quantise import (
    HIDDEN_UNIT,
    IntegerConv,
    IntegerLinear,
    activation,
    rounded,
    set_quantised,
)

LATENTS = 10
LATENT_UNIT = 32.0  # integer steps of the decoder's input in one latent unit
LATENT_MAX = 127.0 / LATENT_UNIT
STEP_IN_DEVIATIONS = 4.0  # a step of sqrt(2πe) posterior deviations makes real bits equal the KL
FOCUS = 4.0  # inverse temperature of the glimpse network's spatial softmax


class Glimpse(nn.Module):
    """Error and scope [n, 4, 64, 64] → centre and half-width (µx, µy, σx, σy) in -1..1, [n, 4].

    Two convolutions and two dense layers, as in the paper.  Between them the second convolution is read
    by a spatial softmax: each of its maps says where it looks (mean), how widely (deviation) and what it
    sees there.  That finds objects some fifty times sooner than flattening the maps, at equal cost.
    """

    maps = 32

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(4, 16, 5, stride=4, padding=2)
        self.conv1 = nn.Conv2d(16, 2 * self.maps, 5, padding=2)
        self.dense0 = nn.Linear(5 * self.maps, 128)
        self.dense1 = nn.Linear(128, 4)
        nn.init.zeros_(self.dense1.weight)
        with torch.no_grad():
            self.dense1.bias.copy_(torch.tensor([0.0, 0.0, -0.8, -0.8]))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(functional.relu(self.conv0(x)))
        where, what = x.flatten(2).chunk(2, 1)  # [n, maps, cells]
        share = torch.softmax(FOCUS * where, 2)
        cells = x.shape[-1]
        line = (torch.arange(cells) + 0.5) * (2.0 / cells) - 1.0
        place = torch.stack([line.repeat(cells), line.repeat_interleave(cells)], 1)
        mean, square = (share @ torch.cat([place, place**2], 1)).chunk(2, 2)  # [n, maps, 2] each
        spread = (square - mean**2).clamp_min(0.0).add(1e-4).sqrt()
        seen = (share * functional.relu(what)).sum(2, keepdim=True)
        x = torch.cat([mean, spread, seen], 2).flatten(1)
        x = self.dense1(functional.relu(self.dense0(x)))
        return torch.cat([torch.tanh(x[:, :2]), 0.04 + 0.96 * torch.sigmoid(x[:, 2:])], 1)


def begin(network: nn.Module) -> None:
    """Weights under which signals keep their size through rectifiers.

    Under the library's own they fade, and the VAE finds no colours for a long time.
    """
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


class Encoder(nn.Module):
    """Patch [n, 3, side, side] → mean and log variance [n, 10] each."""

    def __init__(self, side: int) -> None:
        super().__init__()
        strides = STRIDES[side]
        self.conv0 = nn.Conv2d(3, 16, 3, stride=strides[0], padding=1)
        self.conv1 = nn.Conv2d(16, 32, 3, stride=strides[1], padding=1)
        self.conv2 = nn.Conv2d(32, 32, 3, stride=strides[2], padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, stride=strides[3], padding=1)
        self.dense0 = nn.Linear(32 * 4 * 4, 128)
        self.dense1 = nn.Linear(128, 2 * LATENTS)
        begin(self)
        with torch.no_grad():
            self.dense1.weight.mul_(0.3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for conv in (self.conv0, self.conv1, self.conv2, self.conv3):
            x = functional.relu(conv(x))
        mean, log_variance = self.dense1(functional.relu(self.dense0(x.flatten(1)))).chunk(2, 1)
        return mean, log_variance.clamp(-9.0, 2.0)


class Decoder(nn.Module):
    """Latents [n, 10] → patch and alpha [n, 4, side, side] in 0..1; its integer form is the format's."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.doubled = [i - DENSE for i in DOUBLED_AFTER[side]]
        shapes = SHAPES[side]
        self.dense0, self.dense1 = (IntegerLinear(*shape) for shape in shapes[:DENSE])
        convs = [IntegerConv(inputs // 9, outputs) for inputs, outputs in shapes[DENSE:]]
        for i, conv in enumerate(convs):
            self.add_module(f"conv{i}", conv)
        self.convs = convs
        self.dense0.unit, self.dense1.unit = LATENT_UNIT, HIDDEN_UNIT
        begin(self)
        with torch.no_grad():
            convs[-1].weight.mul_(0.5)
            convs[-1].bias.copy_(torch.tensor([1.5, 1.5, 1.5, 3.0]))

    def layers(self) -> list[IntegerLinear | IntegerConv]:
        return [self.dense0, self.dense1, *self.convs]

    def forward(self, z: Tensor) -> Tensor:
        quantised = self.dense0.qat
        x = activation(self.dense0(z), quantised)
        x = activation(self.dense1(x), quantised)
        x = x.reshape(-1, 4, 4, 32).permute(0, 3, 1, 2)
        for i, conv in enumerate(self.convs):
            x = activation(conv(x), quantised)
            if i in self.doubled:
                x = functional.interpolate(x, scale_factor=2, mode="nearest")
        return x * (HIDDEN_UNIT / 255.0)


class Said(nn.Module):
    """The three networks, and the step of each latent dimension once latents are quantised."""

    def __init__(self, side: int = SIDE) -> None:
        super().__init__()
        self.side = side
        self.glimpse = Glimpse()
        self.encoder = Encoder(side)
        self.decoder = Decoder(side)
        self.register_buffer("multiplier", torch.zeros(LATENTS))  # in 1/32; 0 while not quantised
        self.register_buffer("posterior", torch.ones(LATENTS))  # mean posterior deviation

    multiplier: Tensor
    posterior: Tensor

    def sample(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Latents to train on: posterior samples; once quantised, quantised means in every second row.

        The sampled rows keep the posterior honest: rounding alone would let its variance, which then
        costs nothing in the reconstruction, grow until the KL vanishes.
        """
        sampled = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        if not self.decoder.dense0.qat:
            return sampled
        even = (torch.arange(len(mean)) % 2 == 0)[:, None]
        return torch.where(even, self.latent(mean), sampled)

    def latent(self, mean: Tensor) -> Tensor:
        """What the encoder would send: the quantised mean, or the mean while nothing is quantised."""
        if not self.decoder.dense0.qat:
            return mean
        step = self.multiplier / LATENT_UNIT
        return (rounded(mean / step) * step).clamp(-4.0, LATENT_MAX)

    def quantise(self) -> None:
        """From now on the decoder computes as its integers do, with steps that fit the posterior."""
        set_quantised(self, True)
        step = torch.round(STEP_IN_DEVIATIONS * self.posterior * LATENT_UNIT)
        self.multiplier.copy_(step.clamp(1.0, 128.0))


def said_of(state: Mapping[str, Tensor]) -> Said:
    """The three networks of a checkpoint's weights, whose layers tell the side of the patches."""
    finer = f"decoder.conv{len(SHAPES[SIDE]) - DENSE}.weight" in state
    model = Said(FINE_SIDE if finer else SIDE)
    model.load_state_dict(state)
    return model
