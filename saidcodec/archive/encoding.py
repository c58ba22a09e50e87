"""Images and groups of images on their way into an archive.

Every image is encoded as ``saidcodec.encode`` would encode it, with one model for all.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from saidcodec import codec
from saidcodec.archive import layout
from saidcodec.archive.group import CHECK_MASK, COLOURED, GREY, calibrated, section_of
from saidcodec.archive.layout import Head, Kind, is_shareable, runs_of
from saidcodec.encoder import auto, forms, writing
from saidcodec.encoder.writing import CodedBand
from saidcodec.entropy.bank import Rows
from saidcodec.entropy.rans import Encoder
from saidcodec.format import planes
from saidcodec.format.header import Header, Metadata, ResidualCoder
from saidcodec.format.metadata import items_of
from saidcodec.format.tiling import Tiling
from saidcodec.models import Model
from saidcodec.parallel import in_threads
from saidcodec.picture import Picture
from saidcodec.said import account, write_section

SHARED_METADATA = 1 << 14  # bytes; images with more become whole files


@dataclass(frozen=True)
class Options:
    """How images are encoded; see ``saidcodec.encode``.  ``looks``: whether small ones are tried as graphics,
    too."""

    residual: str
    max_error: int
    glimpses: int | None
    effort: str
    looks: bool

    def header(self, picture: Picture, model: Model) -> Header:
        """The header of an image."""
        coded = self.residual, self.max_error, self.effort
        return writing.header_of(picture.pixels, picture.presentation, model, *coded)

    def file(self, picture: Picture, model: Model) -> bytes:
        """An image as a file of its own."""
        return codec.encode(
            picture,
            model=model,
            residual=self.residual,
            max_error=self.max_error,
            glimpses=self.glimpses,
            effort=self.effort,
            threads=1,
        )


@dataclass(frozen=True)
class Shared:
    """An encoded image that shares its group's header."""

    header: Header
    coded: CodedBand
    metadata: Metadata


@dataclass(frozen=True)
class Item:
    """An encoded image: a shared one, or the bytes of a whole file."""

    name: str
    label: str | None
    image: Shared | bytes

    @property
    def header(self) -> Kind:
        return self.image.header if isinstance(self.image, Shared) else None


def is_wide(picture: Picture) -> bool:
    """Whether an image has more than 8 bits a sample, and so a file of its own, which needs no model."""
    return picture.pixels.dtype == np.uint16


def encoded(picture: Picture, options: Options, model: Model, rows: Rows | None) -> Shared | bytes:
    """One image, encoded with a calibration or without."""
    if is_wide(picture):
        return options.file(picture, model)
    near = encoded_with(picture, options, model, rows)
    if isinstance(near, bytes) or not options.max_error:
        return near
    if not forms.exact_is_worth_a_try(picture, options.residual):
        return near
    exact = encoded_with(picture, replace(options, max_error=0), model, rows)
    return min(exact, near, key=lambda one: bits_of(one, model))


def bits_of(image: Shared | bytes, model: Model) -> float:
    """Bits that an image takes in a group: its file, or its residual and what describes its tiles."""
    if isinstance(image, bytes):
        return 8.0 * len(image)
    grey, descriptions = image.header.grey, image.coded.plan.descriptions
    described = (account(one, grey, model).bits(len(one.boxes)) for one in descriptions if one is not None)
    return 8.0 * len(image.coded.stream) + sum(described)


def encoded_with(picture: Picture, options: Options, model: Model, rows: Rows | None) -> Shared | bytes:
    """One image of 8 bits a sample, encoded with just these options."""
    if options.residual == "none" or options.max_error:
        picture = picture.smooth()
    header = options.header(picture, model)
    if not is_shareable(header) or len(items_of(picture.metadata)) > SHARED_METADATA:
        return options.file(picture, model)
    tried = [
        shared(one, picture, options, model, rows)
        for one in forms.candidates(header, picture.pixels, options.effort)
    ]
    return min(tried, key=lambda one: bits_of(one, model))


def shared(header: Header, picture: Picture, options: Options, model: Model, rows: Rows | None) -> Shared:
    """One image, encoded with this header."""
    pixels, asked = picture.pixels, not options.glimpses
    sources = writing.sources_of(header, pixels, options.effort, options.looks, False) if asked else None
    method, (band,) = calibrated(header, model, rows), Tiling.of(header).bands()
    channels = planes.channels_of(header, pixels)
    suited = sources is not None
    coded = writing.code_band(header, model, method, band, channels, options.glimpses, sources, suited, 1)
    if coded.mixed:
        header = header._replace(coder=ResidualCoder.MIXED)
    return Shared(header, coded, picture.metadata)


def shortest(sample: Sequence[Picture], options: Options, threads: int) -> Model:
    """The model of the smallest files of a sample, without glimpses: none make up for a model of other
    images."""
    sizes = sorted(one.pixels.shape[0] * one.pixels.shape[1] for one in sample)
    tried = auto.candidates("auto", sizes[len(sizes) // 2], options.effort == "best")
    if len(tried) == 1:
        return tried[0]
    quick = replace(options, glimpses=0, effort="fast")
    jobs = [(model, one._replace(metadata=Metadata())) for model in tried for one in sample]
    lengths = in_threads(lambda job: len(quick.file(job[1], job[0])), jobs, threads)
    totals = np.array([*lengths]).reshape(len(tried), len(sample)).sum(1)
    return tried[int(totals.argmin())]


def group_of(items: Sequence[Item], model: Model, rows: Rows | None, together: int, threads: int) -> bytes:
    """The bytes of a group."""
    runs = runs_of([item.header is not None for item in items], together)
    streams = [*in_threads(lambda run: stream_of(items[run.start : run.stop]), runs, threads)]
    kinds = [*dict.fromkeys(item.header for item in items)]
    number = {kind: i for i, kind in enumerate(kinds)}
    labels = [item.label for item in items if item.label is not None]
    shared = [item.image for item in items if isinstance(item.image, Shared)]
    head = Head(
        model=model.id,
        kinds=tuple(kinds),
        kind=tuple(number[item.header] for item in items),
        together=together,
        rows=rows,
        lengths=tuple(map(len, streams)),
        names=tuple(item.name for item in items),
        labels=tuple(labels) if labels else None,
        metadata=tuple(
            item.image.metadata if isinstance(item.image, Shared) else Metadata() for item in items
        ),
        said=(said_of(shared, GREY, model), said_of(shared, COLOURED, model)),
    )
    return layout.pack_group(head, streams)


def stream_of(items: Sequence[Item]) -> bytes:
    """The bytes of a run: a whole file, or the images' symbols over the checksum of their samples."""
    encoder, check = Encoder(), 0
    for item in items:
        if not isinstance(item.image, Shared):
            return item.image
        encoder.add_encoder(item.image.coded.encoder)
        check = zlib.crc32(np.ascontiguousarray(item.image.coded.decoded).data, check)
    return encoder.finish(check & CHECK_MASK)


def said_of(images: Sequence[Shared], part: int, model: Model) -> bytes:
    """One SAID section of a group."""
    plans = [image.coded.plan for image in images if section_of(image.header) == part]
    if not plans:
        return b""
    kinds = [kind for plan in plans for kind in plan.kinds.tolist()]
    descriptions = [description for plan in plans for description in plan.descriptions]
    encoder = Encoder()
    write_section(kinds, descriptions, part == GREY, model, encoder)
    return encoder.finish()
