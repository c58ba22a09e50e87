"""Parts of the adaptation: all together are the coder that is used, none is the network alone."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saidcodec import models
from saidcodec.residual import band, engine
from saidcodec.residual.engine import LENGTH_BITS, SYMBOL_BITS, Plane
from saidcodec.residual.lengths import lengths

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import parts

pytestmark = pytest.mark.skipif(not models.installed(), reason="no model is shipped")
SCENE = np.asarray(Image.open(Path(__file__).parents[2] / "examples" / "scene.png").convert("RGB"))


@pytest.fixture(scope="module")
def plane() -> Plane:
    return parts.plane_of(parts.middle(SCENE, 64))


def of_engine(plane: Plane) -> float:
    symbols = engine.current().symbols(band.network_of(models.find(parts.MODEL)), plane)
    return float(lengths()[symbols >> SYMBOL_BITS, symbols & 1023].sum(dtype=np.int64)) / (1 << LENGTH_BITS)


def test_the_ends_of_the_table_are_the_coder_without_and_with_adaptation(plane: Plane) -> None:
    assert SYMBOL_BITS == 10
    alone, whole = (parts.bits(plane, part) for part in (parts.PARTS[0], parts.PARTS[-1]))
    assert alone == of_engine(replace(plane, adaptive=False))
    assert whole == of_engine(replace(plane, adaptive=True))
    assert alone != whole


def test_the_rows() -> None:
    names = [line.split(" | ")[0].removeprefix("| ") for line in parts.rows([parts.middle(SCENE, 64)])][2:]
    rest = [parts.BY_PARITY, parts.SUITED, parts.DECISIONS, parts.SCALES.name]
    assert names == [*(part.name for part in parts.PARTS), *rest]


def test_every_part_changes_bits(plane: Plane) -> None:
    every = (*parts.PARTS, parts.SCALES)
    assert len({parts.bits(plane, part) for part in every}) == len(every)
