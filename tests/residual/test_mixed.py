"""Bands coded as what they were made of."""

from __future__ import annotations

import io

import numpy as np
import pytest
from factory import random_model
from PIL import Image

import saidcodec
from saidcodec import models
from saidcodec.codec import read_said
from saidcodec.encoder import preimage, writing
from saidcodec.entropy.rans import Decoder, Encoder, uniform
from saidcodec.errors import CorruptError, SaidError
from saidcodec.format import container
from saidcodec.format.header import BandMethod, Header, Metadata, Mode, ResidualCoder, TileKind
from saidcodec.format.levels import levels_of
from saidcodec.format.tiling import Band, Tiling
from saidcodec.residual import mixed
from saidcodec.residual.band import Outline, method_of

MODEL = random_model()


def scene(height: int, width: int) -> np.ndarray:
    """A smooth picture with edges and a little noise, uint8 [h, w, 3]."""
    rng = np.random.default_rng(2)
    y, x = np.indices((height, width))
    waves = [np.sin(x / a) + np.cos(y / b) for a, b in ((17, 23), (31, 11), (13, 29))]
    picture = 128 + 40 * np.stack(waves, -1) + rng.normal(0, 2, (height, width, 3))
    picture[height // 3 : height // 2, width // 4 : width // 2] = (200, 40, 60)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def through_jpeg(pixels: np.ndarray, subsampling: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90, subsampling=subsampling)
    return np.array(Image.open(file).convert("RGB"))


def header(shape: tuple[int, ...], adaptive: bool = False) -> Header:
    mode = {2: Mode.L, 3: Mode.RGB}[len(shape)] if len(shape) == 2 or shape[2] == 3 else Mode.RGBA
    coder = ResidualCoder.MIXED
    return Header(shape[1], shape[0], mode, False, coder, 0, MODEL.id, 32, 1, adaptive)


@pytest.mark.parametrize("alpha", [None, "constant", "own"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_mapped_bands_come_back(alpha: str | None, subsampling: int) -> None:
    pixels = through_jpeg(scene(48, 80), subsampling)
    source = preimage.mapped(pixels, 1)
    assert source is not None
    assert (source.chroma.shape[:2] != pixels.shape[:2]) == (subsampling > 0)
    if alpha:
        more = np.full((48, 80, 1), 9) if alpha == "constant" else np.arange(48 * 80).reshape(48, 80, 1) // 80
        pixels = np.concatenate([pixels, more.astype(np.uint8)], -1)
    head = header(pixels.shape, adaptive=subsampling == 2)
    outline, method = Outline.plain(Tiling.of(head).bands()[0]), method_of(head, MODEL)
    stream = mixed.write(head, method, outline, pixels, source)
    assert np.array_equal(mixed.take(head, method, outline, Decoder(stream)), pixels)


@pytest.mark.parametrize("shape", [(40, 50, 1), (40, 50, 3), (40, 50, 4)])
def test_levels_come_back(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 40, shape).astype(np.uint8)
    pixels[..., :3] = 5 * pixels[..., :3] + 3
    source = levels_of(pixels[..., :3])
    assert source is not None
    head = header(shape if shape[2] > 1 else shape[:2])
    outline, method = Outline.plain(Tiling.of(head).bands()[0]), method_of(head, MODEL)
    stream = mixed.write(head, method, outline, pixels, source)
    assert np.array_equal(mixed.take(head, method, outline, Decoder(stream)), pixels)


@pytest.mark.parametrize("shape", [(30, 41, 1), (30, 41, 3), (30, 41, 4)])
@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize("gradients", [False, True])
def test_graphics_come_back(shape: tuple[int, ...], opaque: bool, gradients: bool) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 3, (6, 9, shape[2])).astype(np.uint8).repeat(5, 0).repeat(5, 1)[:, :41] * 80
    if opaque and shape[2] == 4:
        pixels[..., 3] = 255
    head = header(shape if shape[2] > 1 else shape[:2])
    outline, method = Outline.plain(Tiling.of(head).bands()[0]), method_of(head, MODEL)
    stream = mixed.write(head, method, outline, pixels, mixed.Graphics(gradients))
    assert np.array_equal(mixed.take(head, method, outline, Decoder(stream)), pixels)


def test_flat_pictures_are_coded_as_graphics() -> None:
    pixels = np.full((400, 300, 3), 250, np.uint8)
    pixels[100:140, 50:200] = (20, 60, 90)
    data = saidcodec.encode(pixels)
    assert container.unpack(data).header.coder == ResidualCoder.MIXED
    assert len(data) < 80
    assert np.array_equal(saidcodec.decode(data), pixels)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_bands_take_the_transform_that_suits_them(mode: str) -> None:
    """Where green and blue are the same but for little, and red is noise, B and G − B take few bits."""
    rng = np.random.default_rng(3)
    pixels = np.clip(scene(130, 140).astype(int) + rng.normal(0, 9, (130, 140, 1)), 0, 255).astype(np.uint8)
    pixels[..., 0] = rng.integers(0, 256, pixels.shape[:2])
    pixels[..., 1] = np.clip(pixels[..., 2].astype(int) + rng.integers(0, 2, pixels.shape[:2]), 0, 255)
    if mode == "RGBA":
        pixels = np.concatenate([pixels, pixels[..., 2:] // 4], -1)
    fast, *others = (saidcodec.encode(pixels, model="photo", effort=e) for e in ("fast", "normal", "best"))
    for data in others:
        found = container.unpack(data)
        assert found.header.coder == ResidualCoder.MIXED
        assert Decoder(found.streams[0]).bits() < 0.97 * Decoder(container.unpack(fast).streams[0]).bits()
        np.testing.assert_array_equal(saidcodec.decode(data), pixels)


def test_large_flat_pictures_come_back() -> None:
    """Runs cost next to nothing: no number of bytes is too few for a band of graphics."""
    pixels = np.full((2048, 2048, 3), 250, np.uint8)
    pixels[1000:1500, 300:800] = (20, 60, 90)
    head = header(pixels.shape)
    band = Tiling.of(head).bands()[0]
    method = method_of(head, MODEL)
    stream = mixed.write(head, method, Outline.plain(band), pixels, mixed.Graphics())
    tiles = len(band.places)
    data = writing.join(head, MODEL, Metadata(), [0] * tiles, [None] * tiles, [stream])
    assert len(data) < 100
    assert np.array_equal(saidcodec.decode(data, model=MODEL), pixels)


def test_files_of_pictures_that_were_jpegs_are_mixed_and_shorter() -> None:
    pixels = through_jpeg(scene(130, 140), 2)
    files = {
        effort: saidcodec.encode(pixels, model="photo", effort=effort)
        for effort in ("fast", "normal", "best")
    }
    assert [container.unpack(data).header.coder.name for data in files.values()] == [
        "CONTEXT",
        "MIXED",
        "MIXED",
    ]
    assert len(files["best"]) < len(files["normal"]) < 0.9 * len(files["fast"])
    for data in files.values():
        assert np.array_equal(saidcodec.decode(data), pixels)


def test_bands_of_one_file_may_differ() -> None:
    pixels, clean = through_jpeg(scene(512, 520), 0), scene(512, 520)
    pixels[436:] = clean[436:]
    data = saidcodec.encode(pixels, model="photo")
    assert container.unpack(data).header.coder == ResidualCoder.MIXED
    assert np.array_equal(saidcodec.decode(data), pixels)


def test_other_methods_and_heads_are_refused() -> None:
    head = header((16, 16, 3))
    outline, method = Outline.plain(Tiling.of(head).bands()[0]), method_of(head, MODEL)
    for symbols in ([BandMethod.MAPPED], [BandMethod.LEVELS]):
        encoder = Encoder()
        encoder.add(np.array(symbols), uniform(len(BandMethod)))
        encoder.add(np.full(8, 255), uniform(256))
        with pytest.raises(CorruptError):
            mixed.take(head, method, outline, Decoder(encoder.finish()))
    grey = header((16, 16))
    encoder = Encoder()
    encoder.add(np.array([BandMethod.DIFFERENCES, 0]), uniform(len(BandMethod)))
    encoder.add(np.full(99, 7), uniform(256))
    with pytest.raises(CorruptError, match="grey band"):
        mixed.take(grey, method_of(grey, MODEL), outline, Decoder(encoder.finish()))
    stored = Outline(outline.band, np.ones(len(outline.stored), bool), None)
    encoder = Encoder()
    encoder.add(np.array([BandMethod.MAPPED]), uniform(len(BandMethod)))
    with pytest.raises(CorruptError, match="does not have"):
        mixed.take(head, method, stored, Decoder(encoder.finish()))
    encoder = Encoder()
    encoder.add(np.array([BandMethod.DIFFERENCES]), uniform(len(BandMethod)))
    encoder.add(np.full(99, 7), uniform(256))
    seen = outline._replace(reconstruction=np.zeros((16, 16, 3), np.int16))
    with pytest.raises(CorruptError, match="does not have"):
        mixed.take(head, method, seen, Decoder(encoder.finish()))


def test_a_source_that_loses_does_not_keep_a_band_from_its_transform() -> None:
    pixels, rng = scene(190, 200), np.random.default_rng(8)
    pixels = np.clip(pixels + rng.normal(0, 9, pixels.shape[:2])[..., None], 0, 255).astype(np.uint8)
    pixels[..., 0] = rng.integers(0, 256, pixels.shape[:2])
    model = models.find("photo")
    head = Header(200, 190, Mode.RGB, False, ResidualCoder.CONTEXT, 0, model.id, 64, 1, True)
    method, (band,) = method_of(head, model), Tiling.of(head).bands()

    class Worse:
        suffice = thorough = False

        def of(self, band: Band, channels: np.ndarray) -> list[mixed.Source]:
            return [mixed.Levels(np.ones((3, 256), bool))]

    without, beside = (
        writing.code_band(head, model, method, band, pixels, None, sources, True, 1)
        for sources in (None, Worse())
    )
    assert without.mixed
    assert beside.stream == without.stream


def test_stored_tiles_go_with_differences() -> None:
    pixels, rng = scene(256, 256), np.random.default_rng(8)
    pixels[..., 1] = np.clip(pixels[..., 2].astype(int) + rng.integers(0, 2, pixels.shape[:2]), 0, 255)
    pixels[:64, 64:128] = rng.integers(0, 256, (64, 64, 3))
    data = saidcodec.encode(pixels, model="photo")
    assert container.unpack(data).header.coder == ResidualCoder.MIXED
    kinds = read_said(container.unpack(data), models.find("photo")).kinds
    assert np.count_nonzero(np.array(kinds) == TileKind.STORED) == 1
    np.testing.assert_array_equal(saidcodec.decode(data), pixels)


@pytest.mark.parametrize("how", [BandMethod.PLAIN, BandMethod.LEVELS, BandMethod.MAPPED])
def test_only_graphics_may_take_next_to_no_bits(how: BandMethod, monkeypatch: pytest.MonkeyPatch) -> None:
    head = header((2048, 2048, 3))
    outline, method = Outline.plain(Tiling.of(head).bands()[0]), method_of(head, MODEL)
    encoder = Encoder()
    encoder.add(np.array([how]), uniform(len(BandMethod)))
    encoder.add(np.full(8, 255), uniform(256))
    stream = encoder.finish()
    monkeypatch.setattr(mixed.residual, "plane_of", None)  # nothing is allocated first
    with pytest.raises(CorruptError, match="cannot hold"):
        mixed.take(head, method, outline, Decoder(stream))


def test_any_damage_is_found() -> None:
    pixels = through_jpeg(scene(130, 140), 2)
    data = saidcodec.encode(pixels, model="photo")
    assert container.unpack(data).header.coder == ResidualCoder.MIXED
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(data), 40):
        damaged = bytearray(data)
        damaged[place] ^= int(rng.integers(1, 256))
        with pytest.raises(SaidError):
            saidcodec.decode(bytes(damaged))
