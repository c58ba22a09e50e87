"""From paths to jobs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidcodec.batch import jobs
from saidcodec.batch.jobs import Job, Plan, plan
from saidcodec.errors import FileError

IMAGES = frozenset({".png", ".jpg"})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)


def targets(found: Plan) -> dict[str, str]:
    return {job.source: job.target for job in found.jobs}


def said(source: str) -> str:
    return ".said"


def planned(*paths: str, output_dir: str = "out") -> Plan:
    return plan(paths, output_dir, IMAGES, said)


def test_folders_keep_their_structure() -> None:
    put("in/b.png", "in/sub/a.JPG", "in/sub/deep/a.png", "in/a.b.png", "one.odd")
    assert targets(planned("in", "one.odd")) == {
        "in/a.b.png": "out/a.b.said",
        "in/b.png": "out/b.said",
        "in/sub/a.JPG": "out/sub/a.said",
        "in/sub/deep/a.png": "out/sub/deep/a.said",
        "one.odd": "out/one.said",
    }


def test_a_job_knows_its_source() -> None:
    put("a.png")
    os.utime("a.png", ns=(5, 7_000_000_001))
    (job,) = planned("a.png").jobs
    assert job == Job("a.png", "out/a.said", len("a.png"), 7_000_000_001)
    assert job.unchanged()
    Path("a.png").write_text("other")
    assert not job.unchanged()


def test_what_is_left_alone() -> None:
    put("in/a.png", "in/notes.txt", "in/more.txt", "in/Makefile", "in/.hidden.png", "in/.cache/b.png")
    os.symlink("nowhere", "in/dangling.png")
    found = planned("in")
    assert list(targets(found)) == ["in/a.png"]
    assert found.left_alone == {".txt": 2, "": 1}
    assert found.failures == ["in/dangling.png cannot be read: No such file or directory."]


def test_outputs_inside_the_input_are_no_inputs() -> None:
    put("a.png", "out/old.png", "out/sub/old.png")
    assert targets(planned(".")) == {"./a.png": "out/a.said"}
    assert set(targets(planned("out"))) == {"out/old.png", "out/sub/old.png"}


def test_without_an_output_there_are_no_targets() -> None:
    put("in/a.said", "in/b.png")
    found = plan(["in", "-"], None, frozenset({".said"}))
    assert targets(found) == {"in/a.said": "", "-": ""}


def test_a_file_is_taken_once() -> None:
    put("in/a.png")
    os.symlink("in", "link")
    assert list(targets(planned("in", "in/a.png", "./in", "link"))) == ["in/a.png"]
    os.symlink("a.png", "in/b.png")
    assert list(targets(planned("in"))) == ["in/a.png", "in/b.png"]


def test_one_name_for_two_inputs_is_refused_for_both() -> None:
    put("in/a.png", "in/a.jpg", "in/b.png", "other/b.png", "other/c.png")
    found = planned("in", "other")
    assert list(targets(found)) == ["other/c.png"]
    assert [sentence.split(" would")[0] for sentence in found.failures] == [
        "in/a.jpg and in/a.png",
        "in/a.png and in/a.jpg",
        "in/b.png and other/b.png",
        "other/b.png and in/b.png",
    ]
    assert all("rename one" in sentence for sentence in found.failures)


def test_an_output_that_is_its_input_is_refused() -> None:
    put("in/a.said", "in/b.png")
    found = plan(["in/a.said", "in/b.png"], "in", IMAGES, said)
    assert targets(found) == {"in/b.png": "in/b.said"}
    assert found.failures == ["in/a.said is the input itself; give the output another name."]


def test_paths_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    put("in/a.png", "in/shut/b.png")
    os.mkfifo("pipe")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if path == "in/shut":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = planned("gone", "in", "pipe", "-")
    assert list(targets(found)) == ["in/a.png"]
    assert found.failures == [
        "gone cannot be read: No such file or directory.",
        "in/shut cannot be read: Permission denied.",
        "pipe is neither a file nor a folder.",
        "Standard input has no name that an output in out could have.",
    ]


def test_an_output_folder_that_is_none() -> None:
    put("a.png", "out")
    with pytest.raises(FileError, match="out is no folder"):
        planned("a.png")


@pytest.mark.parametrize("grain", jobs.GRAINS)
def test_a_target_with_the_time_of_its_source_is_finished(grain: int) -> None:
    put("a.png", "out/a.said")
    changed = 1_700_000_001_234_567_891
    job = Job("a.png", "out/a.said", 5, changed)
    for time, finished in (
        (changed - changed % grain, True),  # as a file system keeps it that is so coarse
        (changed + 1, False),
        (changed - changed % grain - 1, False),
    ):
        os.utime("out/a.said", ns=(time, time))
        assert job.finished() == finished
    Path("out/a.said").write_bytes(b"")  # as a power cut may leave it
    os.utime("out/a.said", ns=(changed, changed))
    assert not job.finished()
    assert not replace(job, target="out/none.said").finished()
    assert not replace(job, target="").finished()


@given(st.lists(st.integers(0, 2 * jobs.SMALL_BYTES)), st.integers(1, 9))
def test_groups_hold_every_job_once(sizes: list[int], workers: int) -> None:
    found = [Job(str(i), "", size, 0) for i, size in enumerate(sizes)]
    groups = jobs.in_groups(found, workers)
    assert sorted((job for group in groups for job in group), key=found.index) == found
    for group in groups:
        assert 1 <= len(group) <= jobs.MOST_IN_GROUP
        assert len(group) == 1 or all(job.size <= jobs.SMALL_BYTES for job in group)
