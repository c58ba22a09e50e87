"""Archives as the specification alone has them read: tests/plain_archive.py against the real reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import plain_archive
import plain_decoder
import pytest
from factory import random_model
from PIL import Image

import saidcodec
from saidcodec.entropy import bank

MODEL = random_model(1, copies=True)
BANKS = plain_decoder.load_banks(bank.BANK)
RNG = np.random.default_rng(9)


@pytest.mark.parametrize("residual", ["context", "gaussian", "none"])
def test_the_specification_reads_what_is_written(residual: str, tmp_path: Path) -> None:
    shapes = [(5, 6, 3), (5, 6, 3), (5, 6, 3), (3, 4), (7, 5, 2), (2, 9, 4)]
    images = [RNG.integers(0, 256 >> i, shape).astype(np.uint8) for i, shape in enumerate(shapes)]
    images.append(np.repeat(images[3][..., None], 3, -1))  # replicated grey
    paths = [tmp_path / f"{i}é.png" for i in range(len(images))]
    for image, path in zip(images, paths):
        Image.fromarray(image).save(path, icc_profile=b"profile" if path.name[0] in "25" else None)
    target = tmp_path / "all.saids"
    saidcodec.pack(
        paths,
        target,
        names=[path.name for path in paths],
        labels=["", "a", "b", "a", "é", "c", "d"],
        model=MODEL,
        residual=residual,
        glimpses=1 if residual == "none" else None,
    )
    compare(target)


def test_the_specification_reads_graphics_whole_files_and_calibrations(tmp_path: Path) -> None:
    y, x = np.mgrid[:12, :12]
    noise = np.random.default_rng(5).integers(0, 9, (20, 12, 12))
    images = [(5 * x + 3 * y + 4 * i + noise[i]).astype(np.uint8) for i in range(20)]
    images += [np.full((40, 9, 3), 200, np.uint8), np.zeros((200, 130), np.uint8), images[0]]
    images[20][5:20, 3:6] = 17
    target = tmp_path / "all.saids"
    saidcodec.pack(images, target, model=MODEL, effort="best", together=3)
    head = saidcodec.Archive(target, model=MODEL).group(0).head
    assert head.rows
    assert {kind and int(kind.coder) for kind in head.kinds} == {None, 2, 3}
    compare(target)


@pytest.mark.parametrize("options", [{}, {"max_error": 2}, {"residual": "gaussian"}])
def test_the_specification_reads_every_mode(options: dict[str, object], tmp_path: Path) -> None:
    scene = Image.fromarray(RNG.integers(0, 256, (9, 11, 3)).astype(np.uint8))
    indexed, other = scene.quantize(7), scene.quantize(5)
    indexed.info["transparency"] = 2
    keyed = scene.copy()
    keyed.info["transparency"] = (1, 2, 3)
    images = [indexed, other, indexed, scene.convert("1"), scene.convert("CMYK"), keyed, scene]
    target = tmp_path / "all.saids"
    saidcodec.pack(images, target, model=MODEL, **options)
    compare(target)
    archive = saidcodec.Archive(target, model=MODEL)
    found = [picture for run in archive.runs(0) for picture in archive.read_run(0, run)]
    modes = ["P", "P", "P", "1", "CMYK", "RGB", "RGB"]  # an error would make these drawings longer
    assert [picture.presentation.mode for picture in found] == modes
    assert [archive.entry(number).mode for number in range(len(images))] == modes
    for picture, image in zip(found[: 6 if "max_error" in options else 7], images):
        np.testing.assert_array_equal(picture.pixels, np.asarray(image))
        assert (saidcodec.images.to_pillow(picture).getpalette()) == image.getpalette()


@pytest.mark.parametrize("max_error", [0, 9])
def test_the_specification_reads_images_of_16_bits(max_error: int, tmp_path: Path) -> None:
    shapes = [(9, 8), (7, 9, 3), (6, 5, 2), (5, 5, 4)]
    deep = [RNG.integers(0, 5000, shape).astype(np.uint16) for shape in shapes]
    images = [deep[0], RNG.integers(0, 256, (9, 11, 3)).astype(np.uint8), *deep[1:]]
    for packed, name in ((images, "mixed.saids"), (deep, "deep.saids")):
        target = tmp_path / name
        saidcodec.pack(packed, target, model=MODEL, max_error=max_error)
        compare(target)
        archive = saidcodec.Archive(target, model=MODEL)
        for found, image in zip(archive, packed, strict=True):
            assert found.dtype == image.dtype
            assert abs(found.astype(int) - image).max() <= max_error
        assert archive.entry(0).mode == "I;16"


def compare(target: Path) -> None:
    archive = saidcodec.Archive(target, model=MODEL)
    found = plain_archive.decode(target.read_bytes(), MODEL.tensors, BANKS)
    assert len(found) == len(archive)
    for number, image in enumerate(found):
        entry = archive.entry(number)
        assert (image.name, image.label) == (entry.name, entry.label)
        assert image.metadata.get(1, b"") == entry.metadata.icc
        np.testing.assert_array_equal(image.pixels, archive[number])
