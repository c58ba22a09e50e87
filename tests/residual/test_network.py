"""What a model file may ask of the residual network."""

import numpy as np
import pytest
from factory import random_tensors

from saidcodec.errors import ModelError
from saidcodec.residual.context import ORIGINS, REFERENCE, WINDOW
from saidcodec.residual.network import ResidualNetwork

GOOD = np.array(ORIGINS, np.int8)


def test_origins_are_places_in_the_window() -> None:
    tensors = random_tensors(1)
    assert not ResidualNetwork(tensors).origins.any()
    found = ResidualNetwork({**tensors, "residual.origins": GOOD}).origins
    assert [(REFERENCE, *WINDOW)[i] for i in found] == [*ORIGINS]


@pytest.mark.parametrize(
    "origins",
    [
        GOOD[:-1],
        np.concatenate([GOOD, GOOD[:1]]),
        GOOD[:0],
        np.where(np.arange(len(GOOD))[:, None] == 3, np.int8(1), GOOD),  # (1, 1) lies ahead
        GOOD.astype(np.int32),
        GOOD.reshape(-1),
    ],
    ids=["18", "20", "none", "ahead", "int32", "flat"],
)
def test_other_origins_are_refused(origins: np.ndarray) -> None:
    with pytest.raises(ModelError, match=r"count from|no list of offsets"):
        ResidualNetwork({**random_tensors(1), "residual.origins": origins})


@pytest.mark.parametrize("marks", [[0, 32], [129, 32], [64, 0], [64, 128], [64], [64, 32, 1]])
def test_marks_that_are_no_bytes_are_refused(marks: list[int]) -> None:
    tensors = random_tensors(1)
    assert ResidualNetwork({**tensors, "residual.marks": np.array([128, 127], np.int32)}).mark == 127
    with pytest.raises(ModelError, match="marks"):
        ResidualNetwork({**tensors, "residual.marks": np.array(marks, np.int32)})


@pytest.mark.parametrize("copies", [[(1, 0)], [REFERENCE] * (len(WINDOW) + 2)], ids=["ahead", "21"])
def test_other_copies_are_refused(copies: list[tuple[int, int]]) -> None:
    with pytest.raises(ModelError, match="copies from"):
        ResidualNetwork({**random_tensors(1, copies=True), "residual.copies": np.array(copies, np.int8)})
