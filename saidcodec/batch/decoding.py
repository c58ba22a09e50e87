"""Many .said files decoded to image files, or only verified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saidcodec import files, images, models, targets, verification
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
from saidcodec.frames import decode_all
from saidcodec.images import ImageFrames
from saidcodec.picture import Decoded
from saidcodec.stopwatch import Stopwatch

USUAL_SUFFIX = ".png"


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
    """Decode to image files with a ``suffix``, by default that of the usual format which holds the image;
    ``lossy`` allows a format that changes pixels."""

    verb: ClassVar[str] = "decoding"

    model: str | None = None
    suffix: str | None = None
    lossy: bool = False

    def check(self) -> None:
        if self.suffix is not None:
            images.format_of(f"*{self.suffix}")
        Verifying(self.model).check()

    def ending(self, source: str) -> str:
        if self.suffix is not None:
            return self.suffix
        try:
            return targets.suffix_for(source)
        except SaidError:  # of which is told when the file is decoded
            return USUAL_SUFFIX

    def make(self, outcome: Outcome, threads: int, watch: Stopwatch) -> None:
        job = outcome.job
        decoded = read(outcome, self.model, threads, watch)
        name = images.format_of(job.target)
        with watch.measuring("writing"):
            with noted_in(outcome):
                outcome.written = put(
                    job,
                    self.force,
                    lambda file: images.save_any(decoded.frames, decoded.plays, file, name, self.lossy),
                )
            if self.delete_source:
                outcome.proven = holds(outcome, read_back(job.target), decoded)

    def compare(self, outcome: Outcome, threads: int, watch: Stopwatch) -> None:
        decoded = read(outcome, self.model, threads, watch)
        with watch.measuring("verifying"):
            target = outcome.job.target
            data = read_back(target) if self.delete_source else files.read_path(target)
            if not holds(outcome, data, decoded):
                raise other_image(outcome)
        outcome.written, outcome.proven = len(data), True


def read(outcome: Outcome, model: str | None, threads: int, watch: Stopwatch) -> Decoded:
    """The frames of an outcome's source.  Raises a kind of SaidError."""
    with watch.measuring("reading"):
        data = files.read_bytes(outcome.job.source)
    outcome.read = len(data)
    with watch.measuring("decoding"):
        decoded = decode_all(data, model=model, threads=threads)
    outcome.pixels = sum(one.pixels.shape[0] * one.pixels.shape[1] for one in decoded.frames)
    return decoded


def read_archive(outcome: Outcome, model: str | None, watch: Stopwatch) -> None:
    """Decode every image of the archive that is an outcome's source.  Raises a kind of SaidError."""
    from saidcodec.archive.reader import Archive

    outcome.read = outcome.job.size
    with watch.measuring("decoding"), Archive(outcome.job.source, model=model) as archive:
        for pixels in archive:
            outcome.pixels += pixels.shape[0] * pixels.shape[1]


def holds(outcome: Outcome, data: bytes, decoded: Decoded) -> bool:
    """Whether an image file gives pixels and metadata back, and of several frames how they are shown."""
    target = outcome.job.target
    try:
        with noted_in(outcome):
            if several := images.several_frames(images.ImageFile(data, target)):
                return several_held(several, decoded)
            found = images.from_file(data, target)
    except SaidError:
        return False
    one = decoded.frames[0]
    alike = not images.differing(found.metadata, one.metadata) and verification.same(found, one)
    return alike and len(decoded.frames) == 1


def several_held(found: ImageFrames, decoded: Decoded) -> bool:
    """``holds`` of several frames, of which equal ones may have become one."""
    from saidcodec.images.saving_frames import ANIMATIONS, same_frames

    wanted, name = decoded.frames, found.images[0].format or ""
    if not same_frames(found, wanted, name) or (name in ANIMATIONS and found.plays != decoded.plays):
        return False
    shown = [*found]
    late = abs(sum(one.duration for one in shown) - sum(one.duration for one in wanted))
    return late < verification.LATE and not images.differing(shown[0].metadata, wanted[0].metadata)
