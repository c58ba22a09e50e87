"""The residual network of a model, laid out for the wavefront (bitstream_spec.md, section 6)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from saidcodec.errors import ModelError
from saidcodec.integer import Chain, Layer, NumpyChain, OnnxChain
from saidcodec.residual.context import GREAT_MARKS, REFERENCE, WINDOW
from saidcodec.residual.copies import CLUES, LUMA_INPUTS

COMPONENTS = 3
LANES = 4  # a sample's components travel in 64-bit words; the fourth lane is idle
SURPRISES = 3  # what a decoded component adds to the heads after it
CHOICE = 3  # mean, scale index, tail index
FARTHEST = 2  # samples, of the offsets around in the reconstruction
POSITIONS = 3  # flag of the reconstruction, x, y


class ResidualNetwork:
    """Weights of one model, ready to run.

    ``inputs`` is the width of the context rows: four lanes for each offset
    of the window and of ``around``, then the flag of the reconstruction, x, y, the luma inputs of a
    network with copies, and the styles.  ``origins``, int [window], says what each difference of the window
    counts from: 0 the reference, i the window's offset i - 1.  ``extras`` is the width of what the heads of
    Co and Cg read beside the hidden activations: six surprises and the clues of a network with copies.
    ``positions`` is what x and y run to, ``mark`` what marks the style.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], threads: int | None, workers: int = 1):
        """``threads`` of ONNX Runtime in one product, or None for NumPy; ``workers``: how many batches may
        run beside each other.  Raises ModelError if the weights are unfit."""
        self.workers = workers

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

        def head(name: str, inputs: int, outputs: int = CHOICE) -> Layer:
            found = layer(name, inputs)
            if found.weight.shape[1] != outputs:
                raise ModelError(f"The model's residual layer {name} does not have {outputs} outputs.")
            return found

        def offsets_of(name: str) -> tuple[tuple[int, int], ...]:
            found = tensor(name)
            if found.ndim != 2 or found.shape[1] != 2 or found.dtype != np.int8:
                raise ModelError(f"The model's tensor {name} is no list of offsets.")
            return tuple((int(dx), int(dy)) for dx, dy in found)

        self.around = offsets_of("residual.around")
        if max((abs(d) for offset in self.around for d in offset), default=0) > FARTHEST:
            raise ModelError(f"The model looks farther than {FARTHEST} samples around in the reconstruction.")
        self.copies = offsets_of("residual.copies") if "residual.copies" in tensors else ()
        if not set(self.copies) <= {REFERENCE, *WINDOW}:
            raise ModelError("The model copies from outside the window.")
        near = (REFERENCE, *WINDOW)
        origins = (
            offsets_of("residual.origins") if "residual.origins" in tensors else (REFERENCE,) * len(WINDOW)
        )
        if len(origins) != len(WINDOW) or not set(origins) <= set(near):
            raise ModelError("The model's differences do not count from the window.")
        self.origins = np.array([near.index(origin) for origin in origins])
        marks = tensors.get("residual.marks", np.array(GREAT_MARKS, np.int32))
        fit = marks.shape == (2,) and marks.dtype == np.int32
        if not (fit and marks.min() >= 1 and (marks <= GREAT_MARKS).all()):
            raise ModelError("The model's tensor residual.marks is unfit.")
        self.positions, self.mark = marks.tolist()
        lumas = LUMA_INPUTS + 1 + len(WINDOW) if self.copies else 0
        self.clues = CLUES if self.copies else 0
        self.styles = len(tensor("tile.style.frequency"))
        offsets = len(WINDOW) + len(self.around)
        depth = sum(name.startswith("residual.trunk") and name.endswith(".weight") for name in tensors)
        self.hidden = COMPONENTS * offsets + POSITIONS + lumas + self.styles
        trunk = []
        for i in range(max(depth, 1)):
            trunk.append(layer(f"trunk{i}", self.hidden))
            self.hidden = trunk[-1].weight.shape[1]
        self.inputs = LANES * offsets + POSITIONS + lumas + self.styles
        self.extras = 2 * SURPRISES + self.clues

        trunk[0] = Layer(with_idle_lanes(trunk[0].weight, offsets), trunk[0].bias, trunk[0].shift)
        # Both later heads read one row: hidden, the surprises of Y and of Co, the clues.
        hidden_co = layer("hidden_co", self.hidden + SURPRISES + self.clues)
        known = self.hidden + SURPRISES
        weight = np.insert(hidden_co.weight, [known] * SURPRISES, 0, 0)
        hidden_co = Layer(weight, hidden_co.bias, hidden_co.shift)

        def chain(layers: list[Layer], outputs: tuple[int, ...]) -> Chain:
            if threads is None:
                return NumpyChain(layers, True, outputs)
            return OnnxChain(layers, True, outputs, threads)

        hidden_cg = layer("hidden_cg", self.hidden + self.extras)
        head_co, head_cg = (
            head(f"head_{c}", h.weight.shape[1]) for c, h in (("co", hidden_co), ("cg", hidden_cg))
        )
        self._trunk = chain([*trunk, head("head_y", self.hidden)], (depth - 1, depth))
        if self.copies:
            self._copy = chain([head("head_copy", self.hidden, len(self.copies))], (0,))
        self._heads = (chain([hidden_co, head_co], (1,)), chain([hidden_cg, head_cg], (1,)))

    def trunk(self, context: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [n, inputs] → (hidden uint8 [n, hidden], raw choice for Y float32 [n, 3])."""
        hidden, choice = self._trunk.run(context)
        return hidden, choice

    def copy(self, hidden: np.ndarray) -> np.ndarray:
        """uint8 [n, hidden] → raw logits of the questions, float32 [n, copies]."""
        return self._copy.run(hidden)[0]

    def head(self, component: int, row: np.ndarray) -> np.ndarray:
        """uint8 [n, hidden + extras] → raw choice for Co (1) or Cg (2), float32 [n, 3]."""
        return self._heads[component - 1].run(row)[0]


def with_idle_lanes(weight: np.ndarray, offsets: int) -> np.ndarray:
    """Give the first layer's weight [inputs, out] a zero row for each offset's fourth lane."""
    split = COMPONENTS * offsets
    lanes = np.zeros((offsets, LANES, weight.shape[1]), np.int8)
    lanes[:, :COMPONENTS] = weight[:split].reshape(offsets, COMPONENTS, -1)
    return np.concatenate([lanes.reshape(LANES * offsets, -1), weight[split:]])
