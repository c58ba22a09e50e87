"""Many .said files decoded to image files, or only verified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from saidcodec import codec, files, images, models, verification
from saidcodec.batch.work import (
    ARCHIVE_SUFFIX,
    SUFFIX,
    Outcome,
    Work,
    Writing,
    noted_in,
    other_image,
    put,
    read_back,
)
from saidcodec.errors import SaidError
from saidcodec.format.header import Metadata
from saidcodec.stopwatch import Stopwatch


@dataclass(frozen=True)
class Verifying(Work):
    """Decode each file, archives too, and compare the checksums; nothing is written."""

    verb: ClassVar[str] = "verifying"

    model: str | None = None

    def check(self) -> None:
        if self.model is not None:
            models.find(self.model)

    def wanted(self) -> frozenset[str]:
        return frozenset({SUFFIX, ARCHIVE_SUFFIX})

    def do(self, outcome: Outcome, threads: int, watch: Stopwatch) -> None:
        if outcome.job.source.lower().endswith(ARCHIVE_SUFFIX):
            read_archive(outcome, self.model, watch)
        else:
            read(outcome, self.model, threads, watch)


@dataclass(frozen=True)
class Decoding(Writing):
    """Decode to image files with a ``suffix``; ``lossy`` allows a format that changes pixels."""

    verb: ClassVar[str] = "decoding"

    model: str | None = None
    suffix: str = ".png"
    lossy: bool = False

    def check(self) -> None:
        images.format_of(f"*{self.suffix}")
        Verifying(self.model).check()

    def ending(self) -> str:
        return self.suffix

    def make(self, outcome: Outcome, threads: int, watch: Stopwatch) -> None:
        job = outcome.job
        pixels, metadata = read(outcome, self.model, threads, watch)
        save, name = images.save if self.lossy else images.save_exactly, images.format_of(job.target)
        with watch.measuring("writing"):
            with noted_in(outcome):
                outcome.written = put(job, self.force, lambda file: save(pixels, metadata, file, name))
            if self.delete_source:
                outcome.proven = holds(outcome, read_back(job.target), pixels, metadata)

    def compare(self, outcome: Outcome, threads: int, watch: Stopwatch) -> None:
        pixels, metadata = read(outcome, self.model, threads, watch)
        with watch.measuring("verifying"):
            target = outcome.job.target
            data = read_back(target) if self.delete_source else files.read_path(target)
            if not holds(outcome, data, pixels, metadata):
                raise other_image(outcome)
        outcome.written, outcome.proven = len(data), True


def read(outcome: Outcome, model: str | None, threads: int, watch: Stopwatch) -> tuple[np.ndarray, Metadata]:
    """The pixels and metadata of an outcome's source.  Raises a kind of SaidError."""
    with watch.measuring("reading"):
        data = files.read_bytes(outcome.job.source)
    outcome.read = len(data)
    with watch.measuring("decoding"):
        pixels, _, metadata = codec.decode_image(data, model=model, threads=threads)
    outcome.pixels = pixels.shape[0] * pixels.shape[1]
    return pixels, metadata


def read_archive(outcome: Outcome, model: str | None, watch: Stopwatch) -> None:
    """Decode every image of the archive that is an outcome's source.  Raises a kind of SaidError."""
    from saidcodec.archive.reader import Archive

    outcome.read = outcome.job.size
    with watch.measuring("decoding"), Archive(outcome.job.source, model=model) as archive:
        for pixels in archive:
            outcome.pixels += pixels.shape[0] * pixels.shape[1]


def holds(outcome: Outcome, data: bytes, pixels: np.ndarray, metadata: Metadata) -> bool:
    """Whether an image file gives pixels and metadata back."""
    try:
        with noted_in(outcome):
            found, _, kept = images.from_file(data, outcome.job.target)
    except SaidError:
        return False
    return not images.differing(kept, metadata) and verification.same(found, pixels)
