"""Two processes that train together, as torchrun starts them."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch

from saidcodec.errors import ModelError
from saidcodec.training import checkpoints, team
from saidcodec.training.commands import options

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """The folder of two processes that have trained together."""
    folder = tmp_path_factory.mktemp("team")
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(HERE / "pair.py")]
    told = {**os.environ, "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, *command, str(folder)], env=told, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return folder


def test_all_end_with_the_same_weights(ended):
    one, other = (torch.load(ended / f"{rank}-2.end", weights_only=True) for rank in (0, 1))
    for part in ("residual", "said"):
        for name, weight in one[part].items():
            assert torch.equal(weight, other[part][name]), name


def test_the_loss_falls_and_the_first_one_tells(ended):
    lines = (ended / "0.log").read_text().splitlines()
    bits = [float(line.split(" dev ")[1]) for line in lines if line.startswith("step ") and " dev " in line]
    assert len(bits) == 3
    assert bits[-1] < bits[0] - 0.05
    assert [line.split(" seconds")[0] for line in lines[-2:]] == ["step 4 images 64", "step 8 images 128"]
    assert (ended / "1.log").read_text() == ""


def test_checkpoints_are_those_of_one_process(ended):
    end = torch.load(ended / "0-2.end", weights_only=True)
    for name, part, entry, prefix in (("r.pt", "residual", "mean", "module."), ("s.pt", "said", "model", "")):
        kept = checkpoints.read(ended / name, "step", entry)[entry]
        for key, weight in end[part].items():
            assert torch.equal(kept[prefix + key], weight)


def test_one_process_is_a_team_of_its_own():
    with team.started() as ours:
        assert ours == team.ALONE
    assert (ours.leads, ours.agreed(0.3), ours.device("cuda")) == (True, 0.3, "cuda")
    assert team.Team(3, 4, 1).device("cuda") == "cuda:1"
    assert team.Team(3, 4, 1).device("cpu") == "cpu"


def test_processes_at_different_steps_are_refused(monkeypatch):
    monkeypatch.setattr(team.Team, "agreed", lambda self, value: 7.0)
    with pytest.raises(ModelError, match="different checkpoints"):
        team.Team(1, 2).begin(torch.nn.Linear(1, 1), 0)


def test_other_commands_are_one_process(monkeypatch):
    options.check_alone()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(click.UsageError, match="torchrun is for train said and train residual"):
        options.check_alone()
