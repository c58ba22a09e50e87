"""What all kinds of work on files have in common: an interface, an outcome, and that nothing raises."""

from __future__ import annotations

import os
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import BinaryIO, ClassVar

from saidcodec import files
from saidcodec.batch.jobs import Job
from saidcodec.errors import FileError, SaidError, SaidWarning, about
from saidcodec.stopwatch import Stopwatch

SUFFIX, ARCHIVE_SUFFIX = ".said", ".saids"
REPORT = "this is a fault of saidcodec, please report it"
CATCHING = threading.Lock()  # Python's filters of warnings belong to the whole process


class State(Enum):
    DONE = "done"
    SKIPPED = "skipped"  # its target was there and holds the image
    FAILED = "failed"


@dataclass
class Outcome:
    """What became of a job: bytes ``read`` and ``written``, ``pixels``, ``seconds`` by what was done,
    ``notes`` and the ``error`` as sentences.  ``proven``: the target on the disk holds all that was read of
    the source."""

    job: Job
    state: State = State.DONE
    read: int = 0
    written: int = 0
    pixels: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: str = ""
    proven: bool = False

    def failed(self, sentence: str) -> Outcome:
        """The same outcome as a failure."""
        self.state, self.error = State.FAILED, sentence
        return self


@dataclass(frozen=True)
class Work(ABC):
    """One kind of work with its options; pickles, so that other processes can do it."""

    verb: ClassVar[str]  # what is being done to a file

    @abstractmethod
    def check(self) -> None:
        """Raises a kind of SaidError where no job could succeed with these options."""

    def wanted(self) -> frozenset[str]:
        """Suffixes, in lower case, of the files that are taken from folders."""
        return frozenset({SUFFIX})

    def run(self, jobs: Sequence[Job], threads: int) -> list[Outcome]:
        """The outcomes of some jobs, in their order; ``threads`` work on each image."""
        return [self.one(job, threads) for job in jobs]

    def one(self, job: Job, threads: int) -> Outcome:
        """The outcome of one job.  Nothing is raised: the other jobs go on."""
        outcome, watch = Outcome(job), Stopwatch()
        with told_in(outcome):
            self.do(outcome, threads, watch)
        outcome.seconds = watch.seconds
        return outcome

    @abstractmethod
    def do(self, outcome: Outcome, threads: int, watch: Stopwatch) -> None:
        """Do the outcome's job and fill in what became of it.  Raises a kind of SaidError."""


@dataclass(frozen=True)
class Writing(Work):
    """Work that writes a target for each source.

    ``force`` replaces targets.  ``delete_source``: sources whose targets hold all of them are removed, so
    that each has to be proven to.
    """

    force: bool = False
    delete_source: bool = False

    @abstractmethod
    def ending(self, source: str) -> str:
        """The suffix of a source's target."""

    def do(self, outcome: Outcome, threads: int, watch: Stopwatch) -> None:
        job = outcome.job
        if self.force or not os.path.lexists(job.target):
            self.make(outcome, threads, watch)
        elif job.finished() and not self.delete_source:
            # Another process made it and was lost before it could say so.
            outcome.read, outcome.written = job.size, os.stat(job.target).st_size
        else:
            self.compare(outcome, threads, watch)
            outcome.state = State.SKIPPED

    @abstractmethod
    def make(self, outcome: Outcome, threads: int, watch: Stopwatch) -> None:
        """Write the target.  Raises a kind of SaidError."""

    @abstractmethod
    def compare(self, outcome: Outcome, threads: int, watch: Stopwatch) -> None:
        """Raises FileError where the target, which is there already, does not hold the source's image, and
        what reading the two files raises."""


@contextmanager
def told_in(outcome: Outcome) -> Iterator[None]:
    """Let the outcome tell of every error that is raised inside."""
    source = files.name_of(outcome.job.source)
    try:
        with about(source):
            yield
    except SaidError as error:
        outcome.failed(str(error))
    except MemoryError:
        outcome.failed(f"{source}: There is not enough memory for this image; fewer --jobs take less.")
    except OSError as error:
        outcome.failed(f"{error.filename or source}: {files.reason(error)}.")
    except Exception as error:  # one file's bad luck must not end the work on all others
        outcome.failed(f"{source}: {type(error).__name__}: {files.reason(error)}; {REPORT}.")


@contextmanager
def noted_in(outcome: Outcome) -> Iterator[None]:
    """Let the outcome tell what cannot be kept of an image that is read or written inside."""
    with CATCHING, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", SaidWarning)
        try:
            yield
        finally:
            outcome.notes += [f"{outcome.job.source}: {one.message}" for one in caught]


def other_image(outcome: Outcome) -> FileError:
    job = outcome.job
    return FileError(
        f"{job.target} exists already and does not hold the image of {job.source}; --force overwrites it."
    )


def put(job: Job, force: bool, save: Callable[[BinaryIO], object]) -> int:
    """Let ``save`` fill a job's target, which gets the source's time (see ``Job.finished``); returns its
    bytes.  Raises FileError."""
    size = 0

    def save_dated(file: BinaryIO) -> None:
        nonlocal size
        save(file)
        file.flush()
        size = file.seek(0, os.SEEK_END)
        os.utime(file.name, ns=(job.changed, job.changed))

    try:
        os.makedirs(os.path.dirname(job.target) or ".", exist_ok=True)
    except OSError as error:
        raise FileError(f"{job.target} cannot be written: {files.reason(error)}.") from None
    try:
        files.write(job.target, force, save_dated)
    except FileError:
        if force or not job.finished():
            raise
        return os.stat(job.target).st_size  # another process was given the same job, and was faster
    return size


def read_back(target: str) -> bytes:
    """A target whose source will be deleted, as it lies on the disk for good.  Raises FileError."""
    try:
        with open(target, "rb" if os.name == "posix" else "r+b") as file:  # Windows syncs what it may write
            os.fsync(file.fileno())
            data = file.read()
        if os.name == "posix":  # the file's name must last, too
            folder = os.open(files.folder_of(target), os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise FileError(f"{target} cannot be read back: {files.reason(error)}.") from None
    return data
