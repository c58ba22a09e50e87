"""A file as an array: what NumPy gives of the decoded image, a reader gives of the file."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factory import Recorder, banded_file, random_model
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays

import saidcodec
from saidcodec import codec
from saidcodec.errors import CorruptError, FileError, FormatError, SaidWarning

GREY = np.random.default_rng(5).integers(0, 256, (9, 8)).astype(np.uint8)
MODEL = random_model()
BANDS, PIXELS = banded_file(MODEL)


@settings(max_examples=25, deadline=None)
@given(arrays.basic_indices(PIXELS.shape, allow_newaxis=False))
def test_parts_are_those_of_the_array(key: Any) -> None:
    with saidcodec.Reader(BANDS, model=MODEL) as image:
        found = image[key]
    assert found.shape == PIXELS[key].shape
    np.testing.assert_array_equal(found, PIXELS[key])


def test_what_a_reader_says_of_the_image() -> None:
    with saidcodec.Reader(BANDS, model=MODEL) as image:
        assert (image.shape, image.ndim, image.dtype, len(image)) == (PIXELS.shape, 3, np.uint8, 53)
        assert image.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(image), PIXELS)
    data = codec.encode(GREY, model=MODEL, glimpses=0)
    with saidcodec.Reader(data, model=MODEL) as image:
        assert (image.shape, image.mode) == ((9, 8), "L")
        np.testing.assert_array_equal(image[2:4, ::-2], GREY[2:4, ::-2])
        assert image[-1, 3] == GREY[-1, 3]


def test_of_several_frames_it_is_the_first() -> None:
    data = saidcodec.encode_frames([GREY, GREY[::-1]], model=MODEL)
    with pytest.warns(SaidWarning, match="Only the first of the file's 2 frames"):
        image = saidcodec.Reader(data, model=MODEL)
    with image:
        np.testing.assert_array_equal(image[...], GREY)


def test_opening_reads_the_head_only() -> None:
    file = Recorder(BANDS)
    with saidcodec.Reader(file, model=MODEL) as image:
        assert file.count < 60
        assert image[5:5].size == 0
        assert file.count < 60
        assert image[52].shape == (70, 4)
        assert file.count < 0.5 * len(BANDS)
    assert file.tell() == 0


def test_several_threads_may_use_one() -> None:
    with saidcodec.Reader(BANDS, model=MODEL, threads=1) as image, ThreadPoolExecutor(4) as pool:
        for y, row in enumerate(pool.map(image.__getitem__, range(0, 53, 4))):
            np.testing.assert_array_equal(row, PIXELS[4 * y])


@pytest.mark.parametrize("key", [53, (0, 70), (0, 0, 4), (0, 0, 0, 0), (..., 0, ...)])
def test_parts_that_are_not_there(key: Any) -> None:
    with saidcodec.Reader(BANDS, model=MODEL) as image, pytest.raises(IndexError):
        image[key]


@pytest.mark.parametrize("key", ["a", None, 1.0, True, [0, 1]])
def test_what_names_no_part(key: Any) -> None:
    with (
        saidcodec.Reader(BANDS, model=MODEL) as image,
        pytest.raises(TypeError, match="whole numbers and slices"),
    ):
        image[key]


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "it.said"
    path.write_bytes(BANDS[:-1] + bytes([BANDS[-1] ^ 1]))
    with saidcodec.Reader(path, model=MODEL) as image:
        np.testing.assert_array_equal(image[0], PIXELS[0])
        with pytest.raises(CorruptError, match=r"it\.said: The file is damaged"):
            image[52]
    with pytest.raises(FileError, match=r"it\.said: .*closed"):
        image[0]
    with pytest.raises(FormatError, match="empty"):
        saidcodec.Reader(io.BytesIO())
