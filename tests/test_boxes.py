"""The boxes of many images in the forms of other programs."""

import csv
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import saidcodec
from saidcodec import boxes
from saidcodec.boxes import BoxedImage
from saidcodec.errors import SaidWarning
from saidcodec.format.header import Metadata

VECTORS = Path(__file__).parent / "vectors"
CLEVR = VECTORS / "clevr-glimpses.said"
IMAGES = [
    BoxedImage('a, "b".said', 100, 50, np.array([0, 3]), np.array([[0, 10, 40, 20], [30, 0, 100, 50]])),
    BoxedImage("none.said", 8, 9, np.zeros(0, int), np.zeros((0, 4), int)),
    BoxedImage("c.said", 10, 10, np.array([1]), np.array([[1, 2, 3, 5]])),
]


def test_a_file_has_the_boxes_of_its_features() -> None:
    found = boxes.read(CLEVR, "it")
    assert (found.name, found.width, found.height) == ("it", 64, 64)
    assert found.boxes.tolist() == saidcodec.features(CLEVR).boxes.tolist()
    assert len(found.tiles) == len(found.boxes) > 2


def test_coco() -> None:
    (line,) = boxes.coco(IMAGES)
    found = json.loads(line)
    assert [image["id"] for image in found["images"]] == [1, 2, 3]
    assert found["images"][0] == {"id": 1, "file_name": 'a, "b".said', "width": 100, "height": 50}
    assert [one["id"] for one in found["annotations"]] == [1, 2, 3]
    assert [one["image_id"] for one in found["annotations"]] == [1, 1, 3]
    assert [one["bbox"] for one in found["annotations"]] == [[0, 10, 40, 10], [30, 0, 70, 50], [1, 2, 2, 3]]
    assert [one["area"] for one in found["annotations"]] == [400, 3500, 6]
    assert {one["category_id"] for one in found["annotations"]} == {one["id"] for one in found["categories"]}


def test_csv() -> None:
    rows = list(csv.DictReader(boxes.csv(IMAGES)))
    assert [row["file"] for row in rows] == ['a, "b".said', 'a, "b".said', "c.said"]
    assert [int(rows[1][key]) for key in ("width", "height", "tile", "x0", "y0", "x1", "y1")] == [
        100, 50, 3, 30, 0, 100, 50,
    ]  # fmt: skip


@pytest.mark.parametrize("images", [IMAGES, []])
def test_json(images: list[BoxedImage]) -> None:
    lines = list(boxes.json(images))
    found = json.loads("\n".join(lines))
    assert [one["file"] for one in found] == [image.name for image in images]
    for one, image in zip(found, images):
        assert [box["box"] for box in one["boxes"]] == image.boxes.tolist()
        assert [box["tile"] for box in one["boxes"]] == image.tiles.tolist()
    assert len(lines) == len(images) + 1


def test_yolo() -> None:
    first, second = boxes.yolo(IMAGES[0]).splitlines()
    assert first == "0 0.200000 0.300000 0.400000 0.200000"
    assert second == "0 0.650000 0.500000 0.700000 1.000000"
    assert boxes.yolo(IMAGES[1]) == ""


def test_boxes_of_a_part() -> None:
    found = IMAGES[0].within((slice(20, 50), slice(35, 75)))
    assert (found.width, found.height) == (40, 30)
    assert found.boxes.tolist() == [[0, 0, 40, 30]]
    assert found.tiles.tolist() == [3]


def test_boxes_as_metadata() -> None:
    found = boxes.in_metadata(Metadata(exif=b"II*"), CLEVR)
    assert found.exif == b"II*"
    assert found.xmp.count(b"<mwg-rs:Area") == len(boxes.read(CLEVR, "it").boxes)
    height = int(boxes.read(CLEVR, "it").boxes[:, 1].max())  # above the lowest box
    part = boxes.in_metadata(Metadata(), CLEVR, (0, 0, 64, height))
    assert 0 < part.xmp.count(b"<mwg-rs:Area") < found.xmp.count(b"<mwg-rs:Area")
    assert f'stDim:w="64" stDim:h="{height}"'.encode() in part.xmp


@pytest.mark.parametrize(
    ("name", "metadata", "sentence"),
    [("photo-context", Metadata(), "no boxes"), ("clevr-glimpses", Metadata(xmp=b"<x/>"), "no place")],
)
def test_boxes_that_cannot_be_metadata(name: str, metadata: Metadata, sentence: str) -> None:
    with pytest.warns(SaidWarning, match=sentence):
        assert boxes.in_metadata(metadata, VECTORS / f"{name}.said") == metadata


def test_nothing_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saidcodec.codec.read_band", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(boxes.read(CLEVR, "it").boxes)
