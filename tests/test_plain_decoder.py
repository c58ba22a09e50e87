"""The codec against a decoder written from bitstream_spec.md alone."""

import hashlib
import json
from pathlib import Path

import numpy as np
import plain_decoder
import pytest
from factory import flat_colour_model, random_description, random_model

import saidcodec.entropy
from saidcodec import codec, models
from saidcodec.encoder import plan
from saidcodec.format import container
from saidcodec.format.header import Header, Metadata, Mode, ResidualCoder, TileKind
from saidcodec.format.tiling import Tiling
from saidcodec.said import read_section, render_band

BANKS = Path(saidcodec.entropy.__file__).with_name("tables.npz")
VECTORS = Path(__file__).with_name("vectors")
MODES = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,)}


@pytest.fixture(scope="module")
def banks():
    return plain_decoder.load_banks(BANKS)


def picture(height, width, mode, seed=0):
    """Slopes, a rectangle and a little noise, uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((height, width))
    channels = 1 if not MODES[mode] else MODES[mode][0]
    slopes = np.stack([x * (2 + c) + y * (3 - c) for c in range(channels)], -1) % 256
    slopes[height // 4 : height // 2, width // 3 : width * 2 // 3] = np.arange(channels) * 60 + 20
    pixels = np.clip(slopes + rng.integers(-2, 3, slopes.shape), 0, 255).astype(np.uint8)
    return pixels[..., 0] if mode == "L" else pixels


def agree(image, model, banks, **options):
    data = codec.encode(image, model=model, threads=1, **options)
    expected = codec.decode(data, model=model, threads=1)
    found = plain_decoder.decode(data, model.tensors, banks)
    assert found.shape == image.shape
    assert (found == expected).all()
    return data, found


def agree_in_tiles(image, mode, model, banks, bands=1, max_error=0, adaptive=True, coder="context"):
    """Like ``agree``, with tiles of at most 16×16 and up to ``bands`` bands; the kinds of the tiles."""
    height, width = image.shape[:2]
    how = False, ResidualCoder[coder.upper()], max_error, model.id, 16, bands, adaptive
    header = Header(width, height, Mode(mode), *how)
    tiles = Tiling.of(header).count()
    data = codec.write(header, model, image, Metadata(), None, None, 1, lambda share: None)
    expected = codec.decode(data, model=model, threads=1)
    found = plain_decoder.decode(data, model.tensors, banks)
    assert (found == expected).all()
    assert np.abs(found.astype(int) - image).max() <= max_error
    kinds, _ = read_section(container.unpack(data).said, tiles, header.grey, model)
    assert max_error or (kinds != TileKind.STORED).any()
    return set(kinds.tolist())


@pytest.fixture
def mixed(monkeypatch):
    """Every tile is of a random kind, and painted at random where it has a SAID layer."""
    rng = np.random.default_rng(5)

    def plan_band(header, model, network, band, channels, glimpses, threads):
        kinds = rng.permutation(np.arange(len(band.places)) % len(TileKind))
        described = [
            random_description(rng, header.grey) if kind == TileKind.SAID else None for kind in kinds
        ]
        return plan.Plan(kinds, described, render_band(described, band, header.grey, model))

    monkeypatch.setattr(plan, "plan_band", plan_band)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bound", [0, 5])
def test_bands_and_adaptation(mode, bound, banks):
    image = picture(37, 33, mode)
    agree_in_tiles(image, mode, random_model(3, told=4), banks, 4, bound)  # of 3 rows of tiles


MIXED = [*((mode, bound, True) for mode in MODES for bound in (0, 2)), ("RGBA", 0, False), ("LA", 2, False)]


@pytest.mark.parametrize(("mode", "bound", "adaptive"), MIXED)
def test_mixed_tiles(mode, bound, adaptive, mixed, banks):
    image = picture(35, 40, mode)
    for copies, told, bands in ((False, 4, 2), (True, 3, 1)):
        model = random_model(9, copies, copies, told)
        assert agree_in_tiles(image, mode, model, banks, bands, bound, adaptive) == set(TileKind)


@pytest.mark.parametrize("mode", ["LA", "RGB"])
def test_mixed_tiles_with_the_gaussian_coder(mode, mixed, banks):
    image = picture(35, 40, mode)
    for bound in (0, 2):
        kinds = agree_in_tiles(image, mode, random_model(3), banks, 2, bound, False, "gaussian")
        assert kinds == set(TileKind)


@pytest.mark.parametrize("bound", [0, 1])
def test_adaptation_that_has_learnt_much(bound, banks):
    """Long enough for the weights to be solved for several times, by a network that misleads."""
    agree_in_tiles(picture(48, 60, "RGB"), "RGB", random_model(8), banks, max_error=bound)
    agree_in_tiles(flat_shapes(40, 50, 3), "RGB", random_model(5, copies=True), banks, max_error=bound)


def test_adaptation_that_runs_into_its_limits(banks):
    """Black and white squares with errors among them: means out of range, corrections that are too great."""
    rng = np.random.default_rng(1)
    y, x = np.indices((40, 50))
    squares = ((x // 9 + y // 7) + (rng.random(x.shape) < 0.1)) % 2 * 255
    noise = rng.integers(-6, 7, (40, 50, 3))
    image = np.clip(squares[..., None] + noise, 0, 255).astype(np.uint8)
    agree_in_tiles(image, "RGB", random_model(3, told=4), banks)
    agree_in_tiles(squares.astype(np.uint8), "L", models.find("photo"), banks)


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("components", ["L", "RGB"])
def test_differences_from_other_origins(components, copies, banks):
    image = picture(19, 26, components)
    _, found = agree(image, random_model(3, copies, True), banks, glimpses=2)
    assert (found == image).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("coder", ["context", "gaussian", "none"])
def test_every_mode_and_coder(mode, coder, banks):
    image = picture(19, 26, mode)
    data, found = agree(image, random_model(3), banks, residual=coder)
    assert container.unpack(data).header.mode == mode
    if coder != "none":
        assert (found == image).all()


@pytest.mark.parametrize("bound", [1, 3, 20])
@pytest.mark.parametrize("mode", ["LA", "RGB"])
def test_near_lossless(mode, bound, banks):
    image = picture(17, 20, mode)
    for coder in ("context", "gaussian"):
        _, found = agree(image, random_model(3), banks, residual=coder, max_error=bound)
        assert np.abs(found.astype(int) - image).max() <= bound


def flat_shapes(height, width, channels, seed=0):
    """Rectangles of a few colours on black, with softened edges here and there; uint8."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width, channels))
    for _ in range(4):
        top, left = rng.integers(0, height), rng.integers(0, width)
        image[top : top + height // 2, left : left + width // 2] = rng.integers(40, 256, channels)
        image[top, left:] *= rng.uniform(0.2, 1.0)
    return image.astype(np.uint8)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bound", [0, 4])
def test_copies(mode, bound, banks):
    image = flat_shapes(21, 26, *MODES[mode] or (1,))
    image = image[..., 0] if mode == "L" else image
    _, found = agree(image, random_model(5, copies=True), banks, max_error=bound)
    assert np.abs(found.astype(int) - image).max() <= bound


def test_copies_in_several_tiles_and_in_noise(banks):
    model = random_model(6, copies=True)
    agree(flat_shapes(9, 200, 3), model, banks)
    agree(picture(19, 26, "RGB"), model, banks, glimpses=2)


@pytest.mark.parametrize("coder", ["context", "gaussian"])
def test_glimpses(coder, banks):
    image = np.zeros((40, 52, 3), np.uint8)
    image[5:20, 8:30] = (200, 90, 30)
    image[24:36, 20:45] = (30, 200, 120)
    for mode in ("RGB", "L"):
        model = flat_colour_model()
        data, _ = agree(image if mode == "RGB" else image[..., 1], model, banks, residual=coder, glimpses=3)
        file = container.unpack(data)
        _, descriptions = read_section(file.said, 1, file.header.grey, model)
        assert sum(len(d.boxes) for d in descriptions if d) >= 2


def test_random_patches_of_a_random_decoder(banks):
    agree(picture(30, 33, "RGB"), random_model(4), banks, glimpses=4)


def test_replicated_grey(banks):
    grey = picture(20, 20, "LA")
    agree(np.repeat(grey[..., :1], 3, -1), random_model(3), banks)
    agree(np.concatenate([np.repeat(grey[..., :1], 3, -1), grey[..., 1:]], -1), random_model(3), banks)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3), (5, 200), (200, 4)])
