"""Image files to .said files, alone or many at once."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

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
from saidcodec.errors import FileError, ImageError, SaidError
from saidcodec.format.container import MOST_ERROR
from saidcodec.format.header import Metadata
from saidcodec.images import ImageFrames
from saidcodec.parallel import Progress
from saidcodec.picture import Picture
from saidcodec.sequences import encode_all
from saidcodec.stopwatch import Stopwatch

# Formats that Pillow recognises but cannot read.
ONLY_RECOGNISED = frozenset({"BUFR", "GRIB", "HDF5", "MPEG"})
Opened = Picture | ImageFrames  # an image, or the frames of one
Watch = Callable[[str], "Progress | None"]  # who is told of the progress of what has this name


def nobody(label: str) -> None:
    """No-op."""


@dataclass(frozen=True)
class Encoding(Writing):
    """Encode with the options of ``codec.encode``; ``verify`` decodes each file and compares it before it is
    written.  ``strip`` leaves out all metadata.  ``made``: files of original bytes that were encoded
    together."""

    verb: ClassVar[str] = "encoding"

    model: str = "auto"
    residual: str = "context"
    max_error: int = 0
    glimpses: int | None = None
    effort: str = "normal"
    verify: bool = True
    strip: bool = False
    made: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)

    def check(self) -> None:
        if self.model != "auto":
            models.find(self.model)

    def wanted(self) -> frozenset[str]:
        return image_suffixes()

    def ending(self, source: str) -> str:
        return SUFFIX

    @property
    def exact(self) -> bool:
        """Whether files hold the very pixels."""
        return self.residual != "none" and not self.max_error

    @property
    def decoding_model(self) -> str | None:
        """The model that decoding is told of; None: whichever the file asks for."""
        return None if self.model == "auto" else self.model

    def opened(self, original: bytes, name: str) -> Opened:
        """An image file's pixels, or its frames, and the metadata that is kept.

        Raises ImageError, LimitError.
        """
        kept = Metadata() if self.strip else None
        if several := images.several_frames(images.ImageFile(original, name)):
            return replace(several, metadata=kept)
        picture = images.from_file(original, name)
        return picture if kept is None else picture._replace(metadata=kept)

    def encoded(
        self, image: Opened, stopwatch: Stopwatch, threads: int | None = None, watch: Watch = nobody
    ) -> bytes:
        """The file of one image.  Raises what ``codec.encode`` and ``verification.verify`` raise."""
        progress = watch("encoding")

        def encode(one: Picture) -> bytes:
            if self.max_error > MOST_ERROR and one.pixels.dtype != np.uint16:
                raise ImageError(f"An image of 8 bits a sample has errors of at most {MOST_ERROR}.")
            return codec.encode(
                one,
                model=self.model,
                residual=self.residual,
                max_error=self.max_error,
                glimpses=self.glimpses,
                effort=self.effort,
                threads=threads,
                progress=None if isinstance(image, ImageFrames) else progress,
            )

        with stopwatch.measuring("coding"):
            if isinstance(image, Picture):
                data = encode(image)
            else:
                data = encode_all(image.told(progress), image.plays, encode, self.exact)
        self.verified(data, image, stopwatch, threads, watch)
        return data

    def verified(
        self,
        data: bytes,
        image: Opened,
        stopwatch: Stopwatch,
        threads: int | None,
        watch: Watch = nobody,
    ) -> None:
        """Compare a file with its image if ``verify`` says so.  Raises CorruptError."""
        if self.verify:
            progress, single = watch("verifying"), isinstance(image, Picture)
            with stopwatch.measuring("verifying"):
                verification.verify(
                    data,
                    [image] if isinstance(image, Picture) else image.told(progress),
                    model=self.decoding_model,
                    largest_error=None if self.residual == "none" else self.max_error,
                    threads=threads,
                    progress=progress if single else None,
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

        if self.max_error > MOST_ERROR:  # not every image may have it
            return {}
        originals = []
        for job in jobs:
            if self.force or not job.finished():
                probe = Outcome(job)
                with told_in(probe):
                    original, image = self.read(probe, Stopwatch())
                single = not probe.error and isinstance(image, Picture)
                if single and not probe.notes and probe.pixels <= AUTO_PIXELS:
                    originals.append(original)
        try:
            made = encode_many(
                map(io.BytesIO, originals),
                model=self.model,
                residual=self.residual,
                max_error=self.max_error,
                glimpses=self.glimpses,
                effort=self.effort,
                metadata=Metadata() if self.strip else None,
                threads=threads,
            )
        except SaidError:
            return {}
        return dict(zip(originals, made, strict=True))

    def make(self, outcome: Outcome, threads: int, stopwatch: Stopwatch) -> None:
        job = outcome.job
        original, image = self.read(outcome, stopwatch)
        data = self.made.get(original)
        del original  # as large as some images
        if data is None:
            data = self.encoded(image, stopwatch, threads)
        else:
            self.verified(data, image, stopwatch, threads)
        with stopwatch.measuring("writing"):
            outcome.written = put(job, self.force, lambda file: file.write(data))
            if self.delete_source:
                if read_back(job.target) != data:
                    raise FileError(f"{job.target} is not what was written to it; check the disk.")
                outcome.proven = self.verify and not outcome.notes

    def compare(self, outcome: Outcome, threads: int, stopwatch: Stopwatch) -> None:
        target = outcome.job.target
        _, image = self.read(outcome, stopwatch)
        with stopwatch.measuring("verifying"):
            data = read_back(target) if self.delete_source else files.read_path(target)
            frames = [image] if isinstance(image, Picture) else image
            try:
                same = self.residual != "none" and verification.holds(
                    data, frames, self.max_error, model=self.decoding_model, threads=threads
                )
            except SaidError:
                raise other_image(outcome) from None
        if not same:
            raise other_image(outcome)
        outcome.written = len(data)
        outcome.proven = not outcome.notes

    def read(self, outcome: Outcome, stopwatch: Stopwatch) -> tuple[bytes, Opened]:
        """The source's bytes, and its image.  Raises FileError, ImageError, LimitError."""
        source = outcome.job.source
        with stopwatch.measuring("reading"):
            original = files.read_path(source)
            with noted_in(outcome):
                image = self.opened(original, source)
                if isinstance(image, ImageFrames):  # what they cannot keep is told while they are read
                    outcome.pixels = sum(one.pixels.shape[0] * one.pixels.shape[1] for one in image)
                else:
                    outcome.pixels = image.pixels.shape[0] * image.pixels.shape[1]
            if self.delete_source and (lost := losses.of(original, source)):
                outcome.notes.append(f"{source}: a .said file does not keep {', '.join(lost)}.")
        outcome.read = len(original)
        return original, image


def image_suffixes() -> frozenset[str]:
    """The suffixes, in lower case, of all formats that Pillow reads."""
    from PIL import Image

    Image.init()
    readable = set(Image.OPEN) - ONLY_RECOGNISED
    return frozenset(suffix for suffix, name in Image.EXTENSION.items() if name in readable) - {SUFFIX}
