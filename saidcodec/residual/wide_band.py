"""One band of a wide image ⇄ its stream, which says how it is coded (bitstream_spec.md, section 8.6)."""

from __future__ import annotations

from enum import IntEnum
from functools import partial

import numpy as np

from saidcodec.entropy.rans import Decoder, Encoder, uniform
from saidcodec.errors import CorruptError
from saidcodec.format import planes
from saidcodec.format.header import Header
from saidcodec.format.levels import Levels
from saidcodec.residual import graphics, wide, wide_packed
from saidcodec.residual.mixed import add_head, take_head
from saidcodec.residual.wide_levels import Ladder, ladder_of, take_ladder

MOST_RANKS = 256  # of a channel that may be coded as graphics
REPEATED = 0.3  # of the pixels repeat their left or upper neighbour in what may be graphics
STORED_SLACK = 8  # bytes of a stream that are none of its samples


class WideMethod(IntEnum):
    """How the samples, or ranks, of a band are coded: predicted, as flat graphics, as they are, or packed
    as PNG does it."""

    PREDICTED = 0
    GRAPHICS = 1
    STORED = 2
    PACKED = 3


def order_of(header: Header) -> list[int]:
    """The channels in the order in which they are coded: green before red and blue, alpha last."""
    return [1, 0, *range(2, header.channels)] if header.components > 1 else [*range(header.channels)]


def write(header: Header, channels: np.ndarray, front: bytes = b"") -> bytes:
    """The stream of a band's coded channels, uint16 [h, w, channels], coded in whatever way is the shortest.

    ``front``: bytes that come first.
    """
    samples = np.ascontiguousarray(channels[..., order_of(header)])
    ladder = Ladder() if header.max_error else ladder_of(header, samples)
    stream = predicted(header, samples, ladder, front)
    if ladder.levels and may_be_graphics(ladder.levels, samples):
        stream = min(stream, as_graphics(header, samples, ladder, ladder.levels, front), key=len)
    if not header.max_error and (body := wide_packed.shortest(samples, len(stream))):
        stream = min(stream, packed(header, samples, *body, front), key=len)
    if 8 * (len(stream) - STORED_SLACK) > samples.size * header.depth:
        return stored(header, samples, front)
    return stream


def begin(header: Header, method: WideMethod, ladder: Ladder, front: bytes) -> Encoder:
    """A stream that says how a band is coded, and which levels it has."""
    encoder = Encoder()
    encoder.add(np.frombuffer(front, np.uint8), uniform(256))
    encoder.add(np.array([method]), uniform(len(WideMethod)))
    if method in (WideMethod.PREDICTED, WideMethod.GRAPHICS) and not header.max_error:
        ladder.add(encoder)
    return encoder


def predicted(header: Header, samples: np.ndarray, ladder: Ladder, front: bytes) -> bytes:
    encoder = begin(header, WideMethod.PREDICTED, ladder, front)
    ranks = ladder.levels.ranks(samples) if ladder.levels else samples
    decisions, seen = wide.encode(ranks, ladder.tops(header), header.max_error)
    encoder.add_pushed(partial(wide.push, decisions=decisions))
    return encoder.finish(checksum(header, seen if header.max_error else samples))


def as_graphics(header: Header, samples: np.ndarray, ladder: Ladder, levels: Levels, front: bytes) -> bytes:
    encoder = begin(header, WideMethod.GRAPHICS, ladder, front)
    decisions = graphics.encode(levels.ranks(samples).astype(np.uint8))
    encoder.add_pushed(partial(graphics.push, decisions=decisions))
    return encoder.finish(checksum(header, samples))


def stored(header: Header, samples: np.ndarray, front: bytes) -> bytes:
    encoder = begin(header, WideMethod.STORED, Ladder(), front)
    encoder.add(samples, uniform(1 << header.depth))
    return encoder.finish(checksum(header, samples))


def packed(header: Header, samples: np.ndarray, kind: int, body: bytes, front: bytes) -> bytes:
    encoder = begin(header, WideMethod.PACKED, Ladder(), front)
    encoder.add(np.array([kind]), uniform(wide_packed.FILTERS))
    add_head(body, encoder)
    return encoder.finish(checksum(header, samples))


def checksum(header: Header, samples: np.ndarray) -> int:
    """CRC-32 of the samples uint16 [h, w, channels] of a band in the order in which they are coded, the lower
    byte of a sample first."""
    return planes.checksum(header, samples.astype("<u2"))


def read(header: Header, height: int, decoder: Decoder) -> np.ndarray:
    """The coded channels of a band of so many rows, uint16 [h, w, channels], where nothing follows.

    Raises CorruptError where they are not what was encoded.
    """
    samples = take(header, height, decoder)
    if decoder.finish() != checksum(header, samples):
        raise CorruptError("The checksum of its pixels does not match.")
    channels = np.empty_like(samples)
    channels[..., order_of(header)] = samples
    return channels


def take(header: Header, height: int, decoder: Decoder) -> np.ndarray:
    """The samples of a band in the order in which they are coded.  Raises CorruptError."""
    method = WideMethod(int(decoder.take(uniform(len(WideMethod)), 1)[0]))
    shape = (height, header.width, header.channels)
    if method == WideMethod.STORED:
        if 8 * (decoder.bits() // 8 + STORED_SLACK) < height * header.width * header.channels * header.depth:
            raise CorruptError("A band is shorter than its samples.")
        samples = decoder.take(uniform(1 << header.depth), height * header.width * header.channels)
        return samples.astype(np.uint16).reshape(shape)
    if method == WideMethod.PACKED:
        kind = int(decoder.take(uniform(wide_packed.FILTERS), 1)[0])
        samples = wide_packed.unpacked(take_head(decoder), kind, shape)
        if int(samples.max()) >> header.depth:
            raise CorruptError("A sample has too many bits.")
        return samples
    ladder = Ladder() if header.max_error else take_ladder(header, decoder)
    found = ladder.levels
    if method == WideMethod.GRAPHICS:
        if found is None or found.occurring.sum(1).max() > MOST_RANKS:
            raise CorruptError("A band of graphics has too many levels.")
        ranks, left = graphics.decode(decoder.words(), shape)
        decoder.resume(left)
        return found.values(ranks.astype(np.uint16))
    samples, left = wide.decode(decoder.words(), shape, ladder.tops(header), header.max_error)
    decoder.resume(left)
    return found.values(samples) if found else samples


def may_be_graphics(found: Levels, samples: np.ndarray) -> bool:
    """Whether uint16 [h, w, channels] has few levels and often repeats a neighbour."""
    if found.occurring.sum(1).max() > MOST_RANKS:
        return False
    beside = (samples[1:, 1:] == samples[1:, :-1]).all(-1) | (samples[1:, 1:] == samples[:-1, 1:]).all(-1)
    return beside.size == 0 or float(beside.mean()) >= REPEATED
