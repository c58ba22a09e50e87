"""Files encoded once, elsewhere, decode to the pixels that they had there."""

import hashlib
import json
from pathlib import Path

import pytest
from factory import EVERY_KIND

import saidcodec
from saidcodec import models
from saidcodec.format.header import Metadata

FOLDER = Path(__file__).parent / "vectors"
PIXELS = json.loads((FOLDER / "pixels.json").read_text())


@pytest.mark.parametrize("name", sorted(PIXELS))
def test_vectors_decode_to_the_same_pixels(name: str) -> None:
    pixels = saidcodec.decode((FOLDER / f"{name}.said").read_bytes())
    assert list(pixels.shape) == PIXELS[name]["shape"]
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == PIXELS[name]["sha256"]


def test_every_file_is_listed_and_every_model_has_one() -> None:
    assert {path.stem for path in FOLDER.glob("*.said")} == set(PIXELS)
    assert {name.split("-")[0] for name in PIXELS} == {*map(models.stem, models.installed())}


def test_the_archive_holds_the_same_images() -> None:
    facts = json.loads((FOLDER / "archive.json").read_text())
    archive = saidcodec.Archive(FOLDER / "archive.saids")
    assert len(archive) == len(facts)
    for number, image in enumerate(facts):
        entry, pixels = archive.entry(number), archive[number]
        assert (entry.name, entry.label) == (image["name"], image["label"])
        assert list(pixels.shape) == image["shape"]
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == image["sha256"]


def test_metadata_comes_back() -> None:
    assert saidcodec.Reader(FOLDER / "multimnist-metadata.said").metadata == EVERY_KIND


def test_frames_come_back() -> None:
    expected = PIXELS["multimnist-frames"]
    with saidcodec.Frames(FOLDER / "multimnist-frames.said") as frames:
        assert frames.plays == expected["plays"]
        assert frames.durations == [1000 * one["duration"] / expected["ticks"] for one in expected["frames"]]
        for number in (5, 2, 0, 1, 3, 4, -1):  # in any order
            one = expected["frames"][number]
            assert list(frames[number].shape) == one["shape"]
            assert hashlib.sha256(frames[number].tobytes()).hexdigest() == one["sha256"]
        assert [frames.metadata(number) for number in range(6)] == [
            EVERY_KIND, EVERY_KIND, Metadata(comment=b"moved"), Metadata(), EVERY_KIND, EVERY_KIND
        ]  # fmt: skip
