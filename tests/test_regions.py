"""Parts of an image: the pixels are right, only what is needed is read, and bad regions are refused."""

import io
from pathlib import Path

import numpy as np
import pytest
from factory import Recorder, banded_file, random_model
from hypothesis import given, settings
from hypothesis import strategies as st

import saidcodec
from saidcodec import codec
from saidcodec.errors import CorruptError, RegionError, SaidError, TruncatedError
from saidcodec.format import container

VECTORS = Path(__file__).parent / "vectors"
MODEL = random_model()
BANDS, PIXELS = banded_file(MODEL)
HEIGHT, WIDTH = PIXELS.shape[:2]


@st.composite
def regions(draw: st.DrawFn) -> tuple[int, int, int, int]:
    x, y = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
    return x, y, draw(st.integers(1, WIDTH - x)), draw(st.integers(1, HEIGHT - y))


@settings(max_examples=15, deadline=None)
@given(regions(), st.integers(1, 3))
def test_a_region_is_that_part_of_the_image(region: tuple[int, int, int, int], threads: int) -> None:
    x, y, width, height = region
    found = saidcodec.decode(BANDS, region=region, threads=threads, model=MODEL)
    np.testing.assert_array_equal(found, PIXELS[y : y + height, x : x + width])
    assert found.flags.c_contiguous


@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 2), (9, 8, 3), (9, 8, 4)])
@pytest.mark.parametrize("residual", ["context", "none"])
def test_regions_of_images_of_one_band(shape: tuple[int, ...], residual: str) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, shape).astype(np.uint8)
    data = codec.encode(pixels, model=MODEL, residual=residual, glimpses=0)
    whole = codec.decode(data, model=MODEL)
    part = codec.decode(data, region=np.array([2, 3, 5, 6]), model=MODEL)
    np.testing.assert_array_equal(part, whole[3:9, 2:7])


def test_only_the_bands_that_are_needed_are_read() -> None:
    file = Recorder(BANDS)
    streams = container.unpack(BANDS).streams
    saidcodec.decode(file, region=(0, HEIGHT - 1, 1, 1), model=MODEL)
    head = len(BANDS) - sum(map(len, streams))  # is read twice: for its checksum, too
    assert file.count <= 2 * head + len(streams[0]) + len(streams[-1]) < 0.6 * len(BANDS)


def test_of_the_first_band_only_the_front_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "FIRST_BYTES", 40)
    file = Recorder(BANDS)
    streams = container.unpack(BANDS).streams
    saidcodec.decode(file, region=(0, HEIGHT - 1, 1, 1), model=MODEL)
    head = len(BANDS) - sum(map(len, streams))
    assert file.count <= 2 * head + 40 + len(streams[-1])


@pytest.mark.parametrize("first", [1, 2, 7, 30])
def test_a_section_that_does_not_fit_the_first_bytes(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (VECTORS / "clevr-glimpses.said").read_bytes()
    wanted = saidcodec.features(data)
    monkeypatch.setattr(codec, "FIRST_BYTES", first)
    found = saidcodec.features(io.BytesIO(data))
    np.testing.assert_array_equal(found.latents, wanted.latents)
    with pytest.raises(CorruptError, match="damaged"):
        saidcodec.features(damaged(data, 20))


def damaged(data: bytes, at: int) -> bytes:
    """The same bytes with another bit in one of them."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_damage_elsewhere_does_not_matter_and_damage_here_does() -> None:
    second = damaged(BANDS, len(BANDS) - sum(map(len, container.unpack(BANDS).streams[1:])) + 5)
    np.testing.assert_array_equal(saidcodec.decode(second, region=(0, 50, 70, 3), model=MODEL), PIXELS[50:])
    for region in (None, (3, 0, 1, HEIGHT), (9, 20, 1, 1)):
        with pytest.raises(CorruptError, match="damaged"):
            saidcodec.decode(second, region=region, model=MODEL)


def test_bands_before_a_cut_can_be_read() -> None:
    cut = BANDS[:-5]
    np.testing.assert_array_equal(saidcodec.decode(cut, region=(3, 0, 9, 30), model=MODEL), PIXELS[:30, 3:12])
    for region in (None, (0, HEIGHT - 1, 1, 1)):
        with pytest.raises(TruncatedError, match="truncated"):
            saidcodec.decode(cut, region=region, model=MODEL)


def test_an_open_file_is_left_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"something else" + BANDS)
    with path.open("rb") as file:
        file.seek(14)
        for y in (50, 0):
            np.testing.assert_array_equal(
                saidcodec.decode(file, region=(1, y, 2, 3), model=MODEL), PIXELS[y : y + 3, 1:3]
            )
            assert file.tell() == 14
        np.testing.assert_array_equal(saidcodec.decode(file, model=MODEL), PIXELS)


def test_files_that_cannot_seek() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    np.testing.assert_array_equal(
        saidcodec.decode(Pipe(BANDS), region=(1, 2, 3, 4), model=MODEL), PIXELS[2:6, 1:4]
    )


@pytest.mark.parametrize("region", [(70, 0, 1, 1), (0, 53, 1, 1), (60, 0, 11, 1), (0, 0, 71, 53)])
def test_regions_outside_the_image(region: tuple[int, int, int, int]) -> None:
    with pytest.raises(RegionError, match="is not inside the image, which has 70×53"):
        saidcodec.decode(BANDS, region=region, model=MODEL)


@pytest.mark.parametrize("region", [(-1, 0, 1, 1), (0, 0, 0, 1)])
def test_numbers_that_no_region_has(region: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"The region's \w+ must be"):
        saidcodec.decode(BANDS, region=region, model=MODEL)


@pytest.mark.parametrize("region", [5, (1, 2, 3), "1,2,3,4", (0, 0, 1.5, 1)])
def test_what_is_no_region(region: object) -> None:
    with pytest.raises(TypeError, match="region"):
        saidcodec.decode(BANDS, region=region, model=MODEL)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [0, 2, 5, 11, 20, 60, 1000, len(BANDS) - 1])
def test_cut_files_are_refused_as_bytes_are(length: int, tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(BANDS[:length])
    with pytest.raises(SaidError) as expected:
        saidcodec.decode(BANDS[:length], region=(0, 52, 1, 1), model=MODEL)
    with pytest.raises(type(expected.value)) as found:
        saidcodec.decode(path, region=(0, 52, 1, 1), model=MODEL)
    assert str(found.value) == f"{path}: {expected.value}"
