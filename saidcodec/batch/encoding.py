"""Image files to .said files, alone or many at once."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from saidcodec import codec, files, images, losses, models, verification
from saidcodec.batch.jobs import Job
from saidcodec.batch.work import (
    SUFFIX,
    Outcome,
    State,
    Writing,
    noted_in,
    other_image,
    put,
    read_back,
    told_in,
)
from saidcodec.errors import FileError, SaidError
from saidcodec.parallel import Progress
from saidcodec.picture import Picture
from saidcodec.stopwatch import Stopwatch

# Formats that Pillow recognises but cannot read.
ONLY_RECOGNISED = frozenset({"BUFR", "GRIB", "HDF5", "MPEG"})
Watch = Callable[[str], "Progress | None"]  # who is told of the progress of what has this name


def nobody(label: str) -> None:
    """No-op."""


@dataclass(frozen=True)
class Encoding(Writing):
    """Encode with the options of ``codec.encode``; ``verify`` decodes each file and compares it before it is
    written.  ``made``: files of original bytes that were encoded together."""

    verb: ClassVar[str] = "encoding"

    model: str = "auto"
    residual: str = "context"
    max_error: int = 0
    glimpses: int | None = None
    effort: str = "normal"
    verify: bool = True
    made: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)

    def check(self) -> None:
        if self.model != "auto":
            models.find(self.model)

    def wanted(self) -> frozenset[str]:
        return image_suffixes()

    def ending(self) -> str:
        return SUFFIX

    def encoded(
        self,
        picture: Picture,
        stopwatch: Stopwatch,
        threads: int | None = None,
        watch: Watch = nobody,
    ) -> bytes:
        """The file of one image.  Raises what ``codec.encode`` and ``verification.verify`` raise."""
        with stopwatch.measuring("coding"):
            data = codec.encode(
                picture,
                model=self.model,
                residual=self.residual,
                max_error=self.max_error,
                glimpses=self.glimpses,
                effort=self.effort,
                threads=threads,
                progress=watch("encoding"),
            )
        self.verified(data, picture, stopwatch, threads, watch)
        return data

    def verified(
        self,
        data: bytes,
        picture: Picture,
        stopwatch: Stopwatch,
        threads: int | None,
        watch: Watch = nobody,
    ) -> None:
        """Compare a file with its image if ``verify`` says so.  Raises CorruptError."""
        if self.verify:
            with stopwatch.measuring("verifying"):
                verification.verify(
                    data,
                    picture,
                    model=None if self.model == "auto" else self.model,
                    largest_error=None if self.residual == "none" else self.max_error,
                    threads=threads,
                    progress=watch("verifying"),
                )

    def run(self, jobs: Sequence[Job], threads: int) -> list[Outcome]:
        """Small images are encoded together, by ``encode_many``."""
        started = time.perf_counter()
        made = self.together(jobs, threads) if len(jobs) > 1 else {}
        share = (time.perf_counter() - started) / max(1, len(made))
        outcomes = Writing.run(replace(self, made=made), jobs, threads)
        for outcome in outcomes:
            if made and outcome.state is State.DONE:
                outcome.seconds.setdefault("coding", share)
        return outcomes

    def together(self, jobs: Sequence[Job], threads: int) -> dict[bytes, bytes]:
        """The files of the small images among some jobs, by their original bytes.

        Images that lose something when they are read are left out, because notes are told of each image.
        Where one fails there are no files: each is tried alone then, and tells its own error.
        """
        from saidcodec.encoder.auto import AUTO_PIXELS
        from saidcodec.many import encode_many

        originals = []
        for job in jobs:
            if self.force or not job.finished():
                probe = Outcome(job)
                with told_in(probe):
                    original, *_ = self.read(probe, Stopwatch())
                if not (probe.error or probe.notes) and probe.pixels <= AUTO_PIXELS:
                    originals.append(original)
        try:
            made = encode_many(
                map(io.BytesIO, originals),
                model=self.model,
                residual=self.residual,
                max_error=self.max_error,
                glimpses=self.glimpses,
                effort=self.effort,
                threads=threads,
            )
        except SaidError:
            return {}
        return dict(zip(originals, made, strict=True))

    def make(self, outcome: Outcome, threads: int, stopwatch: Stopwatch) -> None:
        job = outcome.job
        original, picture = self.read(outcome, stopwatch)
        data = self.made.get(original)
        if data is None:
            data = self.encoded(picture, stopwatch, threads)
        else:
            self.verified(data, picture, stopwatch, threads)
        with stopwatch.measuring("writing"):
            outcome.written = put(job, self.force, lambda file: file.write(data))
            if self.delete_source:
                if read_back(job.target) != data:
                    raise FileError(f"{job.target} is not what was written to it; check the disk.")
                outcome.proven = self.verify and not outcome.notes

    def compare(self, outcome: Outcome, threads: int, stopwatch: Stopwatch) -> None:
        target = outcome.job.target
        _, picture = self.read(outcome, stopwatch)
        with stopwatch.measuring("verifying"):
            data = read_back(target) if self.delete_source else files.read_path(target)
            model = None if self.model == "auto" else self.model
            try:
                decoded = codec.decode_image(data, model=model, threads=threads)
            except SaidError:
                raise other_image(outcome) from None
        exact = self.residual != "none"
        if not exact or not verification.same(decoded, picture, self.max_error):
            raise other_image(outcome)
        outcome.written = len(data)
        outcome.proven = not outcome.notes

    def read(self, outcome: Outcome, stopwatch: Stopwatch) -> tuple[bytes, Picture]:
        """The source's bytes, and its image.  Raises FileError, ImageError, LimitError."""
        source = outcome.job.source
        with stopwatch.measuring("reading"):
            original = files.read_path(source)
            with noted_in(outcome):
                picture = images.from_file(original, source)
            if self.delete_source and (lost := losses.of(original, source)):
                outcome.notes.append(f"{source}: a .said file does not keep {', '.join(lost)}.")
        outcome.read, outcome.pixels = len(original), picture.pixels.shape[0] * picture.pixels.shape[1]
        return original, picture


def image_suffixes() -> frozenset[str]:
    """The suffixes, in lower case, of all formats that Pillow reads."""
    from PIL import Image

    Image.init()
    readable = set(Image.OPEN) - ONLY_RECOGNISED
    return frozenset(suffix for suffix, name in Image.EXTENSION.items() if name in readable) - {SUFFIX}
