"""Many images at once are the same as one by one."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import saidcodec
from saidcodec import models
from saidcodec.errors import CorruptError, ImageError, ModelError

pytestmark = pytest.mark.skipif(not models.installed(), reason="no model is shipped")
DIGITS = np.asarray(Image.open(Path(__file__).with_name("digits.png")))


def images(count: int = 7) -> list[np.ndarray]:
    """Images of several sizes and kinds, no two alike."""
    rng = np.random.default_rng(0)
    found = [DIGITS[i:, : 20 + i] for i in range(count - 2)]
    return [*found, rng.integers(0, 256, (9, 11, 4), np.uint8), rng.integers(0, 99, (5, 8, 3), np.uint8)]


@pytest.mark.parametrize("threads", [None, 1, 3, 16])
def test_the_same_as_one_by_one_and_in_order(threads: int | None) -> None:
    shares: list[float] = []
    files = saidcodec.encode_many(images(), model="multimnist", threads=threads, progress=shares.append)
    assert files == [saidcodec.encode(one, model="multimnist") for one in images()]
    assert shares == [(i + 1) / 7 for i in range(7)]
    shares.clear()
    decoded = saidcodec.decode_many(files, threads=threads, progress=shares.append)
    assert len(shares) == 7
    for found, one in zip(decoded, images(), strict=True):
        assert np.array_equal(found, one)


def test_options_are_those_of_encode() -> None:
    options: dict[str, Any] = {"model": models.find("clevr"), "residual": "gaussian", "glimpses": 1}
    found = saidcodec.encode_many(iter(images(3)), **options)
    assert found == [saidcodec.encode(one, **options) for one in images(3)]
    lossy = saidcodec.encode_many([DIGITS], model="clevr", max_error=2)
    assert lossy == [saidcodec.encode(DIGITS, model="clevr", max_error=2)]
    flat = np.random.default_rng(1).integers(0, 5, (16, 16, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    fast, normal = (saidcodec.encode_many([flat], effort=effort)[0] for effort in ("fast", "normal"))
    assert fast == saidcodec.encode(flat, effort="fast")
    assert fast != normal
    with pytest.raises(ValueError, match="effort"):
        saidcodec.encode_many([], effort="hasty")
    assert saidcodec.encode_many(np.stack([DIGITS, DIGITS]), model="clevr")[1] == saidcodec.encode(
        DIGITS, model="clevr"
    )


def test_none_are_none() -> None:
    assert saidcodec.encode_many([]) == []
    assert saidcodec.decode_many([]) == []


def test_paths_and_open_files(tmp_path: Path) -> None:
    path = tmp_path / "a.said"
    path.write_bytes(saidcodec.encode(DIGITS, model="clevr"))
    for found in saidcodec.decode_many([path, str(path), BytesIO(path.read_bytes())], model="clevr"):
        assert np.array_equal(found, DIGITS)


@pytest.mark.parametrize("threads", [1, 4])
def test_an_error_names_its_image(threads: int, tmp_path: Path) -> None:
    good = saidcodec.encode(DIGITS[:9, :9], model="clevr")
    with pytest.raises(ImageError, match=r"^Image 2: Only arrays of uint8"):
        saidcodec.encode_many([DIGITS, DIGITS, DIGITS.astype(float)], model="clevr", threads=threads)
    with pytest.raises(TypeError, match=r"^Image 1: An image must"):
        saidcodec.encode_many([DIGITS, None], model="clevr", threads=threads)
    with pytest.raises(CorruptError, match=r"^File 1: "):
        saidcodec.decode_many([good, good[:-1] + b"x", good], threads=threads)
    with pytest.raises(TypeError, match=r"^File 0: A .said file must"):
        saidcodec.decode_many([3, good], threads=threads)  # type: ignore[list-item]
    broken = tmp_path / "broken.said"
    broken.write_bytes(good[:-1] + b"x")
    with pytest.raises(CorruptError, match=r"^File 0: .*broken.said"):
        saidcodec.decode_many([broken], threads=threads)


def test_arguments_are_checked_before_any_image() -> None:
    for call in (saidcodec.encode_many, saidcodec.decode_many):
        with pytest.raises(TypeError, match="as a list or the like, not as an object of type str"):
            call("photo.png")  # type: ignore[operator]
        with pytest.raises(TypeError, match="not as None"):
            call(None)  # type: ignore[operator]
        with pytest.raises(ValueError, match=r"^threads must be"):
            call([None], threads=0)  # type: ignore[operator]
        with pytest.raises(TypeError, match=r"^model must be"):
            call([None], model=3)  # type: ignore[operator]
        with pytest.raises(ModelError, match="no model nowhere"):
            call([None], model="nowhere")  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"^max_error must be"):
        saidcodec.encode_many([None], max_error=-1)
