"""Images of more than 8 bits a sample, from arrays to files and back."""

from __future__ import annotations

import io
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import picture_of
from PIL import Image

import saidcodec
from saidcodec import codec, images, inspection, wide
from saidcodec.cli import main
from saidcodec.comparison import Opened, compare
from saidcodec.entropy.rans import Encoder, uniform
from saidcodec.errors import CorruptError, ImageError, SaidError, TruncatedError
from saidcodec.format import container
from saidcodec.format.header import Metadata
from saidcodec.format.levels import Levels
from saidcodec.format.presentation import Presentation
from saidcodec.picture import Picture
from saidcodec.residual import wide as coder
from saidcodec.residual import wide_packed
from saidcodec.residual.mixed import add_head
from saidcodec.residual.wide_band import WideMethod
from saidcodec.residual.wide_levels import Ladder, ladder_of

# The twin in Python takes a second for some thousand samples; tests/residual/test_wide.py compares both.
pytestmark = pytest.mark.skipif(not coder.available(), reason="the library was not built")
few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def picture(shape: tuple[int, ...], bits: int = 16, seed: int = 1) -> np.ndarray:
    """Something smooth with some noise, uint16."""
    height, width, channels = (*shape, 1)[:3]
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    light = 0.5 + 0.3 * np.sin(x / 17 + np.arange(channels)[:, None, None]) * np.cos(y / 11)
    noisy = light + rng.normal(0, 0.002, (channels, height, width))
    samples = (noisy.clip(0, 1) * ((1 << bits) - 1)).astype(np.uint16)
    return np.moveaxis(samples, 0, -1).reshape(shape)


@pytest.mark.parametrize(
    "shape", [(20, 30), (20, 30, 2), (20, 30, 3), (20, 30, 4), (1, 1), (1, 50, 3), (50, 1)]
)
@pytest.mark.parametrize("bits", [9, 12, 16])
def test_every_mode_comes_back(shape: tuple[int, ...], bits: int) -> None:
    pixels = picture(shape, bits)
    data = saidcodec.encode(pixels)
    found = saidcodec.decode(data)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, pixels)
    assert container.unpack(data).header.depth == max(9, int(pixels.max()).bit_length())


@few
@given(st.data())
def test_any_array_comes_back(data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from([(5, 9), (4, 6, 2), (3, 7, 3), (3, 5, 4)]))
    values = data.draw(st.lists(st.integers(0, 65535), min_size=1, max_size=6))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    pixels = np.array(values, np.uint16)[rng.integers(0, len(values), shape)]
    error = data.draw(st.sampled_from([0, 0, 1, 400, 32767]))
    found = saidcodec.decode(saidcodec.encode(pixels, max_error=error))
    assert np.abs(found.astype(int) - pixels).max() <= error


