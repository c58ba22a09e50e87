"""How the encoder makes a description shorter."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saidcodec import codec, inspection, models
from saidcodec.encoder import plan, refine
from saidcodec.encoder.price import SAME, distinct
from saidcodec.said.description import iou
from saidcodec.said.section import tables_of

pytestmark = pytest.mark.skipif(not models.installed(), reason="no model is shipped")
DIGITS = np.asarray(Image.open(Path(__file__).parents[1].joinpath("digits.png")))


def test_boxes_about_a_box_are_valid_and_have_the_usual_size() -> None:
    tables = tables_of(models.find("multimnist")).box
    usual = [int(table.frequency.argmax()) + 1 for table in tables[:2]]
    for box in ([30, 30, 36, 44], [0, 0, 4, 4], [60, 58, 64, 64]):
        boxes = refine.about(np.array(box), tables)
        size = boxes[:, 2:] - boxes[:, :2]
        assert (boxes >= 0).all()
        assert (boxes <= 64).all()
        assert (size == usual).all(1).any()
        assert (size[:, 0] == size[:, 1]).any()


def test_refined_boxes_make_the_file_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    refined = codec.encode(DIGITS, model="multimnist")
    monkeypatch.setattr(refine, "refined", lambda pricer, tile, description: description)
    plain = codec.encode(DIGITS, model="multimnist")
    assert len(refined) < len(plain)
    count = len(inspection.inspect(plain)["glimpses"])
    assert len(inspection.inspect(refined)["glimpses"]) == count > 0


def boxes_of(data: bytes) -> np.ndarray:
    return np.array([glimpse["box"] for glimpse in inspection.inspect(data)["glimpses"]]).reshape(-1, 4)


def test_each_digit_has_one_box() -> None:
    boxes = boxes_of(codec.encode(DIGITS, model="multimnist"))
    assert len(boxes) == 4
    assert (iou(boxes, boxes) - np.eye(4) < SAME).all()


def test_glimpses_that_the_search_overlooked_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = codec.encode(DIGITS, model="multimnist")
    monkeypatch.setattr(plan, "best", lambda pricer, options, forced: None)
    again = codec.encode(DIGITS, model="multimnist")
    assert iou(boxes_of(again), boxes_of(whole)).max(0).min() > SAME
    assert len(again) < 1.02 * len(whole)
    monkeypatch.setattr(refine, "completed", lambda pricer, tile, description: description)
    assert not len(boxes_of(codec.encode(DIGITS, model="multimnist")))


def test_a_place_is_looked_at_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A digit that the first box of a place cuts in two is found by those about it."""
    prices = {}
    original = refine.completed

    def kept(pricer, tile, description):  # type: ignore[no-untyped-def]
        better = original(pricer, tile, description.first(0))
        prices[name] = pricer.price(better)
        return better

    monkeypatch.setattr(refine, "completed", kept)
    name = "twice"
    codec.encode(DIGITS, model="multimnist")
    name = "once"
    monkeypatch.setattr(refine, "about", lambda box, tables: box[None])
    codec.encode(DIGITS, model="multimnist")
    assert prices["twice"] < prices["once"] - 2


def test_no_glimpses_means_none() -> None:
    data = codec.encode(DIGITS, model="multimnist", glimpses=0)
    assert not inspection.inspect(data)["glimpses"]


def test_another_look_at_the_same_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    original = refine.completed

    def doubled(pricer, tile, description):  # type: ignore[no-untyped-def]
        description = original(pricer, tile, description)
        assert distinct(description.boxes) == len(description.boxes) == 4
        return description.added(description.boxes[0] + [0, 0, 1, 0], description.latents[0])

    monkeypatch.setattr(refine, "completed", doubled)
    assert len(boxes_of(codec.encode(DIGITS, model="multimnist"))) == 4


def test_bounded_errors_are_not_improved_by_lossless_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object) -> None:
        raise AssertionError

    monkeypatch.setattr(plan, "improved", never)
    assert codec.encode(DIGITS, model="multimnist", max_error=3)


def test_remains_are_where_errors_are() -> None:
    size = np.array([12, 14])
    tile, reconstruction = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    tile[13:17, 8:12], tile[43:47, 45:49] = 150, 100

    def holding(boxes: np.ndarray, x: int, y: int) -> np.ndarray:
        return (boxes[:, :2] <= (x, y)).all(1) & (boxes[:, 2:] > (x, y)).all(1)

    found = refine.remains(tile, reconstruction, np.zeros((0, 4), int), size)
    assert (found[:, 2:] - found[:, :2] == size).all()
    assert holding(found, 10, 15).any()
    assert holding(found, 47, 45).any()
    assert not holding(refine.remains(tile, tile, found, size), 10, 15).any()


def test_remains_count_less_where_a_glimpse_has_been() -> None:
    size = np.array([12, 14])
    tile, reconstruction = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    tile[12:18, 8:14], tile[42:48, 44:50] = 150, 120
    error = refine.on_canvas(tile.astype(np.float32) / 255)
    for boxes, corner in (([], (8, 12)), ([[6, 8, 18, 22]], (44, 42))):
        scope = np.ones((64, 64))
        for x0, y0, x1, y1 in boxes:
            scope[y0:y1, x0:x1] = 0
        low = refine.largest(refine.energy_of(error, scope), size)
        assert (low <= corner).all()
        assert (low + size > corner).all()
    assert not len(refine.remains(tile, tile, np.zeros((0, 4), int), size))
    assert len(refine.remains(tile, reconstruction, np.array([[6, 8, 18, 22]]), size)) == 2
