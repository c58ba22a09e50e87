"""Checkpoints hold values, never code."""

import os
import pickle
import stat
from dataclasses import asdict

import pytest
import torch

from saidcodec.errors import ModelError
from saidcodec.training import checkpoints, residual, said
from saidcodec.training.windows import Shape


class Trap:
    """Runs something when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_file_cannot_run_code(tmp_path):
    for save in (torch.save, lambda state, path: path.write_bytes(pickle.dumps(state))):
        save({"model": Trap(tmp_path / "sprung")}, tmp_path / "trap.pt")
        with pytest.raises(ModelError, match="not a checkpoint"):
            checkpoints.read(tmp_path / "trap.pt", "model")
        with pytest.raises(ModelError, match="not a checkpoint"):
            residual.load_checkpoint(tmp_path / "trap.pt")
    assert not (tmp_path / "sprung").exists()


def test_settings_and_tensors_come_back(tmp_path):
    state = {
        "model": {"weight": torch.arange(3.0)},
        "settings": [asdict(said.Settings(steps=3)), asdict(residual.Settings(steps=2, shape=Shape()))],
        "seconds": 1.5,
    }
    before = os.umask(0o022)
    try:
        checkpoints.write(tmp_path / "it.pt", state)
    finally:
        os.umask(before)
    found = checkpoints.read(tmp_path / "it.pt", "model", "seconds")
    assert found["settings"] == state["settings"]
    assert found["model"]["weight"].equal(state["model"]["weight"])
    assert os.listdir(tmp_path) == ["it.pt"]
    assert stat.S_IMODE((tmp_path / "it.pt").stat().st_mode) == 0o644


def test_what_is_no_checkpoint(tmp_path):
    (tmp_path / "text.pt").write_text("text")
    (tmp_path / "empty.pt").touch()
    checkpoints.write(tmp_path / "other.pt", {"network": 1})
    for name in ("text", "empty", "other"):
        with pytest.raises(ModelError, match=f"{name}.pt is not a checkpoint"):
            checkpoints.read(tmp_path / f"{name}.pt", "model")
    with pytest.raises(ModelError, match=r"gone\.pt cannot be read: No such file"):
        checkpoints.read(tmp_path / "gone.pt")
