"""Files encoded once, elsewhere, decode to the pixels that they had there."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import saidcodec
from saidcodec import models

FOLDER = Path(__file__).parent / "vectors"
PIXELS = json.loads((FOLDER / "pixels.json").read_text())


@pytest.mark.parametrize("name", sorted(PIXELS))
def test_vectors_decode_to_the_same_pixels(name: str) -> None:
    pixels = saidcodec.decode((FOLDER / f"{name}.said").read_bytes())
    assert list(pixels.shape) == PIXELS[name]["shape"]
    samples = pixels.astype("<u2") if pixels.dtype == np.uint16 else pixels
    assert hashlib.sha256(samples.tobytes()).hexdigest() == PIXELS[name]["sha256"]


def test_every_file_is_listed_and_every_model_has_one() -> None:
    assert {path.stem for path in FOLDER.glob("*.said")} == set(PIXELS)
    assert {name.split("-")[0] for name in PIXELS} - {"wide"} == {path.stem for path in models.installed()}


def test_the_archive_holds_the_same_images() -> None:
    facts = json.loads((FOLDER / "archive.json").read_text())
    archive = saidcodec.Archive(FOLDER / "archive.saids")
    assert len(archive) == len(facts)
    for number, image in enumerate(facts):
        entry, pixels = archive.entry(number), archive[number]
        assert (entry.name, entry.label) == (image["name"], image["label"])
        assert list(pixels.shape) == image["shape"]
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == image["sha256"]
