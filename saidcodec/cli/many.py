"""Many files at the command line: a bar while they are worked on, a line of sums, and what failed."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from saidcodec import files
from saidcodec.batch import running
from saidcodec.batch.jobs import Job, Plan, absolute, plan
from saidcodec.batch.work import Outcome, State, Work, Writing
from saidcodec.cli.report import note, tell, watched
from saidcodec.errors import FileError
from saidcodec.parallel import cores

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

MEGA = 1e6
MOST_SUFFIXES = 4  # of files that are left alone, in the line of sums


class Sums:
    """What all outcomes so far add up to."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.count: Counter[State] = Counter()
        self.read = self.written = self.pixels = 0
        self.seconds: dict[str, float] = {}

    def add(self, outcome: Outcome) -> None:
        self.count[outcome.state] += 1
        if outcome.state is State.DONE:
            self.read += outcome.read
            self.written += outcome.written
            self.pixels += outcome.pixels
        for what, seconds in outcome.seconds.items():
            self.seconds[what] = self.seconds.get(what, 0.0) + seconds

    def speed(self) -> str:
        return f"{self.pixels / MEGA / max(time.monotonic() - self.started, 1e-9):.2f} MP/s"

    def sizes(self) -> str:
        """Bytes in, and where something is written bytes out and their ratio."""
        if not self.written:
            return shown(self.read)
        return f"{shown(self.read)} to {shown(self.written)} ({self.written / max(1, self.read):.1%})"

    def line(self, failed: int) -> str:
        """Everything, for the end."""
        counts = (
            (self.count[State.DONE], "done"),
            (self.count[State.SKIPPED], "skipped"),
            (failed, "failed"),
        )
        files = ", ".join(f"{count:,} {what}" for count, what in counts if count)
        if not self.count[State.DONE]:
            return files
        return f"{files}; {self.sizes()}, {self.speed()}, {time.monotonic() - self.started:.2f} s"

    def times(self) -> str:
        """Seconds of all workers together."""
        total = sum(self.seconds.values()) or 1.0
        return ", ".join(f"{what} {s:.2f} s ({s / total:.0%})" for what, s in self.seconds.items())


def shown(size: int) -> str:
    """Bytes for people."""
    return f"{size / MEGA:,.1f} MB" if size >= MEGA / 10 else f"{size / 1000:.1f} kB"


class Bar:
    """Shows somebody who watches how far the work is."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self.progress, self.task = progress, task

    def show(self, outcome: Outcome, sums: Sums) -> None:
        self.progress.update(
            self.task,
            advance=outcome.job.size,
            files=sum(sums.count.values()),
            sizes=sums.sizes(),
            speed=sums.speed(),
        )

    def say(self, text: str) -> None:
        self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def bar_of(verb: str, jobs: Sequence[Job], quiet: bool) -> Iterator[Bar | None]:
    """A bar, or None where nobody would see it."""
    if quiet or not watched():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn(
            "{task.fields[files]}/{task.fields[all]} files, {task.fields[sizes]}, {task.fields[speed]},"
        ),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=Console(file=sys.stderr),
        transient=True,
        expand=True,
    ) as progress:
        size = sum(job.size for job in jobs)
        task = progress.add_task(verb, total=size, files=0, all=len(jobs), sizes=shown(0), speed="- MP/s")
        yield Bar(progress, task)


def work_on(
    work: Work,
    paths: Sequence[str],
    output_dir: str | None,
    *,
    jobs: int | None,
    dask: str | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Do some work on files and folders, and tell about it; exit status 1 says that something failed."""
    work.check()
    writing = work if isinstance(work, Writing) else None
    planned = plan(paths, output_dir, work.wanted(), writing.ending() if writing else "")
    if not planned.jobs and not planned.failures:
        raise FileError(f"{' '.join(paths)}: there is no file to work on{left_alone(planned, ' but {}')}.")
    # Who forces or deletes looks at every target.
    skips = writing is not None and not writing.force and not writing.delete_source
    todo = [job for job in planned.jobs if not skips or not job.finished()]
    sums, notes = Sums(), list[str]()
    sums.count[State.SKIPPED] = len(planned.jobs) - len(todo)
    if todo:
        with workers_for(todo, output_dir, jobs, dask) as workers, bar_of(work.verb, todo, quiet) as bar:
            try:
                for outcome in running.run(work, todo if dask is None else absolute(todo), workers):
                    sums.add(outcome)
                    notes += outcome.notes
                    if outcome.state is State.FAILED:
                        planned.failures.append(outcome.error)
                    elif verbose:
                        (bar.say if bar else say_line)(line_of(outcome))
                    if bar:
                        bar.show(outcome, sums)
            except KeyboardInterrupt:
                again = "" if output_dir is None else "; the same command goes on from here"
                planned.failures.append(f"Interrupted{again}.")
    for sentence in notes:
        note(sentence)
    if not quiet:
        tell(f"{sums.line(len(planned.failures))}{left_alone(planned, '; {} left alone')}\n")
    if verbose:
        tell(f"  {sums.times()}\n")
    for sentence in planned.failures:
        tell(f"Error: {' '.join(sentence.split())}\n")
    if planned.failures:
        sys.exit(1)


@contextmanager
def workers_for(
    todo: Sequence[Job], output_dir: str | None, jobs: int | None, dask: str | None
) -> Iterator[running.Workers]:
    """The workers that the options ask for.  Raises FileError, ClusterError."""
    if output_dir is not None:
        try:
            os.makedirs(output_dir, exist_ok=True)
        except OSError as error:
            raise FileError(f"{output_dir} cannot be made: {files.reason(error)}.") from None
    if dask is not None:
        from saidcodec.batch import cluster

        with cluster.dask(dask, absolute(todo), output_dir and os.path.abspath(output_dir)) as workers:
            yield workers
        return
    with running.local(min(jobs or cores(), len(todo))) as workers:
        yield workers


def say_line(text: str) -> None:
    tell(f"{text}\n")


def line_of(outcome: Outcome) -> str:
    """One file's outcome, for --verbose."""
    job = outcome.job
    times = ", ".join(f"{what} {seconds:.2f} s" for what, seconds in outcome.seconds.items())
    if outcome.state is State.SKIPPED:
        return f"{job.target}: there already, holds the image; {times}"
    if not job.target:
        return f"{job.source}: {outcome.read:,} bytes, whole; {times}"
    share = outcome.written / max(1, outcome.read)
    return (
        f"{job.target}: {outcome.written:,} bytes, {share:.1%} of the input's {outcome.read:,}; "
        f"{times or 'done by a worker that was lost then'}"
    )


def left_alone(planned: Plan, form: str) -> str:
    """How many files of folders were not of the wanted kind, if any."""
    found = planned.left_alone
    if not found:
        return ""
    kinds = [suffix or "without a suffix" for suffix, _ in found.most_common(MOST_SUFFIXES)]
    more = ", ..." if len(found) > MOST_SUFFIXES else ""
    return form.format(f"{found.total()} of other kinds ({', '.join(kinds)}{more})")
