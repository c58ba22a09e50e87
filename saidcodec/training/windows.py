"""Contexts to train the residual network on: windows drawn from a pool of tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from saidcodec.residual import context, copies
from saidcodec.residual.context import COPIES, MARKS, ORIGINS, REFERENCE, WINDOW
from saidcodec.training.quantise import HIDDEN_UNIT

COMPONENTS = 3
INPUT_UNIT = 16.0  # sample values in one real unit of a context input
KEEN = 0.85  # share of the windows that ``keen`` sampling takes from busy places
MIDDLE = (128, 0, 0)  # reference of a tile's first sample, per component
OFFERS = [(REFERENCE, *WINDOW).index(offset) for offset in COPIES]


@dataclass(frozen=True)
class Shape:
    """Sizes of a residual network; the model file records them."""

    hidden: tuple[int, ...] = (160, 128, 128, 128)
    head: int = 64
    styles: int = 8
    # (dx, dy) offsets at which the network sees the reconstruction
    around: tuple[tuple[int, int], ...] = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
    copies: bool = False  # for flat colours: see ``saidcodec.residual.copies``
    marks: tuple[int, int] = MARKS  # what positions run to, and what marks the style
    surprises: int = 4  # what a decoded component tells the heads after it: 3, or 4 with the error in widths
    adjacent: bool = True  # the window's differences count from ORIGINS, not all from the reference

    @property
    def lumas(self) -> int:
        """Inputs that only a network with copies has."""
        return copies.LUMA_INPUTS + 1 + len(WINDOW) if self.copies else 0

    @property
    def inputs(self) -> int:
        """Window, reconstruction, its flag, position, luma inputs, styles."""
        return COMPONENTS * (len(WINDOW) + len(self.around)) + 1 + 2 + self.lumas + self.styles


@dataclass
class Tiles:
    """A pool of tiles to sample windows from; arrays [N, T, T, 3] int16 in Y, Co, Cg."""

    planes: np.ndarray
    reconstruction: np.ndarray  # same shape; ignored where has_reconstruction is 0
    has_reconstruction: np.ndarray  # [N]
    grey: np.ndarray  # [N], 1 where only Y is coded
    whole: bool = True  # whether tiles are whole images; crops lie anywhere, so that positions say nothing


@dataclass
class Copies:
    """What a network with copies knows besides; see ``saidcodec.residual.copies``."""

    same: Tensor  # bool [N, copies], the pixel is the offer
    asked: Tensor  # bool [N, copies], the question comes up
    start: Tensor  # [N, 2], where chroma's means start from, sample values
    clues: Tensor  # [N, 2, 3], hidden units

    def rows(self, index: Tensor) -> Copies:
        """Those of some pixels."""
        return Copies(self.same[index], self.asked[index], self.start[index], self.clues[index])


@dataclass
class Batch:
    context: Tensor  # [N, inputs] real units, styles left at zero
    sample: Tensor  # [N, 3]
    reference: Tensor  # [N, 3]
    weight: Tensor  # [N, 3], 0 where a component is not coded
    group: int  # consecutive rows that share a tile
    copies: Copies | None


def packed(planes: np.ndarray) -> Tensor:
    """[..., 3] int16 → flat int64 with the components in its bytes, so that a gather moves one word."""
    words = np.zeros((*planes.shape[:-1], 4), np.int16)
    words[..., :3] = planes
    return torch.from_numpy(words).view(torch.int64).reshape(-1)


def unpacked(words: Tensor) -> Tensor:
    """int64 [...] → float [..., 3]."""
    return words[..., None].view(torch.int16)[..., :3].float()


class WindowSampler:
    """Draws contexts at random places of a pool of tiles."""

    def __init__(self, shape: Shape, tiles: Tiles):
        self.shape = shape
        self.window = torch.tensor(WINDOW)
        self.around = torch.tensor(shape.around, dtype=torch.int64).reshape(-1, 2)
        self.origins = torch.tensor([(REFERENCE, *WINDOW).index(origin) for origin in ORIGINS])
        self.tiles: Tiles | None = None
        self.replace(tiles)

    def replace(self, tiles: Tiles) -> None:
        """Draw from other tiles from now on."""
        if tiles is self.tiles:
            return
        self.tiles = tiles
        self.side = tiles.planes.shape[1]
        self.planes = packed(tiles.planes)
        self.reconstruction = packed(tiles.reconstruction)
        self.has_reconstruction = torch.from_numpy(tiles.has_reconstruction).float()
        self.grey = torch.from_numpy(tiles.grey).float()
        self.busy = busy(tiles.planes)
        self.is_busy = torch.zeros(self.planes.numel(), dtype=torch.bool)
        self.is_busy[self.busy] = True

    def draw(self, tile: Tensor, y: Tensor, x: Tensor, group: int) -> Batch:
        """Contexts of the samples (x, y) of the named tiles; index arrays [N]."""
        side = self.side
        base = tile * (side * side)
        here = base + y * side + x

        sample = unpacked(self.planes[here])
        left = torch.where(x > 0, here - 1, torch.where(y > 0, here - side, here))
        reference = unpacked(self.planes[left])
        first = (x == 0) & (y == 0)
        reference[first] = torch.tensor(MIDDLE, dtype=torch.float32)

        across, down = x[:, None], y[:, None]
        column, row = context.neighbour(across, down, self.window[:, 0], self.window[:, 1], side)
        index = torch.where(column < 0, left[:, None], base[:, None] + row * side + column)
        seen = unpacked(self.planes[index])
        seen[first] = reference[first][:, None]
        near = torch.cat([reference[:, None], seen], 1)
        window = seen - (near[:, self.origins] if self.shape.adjacent else reference[:, None])
        column, row = context.around(across, down, self.around[:, 0], self.around[:, 1], side, side)
        predicted = unpacked(self.reconstruction[base[:, None] + row * side + column])
        on = self.has_reconstruction[tile]
        around = (predicted - reference[:, None]) * on[:, None, None]
        n = len(x)
        most = self.shape.marks[0]
        assert self.tiles is not None
        if self.tiles.whole:
            places = [(x * most) // side, (y * most) // side]
        else:
            places = [torch.randint(most, (n,)), torch.randint(most, (n,))]
        extra = torch.stack([127 * on, *places], 1)
        parts = [window.reshape(n, -1), around.reshape(n, -1), extra]
        if self.shape.copies:
            parts.append(torch.from_numpy(copies.luma_inputs(near[..., 0].int().numpy())))
        inputs = torch.cat([*parts, torch.zeros(n, self.shape.styles)], 1)
        inputs = inputs.clamp_(-128.0, 127.0) / INPUT_UNIT
        weight = torch.ones(n, COMPONENTS)
        weight[:, 1:] = 1.0 - self.grey[tile][:, None]
        copied = copies_of(near, sample) if self.shape.copies else None
        return Batch(inputs, sample, reference, weight, group, copied)

    def random(self, generator: torch.Generator, tiles: int, group: int) -> Batch:
        chosen = torch.randint(len(self.grey), (tiles,), generator=generator).repeat_interleave(group)
        place = torch.randint(self.side * self.side, (tiles * group,), generator=generator)
        return self.draw(chosen, place // self.side, place % self.side, group)

    def keen(self, generator: torch.Generator, n: int) -> Batch:
        """Windows mostly from where something happens, weighted so that the mean loss stays the same.

        For images that are largely flat.  Rows of a group do not share a tile, so there is one style.
        """
        total, many = self.planes.numel(), len(self.busy)
        place = torch.randint(total, (n,), generator=generator)
        keen = round(KEEN * n) if many else 0
        if keen:
            place[:keen] = self.busy[torch.randint(many, (keen,), generator=generator)]
        density = (1.0 - keen / n) / total + self.is_busy[place].float() * (keen / n / max(many, 1))
        tile, rest = place // self.side**2, place % self.side**2
        batch = self.draw(tile, rest // self.side, rest % self.side, n)
        batch.weight *= (1.0 / (total * density))[:, None]
        return batch


def copies_of(near: Tensor, sample: Tensor) -> Copies:
    """``near`` [N, 1 + window, 3], the reference and the window; ``sample`` [N, 3]; sample values."""
    offers = near[:, OFFERS]
    words = (offers * torch.tensor([1 << 20, 1 << 10, 1])).sum(2)  # equal where all components are
    same = (offers == sample[:, None]).all(2)
    settled = (same.cumsum(1) - same.int()) > 0
    asked = torch.from_numpy(copies.questions(words[..., None].numpy())) & ~settled
    start, clues = copies.chroma_start(near.int().numpy(), sample[:, 0].int().numpy())
    return Copies(same, asked, torch.from_numpy(start) / 16.0, torch.from_numpy(clues).float() / HIDDEN_UNIT)


def busy(planes: np.ndarray) -> Tensor:
    """Flat indices of the samples of [N, T, T, 3] whose surroundings are not all the same."""
    edges = np.zeros(planes.shape[:3], bool)
    edges[:, 1:] |= (planes[:, 1:] != planes[:, :-1]).any(-1)
    edges[:, :, 1:] |= (planes[:, :, 1:] != planes[:, :, :-1]).any(-1)
    near = torch.from_numpy(edges)[:, None].to(torch.uint8)
    grown = [functional.max_pool2d(part.float(), 7, 1, 3) for part in torch.split(near, 512)]
    return torch.cat(grown).reshape(-1).nonzero()[:, 0]
