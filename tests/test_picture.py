"""The picture of a file's boxes."""

import numpy as np

from saidcodec.inspection import SMALLEST_SIDE, draw_boxes


def test_boxes_are_outlined_where_they_are() -> None:
    pixels = np.zeros((64, 128), np.uint8)
    drawn = np.asarray(draw_boxes(pixels, [{"box": [10, 20, 40, 60]}, {"box": [100, 0, 128, 64]}]))
    factor = SMALLEST_SIDE // 128
    assert drawn.shape == (64 * factor, 128 * factor, 3)
    marked = drawn.any(-1)
    assert marked[20 * factor : 60 * factor, 10 * factor].all()
    assert marked[60 * factor - 1, 10 * factor : 40 * factor].all()
    assert not marked[:, : 10 * factor].any()
    assert not marked[:, 40 * factor : 100 * factor].any()
    assert marked[64 * factor - 1, -1]


def test_large_images_keep_their_size_and_colours() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 700, 4)).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(draw_boxes(pixels, [])), pixels[..., :3])


def test_boxes_of_one_pixel() -> None:
    assert np.asarray(draw_boxes(np.zeros((1, 1, 3), np.uint8), [{"box": [0, 0, 1, 1]}])).any()


def test_labels_stay_inside() -> None:
    glimpses = [{"box": [511, 511, 512, 512]}] * 12
    drawn = np.asarray(draw_boxes(np.zeros((512, 512, 3), np.uint8), glimpses))
    assert drawn[:505].any()
