"""Rendered scenes: where objects may lie, and the sheets that they are gathered in.  They need no Blender."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from saidcodec.training import datasets


@pytest.fixture
def scenes(monkeypatch):
    """benchmarks/scenes.py, with nothing for Blender."""
    monkeypatch.setitem(sys.modules, "bpy", ModuleType("bpy"))
    monkeypatch.setitem(sys.modules, "mathutils", SimpleNamespace(Vector=tuple))
    path = Path(__file__).parents[2] / "benchmarks" / "scenes.py"
    spec = importlib.util.spec_from_file_location("scenes", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "scenes", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("apart", "fits"),
    [
        ((2.0, 2.0), True),
        ((0.8, 0.8), False),  # nearer than both radii and a gap
        ((0.3, 3.0), False),  # which one is farther to the right cannot be told
        ((3.0, -0.3), False),
        ((-0.5, 3.0), True),
    ],
)
def test_objects_are_apart_and_have_an_order(scenes, apart, fits):
    axes = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    assert scenes.free(np.array(apart), 1.0, axes) is fits


def test_places_are_free_and_of_every_kind(scenes, monkeypatch):
    monkeypatch.setattr(scenes, "axes", lambda: [np.array([1.0, 0.0]), np.array([0.0, 1.0])])
    rng, sizes, kinds = np.random.default_rng(0), {"small": 0.35, "large": 0.7}, set()
    for _ in range(30):
        things = scenes.place(rng, sizes)
        if things is None:
            continue
        assert scenes.FEWEST <= len(things) <= scenes.MOST
        for i, one in enumerate(things):
            kinds.add(one.kinds[:3])
            for other in things[:i]:
                assert np.hypot(one.x - other.x, one.y - other.y) > scenes.APART + 0.35
                assert min(abs(one.x - other.x), abs(one.y - other.y)) >= scenes.MARGIN
    assert len(kinds) == 12


def test_sheets_come_back_as_they_were(scenes, tmp_path):
    rng, paths, images = np.random.default_rng(0), [], []
    for i in range(17):
        images.append(rng.integers(0, 256, (64, 64, 3), np.uint8))
        mask = np.zeros((192, 192), np.uint8)
        mask[3:9, 6:18] = 1
        mask[30:91, 30:90] = 2  # the largest; the third is outside the square
        paths.append(tmp_path / f"{i}.npz")
        kinds = np.array([[0, 1, 0, 3], [1, 0, 1, 2], [2, 2, 1, 1]], np.int8)
        np.savez(paths[-1], image=images[-1], mask=mask, attributes=kinds)
    scenes.gather(tmp_path, paths)
    found = datasets.sheets(tmp_path, "dev")
    assert np.array_equal(found.images, np.stack(images))
    assert found.counts.tolist() == [2] * 17
    assert found.boxes[16, :3].tolist() == [[10, 10, 30, 31], [2, 1, 6, 3], [-1] * 4]
    assert found.attributes[16, :3].tolist() == [[1, 0, 1, 2], [0, 1, 0, 3], [-1] * 4]
    assert np.unique(found.masks[16]).tolist() == [0, 1, 2]
    assert found.masks[16, 1:3, 2:6].tolist() == [[1] * 4] * 2
