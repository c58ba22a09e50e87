"""Archives that are cut off, damaged or made to do harm: one typed error each, and never wrong pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_archives import IMAGES, MODEL, NAMES, opened, pack, picture, same

import saidcodec
from saidcodec.archive import layout, writer
from saidcodec.archive.group import Group
from saidcodec.errors import CorruptError, FileError, SaidError, TruncatedError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "all.saids"


@pytest.fixture
def archive(path: Path) -> saidcodec.Archive:
    pack(IMAGES, path, names=NAMES, labels=[str(i % 3) for i in range(11)], together=3)
    return opened(path)


def test_every_cut_gives_what_is_before_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "AT_ONCE", 4)
    monkeypatch.setattr(writer, "GROUP_IMAGES", 4)
    pack(IMAGES, path, names=NAMES, together=2)
    data, counts = path.read_bytes(), []
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(SaidError) as raised:
            opened(path)
        if length <= layout.START:
            counts.append(0)
            continue
        assert isinstance(raised.value, TruncatedError)
        assert "recover=True" in str(raised.value)
        archive = opened(path, recover=True)
        assert archive.problem
        if not counts or len(archive) != counts[-1]:
            same([*archive], IMAGES[: len(archive)])
        assert archive.names == NAMES[: len(archive)]
        counts.append(len(archive))
        archive.close()
    assert counts == sorted(counts)
    assert set(counts) == {0, 2, 4, 6, 8, 10, 11}


def test_every_flipped_byte_is_found(path: Path) -> None:
    images = [picture(2, 3) for _ in range(3)]
    pack(images, path, names=NAMES[:3], together=2)
    data = path.read_bytes()
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(SaidError):
            [*opened(path)]
        try:
            archive = opened(path, recover=True)
        except SaidError:
            assert place < layout.START
            continue
        for number in range(len(archive)):
            try:
                found = archive[number]
            except SaidError:
                continue
            np.testing.assert_array_equal(found, images[number])


def test_a_wrong_index_is_one_sentence(path: Path, archive: saidcodec.Archive) -> None:
    data, index = path.read_bytes(), layout.pack_index(archive.places)
    place = archive.places[0]
    for wrong in (replace(place, images=12), replace(place, images=9), replace(place, size=place.size - 1)):
        path.write_bytes(data[: -len(index)] + layout.pack_index([wrong]))
        with pytest.raises(CorruptError, match="index is wrong") as raised:
            opened(path)[0]
        assert "\n" not in str(raised.value)


def test_any_stream_is_read_or_refused(path: Path) -> None:
    pack(IMAGES[:4], path, together=4)
    group = opened(path).group(0)
    rng = np.random.default_rng(3)
    for _ in range(30):
        stream = rng.bytes(int(rng.integers(60)))
        head = replace(group.head, lengths=(len(stream),))
        with pytest.raises(CorruptError):
            Group(head, stream, 0, MODEL).decode(0)


def test_a_section_of_images_that_there_are_not(path: Path) -> None:
    pack(IMAGES[:2], path)
    head = opened(path).group(0).head
    with pytest.raises(CorruptError, match="SAID section of images"):
        _ = Group(replace(head, said=(b"\1", head.said[1])), b"", 0, MODEL).descriptions


def test_files_that_are_no_archives(path: Path) -> None:
    for data, sentence in [
        (b"", "empty"),
        (b"GIF89a....", "not an archive"),
        (layout.SIGNATURE, "cut off within its first 5 bytes"),
        (layout.SIGNATURE + b"\x77" + bytes(90), "version 7.7"),
    ]:
        path.write_bytes(data)
        for recover in (False, True):
            with pytest.raises(SaidError, match=sentence):
                opened(path, recover=recover)
    with pytest.raises(FileError, match=r"nowhere\.saids cannot be read"):
        opened(path.with_name("nowhere.saids"))
