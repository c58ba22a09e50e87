"""Latents in steps: from means to symbols, to the decoder's bytes, and what they cost (spec section 9.5)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from saidcodec.entropy.rans import Table
from saidcodec.models import Model
from saidcodec.said.description import LATENTS
from saidcodec.tensors import bounded, table_rows

LATENT_REACH = 64  # a quantised latent lies in -64 .. 64
LATENT_SYMBOLS = 2 * LATENT_REACH + 1
LATENT_UNITS = 32  # multiplier units in one latent unit
POSTERIOR_UNITS = 1024
ZERO = 128  # the byte of a latent of 0


@lru_cache(maxsize=32)
def multiplier(model: Model) -> np.ndarray:
    """One step of each dimension in 1/32 of a latent unit, int32 [10].  Raises ModelError."""
    return bounded(model, "said.latent.multiplier", LATENTS, 1, 128)


def latent_tables(model: Model) -> list[Table]:
    """A table of q + 64 for each dimension.  Raises ModelError."""
    return table_rows(model, "said.latent.frequency", (LATENTS, LATENT_SYMBOLS))


def quantise(means: np.ndarray, model: Model) -> np.ndarray:
    """Latents in latent units, float [n, 10] → in steps, int32 [n, 10].  Encoder side."""
    steps = np.rint(means * LATENT_UNITS / multiplier(model))
    return np.clip(steps, -LATENT_REACH, LATENT_REACH).astype(np.int32)


def dequantise(latents: np.ndarray, model: Model) -> np.ndarray:
    """Latents in steps, int [n, 10] → in latent units, float32 [n, 10]."""
    return (latents * multiplier(model) / LATENT_UNITS).astype(np.float32)


def as_bytes(latents: np.ndarray, model: Model) -> np.ndarray:
    """Quantised latents [n, 10] → what the decoder network reads, uint8 [n, 10]."""
    return np.clip(ZERO + latents.astype(np.int32) * multiplier(model), 0, 255).astype(np.uint8)


def latent_bits(latents: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Bits of quantised latents [n, 10] by those of every symbol, float64 [10, 129]; float64 [n]."""
    return np.asarray(bits[np.arange(LATENTS), latents + LATENT_REACH].sum(1))


def kl_bits(latents: np.ndarray, model: Model) -> np.ndarray:
    """KL(q(z) ‖ N(0, I)) in bits of the dequantised latents under the model's mean posterior width;
    float64 [n]."""
    mean = dequantise(latents, model)
    width = bounded(model, "said.latent.posterior", LATENTS, 1, 1 << 20) / POSTERIOR_UNITS
    return 0.5 * (mean**2 + width**2 - 1 - np.log(width**2)).sum(1) / np.log(2)
