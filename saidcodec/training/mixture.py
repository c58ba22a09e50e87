"""The Gaussian scale mixture behind the residual tables, as real-valued formulas.

A sample is modelled as its predicted mean plus noise from a mixture whose shape two numbers
choose: the scale index (the width of the core) and the tail index (how much weight lies outside
the core).  ``build_tables.py`` freezes the mixture into integers; training evaluates the same
formulas at real-valued indices, so the network learns on exactly the family it will be
quantised to.  The decoder never evaluates them (bitstream_spec.md, section 7).
"""

from typing import Any

from saidcodec.entropy.bank import SCALES_PER_OCTAVE, SMALLEST_SCALE_LOG2

CERTAINTY_LOG2 = 2.0  # index 0 lies this much lower still, for regions without any noise

CORE_SPREADS = (1.0, 3.0, 9.0)  # component widths in units of the core's width
BROAD_SCALES = (2.0, 8.0, 32.0, 96.0)  # components for outliers, in sample values


def scale_of(index: Any) -> Any:
    """Width of the core, in sample values, at a (real-valued) scale index."""
    certain = (1.0 - index) * (index < 1.0)
    return 2.0 ** (index / SCALES_PER_OCTAVE + SMALLEST_SCALE_LOG2 - CERTAINTY_LOG2 * certain)


def heavy_weight(tail: Any) -> Any:
    """Weight ratio of each wider core component to the one before it."""
    return 2.0 ** (1.4 * tail - 5.0)


def outlier_weight(tail: Any, scale: Any) -> Any:
    """Weight of the broad components; it matters where the core is narrower than a sample."""
    narrow = 0.3 / scale
    narrow = narrow * (narrow < 1.0) + 1.0 * (narrow >= 1.0)
    return 2.0 ** (2.8 * tail - 12.0) * narrow * narrow + 2.0**-14


def components(scale_index: Any, tail: Any) -> list[tuple[Any, Any]]:
    """Pairs (weight, width) of the mixture; the weights sum to one."""
    scale = scale_of(scale_index)
    heavy = heavy_weight(tail)
    outliers = outlier_weight(tail, scale)
    core = (1.0 - outliers) / (1.0 + heavy + heavy * heavy)
    pairs = [
        (core, scale * CORE_SPREADS[0]),
        (core * heavy, scale * CORE_SPREADS[1]),
        (core * heavy * heavy, scale * CORE_SPREADS[2]),
    ]
    pairs += [(outliers / len(BROAD_SCALES), width) for width in BROAD_SCALES]
    return pairs
