"""A real Dask cluster on this machine: what is lost with a worker is done again, and nothing twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from factory import flat_colour_tensors
from PIL import Image

import saidcodec
from saidcodec import models
from saidcodec.batch import cluster, running
from saidcodec.batch.encoding import Encoding
from saidcodec.batch.jobs import plan
from saidcodec.batch.work import State
from saidcodec.errors import ClusterError

pytest.importorskip("distributed", reason="the extra cluster is not installed")
IMAGES = 12
SIDE = 150  # pixels; so that the files are handed out one by one


@dataclass
class Real:
    """A scheduler and its workers."""

    address: str
    workers: list[subprocess.Popen[bytes]]
    scheduler: subprocess.Popen[bytes]


@contextmanager
def running_process(folder: Path, module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    with open(folder / "log", "ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def real(folder: Path, count: int) -> Iterator[Real]:
    """A scheduler and ``count`` workers, each a process, when all are there."""
    from distributed import Client

    place = folder / "scheduler.json"
    with ExitStack() as stack:
        options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(place))
        scheduler = stack.enter_context(running_process(folder, "dask_scheduler", *options))
        until = time.monotonic() + 60
        while not place.exists() or not place.read_text():
            assert scheduler.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        address = json.loads(place.read_text())["address"]
        options = (address, "--nthreads", "1", "--no-dashboard", "--no-nanny", "--host", "127.0.0.1")
        workers = [
            stack.enter_context(running_process(folder, "dask_worker", *options)) for _ in range(count)
        ]
        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=60)
        yield Real(address, workers, scheduler)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of images, and a model that is fast."""
    library = tmp_path / "library"
    library.mkdir()
    models.save(library / "flat.safetensors", flat_colour_tensors(), {"name": "flat"})
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(library))
    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(4)
    for i in range(IMAGES):
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)).save(folder / f"{i:02}.png")
    return folder


def test_a_worker_is_killed_in_the_middle(photos: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    work = Encoding(model="flat", residual="gaussian", glimpses=0)
    os.mkdir(out)
    jobs = plan([str(photos)], out, work.wanted(), work.ending).jobs
    outcomes = []
    with real(tmp_path, 2) as found, cluster.dask(found.address, jobs, out) as workers:
        assert workers.count == 2
        for outcome in running.run(work, jobs, workers):
            if len(outcomes) == 2:
                found.workers[0].kill()
            outcomes.append(outcome)
        assert found.workers[0].wait() < 0
        assert workers.count == 1
    assert [(outcome.state, outcome.error) for outcome in outcomes] == [(State.DONE, "")] * IMAGES
    assert sorted(outcome.job.source for outcome in outcomes) == [job.source for job in jobs], "each once"
    for job in jobs:
        assert np.array_equal(saidcodec.decode(job.target), np.asarray(Image.open(job.source)))
        assert job.finished()
    assert sum(outcome.written for outcome in outcomes) == sum(os.path.getsize(job.target) for job in jobs)


def test_a_scheduler_that_dies(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = str(tmp_path / "out")
    work = Encoding(model="flat", residual="gaussian", glimpses=0)
    jobs = plan([str(photos)], out, work.wanted(), work.ending).jobs
    os.mkdir(out)
    monkeypatch.setattr(cluster, "PATIENCE", 1)  # seconds for which the client tries to connect again
    with real(tmp_path, 1) as found, cluster.dask(found.address, jobs, out) as workers:
        outcomes = running.run(work, jobs, workers)
        assert next(outcomes).state is State.DONE
        found.scheduler.kill()
        with pytest.raises(ClusterError, match="connection to the cluster was lost"):
            list(outcomes)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere", "x://127.0.0.1:9"])
def test_a_scheduler_that_is_not_there(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    sentence = f"^There is no Dask scheduler at {address}: .*; dask scheduler starts one and says its address"
    with pytest.raises(ClusterError, match=sentence), cluster.dask(address, [], None):
        pass


def test_clusters_that_cannot_do_the_work(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import LocalCluster

    jobs = plan([str(photos)], None, frozenset({".png"})).jobs

    def refused() -> str:
        with pytest.raises(ClusterError) as error, cluster.dask(local.scheduler_address, jobs, str(photos)):
            pass
        return str(error.value)

    with LocalCluster(
        n_workers=0, processes=False, dashboard_address=None, protocol="tcp", host="127.0.0.1"
    ) as local:
        monkeypatch.setattr(cluster, "PATIENCE", 0.5)
        assert "has no worker; dask worker tcp://" in refused()
        local.scale(1)
        local.wait_for_workers(1)
        with cluster.dask(local.scheduler_address, jobs, str(photos)) as workers:
            assert workers.count >= 1
        for answer, sentence in (
            (("0.1", []), "has saidcodec 0.1, and this is"),
            ((saidcodec.__version__, ["/photos"]), "does not see /photos; all workers need the same files"),
        ):
            monkeypatch.setattr(cluster, "greeting", lambda paths, answer=answer: answer)
            assert sentence in refused()
        monkeypatch.setattr(cluster, "greeting", lambda paths: 1 / 0)
        assert f"has no saidcodec {saidcodec.__version__}; install it there" in refused()


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"saidcodec\[cluster\]"), cluster.dask("a:1", [], None):
        pass
