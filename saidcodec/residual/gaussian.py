"""The paper's residual code: per tile and component one Gaussian (paper section 3.1, spec section 8).

The residual of x̂(T) is coded with mean zero and the tile's empirical width, which is written as a scale
index in front of the samples.
"""

from __future__ import annotations

import numpy as np

from saidcodec.entropy.bank import REACH, SCALES, SCALES_PER_OCTAVE, SMALLEST_SCALE_LOG2, bank
from saidcodec.entropy.rans import Decoder, Encoder, uniform
from saidcodec.errors import CorruptError
from saidcodec.format.colour import HIGH, LOW


def empirical_scale(residual: np.ndarray) -> int:
    """The scale index nearest to the empirical width of one component's residual."""
    width = max(float(np.sqrt(np.mean(np.square(residual, dtype=np.float64)))), 2.0**SMALLEST_SCALE_LOG2)
    index = round(SCALES_PER_OCTAVE * (np.log2(width) - SMALLEST_SCALE_LOG2))
    return min(int(index), SCALES - 1)


def residual_bits(planes: np.ndarray, means: np.ndarray) -> float:
    """Bits that ``write_tile`` spends on a tile [h, w, components], scale indices included."""
    spent = planes.shape[2] * float(np.log2(SCALES))
    for c in range(planes.shape[2]):
        residual = planes[..., c].astype(np.int32) - means[..., c]
        spent += float(bank().gaussian[empirical_scale(residual)].bits[residual + REACH].sum())
    return spent


def write_tile(planes: np.ndarray, means: np.ndarray, max_error: int, encoder: Encoder) -> np.ndarray:
    """Code a tile int16 [h, w, components]; returns what a decoder will see.

    Of three components the later ones make up for the first one's errors (spec section 7.1).
    """
    decoded, quantum = np.empty_like(planes), 2 * max_error + 1
    for c in range(planes.shape[2]):
        goal = planes[..., c].astype(np.int32)
        if c:
            goal += planes[..., 0] - decoded[..., 0]
        residual = (goal - means[..., c] + max_error) // quantum
        scale = empirical_scale(residual)
        encoder.add(np.array([scale]), uniform(SCALES))
        encoder.add(residual + REACH, bank().gaussian[scale])
        decoded[..., c] = np.clip(means[..., c] + quantum * residual, LOW[c], HIGH)
    return decoded


def read_tile(means: np.ndarray, max_error: int, decoder: Decoder) -> np.ndarray:
    """The tile int16 [h, w, components] that ``write_tile`` coded; CorruptError on an impossible sample."""
    planes = np.empty(means.shape, np.int16)
    for c in range(means.shape[-1]):
        scale = int(decoder.take(uniform(SCALES), 1)[0])
        symbols = decoder.take(bank().gaussian[scale], planes[..., c].size)
        residual = (symbols - REACH).reshape(planes.shape[:2])
        values = means[..., c] + (2 * max_error + 1) * residual
        inside = np.clip(values, LOW[c], HIGH)
        if not max_error and (values != inside).any():
            raise CorruptError("The residual section decodes to an impossible sample.")
        planes[..., c] = inside
    return planes
