"""Folders of images: what is read of them, what is held out, what is told about the rest."""

import numpy as np
import pytest
from PIL import Image

from saidcodec.errors import FileError
from saidcodec.training import folder


def fill(place, n, size, mode="RGB", seed=0):
    rng = np.random.default_rng(seed)
    place.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        pixels = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(place / f"{i:03d}.png")


def test_a_tenth_is_held_out_and_the_same_every_time(tmp_path):
    fill(tmp_path / "a", 20, (20, 30))
    fill(tmp_path / "a" / "b", 10, (40, 30), seed=1)
    images, again = (folder.read(tmp_path, seed=3) for _ in range(2))
    assert (len(images.learning), len(images.held_out)) == (27, 3)
    assert images.sides == (20, 40)
    for one, other in zip(images.every, again.every):
        assert np.array_equal(one, other)
    contents = {image.tobytes() for image in images.learning}
    assert not contents & {image.tobytes() for image in images.held_out}


def test_files_that_cannot_be_used_are_named_and_left_out(tmp_path):
    fill(tmp_path, 3, (20, 20))
    fill(tmp_path / "tiny", 1, (8, 20))
    (tmp_path / "bad.png").write_bytes(b"noise")
    (tmp_path / "cut.png").write_bytes((tmp_path / "000.png").read_bytes()[:200])
    (tmp_path / "notes.txt").write_text("text")
    Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(tmp_path / "deep.png")
    images = folder.read(tmp_path, 0)
    assert len(images.every) == 3
    told = "\n".join(sorted(images.skipped))
    for name in ("bad.png", "cut.png", "deep.png", "tiny/000.png"):
        assert name in told
    assert "notes.txt" not in told
    assert all(sentence.endswith(".") for sentence in images.skipped)


def test_nothing_to_learn_from(tmp_path):
    with pytest.raises(FileError, match="no image that can be read; training needs two"):
        folder.read(tmp_path, 0)
    fill(tmp_path, 1, (20, 20))
    with pytest.raises(FileError, match="only one image"):
        folder.read(tmp_path, 0)
    with pytest.raises(FileError, match="is not a folder"):
        folder.read(tmp_path / "000.png", 0)


@pytest.mark.parametrize(
    ("size", "small"), [((48, 48), True), ((160, 64), True), ((161, 64), False), ((47, 64), False)]
)
def test_small_images_are_single_tiles(tmp_path, size, small):
    fill(tmp_path, 2, size)
    assert folder.read(tmp_path, 0).small is small


def test_canvases_are_small_images_and_the_tiles_of_large_ones(tmp_path):
    fill(tmp_path / "small", 2, (80, 64), seed=1)
    fill(tmp_path / "large", 2, (128, 192), seed=2)
    small, large = (folder.read(tmp_path / name, 0) for name in ("small", "large"))
    (whole,) = small.canvases()[0].images
    assert np.array_equal(whole, small.learning[0][:, 8:72])
    tiles = large.canvases()[0].images
    image = large.learning[0]
    expected = {image[y : y + 64, x : x + 64].tobytes() for y in (0, 64, 128) for x in (0, 64)}
    assert {tile.tobytes() for tile in tiles} == expected


def test_few_canvases_are_of_many_images(tmp_path):
    fill(tmp_path, 10, (192, 192))
    images = folder.read(tmp_path, 0)
    found = set()
    for canvas, image in zip(images.canvases(9)[0].images, images.learning, strict=True):
        places = [(y, x) for y in (0, 64, 128) for x in (0, 64, 128)]
        (place,) = (
            at for at in places if np.array_equal(canvas, image[at[0] : at[0] + 64, at[1] : at[1] + 64])
        )
        found.add(place)
    assert len(found) > 1


def test_kinds(tmp_path):
    fill(tmp_path / "grey", 2, (20, 20), "L")
    fill(tmp_path / "colour", 2, (20, 20))
    Image.new("RGB", (20, 20), "red").save(tmp_path / "grey" / "flat.png")
    grey, colour = (folder.read(tmp_path / name, 0) for name in ("grey", "colour"))
    assert not grey.grey  # one is red
    assert not colour.flat
    (tmp_path / "grey" / "flat.png").unlink()
    assert folder.read(tmp_path / "grey", 0).grey


def test_of_large_images_the_middle_is_read(tmp_path):
    pixels = np.zeros((1030, 20, 3), np.uint8)
    pixels[3:-3] = 200
    for name in "ab":
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    for image in folder.read(tmp_path, 0).every:
        assert image.shape == (folder.READ_SIDE, 20, 3)
        assert (image == 200).all()


def test_tiles_are_parts_of_the_images(tmp_path):
    fill(tmp_path, 3, (70, 100), "L")
    pool, development = folder.read(tmp_path, 0).tiles()
    tiles = next(pool(np.random.default_rng(0)))
    for some in (tiles, development):
        assert some.planes.shape[1:] == (64, 64, 3)
        assert some.grey.all()
        assert not some.whole


def test_small_squares_of_one_size_are_whole_tiles(tmp_path):
    fill(tmp_path, 3, (30, 30))
    _, development = folder.read(tmp_path, 0).tiles()
    assert development.planes.shape[1:] == (30, 30, 3)
    assert development.whole