@pytest.mark.parametrize("pixels", [
    picture((30, 40)).astype(">u2"), picture((30, 80))[:, ::2], np.asfortranarray(picture((30, 40, 3))),
])  # fmt: skip
def test_arrays_of_any_order_are_encoded(pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(saidcodec.decode(saidcodec.encode(pixels)), pixels)


@pytest.mark.parametrize("kind", [np.int16, np.uint32, np.float32, np.float16])
def test_other_types_are_refused(kind: type) -> None:
    with pytest.raises(ImageError, match="uint8, uint16 and bool"):
        saidcodec.encode(np.zeros((3, 3), kind))


def test_bands_regions_and_threads() -> None:
    pixels = picture((520, 530, 3))
    data = saidcodec.encode(pixels, threads=2)
    assert data == saidcodec.encode(pixels, threads=1)
    file = container.unpack(data)
    assert len(file.streams) >= 2
    part = saidcodec.decode(data, region=(100, 250, 300, 200), threads=2)
    np.testing.assert_array_equal(part, pixels[250:450, 100:400])
    with saidcodec.Reader(io.BytesIO(data)) as reader:
        assert (reader.dtype, reader.mode, reader.shape) == (np.uint16, "RGB;16", pixels.shape)
        np.testing.assert_array_equal(reader[-3:, 5:9, 1], pixels[-3:, 5:9, 1])
    lower = bytearray(data)
    lower[-1] ^= 1  # the last band: the others can still be had
    np.testing.assert_array_equal(saidcodec.decode(bytes(lower), region=(0, 0, 530, 9)), pixels[:9])
    with pytest.raises(CorruptError):
        saidcodec.decode(bytes(lower))


def test_metadata_is_kept_and_no_model_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_models(*_: object) -> None:
        raise AssertionError("A model was asked for.")

    for name in ("find", "find_id", "with_id"):
        monkeypatch.setattr(f"saidcodec.models.{name}", no_models)
    metadata = Metadata(icc=b"profile", xmp=b"<x/>")
    data = saidcodec.encode(picture((9, 9)), metadata=metadata)
    found = codec.decode_image(data)
    assert (found.presentation.mode, found.metadata) == ("I;16", metadata)
    account = saidcodec.inspect(data)
    assert (account["model"], account["mode"], account["depth"]) == (None, "I;16", 16)
    bits = account["bits"]
    assert sum(bits.values()) - bits["total"] == bits["total"] == 8 * len(data)
    assert len(inspection.features(data).boxes) == 0
    for arguments in ({}, {"glimpses": 1, "size": 5}):
        with pytest.raises(ImageError, match="no glimpses to show"):
            saidcodec.preview(data, **arguments)


@pytest.mark.parametrize(
    ("name", "pixels", "most"),
    [
        ("bytes times 257", (picture((60, 60), 16) >> 8) * np.uint16(257), 1.25),
        ("12 bits shifted", picture((60, 60, 3), 12) << 4, 1.06),
    ],
)
def test_regular_levels_cost_little(name: str, pixels: np.ndarray, most: float) -> None:
    """Against the same picture of samples without gaps."""
    step = 257 if name.endswith("257") else 16
    assert len(saidcodec.encode(pixels)) < most * len(saidcodec.encode(pixels // step))


def test_masks_are_small() -> None:
    y, x = np.mgrid[:200, :200]
    mask = ((x // 23 + y // 31) % 5 * 7001).astype(np.uint16)
    packed = zlib.compress(mask.astype(">u2").tobytes(), 9)
    assert len(saidcodec.encode(mask)) < len(packed)


def test_opaque_alpha_and_replicated_grey_cost_nothing() -> None:
    grey = picture((60, 60))
    plain = len(saidcodec.encode(grey))
    rgb = np.repeat(grey[..., None], 3, 2)
    opaque = np.full_like(grey, 65535)[..., None]
    assert len(saidcodec.encode(rgb)) == plain
    assert len(saidcodec.encode(np.concatenate([rgb, opaque], 2))) < plain + 100


def test_noise_is_stored() -> None:
    noise = np.random.default_rng(0).integers(0, 65536, (50, 50, 3)).astype(np.uint16)
    assert len(saidcodec.encode(noise)) < noise.nbytes + 40
    np.testing.assert_array_equal(saidcodec.decode(saidcodec.encode(noise)), noise)


@pytest.mark.parametrize("options", [{"residual": "gaussian"}, {"residual": "none"}, {"glimpses": 2}])
def test_options_that_make_no_sense_are_refused(options: dict) -> None:
    with pytest.raises(ImageError, match="more than 8 bits"):
        saidcodec.encode(picture((9, 9)), **options)


def test_large_errors_are_for_wide_samples() -> None:
    with pytest.raises(ValueError, match="max_error"):
        saidcodec.encode(np.zeros((9, 9), np.uint8), max_error=256)
    with pytest.raises(ValueError, match="max_error"):
        saidcodec.encode(picture((9, 9)), max_error=32768)


def test_truncated_files_are_refused() -> None:
    data = saidcodec.encode(picture((24, 31, 3)))
    for end in range(len(data)):
        with pytest.raises(SaidError):
            saidcodec.decode(data[:end])


@few
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_changed_files_are_refused_or_show_the_same_image(place: int, change: int) -> None:
    """The largest rank of regular levels may be another, if none is as large."""
    pixels = picture((14, 17, 3), 12) << 4
    data = bytearray(saidcodec.encode(pixels))
    data[place % len(data)] ^= change
    with suppress(SaidError):
        np.testing.assert_array_equal(saidcodec.decode(bytes(data)), pixels)


def test_a_file_cut_between_bands_says_so() -> None:
    data = saidcodec.encode(picture((520, 530)))
    with pytest.raises(TruncatedError):
        saidcodec.decode(data[: len(data) // 3], region=(0, 500, 10, 10))


def with_band(method: WideMethod, ladder: Ladder | None, max_error: int = 0, body: bytes = b"") -> bytes:
    """A file of 4×4 grey samples whose band begins as asked, and then has nothing."""
    pixels = picture((4, 4), 9)
    header = wide.header_of(pixels, Presentation("I;16"), max_error)._replace(depth=9)
    head = container.head_of(header, Metadata())
    encoder = Encoder()
    encoder.add(np.frombuffer(container.head_check(head, ""), np.uint8), uniform(256))
    encoder.add(np.array([method]), uniform(len(WideMethod)))
    if ladder:
        ladder.add(encoder)
    if body:
        encoder.add(np.array([0]), uniform(wide_packed.FILTERS))
        add_head(body, encoder)
    return container.pack(header, head, [encoder.finish()])


def listed(shape: tuple[int, int], value: bool) -> Ladder:
    return Ladder(Levels(np.full(shape, value)))


def regular(*numbers: int) -> Ladder:
    return Ladder(listed((1, 512), True).levels, np.array([numbers], np.uint16))


@pytest.mark.parametrize(
    "data",
    [
        with_band(WideMethod.STORED, None),
        with_band(WideMethod.GRAPHICS, Ladder()),
        with_band(WideMethod.GRAPHICS, None, max_error=1),
        with_band(WideMethod.GRAPHICS, listed((1, 512), True)),
        with_band(WideMethod.PREDICTED, listed((1, 512), False)),
        with_band(WideMethod.PREDICTED, listed((2, 512), True)),
        with_band(WideMethod.PREDICTED, regular(0, 0, 5)),
        with_band(WideMethod.PREDICTED, regular(2, 3, 170)),
        with_band(WideMethod.PREDICTED, regular(512, 1, 0)),
        with_band(WideMethod.PREDICTED, Ladder()),
    ],
)
def test_bands_that_no_encoder_writes_are_refused(data: bytes) -> None:
    with pytest.raises(CorruptError):
        saidcodec.decode(data)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7], [7, 1, 0]),
        ([0, 16, 48], [0, 16, 3]),
        ([514, 771, 65535 - 257 * 3], [514, 257, 250]),
    ],
)
def test_regular_levels_are_found(values: list[int], expected: list[int]) -> None:
    samples = np.array(values, np.uint16)[np.random.default_rng(0).integers(0, len(values), (40, 40, 1))]
    header = wide.header_of(samples[..., 0], Presentation("I;16"), 0)
    found = ladder_of(header, samples)
    assert found.levels is not None
    np.testing.assert_array_equal(found.levels.values(found.levels.ranks(samples)), samples)
    if found.regular is not None:
        assert found.regular.tolist() == [expected]


def test_pillow_opens_and_saves_grey(tmp_path: Path) -> None:
    saidcodec.register()
    grey, path = picture((12, 15), 12), tmp_path / "grey.said"
    Image.fromarray(grey).save(path)
    with Image.open(path) as image:
        assert image.mode == "I;16"
        np.testing.assert_array_equal(np.asarray(image), grey)
    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        image.thumbnail((5, 5))
        assert (image.mode, image.size) == ("I;16", (5, 4))
        assert abs(int(np.asarray(image).mean()) - int(grey.mean())) < 99
    path.write_bytes(saidcodec.encode(picture((12, 15, 3))))
    with pytest.raises(OSError, match=r"saidcodec\.decode"):
        Image.open(path)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_the_commands(tmp_path: Path, suffix: str) -> None:
    pixels, source, target = picture((20, 30, 3)), tmp_path / f"a{suffix}", tmp_path / "a.said"
    with open(source, "wb") as file:
        images.save(picture_of(pixels, Metadata()), file, {".png": "PNG", ".tif": "TIFF"}[suffix])
    run = CliRunner().invoke
    assert run(main, ["encode", str(source), str(target), "--verbose"]).exit_code == 0
    back = tmp_path / f"b{suffix}"
    for command in (
        ["decode", str(target), str(back)],
        ["compare", str(target), str(back)],
        ["compare", str(source), str(back)],
        ["verify", str(target)],
        ["inspect", str(target)],
    ):
        result = run(main, command)
        assert result.exit_code == 0, result.output
    assert "16 bits a sample, no model" in result.output
    result = run(main, ["decode", str(target), str(tmp_path / "c.jpg")])
    assert result.exit_code == 1
    assert ".png and .tif can" in result.output
    assert run(main, ["decode", str(target), str(tmp_path / "c.webp"), "--lossy"]).exit_code == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "c.webp")), pixels >> 8)
    for name in ("small.png", "small.jpg"):
        assert run(main, ["preview", str(target), str(tmp_path / name), "--size", "9"]).exit_code == 0
        assert Image.open(tmp_path / name).size == (9, 6)
    near = tmp_path / "near.said"
    assert run(main, ["encode", str(source), str(near), "--max-error", "500"]).exit_code == 0
    assert near.stat().st_size < target.stat().st_size
    Image.new("L", (9, 9)).save(tmp_path / "grey.png")
    result = run(main, ["encode", str(tmp_path / "grey.png"), "--max-error", "500"])
    assert result.exit_code == 1
    assert "at most 255" in result.output
    folder = tmp_path / "many"
    assert run(main, ["encode", str(source), "--output-dir", str(folder), "--jobs", "1"]).exit_code == 0
    assert (
        run(main, ["decode", str(folder), "--output-dir", str(tmp_path / "out"), "--jobs", "1"]).exit_code
        == 0
    )
    (found,) = (tmp_path / "out").glob("*.png")
    np.testing.assert_array_equal(images.from_file(found.read_bytes(), None)[0], pixels)


