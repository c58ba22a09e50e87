"""What the public functions take, and the sentence for everything else."""

import io
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from factory import random_model
from PIL import Image

import saidcodec
from saidcodec import arguments
from saidcodec.encoder import writing
from saidcodec.errors import FileError, FormatError
from saidcodec.format.header import Metadata

MODEL = random_model()
PIXELS = np.random.default_rng(4).integers(0, 256, (6, 9, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def data() -> bytes:
    return saidcodec.encode(PIXELS, model=MODEL)


def opened(path: Path) -> BinaryIO:
    return open(path, "rb")


@pytest.fixture
def path(tmp_path: Path, data: bytes) -> Path:
    found = tmp_path / "it.said"
    found.write_bytes(data)
    return found


@pytest.mark.parametrize(
    "give", [bytearray, memoryview, io.BytesIO, lambda data: memoryview(b"-" + data)[1:]]
)
def test_decoders_take_bytes_of_every_kind(data: bytes, give: Any) -> None:
    np.testing.assert_array_equal(saidcodec.decode(give(data), model=MODEL), PIXELS)
    assert saidcodec.inspect(give(data), model=MODEL)["bits"]["total"] == 8 * len(data)
    assert len(saidcodec.features(give(data), model=MODEL).tiles) == 0
    assert saidcodec.preview(give(data), model=MODEL).shape == PIXELS.shape


@pytest.mark.parametrize("give", [str, Path, opened])
def test_decoders_take_paths_and_open_files(path: Path, give: Any) -> None:
    for function in (saidcodec.decode, saidcodec.preview):
        assert function(give(path), model=MODEL).shape == PIXELS.shape
    assert saidcodec.inspect(give(path), model=MODEL)["width"] == 9
    assert len(saidcodec.features(give(path), model=MODEL).tiles) == 0


@pytest.mark.parametrize("give", [str, Path, opened])
def test_encode_takes_paths_and_open_files(tmp_path: Path, data: bytes, give: Any) -> None:
    path = tmp_path / "it.png"
    Image.fromarray(PIXELS).save(path)
    assert saidcodec.encode(give(path), model=MODEL) == data


@pytest.mark.parametrize(
    "function", [saidcodec.decode, saidcodec.inspect, saidcodec.features, saidcodec.preview]
)
@pytest.mark.parametrize("source", [None, 7, [1, 2], PIXELS, io.StringIO("text")])
def test_decoders_refuse_everything_else(function: Any, source: object) -> None:
    with pytest.raises(TypeError, match=r"path or an open binary file, not|binary mode"):
        function(source, model=MODEL)


@pytest.mark.parametrize(
    "source", [None, 7, PIXELS.tolist(), b"bytes", memoryview(PIXELS), io.StringIO("text")]
)
def test_encode_refuses_everything_else(source: object) -> None:
    with pytest.raises(TypeError, match=r"a path or an open binary file, not|binary mode"):
        saidcodec.encode(source, model=MODEL)


def test_refusals_name_their_file(tmp_path: Path, path: Path) -> None:
    path.write_bytes(b"noise")
    for function in (saidcodec.decode, saidcodec.inspect, saidcodec.features, saidcodec.preview):
        with pytest.raises(FormatError, match=r"it\.said: This is not"):
            function(path)
        with open(path, "rb") as file, pytest.raises(FormatError, match=r"it\.said: This is not"):
            function(file)
    for function in (saidcodec.decode, saidcodec.encode):
        with pytest.raises(FileError, match=r"gone cannot be read: No such file"):
            function(tmp_path / "gone")
    with open(tmp_path / "new", "wb") as file, pytest.raises(FileError, match="new cannot be read"):
        saidcodec.decode(file)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"threads": 0}, ValueError, "threads must be a whole number from 1 on, not 0"),
        ({"threads": 2.0}, TypeError, "threads must be .* type float"),
        ({"max_error": 1.5}, TypeError, "max_error must be a whole number from 0 to 32767"),
        ({"max_error": True}, TypeError, "max_error must be .* type bool"),
        ({"max_error": None}, TypeError, "max_error must be .* not None"),
        ({"max_error": 256}, ValueError, "max_error must be .* not 256"),
        ({"max_error": -1}, ValueError, "max_error must be .* not -1"),
        ({"glimpses": -1}, ValueError, "glimpses must be .* not -1"),
        ({"glimpses": "auto"}, TypeError, "glimpses must be .* type str"),
        ({"residual": "magic"}, ValueError, "residual must be one of context, gaussian, none"),
        ({"residual": ["context"]}, ValueError, "residual must be one of"),
        ({"metadata": {"icc": b""}}, TypeError, "metadata must be"),
        ({"metadata": Metadata(xmp="<x/>")}, TypeError, r"metadata\.xmp must be bytes, not .* str"),
        ({"model": None}, TypeError, "model must be a Model, a name or a path, not None"),
        ({"model": b"photo"}, TypeError, "model must be"),
    ],
)
def test_options_of_encode(options: dict[str, Any], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        saidcodec.encode(PIXELS, **{"model": MODEL, **options})


def test_options_of_decode(data: bytes) -> None:
    with pytest.raises(ValueError, match="threads must be"):
        saidcodec.decode(data, model=MODEL, threads=0)
    with pytest.raises(TypeError, match="model must be"):
        saidcodec.decode(data, model=7)
    with pytest.raises(ValueError, match="glimpses must be"):
        saidcodec.preview(data, -1, model=MODEL)


def test_numpy_integers_are_whole_numbers() -> None:
    found = saidcodec.encode(
        PIXELS, model=MODEL, max_error=np.int64(3), threads=np.uint8(1), glimpses=np.int8(0)
    )
    assert found == saidcodec.encode(PIXELS, model=MODEL, max_error=3, threads=1, glimpses=0)


def test_residuals_are_those_of_the_codec() -> None:

    assert set(arguments.RESIDUALS) == set(writing.CODERS)
