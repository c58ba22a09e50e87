"""Processes that train one network together, as ``torchrun`` starts them, on one machine or several.

Each draws batches of its own; gradients are averaged before every step, so that all keep the same weights.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, distributed, nn

from saidcodec.errors import ModelError


class Team(NamedTuple):
    """``rank``: the number of this process among ``size``; ``place``: among those of its machine."""

    rank: int = 0
    size: int = 1
    place: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def device(self, asked: str) -> str:
        """The device of this process; of several GPUs each takes its own."""
        return f"cuda:{self.place}" if asked == "cuda" and self.size > 1 else asked

    def agreed(self, value: float) -> float:
        """The first process's value, for all."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device="cpu")
        distributed.broadcast(shared, 0)
        return float(shared)

    def begin(self, module: nn.Module, step: int) -> None:
        """Give every process the first one's weights.  Raises ModelError where their steps differ."""
        if self.agreed(step) != step:
            raise ModelError("The processes read different checkpoints; all of them need the same files.")
        if self.size > 1:
            for tensor in module.state_dict().values():
                shared = tensor.cpu()
                distributed.broadcast(shared, 0)
                tensor.copy_(shared)

    def average(self, parameters: Iterable[nn.Parameter], buffers: Iterable[Tensor] = ()) -> None:
        """Replace gradients, and what is measured beside them, by their means over all processes."""
        if self.size == 1:
            return
        tensors = [*(one.grad for one in parameters if one.grad is not None), *buffers]
        mean = torch.cat([one.reshape(-1) for one in tensors]).cpu()
        distributed.all_reduce(mean)
        mean /= self.size
        parts = torch.split(mean, [one.numel() for one in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


ALONE = Team()


@contextmanager
def started() -> Iterator[Team]:
    """The team of the processes that torchrun started; without it, this one alone."""
    if not distributed.is_available() or not distributed.is_torchelastic_launched():
        yield ALONE
        return
    distributed.init_process_group("gloo")  # which serves every device; gradients are few
    try:
        place = int(os.environ["LOCAL_RANK"])
        yield Team(distributed.get_rank(), distributed.get_world_size(), place)
    finally:
        distributed.destroy_process_group()
