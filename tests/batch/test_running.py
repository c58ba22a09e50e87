"""Every job is done once, whatever becomes of those who do it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from dying import Dying
from hypothesis import given
from hypothesis import strategies as st

from saidcodec.batch import running
from saidcodec.batch.jobs import SMALL_BYTES, Job
from saidcodec.batch.running import Group
from saidcodec.batch.work import Outcome, State, Work
from saidcodec.errors import ClusterError


class Unreliable:
    """Workers that die with the jobs of which ``deaths`` says so, so many times, and end in any order."""

    def __init__(self, count: int, deaths: dict[str, int], order: list[int]) -> None:
        self.count, self.deaths, self.order = count, dict(deaths), order
        self.futures: list[tuple[Future[list[Outcome]], Group]] = []
        self.most = 0

    def submit(self, work: Work, group: Group) -> Future[list[Outcome]]:
        future: Future[list[Outcome]] = Future()
        self.futures.append((future, group))
        self.most = max(self.most, len(self.futures))
        return future

    def end_one(self) -> None:
        future, group = self.futures.pop((self.order.pop() if self.order else 0) % len(self.futures))
        for job in group:
            if self.deaths.get(job.source, 0):
                self.deaths[job.source] -= 1
                future.set_exception(BrokenProcessPool())
                return
        future.set_result([Outcome(job) for job in group])


@given(
    st.lists(st.tuples(st.integers(0, 2 * SMALL_BYTES), st.sampled_from([0, 0, 0, 1, 2, 9])), max_size=40),
    st.integers(1, 4),
    st.lists(st.integers(0, 99)),
)
def test_every_job_has_one_outcome(files: list[tuple[int, int]], count: int, order: list[int]) -> None:
    deaths = {str(i): times for i, (_, times) in enumerate(files)}
    jobs = [Job(str(i), "", size, 0) for i, (size, _) in enumerate(files)]
    workers = Unreliable(count, deaths, order)
    with pytest.MonkeyPatch.context() as patch:

        def wait(futures: object, return_when: str) -> tuple[set[Future[list[Outcome]]], None]:
            workers.end_one()
            return {future for future in futures if future.done()}, None  # type: ignore[attr-defined]

        patch.setattr(running, "wait", wait)
        outcomes = [*running.run(Dying(), jobs, workers)]
    assert sorted(int(outcome.job.source) for outcome in outcomes) == [*range(len(files))]
    assert workers.most <= running.AHEAD * count
    for outcome in outcomes:
        if outcome.state is State.FAILED:
            assert deaths[outcome.job.source] >= 1, "nobody fails for another one"
            assert outcome.error.startswith(f"{outcome.job.source}: the process that worked on it died")
        else:
            assert deaths[outcome.job.source] <= 1


def test_a_lost_cluster_ends_everything() -> None:
    class Lost:
        count = 1

        def submit(self, work: Work, group: Group) -> Future[list[Outcome]]:
            future: Future[list[Outcome]] = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    with pytest.raises(ClusterError, match="connection to the cluster was lost"):
        list(running.run(Dying(), [Job("a", "", 1, 0)], Lost()))


def test_an_error_of_the_work_itself_is_that_of_its_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise CancelledError

    monkeypatch.setattr(Dying, "run", fail)
    (outcome,) = running.run(Dying(), [Job("a", "", 1, 0)], running.Here())
    assert outcome.state is State.FAILED
    assert "CancelledError" in outcome.error


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_processes_survive_one_that_dies(tmp_path: Path) -> None:
    jobs = []
    for i in range(12):
        path = tmp_path / str(i)
        path.write_text("die" if i == 3 else "live")
        jobs.append(Job(str(path), "", SMALL_BYTES + 1, 0))
    with running.local(2) as workers:
        outcomes = [*running.run(Dying(), jobs, workers)]
    assert sorted(Path(outcome.job.source).name for outcome in outcomes) == sorted(map(str, range(12)))
    (failed,) = [outcome for outcome in outcomes if outcome.state is State.FAILED]
    assert failed.error.startswith(f"{tmp_path / '3'}: the process that worked on it died")
    places = {note for outcome in outcomes for note in outcome.notes}
    assert str(os.getpid()) not in places


def test_processes_work_at_the_same_time(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text(f"meet {other}")
    other.write_text(f"meet {one}")
    jobs = [Job(str(path), "", SMALL_BYTES + 1, 0) for path in (one, other)]
    with running.local(2) as workers:
        outcomes = [*running.run(Dying(), jobs, workers)]
    assert [outcome.error for outcome in outcomes] == ["", ""]
    assert len({note for outcome in outcomes for note in outcome.notes}) == 2


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_process_that_is_ended_tidies_up_at_work_and_is_silent_otherwise(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    jobs = []
    for name in ("end", "live"):
        (tmp_path / name).write_text(name)
        jobs.append(Job(str(tmp_path / name), "", 1, 0))
    with running.local(2) as workers:
        with pytest.raises(BrokenProcessPool):
            workers.submit(Dying(), (jobs[0],)).result()
        assert (tmp_path / "end").read_text() == "tidied"
        (outcome,) = workers.submit(Dying(), (jobs[1],)).result()
        (idle,) = [one for one in multiprocessing.active_children() if str(one.pid) in outcome.notes]
        idle.terminate()
        # The pool waits for the process, too: while it does, join() may return before exitcode is set.
        until = time.monotonic() + 30
        while idle.exitcode is None and time.monotonic() < until:
            time.sleep(0.01)
        assert idle.exitcode == -signal.SIGTERM
    assert capfd.readouterr() == ("", "")


def test_one_worker_is_this_process(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("live")
    with running.local(1) as workers:
        (outcome,) = running.run(Dying(), [Job(str(tmp_path / "a"), "", 1, 0)], workers)
    assert outcome.notes == [str(os.getpid())]
