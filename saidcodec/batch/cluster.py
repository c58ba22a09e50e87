"""The workers of a Dask cluster, which see the same files under the same names."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

from saidcodec import __version__, files
from saidcodec.batch.jobs import Job
from saidcodec.batch.running import LOST, Group, Workers
from saidcodec.batch.work import Outcome, Work
from saidcodec.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

PATIENCE = 10  # seconds to wait for a scheduler, and for its first worker
RETRIES = 2  # of a group whose worker was lost


class Cluster:
    """All threads of a cluster's workers, each with one image at a time."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.executor = client.get_executor(pure=False, retries=RETRIES)

    @property
    def count(self) -> int:
        with connected():
            return max(1, sum(self.client.nthreads().values()))  # workers come and go

    def submit(self, work: Work, group: Group) -> Future[list[Outcome]]:
        with connected():
            future: Future[list[Outcome]] = self.executor.submit(work.run, group, 1)
        return future


@contextmanager
def connected() -> Iterator[None]:
    """Raises ClusterError where the scheduler is gone."""
    try:
        yield
    except (OSError, RuntimeError):
        raise ClusterError(LOST) from None


@contextmanager
def dask(address: str, jobs: Sequence[Job], output_dir: str | None) -> Iterator[Workers]:
    """The workers behind a scheduler's address, such as tcp://127.0.0.1:8786.

    ``jobs`` and ``output_dir``, which is made once there is a scheduler, must have absolute paths.  Raises
    ClusterError where Dask is not installed, where there is no scheduler or no worker, and where a worker is
    of another version or does not see the files; FileError.
    """
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host
    except ImportError:
        raise ClusterError(
            "--dask needs Dask, which is not installed: install the package as saidcodec[cluster]."
        ) from None
    try:
        get_address_host(address)  # before there is a client, which would wait for itself to end
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"There is no Dask scheduler at {address}: {files.reason(error)}; "
            "dask scheduler starts one and says its address."
        ) from None
    with silence(), client:
        if output_dir is not None:
            files.make_folder(output_dir)
        check_workers(client, address, [job.source for job in jobs[:1]], output_dir)
        yield Cluster(client)


@contextmanager
def silence() -> Iterator[None]:
    """Keep Dask from logging what is an exception, too."""
    logger = logging.getLogger("distributed.client")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def check_workers(client: Client, address: str, sources: Sequence[str], output_dir: str | None) -> None:
    """Raises ClusterError where there is no worker, or one that could not do the work."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise ClusterError(
            f"The Dask scheduler at {address} has no worker; dask worker {address} starts one."
        ) from None
    paths = [*sources, *([output_dir] if output_dir is not None else [])]
    for worker, found in client.run(greeting, paths, on_error="return").items():
        if not isinstance(found, tuple):  # an error, most often that it cannot import this module
            raise ClusterError(f"The Dask worker {worker} has no saidcodec {__version__}; install it there.")
        version, unseen = found
        if version != __version__:
            raise ClusterError(
                f"The Dask worker {worker} has saidcodec {version}, and this is {__version__}; "
                "install the same there."
            )
        if unseen:
            raise ClusterError(
                f"The Dask worker {worker} does not see {unseen[0]}; "
                "all workers need the same files under the same names."
            )


def greeting(paths: Sequence[str]) -> tuple[str, list[str]]:
    """What a worker answers: its version, and which of some paths it does not see."""
    return __version__, [path for path in paths if not os.path.exists(path)]
