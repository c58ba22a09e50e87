"""Folders and archives: which images are found, what they are labelled, and where they are written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saidcodec.archive.folder import images_below, read_labels, targets_of
from saidcodec.errors import FileError


def test_images_are_found_by_suffix_below_a_folder(tmp_path: Path) -> None:
    for name in ("b.PNG", "a/c.jpg", "a/b/d.webp", ".hidden.png", ".git/x.png", "notes.txt", "a/none"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = images_below(str(tmp_path))
    assert (found.names, found.failures) == (["a/b/d.webp", "a/c.jpg", "b.PNG"], [])


@pytest.mark.skipif(os.name != "posix", reason="names and pipes that other systems cannot have")
def test_names_that_archives_cannot_hold_are_told_and_devices_left_alone(tmp_path: Path) -> None:
    for name in ("a.png", "b\nc.png", "d\udcff.png"):
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "pipe.png")
    found = images_below(str(tmp_path))
    assert found.names == ["a.png"]
    assert sorted(found.failures) == [
        "The name 'b\\nc.png' holds a character that names cannot have; give the file another name.",
        "The name 'd\\udcff.png' is not valid text; give the file another name.",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "closed").mkdir(mode=0)
    found = images_below(str(tmp_path))
    assert found.names == ["a.png"]
    assert "closed cannot be read" in found.failures[0]


def test_no_folder_and_no_images(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is no folder"):
        images_below(str(tmp_path / "x"))
    with pytest.raises(FileError, match="holds no images"):
        images_below(str(tmp_path))


@pytest.mark.parametrize("first", ["", "name,label\n"])
def test_labels(tmp_path: Path, first: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(first + 'b.png,"two, or more"\na.png,é\nunused.png,x\n\n', encoding="utf-8")
    assert read_labels(str(path), ["a.png", "b.png"]) == ["é", "two, or more"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"a.png\n", "two columns"),
        (b"b.png,x\n", "no label for a.png"),
        (b"\xff,x\n", "not a CSV file"),
        (b'a.png,"x\ny"\n', "that labels cannot have"),
    ],
)
def test_files_that_hold_no_labels(tmp_path: Path, text: bytes, sentence: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(text)
    with pytest.raises(FileError, match=sentence):
        read_labels(str(path), ["a.png"])


def test_images_keep_their_names_but_for_the_suffix() -> None:
    names = {0: "a/x.jpg", 1: "a/x.png", 2: "b.PNG", 3: "", 4: "c", 5: "a/x.webp", 6: "d.tif", 7: "d.jpg"}
    assert targets_of(names, {0: ".png", 6: ".tif", 7: ".tif"}) == {
        0: "a/x.jpg.png",
        1: "a/x.png",
        2: "b.PNG",
        3: "00003.png",
        4: "c.png",
        5: "a/x.webp.png",
        6: "d.tif",
        7: "d.jpg.tif",
    }


NAMES = st.sampled_from(["a", "a.png", "a.jpg", "a.tif", "a.png.png", "a.jpg.png", ""])


@given(st.lists(st.tuples(NAMES, st.sampled_from([".png", ".tif"])), max_size=12))
def test_every_image_has_a_place_of_its_own(images: list[tuple[str, str]]) -> None:
    names = {number: name for number, (name, _) in enumerate(images)}
    suffixes = {number: suffix for number, (_, suffix) in enumerate(images)}
    found = targets_of(names, suffixes)
    assert sorted(found) == [*range(len(names))]
    assert len(set(found.values())) == len(names)
