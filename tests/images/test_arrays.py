"""Arrays of every shape, memory order and class are taken as they are or refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import RNG, pixels_of
from PIL import Image

from saidcodec import images
from saidcodec.errors import ImageError


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 2), (3, 4, 3), (3, 4, 4), (1, 1)])
def test_arrays(shape: tuple[int, ...]) -> None:
    pixels, presentation, _, _ = images.from_any(np.ones(shape, np.uint8))
    assert pixels.shape[:2] == shape[:2]
    assert len(Image.new(presentation.mode, (1, 1)).getbands()) == (1 if len(shape) == 2 else shape[2])


@pytest.mark.parametrize("shape", [(), (4,), (0, 4), (4, 0, 3), (3, 4, 5), (3, 4, 0), (1, 3, 4, 3)])
def test_arrays_that_are_no_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="is no image"):
        images.from_any(np.ones(shape, np.uint8))


def test_bits() -> None:
    bits = RNG.integers(0, 2, (5, 7)).astype(bool)
    for given in (bits, bits[..., None], np.asfortranarray(bits)):
        pixels, presentation, _, _ = images.from_any(given)
        assert presentation.mode == "1"
        np.testing.assert_array_equal(pixels, bits)
    with pytest.raises(ImageError, match="is no image"):
        images.from_any(np.ones((3, 4, 3), bool))


@pytest.mark.parametrize("dtype", [np.uint32, np.int8, np.int16, np.float32])
def test_arrays_of_other_types(dtype: Any) -> None:
    with pytest.raises(ImageError, match="uint8, uint16 and bool"):
        images.from_any(np.ones((3, 4), dtype))


class Interface:
    """Nothing but an array interface."""

    def __init__(self, pixels: np.ndarray):
        self.kept = pixels
        self.__array_interface__ = pixels.__array_interface__


def variants(pixels: np.ndarray, folder: Path) -> dict[str, Any]:
    """The same pixels in memory of every sort."""
    wide = np.zeros((2 * pixels.shape[0], 3 * pixels.shape[1], *pixels.shape[2:]), np.uint8)
    wide[::2, ::3] = pixels
    mapped = np.memmap(folder / "mapped", np.uint8, "w+", shape=pixels.shape)
    mapped[:] = pixels
    frozen = pixels.copy()
    frozen.flags.writeable = False
    return {
        "plain": pixels,
        "Fortran": np.asfortranarray(pixels),
        "backwards": pixels[::-1, ::-1].copy()[::-1, ::-1],
        "spread": wide[::2, ::3],
        "turned": np.ascontiguousarray(pixels.swapaxes(0, 1)).swapaxes(0, 1),
        "mapped": mapped,
        "frozen": frozen,
        "interface": Interface(pixels),
        "unmasked": np.ma.array(pixels),
        "record": pixels.view(np.recarray),
    }


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 7, 4), (5, 1, 2), (1, 1, 1)])
def test_arrays_of_every_memory_order_and_class(shape: tuple[int, ...], tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, shape).astype(np.uint8)
    for name, given in variants(pixels, tmp_path).items():
        found, _, _, _ = images.from_any(given)
        assert type(found) is np.ndarray, name
        assert found.flags.c_contiguous
        assert found.strides == np.empty(found.shape, np.uint8).strides
        np.testing.assert_array_equal(found, pixels.reshape(found.shape))


def test_a_matrix_and_a_repeated_row() -> None:
    grey = pixels_of("L")
    found, presentation, _, _ = images.from_any(np.matrix(grey))
    assert (type(found), presentation.mode) == (np.ndarray, "L")
    np.testing.assert_array_equal(found, grey)
    repeated = np.broadcast_to(grey[:1], (6, 7))
    np.testing.assert_array_equal(images.from_any(repeated)[0], repeated)


def test_masked_pixels_are_refused() -> None:
    with pytest.raises(ImageError, match="masked pixels"):
        images.from_any(np.ma.masked_greater(pixels_of("RGB"), 100))


def test_an_array_that_breaks_when_it_is_read() -> None:
    class Broken:
        def __array__(self, *_: object, **__: object) -> np.ndarray:
            raise RuntimeError("no device")

    with pytest.raises(ImageError, match="cannot be read: no device"):
        images.from_any(Broken())
