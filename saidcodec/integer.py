"""Integer networks: the one place in Python that runs weights (bitstream_spec.md, section 5).

A layer is ``clamp(round_half_even((x @ weight + bias) * 2**-shift), 0, 255)`` on uint8 inputs with int8
weights within ±63 and sums below 2**24.  Float32 carries the integers, exact in any summation order.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np

WEIGHT_MAX = 63
SUM_MAX = 1 << 24
NUMPY_ROWS = 2048  # rows at once, so that intermediate results stay in cache
ONE_THREAD = 1 << 18  # multiply-adds of a product up to which OpenBLAS stays in the calling thread


def product(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """float32 [n, in] @ [in, out], in parts so small that NumPy's BLAS starts no threads.

    The codec has threads of its own, beside which those of small products mostly wait for each other.
    """
    rows = max(1, ONE_THREAD // weight.size)
    whole = len(x) // rows * rows
    y = np.empty((len(x), weight.shape[1]), np.float32)
    np.matmul(x[:whole].reshape(-1, rows, x.shape[1]), weight, out=y[:whole].reshape(-1, rows, y.shape[1]))
    np.matmul(x[whole:], weight, out=y[whole:])
    return y


class Layer:
    """weight int8 [in, out], bias int32 [out], shift int32 [out]; not to be changed."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray, shift: np.ndarray):
        self.weight, self.bias, self.shift = weight, bias, shift

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
        sizes = np.abs(self.weight.astype(np.int16))
        if sizes.max(initial=0) > WEIGHT_MAX:
            return "a weight is beyond ±63"
        peak = 255 * sizes.sum(0, dtype=np.int64) + np.abs(self.bias.astype(np.int64))
        if peak.max(initial=0) >= SUM_MAX:
            return "a sum could reach 2^24"
        if not ((self.shift >= 0) & (self.shift <= 24)).all():
            return "a shift is outside 0 to 24"
        return None

    def raw(self, x: np.ndarray) -> np.ndarray:
        """Integers 0..255 of any type [n, in] → exact multiples of 2**-shift, float32 [n, out]; no rounding,
        no clamp."""
        y = product(x.astype(np.float32, copy=False), self._weight)
        y += self._bias
        y *= self.scale
        return y

    def rounded(self, x: np.ndarray) -> np.ndarray:
        """The same rounded and clamped to 0..255, still float32: what the next layer reads."""
        y = self.raw(x)
        np.rint(y, out=y)
        return y.clip(0, 255, out=y)

    def run(self, x: np.ndarray) -> np.ndarray:
        """uint8 [n, in] → uint8 [n, out]."""
        y = np.empty((len(x), self.weight.shape[1]), np.uint8)
        for start in range(0, len(x), NUMPY_ROWS):
            y[start : start + NUMPY_ROWS] = self.rounded(x[start : start + NUMPY_ROWS])
        return y


def windows3x3(x: np.ndarray, doubled: bool = False) -> np.ndarray:
    """[n, h, w, c] → the zero-padded 3×3 windows, [n*h*w, 9*c] in (ky, kx, c) order; ``doubled``: those of
    x with every row and column twice."""
    n, height, width, channels = x.shape
    padded = np.empty((n, height * width + 1, channels), x.dtype)
    padded[:, :-1] = x.reshape(n, height * width, channels)
    padded[:, -1] = 0
    return padded.take(window_indices(height, width, doubled), 1).reshape(-1, 9 * channels)


@lru_cache(maxsize=16)
def window_indices(height: int, width: int, doubled: bool) -> np.ndarray:
    """Where the places of all windows lie among height * width inputs, the next one for those outside; int
    [places * 9]."""
    rows, columns = height << doubled, width << doubled
    y, x, ky, kx = np.indices((rows, columns, 3, 3)).reshape(4, -1)
    y, x = y + ky - 1, x + kx - 1
    inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
    return np.where(inside, (y >> doubled) * width + (x >> doubled), height * width)
