"""Integer networks: the one place that runs weights (bitstream_spec.md, section 5).

A layer is ``clamp(round_half_even((x @ weight + bias) * 2**-shift), 0, 255)`` on uint8 inputs with
int8 weights within ±63 and sums below 2**24.  Two engines compute it, equal to the last bit: NumPy
with float32 carrying the integers (exact in any summation order), and ONNX Runtime's int8 kernels
for layers worth the start-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

WEIGHT_MAX = 63
SUM_MAX = 1 << 24
NUMPY_ROWS = 2048  # rows per product, so that intermediate results stay in cache


@dataclass(frozen=True)
class Layer:
    """weight int8 [in, out], bias int32 [out], shift int32 [out]."""

    weight: np.ndarray
    bias: np.ndarray
    shift: np.ndarray

    @cached_property
    def _weight(self) -> np.ndarray:
        return self.weight.astype(np.float32)

    @cached_property
    def _bias(self) -> np.ndarray:
        return self.bias.astype(np.float32)

    @cached_property
    def scale(self) -> np.ndarray:
        """2**-shift as float32, exact; [out]."""
        return np.ldexp(np.float32(1), -self.shift.astype(np.int32)).astype(np.float32)

    def problem(self) -> str | None:
        """Why this layer is none, or could leave the exact range of integers; None if all is well."""
        outputs = self.weight.shape[1:]
        if len(outputs) != 1 or self.bias.shape != outputs or self.shift.shape != outputs:
            return "its shapes do not fit together"
        if self.weight.dtype != np.int8 or self.bias.dtype != np.int32 or self.shift.dtype != np.int32:
            return "it is not of int8 and int32"
        if np.abs(self.weight.astype(np.int32)).max(initial=0) > WEIGHT_MAX:
            return "a weight is beyond ±63"
        peak = 255 * np.abs(self.weight.astype(np.int64)).sum(0) + np.abs(self.bias.astype(np.int64))
        if peak.max(initial=0) >= SUM_MAX:
            return "a sum could reach 2^24"
        if not ((self.shift >= 0) & (self.shift <= 24)).all():
            return "a shift is outside 0 to 24"
        return None

    def raw(self, x: np.ndarray) -> np.ndarray:
        """uint8 [n, in] → exact multiples of 2**-shift, float32 [n, out]; no rounding, no clamp."""
        y = x.astype(np.float32) @ self._weight
        y += self._bias
        y *= self.scale
        return y

    def run(self, x: np.ndarray) -> np.ndarray:
        """uint8 [n, in] → uint8 [n, out]."""
        y = np.empty((len(x), self.weight.shape[1]), np.uint8)
        for start in range(0, len(x), NUMPY_ROWS):
            part = self.raw(x[start : start + NUMPY_ROWS])
            np.rint(part, out=part)
            np.clip(part, 0, 255, out=part)
            y[start : start + NUMPY_ROWS] = part
        return y


def windows3x3(x: np.ndarray) -> np.ndarray:
    """uint8 [n, h, w, c] → the zero-padded 3×3 windows, uint8 [n*h*w, 9*c] in (ky, kx, c) order."""
    n, height, width, channels = x.shape
    padded = np.zeros((n, height + 2, width + 2, channels), np.uint8)
    padded[:, 1:-1, 1:-1] = x
    parts = [padded[:, ky : ky + height, kx : kx + width] for ky in range(3) for kx in range(3)]
    return np.concatenate(parts, -1).reshape(n * height * width, 9 * channels)


class Chain:
    """Layers run one after another; the last may be left raw (see ``Layer.raw``).

    ``outputs`` names the layers whose results are wanted, by index.
    """

    def __init__(self, layers: Sequence[Layer], raw_last: bool, outputs: Sequence[int]):
        self.layers = tuple(layers)
        self.raw_last = raw_last
        self.outputs = tuple(outputs)

    def run(self, x: np.ndarray) -> list[np.ndarray]:
        """uint8 [n, in] → the wanted layers' results."""
        raise NotImplementedError


class NumpyChain(Chain):
    def run(self, x: np.ndarray) -> list[np.ndarray]:
        results = []
        for layer in self.layers[: len(self.layers) - self.raw_last]:
            x = layer.run(x)
            results.append(x)
        if self.raw_last:
            results.append(self.layers[-1].raw(x))
        return [results[i] for i in self.outputs]


class OnnxChain(Chain):
    """The same through ONNX Runtime; built on first use because its import costs 50 ms."""

    def __init__(self, layers: Sequence[Layer], raw_last: bool, outputs: Sequence[int], threads: int):
        super().__init__(layers, raw_last, outputs)
        self.threads = threads

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        from saidcodec.onnx_graph import serialised_chain

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # Steps are short and Python works between them: a spinning thread would only take its core away.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        graph = serialised_chain(self)
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(self, x: np.ndarray) -> list[np.ndarray]:
        results: list[np.ndarray] = self._session.run(None, {"x": x})
        return results
