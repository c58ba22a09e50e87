import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from saidcodec.training import datasets

SCALE = 64 / 84


@pytest.fixture
def digits():
    return np.random.default_rng(0).integers(0, 256, (30, 28, 28), np.uint8)


def idx(array):
    return (
        struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    )


def test_multi_mnist_obeys_the_recipe(digits):
    data = datasets.multi_mnist(digits, 60, seed=1)
    assert data.images.shape == (60, 64, 64, 3)
    assert data.images.dtype == np.uint8
    assert (data.images == data.images[..., :1]).all()
    assert set(data.counts) == {1, 2, 3, 4, 5}
    for boxes, count in zip(data.boxes, data.counts):
        assert (boxes[count:] == -1).all()
        corners = boxes[:count, :2] / SCALE
        assert np.allclose(corners, np.rint(corners), atol=1e-4)
        assert corners.min() >= -1e-4
        assert corners.max() <= 64 + 1e-4
        assert np.allclose(boxes[:count, 2:] - boxes[:count, :2], 20 * SCALE, atol=1e-4)
        apart = np.abs(corners[:, None] - corners[None]).max(-1) + 99 * np.eye(count)
        assert apart.min() >= 20 - 1e-3


def test_digits_lie_in_their_boxes(digits):
    data = datasets.multi_mnist(digits, 20, seed=2)
    for image, boxes, count in zip(data.images, data.boxes, data.counts):
        covered = np.zeros((64, 64), bool)
        for x0, y0, x1, y1 in boxes[:count]:
            covered[max(int(y0) - 1, 0) : int(y1) + 2, max(int(x0) - 1, 0) : int(x1) + 2] = True
        assert not image[~covered].any()


def test_fixed_number_of_digits(digits):
    assert (datasets.multi_mnist(digits, 10, seed=0, fewest=5).counts == 5).all()


def test_multi_dsprites_obeys_the_recipe():
    data = datasets.multi_dsprites(60, seed=3)
    assert set(data.counts) == {1, 2, 3, 4}
    for image, boxes, count in zip(data.images, data.boxes, data.counts):
        assert (boxes[count:] == -1).all()
        covered = np.zeros((64, 64), bool)
        for x0, y0, x1, y1 in boxes[:count].astype(int):
            assert 3 <= x1 - x0 <= 34
            assert 3 <= y1 - y0 <= 34
            covered[y0:y1, x0:x1] = True
        assert not image[~covered].any()
        last = image[int(boxes[count - 1, 1]) : int(boxes[count - 1, 3])].max((0, 1))
        assert (last >= 40).all()


@pytest.mark.parametrize("shape", range(3))
def test_sprites_are_antialiased_and_of_their_size(shape):
    coverage = datasets.sprite(shape, 10.0, 0.0, np.array([32.3, 31.6]))
    assert ((coverage > 0) & (coverage < 1)).any()
    x0, y0, x1, y1 = datasets.tight_box(coverage)
    assert 19 <= x1 - x0 <= 22
    assert y1 - y0 <= 22


def test_seeds_decide(digits):
    for make in (
        lambda seed: datasets.multi_mnist(digits, 5, seed),
        lambda seed: datasets.multi_dsprites(5, seed),
    ):
        assert (make(7).images == make(7).images).all()
        assert (make(7).images != make(8).images).any()


def test_mnist_files(digits, tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(digits))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(digits[:4])))
    np.savez(tmp_path / "mnist.npz", x_train=digits, x_test=digits[:2])
    assert (datasets.mnist_digits(tmp_path, "train") == digits).all()
    assert (datasets.mnist_digits(tmp_path, "test") == digits[:4]).all()
    assert (datasets.mnist_digits(tmp_path / "mnist.npz", "test") == digits[:2]).all()
    (tmp_path / "other").write_bytes(b"text")
    with pytest.raises(ValueError, match="idx"):
        datasets.mnist_digits(tmp_path / "other", "train")
    with pytest.raises(ValueError, match="holds neither"):
        datasets.mnist_digits(tmp_path.parent / tmp_path.name / "..", "train")


def test_sheets(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)
    sheet = images.reshape(2, 3, 64, 64, 3).transpose(0, 2, 1, 3, 4).reshape(128, 192, 3)
    Image.fromarray(sheet).save(tmp_path / "dev-00.png")
    assert (datasets.sheets(tmp_path, "dev").images == images).all()
    boxes = np.full((5, 10, 4), -1)
    np.savez(tmp_path / "dev.npz", boxes=boxes, n_objects=np.zeros(5, int))
    known = datasets.sheets(tmp_path, "dev")
    assert len(known) == 5
    assert known.boxes.shape == (5, 10, 4)
    with pytest.raises(ValueError, match="no sheets"):
        datasets.sheets(tmp_path, "train")


def test_folders(tmp_path):
    Image.new("L", (100, 80), 7).save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no image")
    assert (datasets.scenes(tmp_path).images == 7).all()
    crops = datasets.photographs(datasets.open_folder(tmp_path), 3, seed=0)
    assert crops.images.shape == (3, 64, 64, 3)
    assert (crops.images == 7).all()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no images"):
        datasets.open_folder(tmp_path / "empty")
