"""One band of a mixed file ⇄ its stream, which says how the band is coded (bitstream_spec.md, section 8.2).

Pictures that were 8-bit luma and chroma once, or whose levels were stretched, use few of the colours that
there are.  They are coded as what they were made of: luma and chroma of a known map, or ranks of levels.
Other bands have components of another transform.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from saidcodec.entropy.rans import Decoder, Encoder, uniform
from saidcodec.errors import CorruptError
from saidcodec.format import levels, maps, planes
from saidcodec.format.colour import DIFFERENCES, Transform
from saidcodec.format.gradients import differences, sums
from saidcodec.format.header import BandMethod, Header
from saidcodec.format.levels import Levels
from saidcodec.format.maps import Mapped, Siting
from saidcodec.format.tiling import Band
from saidcodec.residual import band as residual
from saidcodec.residual import graphics
from saidcodec.residual.band import Method, Outline, plane_of, read_plane, write_plane
from saidcodec.residual.engine import Plane

MIDDLE_CHROMA = 128
HEAD_BYTES = 4  # of a head's length
MOST_HEAD = 1 << 26  # bytes


@dataclass(frozen=True)
class Graphics:
    """A band of flat colours, or of ``gradients``: there is nothing else to know of it beforehand."""

    gradients: bool = False


@dataclass(frozen=True)
class Differences:
    """A band of one channel and the differences of the others from it."""

    transform: Transform


Source = Levels | Mapped | Graphics | Differences  # what a band was made of, or is best taken for


def write(header: Header, method: Method, outline: Outline, channels: np.ndarray, source: Source) -> bytes:
    """The stream of a band's coded channels uint8 [h, w, channels], as what it was made of."""
    encoder = Encoder()
    add(header, method, outline, channels, source, encoder)
    return encoder.finish(planes.checksum(header, channels))


def add(
    header: Header, method: Method, outline: Outline, channels: np.ndarray, source: Source, encoder: Encoder
) -> None:
    """Add a band's coded channels uint8 [h, w, channels] to a stream, as what it was made of."""
    if isinstance(source, Levels):
        encoder.add(np.array([BandMethod.LEVELS]), uniform(len(BandMethod)))
        add_head(source.head(), encoder)
        colours = len(source.occurring)
        ranks = np.concatenate([source.ranks(channels[..., :colours]), channels[..., colours:]], -1)
        residual.add(header, method.sharing, outline, ranks, encoder)
    elif isinstance(source, Graphics):
        how = BandMethod.GRADIENTS if source.gradients else BandMethod.GRAPHICS
        encoder.add(np.array([how]), uniform(len(BandMethod)))
        add_graphics(header, outline, channels, source.gradients, encoder)
    elif isinstance(source, Differences):
        encoder.add(np.array([BandMethod.DIFFERENCES]), uniform(len(BandMethod)))
        encoder.add(np.array([DIFFERENCES.index(source.transform)]), uniform(len(DIFFERENCES)))
        residual.add(header, method._replace(transform=source.transform), outline, channels, encoder)
    else:
        encoder.add(np.array([BandMethod.MAPPED]), uniform(len(BandMethod)))
        add_head(source.head(), encoder)
        add_mapped(header, method.sharing, outline, source, channels, encoder)


def take(header: Header, method: Method, outline: Outline, decoder: Decoder) -> np.ndarray:
    """The coded channels that ``add`` added, uint8 [h, w, channels].  Raises CorruptError."""
    how = BandMethod(int(decoder.take(uniform(len(BandMethod)), 1)[0]))
    flat = how in (BandMethod.GRAPHICS, BandMethod.GRADIENTS)
    if not flat:  # whose runs are all but free
        residual.check_length(method, 1, outline.band, decoder)  # chroma may be fewer samples
    free = how in (BandMethod.PLAIN, BandMethod.DIFFERENCES)  # to have stored tiles
    predicted = outline.reconstruction is not None and how != BandMethod.PLAIN
    if predicted or (outline.stored.any() and not free):
        raise CorruptError("A band has tiles that its method does not have.")
    if how == BandMethod.MAPPED:
        channels = take_mapped(header, method.sharing, outline, take_head(decoder), decoder)
    elif flat:
        channels = take_graphics(header, outline, how == BandMethod.GRADIENTS, decoder)
    elif how == BandMethod.LEVELS:
        found = levels.parse_levels(take_head(decoder), header.components)
        ranks = residual.take(header, method.sharing, outline, decoder)
        colours = header.components
        channels = np.concatenate([found.values(ranks[..., :colours]), ranks[..., colours:]], -1)
    elif how == BandMethod.DIFFERENCES:
        if header.grey:
            raise CorruptError("A grey band has no differences of channels.")
        transform = DIFFERENCES[int(decoder.take(uniform(len(DIFFERENCES)), 1)[0])]
        channels = residual.take(header, method._replace(transform=transform), outline, decoder)
    else:
        channels = residual.take(header, method, outline, decoder)
    return channels


