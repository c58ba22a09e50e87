"""Many .said files decoded to image files, or only verified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saidcodec import codec, files, images, models, verification
from saidcodec.batch.work import Outcome, Work, Writing, noted_in, other_image, put, read_back
from saidcodec.errors import SaidError
from saidcodec.picture import Picture
from saidcodec.stopwatch import Stopwatch


@dataclass(frozen=True)
class Verifying(Work):
    """Decode each file and compare its checksums; nothing is written."""

    verb: ClassVar[str] = "verifying"

    model: str | None = None

    def check(self) -> None:
        if self.model is not None:
            models.find(self.model)

    def do(self, outcome: Outcome, threads: int, watch: Stopwatch) -> None:
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
        picture = read(outcome, self.model, threads, watch)
        save, name = images.save if self.lossy else images.save_exactly, images.format_of(job.target)
        with watch.measuring("writing"):
            with noted_in(outcome):
                outcome.written = put(job, self.force, lambda file: save(picture, file, name))
            if self.delete_source:
                outcome.proven = holds(outcome, read_back(job.target), picture)

    def compare(self, outcome: Outcome, threads: int, watch: Stopwatch) -> None:
        picture = read(outcome, self.model, threads, watch)
        with watch.measuring("verifying"):
            target = outcome.job.target
            data = read_back(target) if self.delete_source else files.read_path(target)
            if not holds(outcome, data, picture):
                raise other_image(outcome)
        outcome.written, outcome.proven = len(data), True


def read(outcome: Outcome, model: str | None, threads: int, watch: Stopwatch) -> Picture:
    """The image of an outcome's source.  Raises a kind of SaidError."""
    with watch.measuring("reading"):
        data = files.read_bytes(outcome.job.source)
    outcome.read = len(data)
    with watch.measuring("decoding"):
        picture = codec.decode_image(data, model=model, threads=threads)
    outcome.pixels = picture.pixels.shape[0] * picture.pixels.shape[1]
    return picture


def holds(outcome: Outcome, data: bytes, picture: Picture) -> bool:
    """Whether an image file gives an image back."""
    try:
        with noted_in(outcome):
            found = images.from_file(data, outcome.job.target)
    except SaidError:
        return False
    return verification.same(found, picture)
