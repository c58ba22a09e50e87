"""What images and bands will take, told by a small part of them: in which transform of its colours a band is
shortest, whether an image learns better by parity, and whether a band is worth coding beside what it was made
of.

Nothing here is part of the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from saidcodec.format import colour, planes
from saidcodec.format.colour import Transform
from saidcodec.format.header import Header
from saidcodec.models import Model
from saidcodec.parallel import in_threads
from saidcodec.residual import engine
from saidcodec.residual.band import Method, measure, method_of, plane_of, probes
from saidcodec.residual.engine import LENGTH_BITS

PARTS, ROWS, COLUMNS = 8, 16, 64  # of a band: how many parts are coded, and their size
PATCH_ROWS, PATCH_COLUMNS = 64, 256  # of an image, to see whether it learns better by parity
EARLY = 0.005  # by which a patch may take more by parity, which learns from fewer samples at first
MARGIN = 0.002  # by which differences must be shorter than YCoCg
FAR = 0.8  # times what a band is expected to take
TURN = 0.618034  # spreads parts evenly over the columns, however many there are


def shortest(
    method: Method, model: Model, channels: np.ndarray, among: Sequence[Transform], threads: int
) -> Transform:
    """The transform in which parts of colour channels uint8 [h, w, channels] take the fewest words.

    All are in the style that most tiles have.  YCoCg, where it is among them, must be beaten by a margin.
    """
    part = parts_of(channels[..., :3])

    def words(transform: Transform) -> float:
        spent = words_of(method.sharing, model, colour.forward(part, transform))
        return spent * (1 - MARGIN) if transform == Transform.YCOCG else spent

    spent = [*in_threads(words, among, threads)]
    return among[spent.index(min(spent))]


def learns_by_parity(header: Header, model: Model, channels: np.ndarray, threads: int) -> bool:
    """Whether an image's coded channels uint8 [h, w, channels] take fewer bits with weights for each parity
    (spec section 6.9), as those do that a sensor's pattern of colours or halved chroma has gone through.  The
    middle of it tells."""
    height, width = channels.shape[:2]
    y, x = (max(side - part, 0) // 4 * 2 for side, part in ((height, PATCH_ROWS), (width, PATCH_COLUMNS)))
    patch = planes.colour_of(header, channels[y : y + PATCH_ROWS, x : x + PATCH_COLUMNS])
    method = method_of(header, model)

    def words(by_parity: bool) -> int:
        return words_of(method._replace(by_parity=by_parity), model, patch)

    shared, apart = in_threads(words, (False, True), threads)
    return apart < shared * (1 + EARLY)


def words_of(method: Method, model: Model, components: np.ndarray) -> int:
    """Words of 32 bits that planes int16 [h, w, components] take in the usual style."""
    assert method.network
    # Near-lossless the engine leaves in a plane what a decoder will see.
    plane = plane_of(components.copy() if method.max_error else components, max_error=method.max_error)
    styles = usual_styles(model, components.shape)
    plane = replace(plane, styles=styles, adaptive=method.adaptive, by_parity=method.by_parity)
    symbols = engine.current().symbols(method.network, plane)
    return engine.current().push(np.zeros(0, np.uint32), symbols).size


def usual_styles(model: Model, shape: tuple[int, ...]) -> np.ndarray:
    """The style that most tiles have, at every sample; uint8 [h, w]."""
    return np.full(shape[:2], model.tensors["tile.style.frequency"].argmax(), np.uint8)


def is_far_shorter(stream: bytes, header: Header, method: Method, model: Model, channels: np.ndarray) -> bool:
    """Whether a stream is shorter by far than the colours of a band, uint8 [h, w, channels], can be.

    Samples all over the band are measured under the network alone, and parts of it are coded, with what they
    learn; both must say so.  A model whose glimpses may pay is not asked.
    """
    if method.network is None or model.sees_reconstruction:
        return False
    components = planes.colour_of(header, channels)
    height, width = components.shape[:2]
    pixels = height * width
    plane = replace(plane_of(components), styles=usual_styles(model, components.shape))
    probed = probes((slice(0, height), slice(0, width)), width)
    alone = measure(method.network, plane, probed).mean() / (1 << LENGTH_BITS)
    if 8 * len(stream) >= FAR * alone * pixels:
        return False
    part = parts_of(components)
    coded = 32 * words_of(method.sharing, model, part) / (part.shape[0] * part.shape[1])
    return bool(8 * len(stream) < FAR * coded * pixels)


def parts_of(samples: np.ndarray) -> np.ndarray:
    """Some parts of a band [h, w, channels], one below the other; [rows, columns, channels]."""
    height, width = samples.shape[:2]
    rows, columns = min(ROWS, height), min(COLUMNS, width)
    count = max(1, min(PARTS, height // rows))
    tops = np.linspace(0, height - rows, count).astype(int)
    lefts = (np.arange(count) * TURN % 1 * (width - columns)).astype(int)
    return np.concatenate([samples[y : y + rows, x : x + columns] for y, x in zip(tops, lefts, strict=True)])
