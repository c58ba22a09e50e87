"""How the encoder makes a description shorter."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saidcodec import choice, codec, edits, inspection, models
from saidcodec.judge import box_worth
from saidcodec.said.code import tables_of

pytestmark = pytest.mark.skipif(not models.installed(), reason="no model is shipped")
DIGITS = np.asarray(Image.open(Path(__file__).with_name("digits.png")))


def test_boxes_about_a_box_are_valid_and_have_the_usual_size() -> None:
    tables = tables_of(models.find("multimnist")).box
    usual = [int(table.frequency.argmax()) + 1 for table in tables[:2]]
    for box in ([30, 30, 36, 44], [0, 0, 4, 4], [60, 58, 64, 64]):
        boxes = edits.about(np.array(box), tables)
        size = boxes[:, 2:] - boxes[:, :2]
        assert (boxes >= 0).all()
        assert (boxes <= 64).all()
        assert (size == usual).all(1).any()
        assert (size[:, 0] == size[:, 1]).any()


def test_refined_boxes_make_the_file_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    refined = codec.encode(DIGITS, model="multimnist")
    monkeypatch.setattr(edits, "refined", lambda judge, tile, description: description)
    plain = codec.encode(DIGITS, model="multimnist")
    assert len(refined) < len(plain)
    count = len(inspection.inspect(plain)["glimpses"])
    assert len(inspection.inspect(refined)["glimpses"]) == count > 0


def test_glimpses_that_the_search_overlooked_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = codec.encode(DIGITS, model="multimnist")
    monkeypatch.setattr(choice, "best", lambda judge, options, forced: None)
    again = codec.encode(DIGITS, model="multimnist")
    count = len(inspection.inspect(whole)["glimpses"])
    assert len(inspection.inspect(again)["glimpses"]) == count > 0
    assert len(again) < 1.02 * len(whole)
    monkeypatch.setattr(edits, "completed", lambda judge, tile, description: description)
    without = codec.encode(DIGITS, model="multimnist")
    assert not inspection.inspect(without)["glimpses"]
    assert 8 * (len(again) - len(without)) < count * (box_worth(models.find("multimnist")) + 1)


def test_no_glimpses_means_none() -> None:
    data = codec.encode(DIGITS, model="multimnist", glimpses=0)
    assert not inspection.inspect(data)["glimpses"]


def test_needless_glimpses_are_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = codec.encode(DIGITS, model="multimnist")
    original = edits.completed

    def doubled(judge, tile, description):  # type: ignore[no-untyped-def]
        description = original(judge, tile, description)
        return description.added(description.boxes[0], description.latents[0])

    monkeypatch.setattr(edits, "completed", doubled)
    again = codec.encode(DIGITS, model="multimnist")
    assert len(inspection.inspect(again)["glimpses"]) == len(inspection.inspect(whole)["glimpses"])


def test_remains_are_where_errors_are() -> None:
    size = np.array([12, 14])
    tile, seen = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    tile[13:17, 8:12], tile[43:47, 45:49] = 150, 100

    def holding(boxes: np.ndarray, x: int, y: int) -> np.ndarray:
        return (boxes[:, :2] <= (x, y)).all(1) & (boxes[:, 2:] > (x, y)).all(1)

    found = edits.remains(tile, seen, np.zeros((0, 4), int), size)
    assert (found[:, 2:] - found[:, :2] == size).all()
    assert holding(found, 10, 15).any()
    assert holding(found, 47, 45).any()
    assert not holding(edits.remains(tile, tile, found, size), 10, 15).any()
