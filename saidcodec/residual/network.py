"""The residual network of a model, checked and immutable (bitstream_spec.md, section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from saidcodec.errors import ModelError
from saidcodec.integer import Layer
from saidcodec.residual.context import GREAT_MARKS, REFERENCE, WINDOW
from saidcodec.residual.copies import CLUES, LUMA_INPUTS

COMPONENTS = 3
SURPRISES = (3, 4)  # what a decoded component adds to the heads after it: all, or without the error in widths
CHOICE = 3  # mean, scale index, tail index
FARTHEST = 2  # samples, of the offsets around in the reconstruction
POSITIONS = 3  # flag of the reconstruction, x, y
MOST_STYLES = 8
MOST_WIDTH = 512  # outputs of a layer
MOST_TRUNK = 16  # layers

Offsets = tuple[tuple[int, int], ...]


class ResidualNetwork:
    """Weights of one model, as the spec orders them.

    ``around``: offsets (dx, dy) in the reconstruction; ``origins`` int [window]: what each difference of
    the window counts from, 0 the reference, i the window's offset i - 1; ``copies`` int [J]: what may be
    copied, numbered alike.  ``surprises``: what a decoded component tells the heads after it.
    ``positions`` is what x and y run to, ``mark`` what marks the style.  ``trunk`` are the layers up to the
    hidden activations; ``hidden_chroma``, ``head_chroma`` those of Co and Cg.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray]):
        """Raises ModelError if the weights are unfit."""
        self._tensors = tensors
        near = (REFERENCE, *WINDOW)
        self.around = self._offsets("residual.around")
        if max((abs(d) for offset in self.around for d in offset), default=0) > FARTHEST:
            raise ModelError(f"The model looks farther than {FARTHEST} samples around in the reconstruction.")
        copies = self._offsets("residual.copies") if "residual.copies" in tensors else ()
        if not set(copies) <= set(near) or len(copies) > len(near):
            raise ModelError("The model copies from outside the window, or from too many places.")
        self.copies = np.array([near.index(offset) for offset in copies], np.int32)
        origins = (
            self._offsets("residual.origins") if "residual.origins" in tensors else (REFERENCE,) * len(WINDOW)
        )
        if len(origins) != len(WINDOW) or not set(origins) <= set(near):
            raise ModelError("The model's differences do not count from the window.")
        self.origins = np.array([near.index(origin) for origin in origins], np.int32)
        marks = tensors.get("residual.marks", np.array(GREAT_MARKS, np.int32))
        fit = marks.shape == (2,) and marks.dtype == np.int32
        if not (fit and marks.min() >= 1 and (marks <= GREAT_MARKS).all()):
            raise ModelError("The model's tensor residual.marks is unfit.")
        self.positions, self.mark = marks.tolist()
        self.styles = len(self._tensor("tile.style.frequency"))
        if not 1 <= self.styles <= MOST_STYLES:
            raise ModelError(f"The model has {self.styles} styles; there may be 1 to {MOST_STYLES}.")
        self._read_layers()

    def _read_layers(self) -> None:
        lumas = LUMA_INPUTS + 1 + len(WINDOW) if len(self.copies) else 0
        clues = CLUES if len(self.copies) else 0
        width = COMPONENTS * (len(WINDOW) + len(self.around)) + POSITIONS + lumas + self.styles
        self.inputs = width
        names = self._tensors
        depth = sum(name.startswith("residual.trunk") and name.endswith(".weight") for name in names)
        if depth > MOST_TRUNK:
            raise ModelError(f"The model's trunk has {depth} layers; there may be {MOST_TRUNK}.")
        trunk = []
        for i in range(max(depth, 1)):
            trunk.append(self._layer(f"trunk{i}", width))
            width = trunk[-1].weight.shape[1]
        self.hidden = width
        self.trunk = tuple(trunk)
        self.head_y = self._layer("head_y", width, CHOICE)
        self.head_copy = self._layer("head_copy", width, len(self.copies)) if len(self.copies) else None
        told = [len(self._tensor(f"residual.hidden_{name}.weight")) for name in ("co", "cg")]
        self.surprises = told[1] - told[0]
        if self.surprises not in SURPRISES:
            raise ModelError("The model's layers hidden_co and hidden_cg do not fit together.")
        self.hidden_chroma, self.head_chroma = [], []
        for c, name in enumerate(("co", "cg"), 1):
            hidden = self._layer(f"hidden_{name}", width + self.surprises * c + clues)
            self.hidden_chroma.append(hidden)
            self.head_chroma.append(self._layer(f"head_{name}", hidden.weight.shape[1], CHOICE))

    def _tensor(self, name: str) -> np.ndarray:
        if name not in self._tensors:
            raise ModelError(f"The model lacks the tensor {name}.")
        return self._tensors[name]

    def _layer(self, name: str, inputs: int, outputs: int | None = None) -> Layer:
        found = Layer(*(self._tensor(f"residual.{name}.{part}") for part in ("weight", "bias", "shift")))
        problem = found.problem()
        if not problem and len(found.weight) != inputs:
            problem = f"it has {len(found.weight)} inputs, not {inputs}"
        if not problem and outputs is not None and found.weight.shape[1] != outputs:
            problem = f"it has {found.weight.shape[1]} outputs, not {outputs}"
        if not problem and not 1 <= found.weight.shape[1] <= MOST_WIDTH:
            problem = f"it has {found.weight.shape[1]} outputs; there may be 1 to {MOST_WIDTH}"
        if problem:
            raise ModelError(f"The model's residual layer {name} is unfit: {problem}.")
        return found

    def _offsets(self, name: str) -> Offsets:
        found = self._tensor(name)
        if found.ndim != 2 or found.shape[1] != 2 or found.dtype != np.int8:
            raise ModelError(f"The model's tensor {name} is no list of offsets.")
        if len(found) > MOST_WIDTH:
            raise ModelError(f"The model's tensor {name} has more than {MOST_WIDTH} offsets.")
        return tuple((int(dx), int(dy)) for dx, dy in found)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer: the trunk's, head_y, then hidden and head of Co and of Cg, then head_copy if there
        is one."""
        chroma = [layer for pair in zip(self.hidden_chroma, self.head_chroma, strict=True) for layer in pair]
        copy = [] if self.head_copy is None else [self.head_copy]
        return (*self.trunk, self.head_y, *chroma, *copy)