def plain(stream: bytes) -> bytes:
    """The stream of a band of a file that is not mixed as one of a file that is."""
    encoder = Encoder()
    encoder.add(np.array([BandMethod.PLAIN]), uniform(len(BandMethod)))
    encoder.add_stream(stream)
    return encoder.finish()


def add_head(head: bytes, encoder: Encoder) -> None:
    """Bytes with their length before them."""
    whole = len(head).to_bytes(HEAD_BYTES, "little") + head
    encoder.add(np.frombuffer(whole, np.uint8), uniform(256))


def take_head(decoder: Decoder) -> bytes:
    """What ``add_head`` added.  Raises CorruptError."""
    length = int.from_bytes(decoder.take(uniform(256), HEAD_BYTES).astype(np.uint8).tobytes(), "little")
    if length > min(MOST_HEAD, 4 * len(decoder.words()) + 8):
        raise CorruptError("The head of a band is longer than the band.")
    return decoder.take(uniform(256), length).astype(np.uint8).tobytes()


def add_graphics(
    header: Header, outline: Outline, channels: np.ndarray, gradients: bool, encoder: Encoder
) -> None:
    """Add a band's channels or their differences as flat graphics; alpha goes with the colours unless it is
    constant."""
    constant = False
    if header.has_alpha:
        alpha = plane_of(planes.alpha_of(channels), outline.coded())
        constant = residual.add_alpha_head(alpha, encoder)
    samples = channels[..., : header.components] if constant else channels
    decisions = graphics.encode(differences(samples) if gradients else samples)
    encoder.add_pushed(lambda words: graphics.push(words, decisions))


def take_graphics(header: Header, outline: Outline, gradients: bool, decoder: Decoder) -> np.ndarray:
    """What ``add_graphics`` added, uint8 [h, w, channels]."""
    height, width = outline.band.height, outline.band.width
    alpha = plane_of(np.zeros((height, width, 1), np.int16), outline.coded())
    constant = header.has_alpha and residual.take_alpha_head(alpha, decoder)
    count = header.components if constant else header.channels
    channels, words = graphics.decode(decoder.words(), (height, width, count))
    decoder.resume(words)
    if gradients:
        channels = sums(channels)
    return np.concatenate([channels, alpha.samples.astype(np.uint8)], -1) if constant else channels


def mapped_planes(outline: Outline, source: Mapped) -> list[tuple[Outline, Plane]]:
    """The planes of a mapped band: luma and chroma as one where both are of the same size, else luma and both
    chroma planes by themselves."""
    luma, chroma = source.luma.astype(np.int16), source.chroma.astype(np.int16)
    if source.layout.siting == Siting.FULL:
        whole = np.concatenate([luma[..., None], chroma - MIDDLE_CHROMA], -1)
        return [(outline, plane_of(whole))]
    rows, columns = chroma.shape[:2]
    place = (slice(0, rows), slice(0, columns))
    one_tile = Band(slice(0, rows), columns, slice(0, 1), (place,))
    small = Outline.plain(one_tile)
    parts = [(outline, luma), (small, chroma[..., 0]), (small, chroma[..., 1])]
    return [(own, plane_of(part[..., None])) for own, part in parts]


def add_mapped(
    header: Header, method: Method, outline: Outline, source: Mapped, channels: np.ndarray, encoder: Encoder
) -> None:
    """Add the planes of a mapped band, then its alpha."""
    alpha, constant = None, True
    if header.has_alpha:
        alpha = plane_of(planes.alpha_of(channels), outline.coded())
        constant = residual.add_alpha_head(alpha, encoder)
    for own, plane in mapped_planes(outline, source):
        write_plane(method, own, plane, encoder)
    if alpha is not None and not constant:
        write_plane(method, outline, alpha, encoder)


def take_mapped(
    header: Header, method: Method, outline: Outline, head: bytes, decoder: Decoder
) -> np.ndarray:
    """What ``add_mapped`` added, uint8 [h, w, channels].  Raises CorruptError."""
    height, width = outline.band.height, outline.band.width
    if header.components != 3:
        raise CorruptError("A grey band has no colour map.")
    source, length = maps.parse_head(head, height, width)
    if length != len(head):
        raise CorruptError("The head of a mapped band has bytes too many.")
    alpha, constant = None, True
    if header.has_alpha:
        alpha = plane_of(np.zeros((height, width, 1), np.int16), outline.coded())
        constant = residual.take_alpha_head(alpha, decoder)
    found = []
    for own, plane in mapped_planes(outline, source):
        read_plane(method, own, plane, decoder)
        found.append(plane.samples)
    if len(found) == 1:
        found = [found[0][..., :1], found[0][..., 1:] + MIDDLE_CHROMA]
    else:
        found = [found[0], np.concatenate(found[1:], -1)]
    if any((part < 0).any() or (part > 255).any() for part in found):
        raise CorruptError("A mapped band decodes to luma or chroma that there is not.")
    luma, chroma = (part.astype(np.uint8) for part in found)
    pixels = maps.settled(source, luma[..., 0], chroma).pixels()
    if alpha is None:
        return pixels
    if not constant:
        read_plane(method, outline, alpha, decoder)
    return np.concatenate([pixels, alpha.samples.astype(np.uint8)], -1)
