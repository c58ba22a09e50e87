"""The spec's worked example and hash are true."""

import hashlib
import re
from pathlib import Path

import numpy as np

import saidcodec
from saidcodec import models
from saidcodec.entropy.bank import bank

SPEC = (Path(__file__).parent.parent / "bitstream_spec.md").read_text(encoding="utf-8")


def example() -> bytes:
    """The bytes of section 11, as they are printed there."""
    section = SPEC[SPEC.index("## 11.") :]
    rows = re.findall(r"^    ((?:[0-9A-F]{2} )*[0-9A-F]{2})(?: |$)", section, re.MULTILINE)
    return bytes.fromhex(" ".join(rows))


def picture() -> np.ndarray:
    y, x = np.mgrid[0:4, 0:8]
    return (126 + (x + 2 * y) % 5).astype(np.uint8)


def test_the_worked_example_decodes_to_its_picture() -> None:
    assert f"is a file of {len(example())} bytes" in SPEC
    assert np.array_equal(saidcodec.decode(example()), picture())


def test_the_worked_example_is_what_the_encoder_writes() -> None:
    assert saidcodec.encode(picture(), model="photo", residual="gaussian", glimpses=0) == example()


def test_the_hash_of_the_tables_is_the_spec_s() -> None:
    digest = hashlib.sha256()
    for tables in (bank().tables, bank().gaussian, bank().copies):
        for table in tables:
            digest.update(table.frequency.astype("<i4").tobytes())
    assert digest.hexdigest() in SPEC


def test_the_model_of_the_worked_example_is_shipped() -> None:
    assert models.find("photo").id in SPEC