def keyed(key: tuple[int, ...]) -> Picture:
    """A picture of 10 bits, of which a few pixels have the colour of the key."""
    pixels = picture((24, 31) if len(key) == 1 else (24, 31, 3), 10)
    pixels[3:5, 6:8] = key
    return Picture(pixels, Presentation("I;16" if len(key) == 1 else "RGB;16", key=key))


@pytest.mark.parametrize("key", [(77,), (5, 1023, 0), (65535, 1, 2)])
def test_a_key_comes_back(key: tuple[int, ...]) -> None:
    shown = keyed(key)
    data = saidcodec.encode(shown)
    assert container.unpack(data).header.depth == (16 if max(key) == 65535 else 10)
    found = codec.decode_image(data)
    assert found.presentation == shown.presentation
    np.testing.assert_array_equal(found.pixels, shown.pixels)
    near = codec.decode_image(saidcodec.encode(shown, max_error=9))  # in which a colour may be another
    assert near.presentation.key is None
    assert np.abs(near.pixels.astype(int) - shown.smooth().pixels).max() <= 9
    assert np.argwhere(shown.smooth().pixels[..., -1] == 0).tolist() == [[3, 6], [3, 7], [4, 6], [4, 7]]
    small = saidcodec.preview(data, size=12)
    assert small.shape == (9, 12, len(key) + 1)
    assert small[..., -1].min() < 65535 == small[..., -1].max()


