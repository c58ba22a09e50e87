"""The residual network of a model, laid out for the wavefront (bitstream_spec.md, section 6)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from saidcodec.errors import ModelError
from saidcodec.integer import Chain, Layer, NumpyChain, OnnxChain
from saidcodec.residual.context import WINDOW

COMPONENTS = 3
LANES = 4  # a sample's components travel in 64-bit words; the fourth lane is idle
SURPRISES = 3  # what a decoded component adds to the heads after it
CHOICE = 3  # mean, scale index, tail index
POSITIONS = 3  # flag of the reconstruction, x, y


class ResidualNetwork:
    """Weights of one model, ready to run.

    ``inputs`` is the width of the context rows that the wavefront fills: four lanes for each offset
    of the window and of ``around``, then the flag of the reconstruction, x, y and the styles.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], threads: int | None):
        """``threads`` for ONNX Runtime, or None for NumPy; ModelError if the weights are unfit."""

        def tensor(name: str) -> np.ndarray:
            if name not in tensors:
                raise ModelError(f"The model lacks the tensor {name}.")
            return tensors[name]

        def layer(name: str, inputs: int) -> Layer:
            found = Layer(*(tensor(f"residual.{name}.{part}") for part in ("weight", "bias", "shift")))
            problem = found.problem()
            if not problem and len(found.weight) != inputs:
                problem = f"it has {len(found.weight)} inputs, not {inputs}"
            if problem:
                raise ModelError(f"The model's residual layer {name} is unfit: {problem}.")
            return found

        def head(name: str, inputs: int) -> Layer:
            found = layer(name, inputs)
            if found.weight.shape[1] != CHOICE:
                raise ModelError(f"The model's residual layer {name} does not name mean, scale and tail.")
            return found

        around = tensor("residual.around")
        if around.ndim != 2 or around.shape[1] != 2 or around.dtype != np.int8:
            raise ModelError("The model's tensor residual.around is no list of offsets.")
        self.around = tuple((int(dx), int(dy)) for dx, dy in around)
        self.styles = len(tensor("tile.style.frequency"))
        offsets = len(WINDOW) + len(self.around)
        depth = sum(name.startswith("residual.trunk") and name.endswith(".weight") for name in tensors)
        self.hidden = COMPONENTS * offsets + POSITIONS + self.styles
        trunk = []
        for i in range(max(depth, 1)):
            trunk.append(layer(f"trunk{i}", self.hidden))
            self.hidden = trunk[-1].weight.shape[1]
        self.inputs = LANES * offsets + POSITIONS + self.styles

        trunk[0] = Layer(with_idle_lanes(trunk[0].weight, offsets), trunk[0].bias, trunk[0].shift)
        # Both later heads read one row: hidden, then what Co's and then Cg's head may know of the pixel.
        hidden_co = layer("hidden_co", self.hidden + SURPRISES)
        missing = np.zeros((SURPRISES, hidden_co.weight.shape[1]), np.int8)
        hidden_co = Layer(np.concatenate([hidden_co.weight, missing]), hidden_co.bias, hidden_co.shift)

        def chain(layers: list[Layer], outputs: tuple[int, ...]) -> Chain:
            if threads is None:
                return NumpyChain(layers, True, outputs)
            return OnnxChain(layers, True, outputs, threads)

        hidden_cg = layer("hidden_cg", self.hidden + 2 * SURPRISES)
        head_co, head_cg = (
            head(f"head_{c}", h.weight.shape[1]) for c, h in (("co", hidden_co), ("cg", hidden_cg))
        )
        self._trunk = chain([*trunk, head("head_y", self.hidden)], (depth - 1, depth))
        self._heads = (chain([hidden_co, head_co], (1,)), chain([hidden_cg, head_cg], (1,)))

    def trunk(self, context: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [n, inputs] → (hidden uint8 [n, hidden], raw choice for Y float32 [n, 3])."""
        hidden, choice = self._trunk.run(context)
        return hidden, choice

    def head(self, component: int, row: np.ndarray) -> np.ndarray:
        """uint8 [n, hidden + 6] → raw choice for Co (1) or Cg (2), float32 [n, 3]."""
        return self._heads[component - 1].run(row)[0]


def with_idle_lanes(weight: np.ndarray, offsets: int) -> np.ndarray:
    """Give the first layer's weight [inputs, out] a zero row for each offset's fourth lane."""
    split = COMPONENTS * offsets
    lanes = np.zeros((offsets, LANES, weight.shape[1]), np.int8)
    lanes[:, :COMPONENTS] = weight[:split].reshape(offsets, COMPONENTS, -1)
    return np.concatenate([lanes.reshape(LANES * offsets, -1), weight[split:]])
