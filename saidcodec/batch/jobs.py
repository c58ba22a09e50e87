"""From paths to jobs: folders are walked, every output gets its name, and what cannot be is refused."""

from __future__ import annotations

import os
import stat
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from saidcodec import files
from saidcodec.errors import FileError

SMALL_BYTES = 1 << 16  # files up to here are handed out in groups, because handing one out costs time, too
MOST_IN_GROUP = 32
SHARES = 4  # groups for each worker, so that all of them end at about the same time
# File systems that cut a time to so many nanoseconds: NTFS, many servers, exFAT, ext3 and HFS+, FAT.
GRAINS = (1, 100, 1_000, 10**7, 10**9, 2 * 10**9)


Ending = Callable[[str], str]  # a source's path → the suffix of its target


@dataclass(frozen=True)
class Job:
    """One file: ``size`` in bytes and ``changed`` in nanoseconds are the source's when it was found.

    ``target`` is empty where nothing is written.
    """

    source: str
    target: str
    size: int
    changed: int

    def finished(self) -> bool:
        """Whether the target is there and has the source's time, which only a whole target gets."""
        try:
            found = os.stat(self.target)
        except (OSError, ValueError):
            return False
        return found.st_size > 0 and any(found.st_mtime_ns == self.changed - self.changed % g for g in GRAINS)

    def unchanged(self) -> bool:
        """Whether the source is still the file that was found.  Raises OSError."""
        found = os.stat(self.source)
        return (found.st_size, found.st_mtime_ns) == (self.size, self.changed)


@dataclass
class Plan:
    """``failures``: sentences.  ``left_alone``: how many files of folders have each suffix that is not of
    the wanted kind."""

    jobs: list[Job] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    left_alone: Counter[str] = field(default_factory=Counter)


def plan(
    paths: Iterable[str], output_dir: str | None, wanted: frozenset[str], ending: Ending | None = None
) -> Plan:
    """The jobs of files and folders.

    A folder gives the files below it whose suffixes are ``wanted`` (in lower case), and keeps its structure
    in ``output_dir``; a file that is named itself may have any suffix.  Targets have the suffix that
    ``ending`` gives their source; without ``output_dir`` there are none.  Raises FileError where
    ``output_dir`` is no folder.
    """
    found = Plan()
    if output_dir is not None and os.path.lexists(output_dir) and not os.path.isdir(output_dir):
        raise FileError(f"{output_dir} is no folder; --output-dir needs one, or the name of a new one.")
    known: set[str] = set()
    real = lru_cache(os.path.realpath)
    for path in paths:
        for source, relative in sources(path, output_dir, wanted, found):
            folder, name = os.path.split(source)
            own = os.path.join(real(folder), name)  # a link to a file is a file of its own
            if own in known:
                continue
            known.add(own)
            try:
                found.jobs.append(job_of(source, relative, output_dir, ending))
            except FileError as error:
                found.failures.append(str(error))
    refuse_shared_targets(found)
    return found


def sources(
    path: str, output_dir: str | None, wanted: frozenset[str], found: Plan
) -> Iterator[tuple[str, str]]:
    """Every file of one path, and its name inside the output's folder."""
    if not os.path.isdir(path):
        yield path, os.path.basename(path)
        return

    def unreadable(error: OSError) -> None:
        found.failures.append(f"{error.filename} cannot be read: {files.reason(error)}.")

    for folder, below, names in os.walk(path, onerror=unreadable):
        # Neither hidden folders nor the outputs of this very command.
        below[:] = sorted(
            name
            for name in below
            if not name.startswith(".") and not same_folder(os.path.join(folder, name), output_dir)
        )
        inside = os.path.relpath(folder, path)
        for name in sorted(names):
            source = os.path.join(folder, name)
            ending = os.path.splitext(name)[1].lower()
            if name.startswith("."):
                continue
            if ending not in wanted or files.is_device(source):
                found.left_alone[ending] += 1
                continue
            yield source, os.path.normpath(os.path.join(inside, name))


def same_folder(folder: str, output_dir: str | None) -> bool:
    return output_dir is not None and os.path.realpath(folder) == os.path.realpath(output_dir)


def job_of(source: str, relative: str, output_dir: str | None, ending: Ending | None) -> Job:
    """One file's job.  Raises FileError where there is no such file, or the target would replace it."""
    if source == files.STANDARD:
        if output_dir is not None:
            raise FileError(f"Standard input has no name that an output in {output_dir} could have.")
        return Job(source, "", 0, 0)
    try:
        status = os.stat(source)
    except (OSError, ValueError) as error:
        raise FileError(f"{source} cannot be read: {files.reason(error)}.") from None
    if not stat.S_ISREG(status.st_mode):
        raise FileError(f"{source} is neither a file nor a folder.")
    target = ""
    if output_dir is not None and ending is not None:
        target = os.path.join(output_dir, os.path.splitext(relative)[0] + ending(source))
        if os.path.lexists(target):
            files.check_apart(source, target)
    return Job(source, target, status.st_size, status.st_mtime_ns)


def refuse_shared_targets(found: Plan) -> None:
    """Take out all jobs whose target another job has, too: none of them is more right than the others."""
    claims: defaultdict[str, list[Job]] = defaultdict(list)
    for job in found.jobs:
        if job.target:
            claims[os.path.normcase(os.path.abspath(job.target))].append(job)
    refused = set()
    for jobs in claims.values():
        for number, job in enumerate(jobs if len(jobs) > 1 else ()):
            refused.add(job)
            other = jobs[number - 1].source
            found.failures.append(
                f"{job.source} and {other} would both become {job.target}; rename one, or give each "
                "an output folder of its own."
            )
    found.jobs = [job for job in found.jobs if job not in refused]


def absolute(jobs: Iterable[Job]) -> list[Job]:
    """The same jobs for a process that may work elsewhere."""
    return [
        replace(job, source=os.path.abspath(job.source), target=job.target and os.path.abspath(job.target))
        for job in jobs
    ]


def in_groups(jobs: Sequence[Job], workers: int) -> list[tuple[Job, ...]]:
    """Small files in groups, all others alone."""
    small = [job for job in jobs if job.size <= SMALL_BYTES]
    count = max(1, min(MOST_IN_GROUP, len(small) // (SHARES * workers)))
    groups = [tuple(small[i : i + count]) for i in range(0, len(small), count)]
    return [(job,) for job in jobs if job.size > SMALL_BYTES] + groups
