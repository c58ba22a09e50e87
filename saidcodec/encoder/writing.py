"""An image with one model → a file: its header, its bands, what stands before them.

Each band is planned (``plan``), and its residual is coded (``residual.band``) as it is, as what it was made
of (``sources``), or in another transform of its colours (``estimate``).  What was planned
(``said.section``) comes before the first band's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saidcodec import arguments
from saidcodec.encoder import forms
from saidcodec.encoder.estimate import is_far_shorter, learns_by_parity, shortest
from saidcodec.encoder.plan import Plan, plan_band
from saidcodec.encoder.refine import proposal_of
from saidcodec.encoder.sources import Sources
from saidcodec.entropy.rans import Encoder, uniform
from saidcodec.format import container, planes
from saidcodec.format.colour import DIFFERENCES, Transform
from saidcodec.format.header import ADAPTIVE_PIXELS, MOST_DECIDED_WIDTH, Header, Metadata, ResidualCoder
from saidcodec.format.presentation import Presentation
from saidcodec.format.tiling import Band, Tiling, choose_tiling, tiling_of_objects
from saidcodec.models import Model
from saidcodec.parallel import Progress, in_threads
from saidcodec.residual import band as residual
from saidcodec.residual import mixed
from saidcodec.residual.band import Method, Outline, method_of
from saidcodec.residual.mixed import Differences, Source
from saidcodec.said import Description, write_section

CODERS = {name: ResidualCoder[name.upper()] for name in arguments.RESIDUALS}
STORED_SLACK = 6  # bytes of a stream that are none of its samples
CLOSE = 1.03  # times the stream of what a band was made of: another transform may be shorter yet
SMALL_BAND = 1 << 15  # pixels, of which the parts that are tried tell too little


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
    tiling = (tiling_of_objects if proposal_of(model) else choose_tiling)(width, height)
    header = Header(width, height, mode, replicated, coder, max_error, model.id, *tiling, adaptive, decided)
    return forms.in_form(header, presentation)


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
    suited: bool,
    threads: int,
    progress: Progress,
) -> bytes:
    """Encode with one model: bands, then the sections around them.

    ``suited``: in the transform of colours that suits the image, or each band.
    """
    channels = planes.channels_of(header, pixels)
    if suited and header.has_order and header.coder == ResidualCoder.CONTEXT:
        found = shortest(method_of(header, model), model, channels, DIFFERENCES, threads)
        header = header._replace(differences=found)
    if header.adaptive and not header.flat:
        header = header._replace(by_parity=learns_by_parity(header, model, channels, threads))
    method, bands = method_of(header, model), Tiling.of(header).bands()
    within = threads if len(bands) == 1 else 1  # threads that share one band

    def coded(band: Band) -> tuple[Plan, bytes, bool]:
        one = code_band(header, model, method, band, channels[band.rows], glimpses, sources, suited, within)
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
    of, or in another transform.
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
    suited: bool,
    threads: int,
) -> CodedBand:
    """Code one band, uint8 [h, w, channels], as it is or as what it was made of, whichever is shorter.

    ``suited``: in the transform of its colours that suits it, unless it is shorter as what it was made of.
    """
    found, thorough = None, sources is not None and sources.thorough
    for source in sources.of(band, channels) if sources else ():
        made = code_source(
            header, method, Outline.plain(band), Plan.plain(len(band.places)), channels, source
        )
        if found is None or len(made.stream) < len(found.stream):
            found = made
    if sources and found and len(found.stream) <= channels.size:
        if sources.suffice:
            return found
        if not thorough and is_far_shorter(found.stream, header, method, model, channels):
            return found
    rival = len(found.stream) if found and not thorough else None
    plan = plan_band(header, model, method.network, band, channels, glimpses, threads)
    as_it_is = write_band(header, model, method, plan, band, channels, suited, thorough, rival, threads)
    return found if found and len(found.stream) < len(as_it_is.stream) else as_it_is


def code_source(
    header: Header, method: Method, outline: Outline, plan: Plan, channels: np.ndarray, source: Source
) -> CodedBand:
    """Code one band, uint8 [h, w, channels], as what it was made of, or in another transform."""
    encoder = Encoder()
    mixed.add(header, method, outline, channels, source, encoder)
    return CodedBand.of(header, plan, encoder, channels, mixed=True)


def write_band(
    header: Header,
    model: Model,
    method: Method,
    plan: Plan,
    band: Band,
    channels: np.ndarray,
    suited: bool,
    thorough: bool,
    rival: int | None,
    threads: int,
) -> CodedBand:
    """Code one band, uint8 [h, w, channels], as it is.

    If ``suited``, it is coded in the transform of its colours that is the shortest for parts of it.  Small
    bands, and all in a ``thorough`` search, are coded both in YCoCg and in the differences that suit them
    best.  Where it is shorter as what it was made of, ``rival`` bytes, by far, transforms are not asked for.
    """
    if header.coder == ResidualCoder.NONE:
        size = (band.height, band.width)
        shown = planes.without_residual(header, plan.reconstruction, size)
        return CodedBand.of(header, plan, Encoder(), shown)
    both = thorough or channels[..., 0].size <= SMALL_BAND

    def apart() -> CodedBand | None:
        among = DIFFERENCES if both else tuple(Transform)
        transform = shortest(method, model, channels, among, threads)
        if transform == Transform.YCOCG:
            return None
        outline = Outline(band, plan.stored, None)
        return code_source(header, method, outline, plan, channels, Differences(transform))

    suited &= plan.reconstruction is None and not plan.stored.all()
    suited &= header.exact and method.network is not None and not header.grey
    trusted = suited and not both and rival is None  # what parts say is enough
    found = apart() if trusted else None
    if found and len(found.stream) <= channels.size:
        return found
    plain = plain_band(header, method, plan, band, channels)
    if suited and not trusted and (rival is None or len(plain.stream) <= CLOSE * rival):
        found = apart()
    return found if found and len(found.stream) < len(plain.stream) else plain


def plain_band(header: Header, method: Method, plan: Plan, band: Band, channels: np.ndarray) -> CodedBand:
    """Code one band as it was planned, or with all tiles stored where that is shorter."""
    encoder = Encoder()
    outline = Outline(band, plan.stored, plan.reconstruction)
    decoded = residual.add(header, method, outline, channels, encoder)
    found = CodedBand.of(header, plan, encoder, decoded)
    if plan.stored.all() or len(found.stream) <= channels.size + STORED_SLACK:
        return found
    return plain_band(header, method, plan.all_stored(), band, channels)
