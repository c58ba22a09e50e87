"""One group of an archive: from its head and the bytes of its runs to descriptions and pixels."""

from __future__ import annotations

import zlib
from functools import cached_property
from itertools import accumulate

import numpy as np

from saidcodec import codec
from saidcodec.archive.layout import Head
from saidcodec.codec import AnyModel
from saidcodec.entropy.bank import Rows
from saidcodec.entropy.rans import Decoder
from saidcodec.errors import CorruptError
from saidcodec.format import container, planes
from saidcodec.format.container import Container
from saidcodec.format.header import Header
from saidcodec.format.tiling import Tiling
from saidcodec.inspection import Features, features, features_of
from saidcodec.models import Model
from saidcodec.picture import Picture
from saidcodec.residual.band import Method, method_of
from saidcodec.said import Description, read_section

GREY, COLOURED = 0, 1  # the two SAID sections
CHECK_MASK = (1 << 24) - 1  # as many bits of a checksum as the first symbol would take in any case


class Group:
    """A group whose head has been read; ``data`` is the archive, in which its runs begin at ``start``.

    ``images``: how many of them can be read; less than all where the archive is cut off.  ``model`` names the
    model where it is not installed.  All that decodes raises CorruptError on damage, ModelError.
    """

    def __init__(self, head: Head, data: bytes, start: int, model: AnyModel | None):
        self.head, self.data, self.named = head, data, model
        self.edges = [*accumulate(head.lengths, initial=start)]
        whole = sum(end <= len(data) for end in self.edges[1:])
        self.images = sum(len(run) for run in head.runs[:whole])

    def run_of(self, image: int) -> int:
        """Which run an image belongs to."""
        return self.run_numbers[image]

    @cached_property
    def run_numbers(self) -> list[int]:
        return [number for number, run in enumerate(self.head.runs) for _ in run]

    def stream(self, run: int) -> bytes:
        """The bytes of a run."""
        return self.data[self.edges[run] : self.edges[run + 1]]

    def file(self, image: int) -> Container:
        """What the whole file holds that an image is."""
        return container.unpack(self.stream(self.run_of(image)))

    @cached_property
    def model(self) -> Model:
        """That of the shared images."""
        header = next(kind for kind in self.head.kinds if kind)
        return codec.model_of(header, self.named)

    @cached_property
    def descriptions(self) -> list[tuple[np.ndarray, list[Description | None]]]:
        """Of each shared image the kinds and descriptions of its tiles; nothing of a whole file."""
        sections = [iter(self.section(part)) for part in (GREY, COLOURED)]
        nothing: tuple[np.ndarray, list[Description | None]] = (np.zeros(0, np.int32), [])
        headers = map(self.head.header, range(len(self.head)))
        return [nothing if one is None else next(sections[section_of(one)]) for one in headers]

    def section(self, part: int) -> list[tuple[np.ndarray, list[Description | None]]]:
        """What one SAID section says of each of its images."""
        counts = [
            Tiling.of(header).count()
            for header in map(self.head.header, range(len(self.head)))
            if header is not None and section_of(header) == part
        ]
        if not counts:
            if self.head.said[part]:
                raise CorruptError("A group has a SAID section of images that there are not.")
            return []
        decoder = Decoder(self.head.said[part])
        kinds, descriptions = read_section(sum(counts), part == GREY, self.model, decoder)
        if decoder.finish():
            raise CorruptError("A SAID section of a group holds more than its symbols.")
        ends = [*accumulate(counts)]
        parts = [slice(end - count, end) for count, end in zip(counts, ends, strict=True)]
        return [(kinds[own], descriptions[own]) for own in parts]

    def features(self, image: int) -> Features:
        """The glimpses of an image."""
        header = self.head.header(image)
        if header is not None:
            return features_of(header, self.descriptions[image][1], self.model)
        return features(self.stream(self.run_of(image)), model=self.named)

    def decode(self, run: int) -> list[Picture]:
        """The images of a run."""
        images = self.head.runs[run]
        if self.head.header(images[0]) is None:
            return [codec.decode_image(self.stream(run), model=self.named, threads=1)]
        decoder, check, found = Decoder(self.stream(run)), 0, []
        for image in images:
            header = self.head.header(image)
            assert header is not None
            method, (band,) = calibrated(header, self.model, self.head.rows), Tiling.of(header).bands()
            channels = codec.take_band(header, self.model, method, band, *self.descriptions[image], decoder)
            check = zlib.crc32(np.ascontiguousarray(channels).data, check)
            pixels = np.ascontiguousarray(planes.pixels_of(header, channels))
            found.append(Picture(pixels, header.presentation, self.head.metadata[image]))
        if decoder.finish() != check & CHECK_MASK:
            raise CorruptError("The checksum of its pixels does not match.")
        return found


def section_of(header: Header) -> int:
    """Which SAID section describes an image."""
    return GREY if header.grey else COLOURED


def calibrated(header: Header, model: Model, rows: Rows | None) -> Method:
    """How the residual of a shared image is coded."""
    method = method_of(header, model)
    return method._replace(rows=rows) if method.network else method