def test_odd_sizes_and_several_tiles(shape, banks):
    agree(picture(*shape, "RGB"), random_model(3), banks)


def test_noise_is_stored(banks):
    image = np.random.default_rng(1).integers(0, 256, (12, 170, 4)).astype(np.uint8)
    agree(image, random_model(3), banks)


def test_metadata(banks):
    metadata = Metadata(icc=b"a profile", xmp=b"<x/>" * 100)
    data, _ = agree(picture(9, 9, "L"), random_model(3), banks, metadata=metadata)
    assert plain_decoder.parse(data).metadata == {1: b"a profile", 3: b"<x/>" * 100}


def test_model_files(tmp_path):
    model = random_model(9)
    path = tmp_path / "x.safetensors"
    identity = models.save(path, model.tensors, {"name": "x"})
    found = plain_decoder.load_model(path.read_bytes())
    assert plain_decoder.identify(found) == identity == model.id
    assert set(found) == {name for name in model.tensors if not name.startswith("encoder.")}


@pytest.mark.parametrize("path", models.installed(), ids=lambda path: path.stem)
def test_shipped_models(path, banks):
    model = models.load(path)
    tensors = plain_decoder.load_model(path.read_bytes())
    assert plain_decoder.identify(tensors) == model.id
    image = picture(32, 32, "RGB")
    data = codec.encode(image, model=model, threads=1, glimpses=1)
    assert (plain_decoder.decode(data, tensors, banks) == image).all()


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.said")), ids=lambda path: path.stem)
def test_vectors(path, banks):
    model = models.find(path.stem.split("-")[0])
    pixels = plain_decoder.decode(path.read_bytes(), model.tensors, banks)
    expected = json.loads((VECTORS / "pixels.json").read_text())[path.stem]
    assert list(pixels.shape) == expected["shape"]
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == expected["sha256"]


def test_damage_is_refused(banks):
    model = random_model(3)
    data = codec.encode(picture(5, 6, "RGB"), model=model, threads=1)
    for at in range(0, len(data), 4):
        damaged = bytearray(data)
        damaged[at] ^= 4
        with pytest.raises(plain_decoder.RefusedError):
            plain_decoder.decode(bytes(damaged), model.tensors, banks)
