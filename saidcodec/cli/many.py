"""Many files at the command line: a bar while they are worked on, then sums, and what failed."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import click

from saidcodec import files
from saidcodec.batch import running
from saidcodec.batch.jobs import Job, Plan, absolute, plan
from saidcodec.batch.work import Outcome, State, Work, Writing
from saidcodec.cli.report import note, tell, watched
from saidcodec.errors import ClusterError, FileError
from saidcodec.parallel import cores

MEGA = 1e6
MOST_SUFFIXES = 4  # of files that are left alone, in the line of sums

Show = Callable[[str | None], None]  # a line, or None where only the sums have changed


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
    if not paths:
        raise click.UsageError("Missing argument 'PATH...'.")
    work.check()
    writing = work if isinstance(work, Writing) else None
    planned = plan(paths, output_dir, work.wanted(), writing.ending if writing else None)
    if not planned.jobs and not planned.failures:
        raise FileError(f"{' '.join(paths)}: there is no file to work on{left_alone(planned, ' but {}')}.")
    # Who forces or deletes looks at every target.
    skips = writing is not None and not writing.force and not writing.delete_source
    todo = [job for job in planned.jobs if not skips or not job.finished()]
    tally = Tally(planned, todo)
    if todo:
        with workers_for(todo, output_dir, jobs, dask) as workers, bar(work.verb, tally, quiet) as show:
            try:
                for outcome in running.run(work, todo if dask is None else absolute(todo), workers):
                    tally.add(outcome)
                    show(line_of(outcome) if verbose and outcome.state is not State.FAILED else None)
            except (KeyboardInterrupt, ClusterError) as error:
                again = " The same command goes on from here." if writing else ""
                tally.stopped = f"{str(error) or 'Interrupted.'}{again}"
    tally.tell(quiet, verbose)
    if tally.failures:
        sys.exit(1)


class Tally:
    """What all outcomes so far add up to.  ``stopped``: the sentence of why there will be no more."""

    def __init__(self, planned: Plan, todo: Sequence[Job]) -> None:
        self.started = time.monotonic()
        self.planned = planned
        self.failures = planned.failures
        self.notes: list[str] = []
        self.size = sum(job.size for job in todo)
        self.count = Counter({State.SKIPPED: len(planned.jobs) - len(todo)})
        self.seen = self.read = self.written = self.pixels = 0
        self.seconds: dict[str, float] = {}
        self.stopped = ""

    def add(self, outcome: Outcome) -> None:
        self.count[outcome.state] += 1
        self.seen += outcome.job.size
        self.notes += outcome.notes
        if outcome.state is State.FAILED:
            self.failures.append(outcome.error)
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

    def progress(self) -> str:
        """The sums, for the bar."""
        return f"{self.count.total()}/{len(self.planned.jobs)} files, {self.sizes()}, {self.speed()}"

    def line(self) -> str:
        """Everything, for the end."""
        done, failed = self.count[State.DONE], len(self.failures)
        counts = ((done, "done"), (self.count[State.SKIPPED], "skipped"), (failed, "failed"))
        none = "stopped before any file was done" if self.stopped else "nothing done"
        line = ", ".join(f"{count:,} {what}" for count, what in counts if count) or none
        if done:
            line += f"; {self.sizes()}, {self.speed()}, {time.monotonic() - self.started:.2f} s"
        return line + left_alone(self.planned, "; {} left alone")

    def tell(self, quiet: bool, verbose: bool) -> None:
        """Say all of it, the failures last."""
        for sentence in self.notes:
            note(sentence)
        if not quiet:
            tell(f"{self.line()}\n")
        if verbose and self.seconds:
            total = sum(self.seconds.values())
            times = [f"{what} {s:.2f} s ({s / total:.0%})" for what, s in self.seconds.items()]
            tell(f"of all workers together: {', '.join(times)}\n")
        if self.stopped:
            self.failures.append(self.stopped)
        for sentence in self.failures:
            tell(f"Error: {' '.join(sentence.split())}\n")


@contextmanager
def workers_for(
    todo: Sequence[Job], output_dir: str | None, jobs: int | None, dask: str | None
) -> Iterator[running.Workers]:
    """The workers that the options ask for.  Raises FileError, ClusterError."""
    if dask is not None:
        from saidcodec.batch import cluster

        with cluster.dask(dask, absolute(todo), output_dir and os.path.abspath(output_dir)) as workers:
            yield workers
        return
    new = missing(output_dir or "")
    if output_dir is not None:
        files.make_folder(output_dir)
    try:
        with running.local(min(jobs or cores(), len(todo))) as workers:
            yield workers
    finally:
        with suppress(OSError):  # something is in it
            for folder in new:
                os.rmdir(folder)


def missing(folder: str) -> list[str]:
    """A folder and those above it, as far as they are not there; the innermost first."""
    found = []
    while folder and not os.path.lexists(folder):
        found.append(folder)
        folder = os.path.dirname(folder.rstrip(os.sep))
    return found


@contextmanager
def bar(verb: str, tally: Tally, quiet: bool) -> Iterator[Show]:
    """A way to show a line and the sums, these as a bar where somebody watches."""
    if quiet or not watched():
        yield lambda line: tell(f"{line}\n") if line is not None else None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[sums]},", markup=False),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, transient=True, expand=True) as progress:
        task = progress.add_task(verb, total=tally.size, sums=tally.progress())

        def show(line: str | None) -> None:
            if line is not None:
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            progress.update(task, completed=tally.seen, sums=tally.progress())

        yield show


def line_of(outcome: Outcome) -> str:
    """One file's outcome."""
    job = outcome.job
    times = ", ".join(f"{what} {seconds:.2f} s" for what, seconds in outcome.seconds.items())
    if not job.target:
        return f"{job.source}: {outcome.read:,} bytes, whole; {times}"
    if outcome.state is State.SKIPPED:
        return f"{job.target}: there already, and holds the image; {times}"
    share = outcome.written / max(1, outcome.read)
    return (
        f"{job.target}: {outcome.written:,} bytes, {share:.1%} of the input's {outcome.read:,}; "
        f"{times or 'by a worker that was lost'}"
    )


def shown(size: int) -> str:
    """Bytes for people."""
    return f"{size / MEGA:,.1f} MB" if size >= MEGA / 10 else f"{size / 1000:.1f} kB"


def left_alone(planned: Plan, form: str) -> str:
    """How many files of folders were not of the wanted kind, if any."""
    found = planned.left_alone
    if not found:
        return ""
    kinds = [suffix or "no suffix" for suffix, _ in found.most_common(MOST_SUFFIXES)]
    more = ", ..." if len(found) > MOST_SUFFIXES else ""
    return form.format(f"{found.total():,} of other kinds ({', '.join(kinds)}{more})")
