"""Images of several frames."""

import io
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from pictures import RNG, SHAPES, animation, pixels_of, reopened
from PIL import Image

from saidcodec import images
from saidcodec.errors import ImageError, SaidWarning


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_are_refused(name: str) -> None:
    frames = [Image.fromarray(pixels_of("RGB")) for _ in range(3)]
    image = reopened(frames[0], name, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="Animations"):
        images.from_pillow(image)


def test_a_photograph_with_further_views_is_its_first() -> None:
    frames = [Image.fromarray(pixels_of("RGB")) for _ in range(2)]
    image = reopened(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert image.format == "MPO"
    assert images.from_pillow(image).presentation.mode == "RGB"


def test_a_frame_that_was_sought_is_taken() -> None:
    image = animation()
    image.seek(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (images.from_any(image)[0] == (160, 0, 0)).all()
        assert (images.from_any(image.copy())[0] == (160, 0, 0)).all()


def test_the_first_frame_is_taken_with_a_warning() -> None:
    with pytest.warns(SaidWarning, match="first of the image's 3 frames"):
        assert (images.from_any(animation())[0] == 0).all()


def test_animations_in_files_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "moves.gif"
    animation().save(path, save_all=True)
    with pytest.raises(ImageError, match=r"moves\.gif: Animations"):
        images.from_any(path)


def test_animations_that_are_cut_off() -> None:
    frames = [Image.fromarray(RNG.integers(0, 256, (30, 30, 3)).astype(np.uint8)) for _ in range(3)]
    for name in ("GIF", "PNG", "WEBP", "TIFF"):
        file = io.BytesIO()
        frames[0].save(file, name, save_all=True, append_images=frames[1:])
        for length in range(20, len(file.getvalue()), len(file.getvalue()) // 9):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with suppress(ImageError):  # unless the first frame is whole
                    image = images.open_image(io.BytesIO(file.getvalue()[:length]), "it")
                    assert images.from_any(image).presentation.mode in (*SHAPES, "P")
