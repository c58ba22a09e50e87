"""Jobs done by other processes, a few at a time, so that memory stays bounded."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Protocol

from saidcodec import files
from saidcodec.batch.jobs import Job, in_groups
from saidcodec.batch.work import Outcome, State, Work, Writing
from saidcodec.errors import ClusterError
from saidcodec.parallel import cores

Group = tuple[Job, ...]
LOST = "The connection to the cluster was lost."
AHEAD = 2  # groups for each worker that are handed out, so that none of them waits


class Workers(Protocol):
    """Who does the work: ``count`` of them."""

    @property
    def count(self) -> int: ...

    def submit(self, work: Work, group: Group) -> Future[list[Outcome]]:
        """Begin with a group of jobs."""


class Here:
    """This process: a group is done when it is handed out."""

    count = 1

    def __init__(self) -> None:
        self.threads = cores()

    def submit(self, work: Work, group: Group) -> Future[list[Outcome]]:
        future: Future[list[Outcome]] = Future()
        try:
            future.set_result(work.run(group, self.threads))
        except Exception as error:
            future.set_exception(error)
        return future


class Processes:
    """Processes of this machine that share its cores."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.threads = max(1, cores() // count)
        self.pool = self.fresh()

    def fresh(self) -> Executor:
        # Not forked: the engine's threads would not be there in the copies.
        return ProcessPoolExecutor(self.count, multiprocessing.get_context("spawn"), prepare)

    def submit(self, work: Work, group: Group) -> Future[list[Outcome]]:
        try:
            return self.pool.submit(at_work, work, group, self.threads)
        except BrokenProcessPool:  # one of its processes died
            self.pool = self.fresh()
            return self.pool.submit(at_work, work, group, self.threads)


def at_work(work: Work, group: Group, threads: int) -> list[Outcome]:
    """``work.run`` in a process that is ended by an exception meanwhile, and so leaves no temporary file.

    Between groups it ends at once: an exception in the middle of what is read from the pool would leave the
    other processes a part of it, and they would tell of that.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        return work.run(group, threads)
    except SystemExit:  # the pool would go on with the next group
        os._exit(1)
    finally:
        signal.signal(signal.SIGTERM, before)


def prepare() -> None:
    """Let a process end with the one that started it, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the first one decides
    warnings.simplefilter("ignore")  # what matters is caught where images are read and written
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def local(count: int) -> Iterator[Workers]:
    """``count`` workers on this machine, which end with the block, whatever they are doing then."""
    if count == 1:
        yield Here()
        return
    before = set(multiprocessing.active_children())
    workers = Processes(count)
    try:
        yield workers
    finally:
        workers.pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()


def run(work: Work, jobs: Sequence[Job], workers: Workers) -> Iterator[Outcome]:
    """The outcome of every job, in the order in which they end.

    Workers that die are not the end: the jobs that they had are tried once more, one at a time.  Raises
    ClusterError where a cluster is lost as a whole.
    """
    waiting = deque(in_groups(jobs, workers.count))
    suspects: deque[Group] = deque()
    running: dict[Future[list[Outcome]], Group] = {}
    delete = isinstance(work, Writing) and work.delete_source
    alone = False
    while waiting or running or suspects:
        while waiting and len(running) < AHEAD * workers.count and not suspects:
            group = waiting.popleft()
            running[workers.submit(work, group)] = group
        alone = not running
        if alone:
            group = suspects.popleft()
            running[workers.submit(work, group)] = group
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in [future for future in running if future in done]:  # in the order of the jobs
            group = running.pop(future)
            if future.cancelled():
                raise ClusterError(LOST)
            error = future.exception()
            if error is None:
                for outcome in future.result():
                    yield cleared(outcome) if delete else outcome
            elif alone:
                yield Outcome(group[0]).failed(lost(group[0], error))
            else:
                suspects.extend((job,) for job in group)


def lost(job: Job, error: BaseException) -> str:
    """The sentence of a job that ended its worker."""
    return (
        f"{job.source}: the process that worked on it died ({type(error).__name__}), "
        "perhaps for lack of memory; fewer --jobs take less."
    )


def cleared(outcome: Outcome) -> Outcome:
    """Remove the source of an outcome if its target is proven to hold all of it."""
    job = outcome.job
    if outcome.state is State.FAILED:
        return outcome
    kept = f"{job.source} was not deleted: "
    if not outcome.proven:
        return outcome.failed(f"{kept}{job.target} does not hold all of it.")
    try:
        if not job.unchanged():
            return outcome.failed(f"{kept}it changed meanwhile.")
        os.unlink(job.source)
    except OSError as error:
        return outcome.failed(f"{kept}{files.reason(error)}.")
    return outcome
