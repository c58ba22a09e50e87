"""An image with one model → a file: its header, its bands, what stands before them.

Each band is planned (``plan``), its residual is coded (``residual.band``) as it is or as what it was made of
(``sources``), and what was planned (``said.section``) comes before the first band's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saidcodec import arguments
from saidcodec.encoder import forms
from saidcodec.encoder.plan import Plan, plan_band
from saidcodec.encoder.sources import Sources
from saidcodec.encoder.transforms import shortest
from saidcodec.entropy.rans import Encoder, uniform
from saidcodec.format import container, planes
from saidcodec.format.colour import DIFFERENCES, Transform
from saidcodec.format.header import ADAPTIVE_PIXELS, MOST_DECIDED_WIDTH, Header, Metadata, ResidualCoder
from saidcodec.format.presentation import Presentation
from saidcodec.format.tiling import Band, Tiling, choose_tiling
from saidcodec.models import Model
from saidcodec.parallel import Progress, in_threads
from saidcodec.residual import band as residual
from saidcodec.residual import mixed
from saidcodec.residual.band import Method, Outline, method_of, network_of
from saidcodec.residual.mixed import Differences, Source
from saidcodec.said import Description, write_section

CODERS = {name: ResidualCoder[name.upper()] for name in arguments.RESIDUALS}
STORED_SLACK = 6  # bytes of a stream that are none of its samples


def header_of(
    pixels: np.ndarray,
    presentation: Presentation,
    model: Model,
    residual: str,
    max_error: int,
    effort: str,
) -> Header:
    """The header of an image, H×W or H×W×C, that is encoded with one model."""
    height, width = pixels.shape[:2]
    mode = forms.coded_mode(presentation)
    replicated = planes.is_replicated(pixels, mode)
    coder = CODERS[residual]
    adaptive = coder == ResidualCoder.CONTEXT and is_large(width, height) and effort != "fast"
    decided = adaptive and effort == "best" and not max_error and width <= MOST_DECIDED_WIDTH
    tiling = choose_tiling(width, height)
    header = Header(width, height, mode, replicated, coder, max_error, model.id, *tiling, adaptive, decided)
    header = forms.in_form(header, presentation)
    if header.has_order and header.coder == ResidualCoder.CONTEXT and effort != "fast":
        rgb = planes.channels_of(header, pixels)[..., :3]
        found = shortest(network_of(model), usual_style(model), adaptive, rgb, DIFFERENCES, max_error)
        header = header._replace(differences=found)
    return header


def usual_style(model: Model) -> int:
    """The style that most tiles have."""
    return int(model.tensors["tile.style.frequency"].argmax())


def sources_of(header: Header, pixels: np.ndarray, effort: str, looks: bool, kept: bool) -> Sources | None:
    """What an image may have been made of, where that is asked; ``looks``: of small images, too; ``kept`` as
    for ``Sources``."""
    large = is_large(header.width, header.height)
    asked = effort == "best" or header.flat or (effort == "normal" and (large or looks))
    if not asked or header.coder != ResidualCoder.CONTEXT or header.max_error:
        return None
    return Sources(header, planes.channels_of(header, pixels), effort == "best", kept)


def is_large(width: int, height: int) -> bool:
    """Whether an image is long enough to learn from."""
    return width * height >= ADAPTIVE_PIXELS


def write(
    header: Header,
    model: Model,
    pixels: np.ndarray,
    metadata: Metadata,
    glimpses: int | None,
    sources: Sources | None,
    threads: int,
    progress: Progress,
) -> bytes:
    """Encode with one model: bands, then the sections around them."""
    method, bands = method_of(header, model), Tiling.of(header).bands()
    channels = planes.channels_of(header, pixels)
    within = threads if len(bands) == 1 else 1  # threads that share one band

    def coded(band: Band) -> tuple[Plan, bytes, bool]:
        one = code_band(header, model, method, band, channels[band.rows], glimpses, sources, within)
        return one.plan, one.stream, one.mixed  # its symbols are many times as large

    written = [*in_threads(coded, bands, threads, progress)]
    streams = [stream for _, stream, _ in written]
    if any(is_mixed for *_, is_mixed in written):
        header = header._replace(coder=ResidualCoder.MIXED)
        streams = [stream if is_mixed else mixed.plain(stream) for _, stream, is_mixed in written]
    kinds = [kind for plan, *_ in written for kind in plan.kinds.tolist()]
    descriptions = [description for plan, *_ in written for description in plan.descriptions]
    return join(header, model, metadata, kinds, descriptions, streams)


def join(
    header: Header,
    model: Model,
    metadata: Metadata,
    kinds: Sequence[int],
    descriptions: Sequence[Description | None],
    streams: Sequence[bytes],
) -> bytes:
    """The file of the bands' streams: the SAID section and the head's checksum come before the first."""
    head = container.head_of(header, metadata)
    first = Encoder()
    write_section(kinds, descriptions, header.grey, model, first)
    first.add(np.frombuffer(container.head_check(head, model.id), np.uint8), uniform(256))
    first.add_stream(streams[0])
    return container.pack(header, head, [first.finish(), *streams[1:]])


@dataclass(frozen=True)
class CodedBand:
    """A band that can be written.

    ``encoder`` has collected its residual, which ``stream`` holds over its checksum.  ``decoded``: the band's
    channels as a decoder will see them, uint8 [h, w, channels].  ``mixed``: it is coded as what it was made
    of.
    """

    plan: Plan
    encoder: Encoder
    stream: bytes
    decoded: np.ndarray
    mixed: bool

    @classmethod
    def of(
        cls, header: Header, plan: Plan, encoder: Encoder, decoded: np.ndarray, mixed: bool = False
    ) -> CodedBand:
        return cls(plan, encoder, encoder.finish(planes.checksum(header, decoded)), decoded, mixed)


def code_band(
    header: Header,
    model: Model,
    method: Method,
    band: Band,
    channels: np.ndarray,
    glimpses: int | None,
    sources: Sources | None,
    threads: int,
) -> CodedBand:
    """Code one band, uint8 [h, w, channels], as it is or as what it was made of, whichever is shorter."""
    found = None
    for source in sources.of(band, channels) if sources else ():
        made = code_source(header, method, band, channels, source)
        if found is None or len(made.stream) < len(found.stream):
            found = made
    if found is None or not (sources and sources.suffice) or len(found.stream) > channels.size:
        as_it_is = write_band(header, model, method, band, channels, glimpses, sources, threads)
        if found is None or len(as_it_is.stream) <= len(found.stream):
            found = as_it_is
    return found


def code_source(
    header: Header, method: Method, band: Band, channels: np.ndarray, source: Source
) -> CodedBand:
    """Code one band, uint8 [h, w, channels], as what it was made of."""
    encoder = Encoder()
    mixed.add(header, method, Outline.plain(band), channels, source, encoder)
    return CodedBand.of(header, Plan.plain(len(band.places)), encoder, channels, mixed=True)


def write_band(
    header: Header,
    model: Model,
    method: Method,
    band: Band,
    channels: np.ndarray,
    glimpses: int | None,
    sources: Sources | None,
    threads: int,
) -> CodedBand:
    """Code one band, uint8 [h, w, channels], as it is, in the transform of its colours that seems to suit it;
    a thorough search tries two."""
    plan = plan_band(header, model, method.network, band, channels, glimpses, threads)
    if header.coder == ResidualCoder.NONE:
        size = (band.height, band.width)
        shown = planes.without_residual(header, plan.reconstruction, size)
        return CodedBand.of(header, plan, Encoder(), shown)
    apart = None
    if sources and method.network and plan.is_plain and not header.grey:
        style, among = usual_style(model), DIFFERENCES if sources.thorough else tuple(Transform)
        transform = shortest(method.network, style, method.adaptive, channels[..., :3], among)
        if transform != Transform.YCOCG:
            apart = code_source(header, method, band, channels, Differences(transform))
        if apart and not sources.thorough:
            return apart
    found = plain_band(header, method, Outline(band, plan.stored, plan.reconstruction), plan, channels)
    if len(found.stream) > channels.size + STORED_SLACK:
        plan = plan.all_stored()
        found = plain_band(header, method, Outline(band, plan.stored, None), plan, channels)
    return apart if apart and len(apart.stream) < len(found.stream) else found


def plain_band(
    header: Header, method: Method, outline: Outline, plan: Plan, channels: np.ndarray
) -> CodedBand:
    """Code one band as it was planned."""
    encoder = Encoder()
    decoded = residual.add(header, method, outline, channels, encoder)
    return CodedBand.of(header, plan, encoder, decoded)