def test_frames_with_a_key_come_back() -> None:
    frames = [keyed((77,)), keyed((77,)), keyed((78,))]
    frames[1].pixels[9, 9] = 1
    with saidcodec.Frames(saidcodec.encode_frames(frames)) as found:
        for number, one in enumerate(frames):
            np.testing.assert_array_equal(found.frame(number).pixels, one.pixels)
            assert found.frame(number).presentation == one.presentation


def test_a_key_in_other_formats() -> None:
    file = io.BytesIO()
    images.save_exactly(keyed((5, 1023, 0)), file, "TIFF")
    found = images.from_file(file.getvalue(), None)
    assert found.presentation == Presentation("RGBA;16")
    np.testing.assert_array_equal(found.pixels, keyed((5, 1023, 0)).smooth().pixels)
    with pytest.raises(ImageError, match=r"grey and alpha of 16 bits .*; \.png can\.$"):
        images.save_exactly(keyed((77,)), io.BytesIO(), "TIFF")
    file = io.BytesIO()
    images.save(keyed((77,)), file, "WEBP")
    with Image.open(file) as shown:
        np.testing.assert_array_equal(np.asarray(shown)[..., 3] == 0, keyed((77,)).pixels == 77)


def test_pillow_keeps_a_key(tmp_path: Path) -> None:
    saidcodec.register()
    path = tmp_path / "grey.said"
    path.write_bytes(saidcodec.encode(keyed((77,))))
    with Image.open(path) as image:
        image.save(tmp_path / "again.said")
        assert image.info["transparency"] == 77
        image.thumbnail((9, 9))
        assert image.mode == "I;16"
    assert codec.decode_image(tmp_path / "again.said").presentation == keyed((77,)).presentation


