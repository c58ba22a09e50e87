"""Work beside each other in threads: the core, NumPy and zlib let go of the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Progress = Callable[[float], None]
J = TypeVar("J")
T = TypeVar("T")


def in_threads(
    work: Callable[[J], T], jobs: Sequence[J], threads: int, progress: Progress | None = None
) -> Iterator[T]:
    """The results of ``work`` on each job, in their order; ``progress`` is told the share after each."""
    threads = min(threads, len(jobs))
    if threads <= 1:
        yield from told(map(work, jobs), len(jobs), progress)
        return
    from concurrent.futures import ThreadPoolExecutor  # not where one thread is enough

    pool = ThreadPoolExecutor(threads)
    try:
        yield from told(pool.map(work, jobs), len(jobs), progress)
    finally:
        pool.shutdown(cancel_futures=True)


def told(results: Iterator[T], count: int, progress: Progress | None) -> Iterator[T]:
    """The results, with ``progress`` told after each."""
    for done, result in enumerate(results, 1):
        yield result
        if progress:
            progress(done / count)


def no_progress(share: float) -> None:
    """No-op."""


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