def test_comparisons() -> None:
    opaque = np.dstack([picture((9, 9)), np.full((9, 9), 65535, np.uint16)])
    found = compare(Opened.of(picture_of(opaque)), Opened.of(picture_of(picture((9, 9)))))
    assert found.pixels is not None
    assert found.pixels.count == 0
    assert compare(Opened.of(keyed((77,))), Opened.of(keyed((78,)))).facts == ("transparent colour",)
    one = Opened.of(picture_of(picture((9, 9))))
    other = Opened.of(picture_of(np.repeat(one.pixels[..., None], 3, 2)))
    found = compare(one, other)
    assert found.pixels is not None
    assert (found.equal, found.pixels.count) == (False, 0)
    assert compare(one, Opened.of(picture_of(np.zeros((9, 9), np.uint8)))).pixels is None


@few
@given(st.integers(0, 7), st.integers(0, 99), st.sampled_from([(1, 1, 1), (5, 9, 2), (40, 3, 3)]))
def test_packed_samples_come_back(kind: int, seed: int, shape: tuple[int, int, int]) -> None:
    samples = np.random.default_rng(seed).integers(0, 65536, shape).astype(np.uint16)
    body = zlib.compress(wide_packed.filtered(samples, kind))
    np.testing.assert_array_equal(wide_packed.unpacked(body, kind, shape), samples)
    for damaged in (body[:-1], body + b"1", zlib.compress(b"1" * (2 * samples.size + 1)), b"1"):
        with pytest.raises(CorruptError):
            wide_packed.unpacked(damaged, kind, shape)


@pytest.mark.parametrize("name", ["pattern", "drawing on a slope", "steps"])
def test_what_repeats_is_no_larger_than_its_png(name: str) -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:160, :160]
    pixels = {
        "pattern": np.tile(rng.integers(0, 65536, (16, 16)), (10, 10)),
        "drawing on a slope": np.where((x * y % 37 < 5) & (x % 40 < 20), 60_000, x * 300 + y),
        "steps": rng.integers(20_000, 40_000, (40, 40)).repeat(4, 0).repeat(4, 1),
    }[name].astype(np.uint16)
    data, file = saidcodec.encode(pixels), io.BytesIO()
    np.testing.assert_array_equal(saidcodec.decode(data), pixels)
    images.save(picture_of(pixels, Metadata()), file, "PNG")
    assert len(data) < 1.03 * len(file.getvalue())


def test_packed_samples_have_no_more_bits_than_the_image() -> None:
    body = zlib.compress(np.full(16, 512, ">u2").tobytes())
    data = with_band(WideMethod.PACKED, None, body=body)
    with pytest.raises(CorruptError, match="too many bits"):
        saidcodec.decode(data)
