"""The codec against a decoder written from bitstream_spec.md alone."""

import hashlib
import io
import itertools
import json
import zlib
from pathlib import Path
from unittest.mock import patch

import numpy as np
import plain_decoder
import plain_maps
import pytest
from factory import flat_colour_model, model_of, random_description, random_model, random_tensors
from PIL import Image

import saidcodec.entropy
from saidcodec import codec, models, wide
from saidcodec.encoder import plan, preimage, writing
from saidcodec.entropy.rans import Encoder
from saidcodec.errors import CorruptError
from saidcodec.format import container, maps, planes
from saidcodec.format.colour import DIFFERENCES
from saidcodec.format.frames import FrameKind
from saidcodec.format.header import Header, Metadata, Mode, ResidualCoder, TileKind
from saidcodec.format.levels import levels_of
from saidcodec.format.palette import Palette
from saidcodec.format.presentation import Presentation
from saidcodec.format.tiling import Tiling
from saidcodec.picture import Picture
from saidcodec.residual import band as residual
from saidcodec.residual import mixed, wide_band
from saidcodec.residual.band import Outline, method_of
from saidcodec.said import render_band

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
    assert found.shape == expected.shape
    assert (found == expected).all()
    return data, found


def agree_in_tiles(
    image, mode, model, banks, bands=1, max_error=0, adaptive=True, coder="context", decided=False
):
    """Like ``agree``, with tiles of at most 16×16 and up to ``bands`` bands; the kinds of the tiles.

    Adaptive files without alpha have weights for each parity.
    """
    height, width = image.shape[:2]
    how = False, ResidualCoder[coder.upper()], max_error, model.id, 16, bands, adaptive, decided
    header = Header(width, height, Mode(mode), *how)
    with patch.object(writing, "learns_by_parity", lambda *_: "A" not in mode):
        data = writing.write(header, model, image, Metadata(), None, None, False, 1, lambda share: None)
    assert container.unpack(data).header.by_parity == (adaptive and "A" not in mode)
    expected = codec.decode(data, model=model, threads=1)
    found = plain_decoder.decode(data, model.tensors, banks)
    assert (found == expected).all()
    assert np.abs(found.astype(int) - image).max() <= max_error
    kinds = codec.read_said(container.unpack(data), model).kinds
    assert max_error or (kinds != TileKind.STORED).any()
    return set(kinds.tolist())


@pytest.fixture
def kinds_mixed(monkeypatch):
    """Every tile is of a random kind, and painted at random where it has a SAID layer."""
    rng = np.random.default_rng(5)

    def plan_band(header, model, network, band, channels, glimpses, threads):
        kinds = rng.permutation(np.arange(len(band.places)) % len(TileKind))
        described = [
            random_description(rng, header.grey) if kind == TileKind.SAID else None for kind in kinds
        ]
        return plan.Plan(kinds, described, render_band(described, band, header, model))

    monkeypatch.setattr(writing, "plan_band", plan_band)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bound", [0, 5])
def test_bands_and_adaptation(mode, bound, banks):
    image = picture(37, 18, mode)
    agree_in_tiles(image, mode, random_model(3, told=4), banks, 4, bound)  # of 3 rows of tiles


MIXED = [*((mode, bound, True) for mode in MODES for bound in (0, 2)), ("RGBA", 0, False), ("LA", 2, False)]


@pytest.mark.parametrize(("mode", "bound", "adaptive"), MIXED)
def test_mixed_tiles(mode, bound, adaptive, kinds_mixed, banks):
    image = picture(35, 24, mode)
    for copies, told, bands in ((False, 4, 2), (True, 3, 1)):
        model = random_model(9, copies, copies, told)
        assert agree_in_tiles(image, mode, model, banks, bands, bound, adaptive) == set(TileKind)


@pytest.mark.parametrize("mode", ["LA", "RGB"])
def test_mixed_tiles_with_the_gaussian_coder(mode, kinds_mixed, banks):
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


@pytest.mark.parametrize(("width", "height"), [(1, 40), (2, 40), (40, 1)])
def test_adaptation_of_narrow_images(width, height, banks):
    image = picture(height, width, "L")
    header = Header(width, height, Mode.L, False, ResidualCoder.CONTEXT, 0, random_model(3).id, 64, 1, True)
    model = random_model(3)
    data = writing.write(header, model, image, Metadata(), None, None, False, 1, lambda share: None)
    assert (plain_decoder.decode(data, model.tensors, banks) == image).all()


@pytest.mark.parametrize(("mode", "copies"), [("RGBA", False), ("RGB", True), ("L", True)])
def test_decisions(mode, copies, kinds_mixed, banks):
    image, model = picture(33, 24, mode), random_model(9, copies, copies, 3 + copies)
    assert agree_in_tiles(image, mode, model, banks, 2, decided=True) == set(TileKind)


def test_decisions_that_have_learnt_much(banks):
    """Three segments of columns, the last of which is narrow; steps and noise, which no table expects."""
    y, x = np.indices((60, 35))
    image = np.where((x // 9 + y // 7) % 2, 3 * x + y, 250 - 2 * y) % 256
    image[40:] = np.random.default_rng(1).integers(0, 256, (20, 35))
    agree_in_tiles(image.astype(np.uint8), "L", random_model(3, told=4), banks, decided=True)


def test_decisions_that_run_into_their_limits(banks):
    """Flat pictures with steps of every size up to the greatest: sure tables that fail, full counters."""
    rng = np.random.default_rng(2)
    steps = np.where(rng.random((40, 60)) < 0.015, rng.integers(-100, 156, (40, 60)), 0)
    tensors = random_tensors(3)
    for name in [name for name in tensors if name.startswith("residual.head_")]:
        tensors[name][:] = 0  # the narrowest table around the reference
    agree_in_tiles((100 + steps).astype(np.uint8), "L", model_of(tensors), banks, decided=True)
    blue = np.arange(20) // 5 % 2 * np.ones((5, 1), int)
    image = 255 * np.stack([1 - blue, np.zeros_like(blue), blue], -1).astype(np.uint8)
    agree_in_tiles(image, "RGB", model_of(tensors), banks, decided=True)


@pytest.mark.parametrize(("width", "height"), [(1, 40), (2, 40), (40, 1), (17, 2)])
def test_decisions_of_narrow_images(width, height, banks):
    agree_in_tiles(picture(height, width, "RGB"), "RGB", random_model(3), banks, decided=True)


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
        descriptions = codec.read_said(container.unpack(data), model).descriptions
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


def indexed(transparency=None, ranked=False, channels=3):
    """A picture of 7 of 11 colours; ``ranked``: in an order in which ranks are smoother."""
    colours = np.random.default_rng(4).integers(0, 256, (11, channels)).astype(np.uint8)
    palette = Palette(colours.tobytes(), channels, transparency)
    slope = picture(40, 50, "L") // 40
    indices = palette.indices(slope) if ranked else slope
    return Picture(indices, Presentation("P", palette))


@pytest.mark.parametrize("transparency", [None, 0, 10, b"\3\2", bytes(11)])
@pytest.mark.parametrize("ranked", [False, True])
@pytest.mark.parametrize("channels", [3, 4])
def test_palettes(transparency, ranked, channels, banks):
    image = indexed(transparency, ranked, channels)
    data, found = agree(image, random_model(3), banks)
    assert (found == image.colours()).all()
    form = plain_decoder.parse(data).form
    assert [value for entry in form.palette for value in entry] == list(image.presentation.palette.colours)


def test_indices_are_ranks_where_that_is_shorter():
    for ranked in (False, True):
        data = codec.encode(indexed(ranked=ranked), model=random_model(3), effort="best")
        assert plain_decoder.parse(data).form.ranked == ranked


@pytest.mark.parametrize("coder", ["context", "gaussian"])
@pytest.mark.parametrize("glimpses", [None, 2])
def test_bits(coder, glimpses, banks):
    bits = picture(40, 50, "L") > 120
    data, found = agree(bits, random_model(3), banks, residual=coder, glimpses=glimpses)
    assert (found == bits).all()
    assert plain_decoder.parse(data).form.depth == 1


def test_cmyk(banks):
    image = Picture(picture(40, 50, "RGBA"), Presentation("CMYK"))
    _, found = agree(image, random_model(3), banks)
    assert (found == image.pixels).all()


def test_keys_of_wide_images(banks):
    image = np.random.default_rng(5).integers(0, 1000, (7, 9, 3)).astype(np.uint16)
    data = codec.encode(Picture(image, Presentation("RGB;16", key=(1, 1023, 3))))
    assert (plain_decoder.decode(data, {}, banks) == image).all()
    assert plain_decoder.parse(data).form.key == (1, 1023, 3)
    too_large = bytearray(data)
    too_large[data.index(b"\x01\xff\x07\x03") + 2] += 1
    with pytest.raises(plain_decoder.RefusedError):
        plain_decoder.parse(bytes(too_large))


@pytest.mark.parametrize(("mode", "key"), [("L", (7,)), ("RGB", (1, 65535, 3))])
def test_keys(mode, key, banks):
    image = Picture(picture(40, 50, mode), Presentation(mode, key=key))
    data, found = agree(image, random_model(3), banks)
    assert (found == image.pixels).all()
    assert plain_decoder.parse(data).form.key == key


@pytest.mark.parametrize(
    ("header", "sample"),
    [
        ({"palette": Palette(b"abcdef")}, 2),
        ({"palette": Palette(b"abcdef"), "ranked": True}, 2),
        ({"depth": 1}, 254),
    ],
)
def test_samples_that_there_are_not(header, sample, banks):
    model = random_model(3)
    grey = Header(20, 20, Mode.L, False, ResidualCoder.CONTEXT, 0, model.id, 32, 1)
    plain = grey._replace(**header)
    pixels = np.zeros((20, 20), np.uint8)
    for wrong in (False, True):
        pixels[3, 4] = sample * wrong
        rest = Encoder()
        outline = Outline.plain(*Tiling.of(grey).bands())
        residual.add(grey, method_of(grey, model), outline, pixels[..., None], rest)
        stream = rest.finish(planes.checksum(grey, pixels[..., None]))
        data = writing.join(plain, model, Metadata(), [0], [None], [stream])
        if not wrong:
            codec.decode(data, model=model)
            plain_decoder.decode(data, model.tensors, banks)
            continue
        with pytest.raises(CorruptError, match="cannot have"):
            codec.decode(data, model=model)
        with pytest.raises(plain_decoder.RefusedError):
            plain_decoder.decode(data, model.tensors, banks)


def test_indices_have_no_said_layer(banks):
    model = random_model(3)
    grey = codec.encode(picture(40, 50, "L"), model=model, residual="gaussian", glimpses=2)
    file = container.unpack(grey)
    said = codec.read_said(file, model, whole=True)
    assert TileKind.SAID in said.kinds
    header = said.header._replace(palette=Palette(bytes(768)))
    data = writing.join(
        header, model, Metadata(), said.kinds.tolist(), said.descriptions, [Encoder().finish()]
    )
    with pytest.raises(CorruptError, match="palette has a SAID layer"):
        codec.decode(data, model=model)
    with pytest.raises(CorruptError, match="palette has a SAID layer"):
        saidcodec.preview(data, model=model)
    with pytest.raises(plain_decoder.RefusedError):
        plain_decoder.decode(data, model.tensors, banks)


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


@pytest.mark.parametrize("path", [*map(Path, models.installed())], ids=models.stem)
def test_shipped_models(path, banks):
    model = models.load(str(path))
    tensors = plain_decoder.load_model(path.read_bytes())
    assert plain_decoder.identify(tensors) == model.id
    image = picture(32, 32, "RGB")
    data = codec.encode(image, model=model, threads=1, glimpses=1)
    assert (plain_decoder.decode(data, tensors, banks) == image).all()


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.said")), ids=lambda path: path.stem)
def test_vectors(path, banks):
    name = path.stem.split("-")[0]
    tensors = {} if name == "wide" else models.find(name).tensors
    expected = json.loads((VECTORS / "pixels.json").read_text())[path.stem]
    if "frames" in expected:
        plays, ticks, frames = plain_decoder.decode_frames(path.read_bytes(), tensors, banks)
        assert [plays, ticks] == [expected["plays"], expected["ticks"]]
        assert [list(frame.shape) for _, frame, _ in frames] == [one["shape"] for one in expected["frames"]]
        for (duration, frame, _), one in zip(frames, expected["frames"]):
            assert duration == one["duration"]
            assert hashlib.sha256(frame.tobytes()).hexdigest() == one["sha256"]
        return
    pixels = plain_decoder.decode(path.read_bytes(), tensors, banks)
    assert list(pixels.shape) == expected["shape"]
    samples = pixels.astype("<u2") if pixels.dtype == np.uint16 else pixels
    assert hashlib.sha256(samples.tobytes()).hexdigest() == expected["sha256"]


@pytest.mark.parametrize("kind", range(8))
def test_wide_images_that_are_packed(kind, banks, monkeypatch):
    pick = wide_band.wide_packed.filtered
    monkeypatch.setattr(
        wide_band.wide_packed, "shortest", lambda samples, most: (kind, zlib.compress(pick(samples, kind)))
    )
    image = np.tile(np.random.default_rng(kind).integers(0, 65536, (5, 7, 3)), (6, 6, 1)).astype(np.uint16)
    data = codec.encode(image)
    assert len(data) < 2 * image.size // 3
    assert (plain_decoder.decode(data, {}, banks) == image).all()
    assert (codec.decode(data) == image).all()


@pytest.mark.parametrize("mode", ["I;16", "LA;16", "RGB;16", "RGBA;16"])
@pytest.mark.parametrize("bound", [0, 40])
def test_wide_images_in_bands(mode, bound, banks):
    channels = {"I;16": 1, "LA;16": 2, "RGB;16": 3, "RGBA;16": 4}[mode]
    rng = np.random.default_rng(4)
    y, x = np.indices((37, 45))
    image = np.stack(
        [40 * x * (c + 1) + 300 * (y > 20) + rng.integers(0, 90, x.shape) for c in range(channels)]
    )
    image = np.moveaxis(image, 0, -1).astype(np.uint16)
    image = image[..., 0] if channels == 1 else image
    header = wide.header_of(image, Presentation(mode), bound)._replace(side=16, most_bands=2)
    data = wide.write(header, image, Metadata(), 1)
    assert len(container.unpack(data).streams) == 2
    found = plain_decoder.decode(data, {}, banks)
    assert (found == codec.decode(data)).all()
    assert np.abs(found.astype(int) - image).max() <= bound


def agree_in_bands(
    image, mode, model, banks, sources, adaptive=True, replicated=False, decided=False, most_bands=4
):
    """A mixed file of as many bands as there are ``sources``, with tiles of at most 16×16.

    A source is None for a band coded plainly, or a function that gives what the band's channels were made of.
    """
    height, width = image.shape[:2]
    how = replicated, ResidualCoder.MIXED, 0, model.id, 16, most_bands, adaptive, decided, adaptive
    header = Header(width, height, Mode(mode), *how)
    method, bands = method_of(header, model), Tiling.of(header).bands()
    channels = planes.channels_of(header, image)
    streams, plans = [], []
    for band, source in zip(bands, sources, strict=True):
        own = channels[band.rows]
        coded = writing.code_band(header, model, method, band, own, 1, None, False, 1)
        planned, stream = coded.plan, coded.stream
        if source:
            planned, stream = (
                plan.Plan.plain(len(planned.kinds)),
                mixed.write(header, method, Outline.plain(band), own, source(own)),
            )
        else:
            stream = mixed.plain(stream)
        plans.append(planned)
        streams.append(stream)
    kinds = [kind for planned in plans for kind in planned.kinds.tolist()]
    descriptions = [description for planned in plans for description in planned.descriptions]
    data = writing.join(header, model, Metadata(), kinds, descriptions, streams)
    assert (codec.decode(data, model=model, threads=1) == image).all()
    assert (plain_decoder.decode(data, model.tensors, banks) == image).all()
    return data


def with_few_levels(height, width, mode, step=5):
    """Alpha has all of its values."""
    image = picture(height, width, mode)
    channels = image.reshape(height, width, -1)
    colours = channels[..., : 1 if mode in ("L", "LA") else 3]
    colours[:] = colours // step * step + np.arange(colours.shape[-1])
    return image


def levels(own):
    return levels_of(np.ascontiguousarray(own[..., : 1 if own.shape[-1] < 3 else 3]))


def graphics(own):
    return mixed.Graphics()


def gradients(own):
    return mixed.Graphics(gradients=True)


LAYOUTS = [
    maps.Layout(siting, halved, phase, rounding, ring)
    for siting in maps.Siting
    for halved in itertools.product((False, True), repeat=2)
    for phase in itertools.product((0, 1), repeat=2)
    for rounding in maps.Rounding
    for ring in (False, True)
    if (siting > 0) == any(halved)
    and all(half or not p for half, p in zip(halved, phase))
    and (siting == 3 or not rounding)
    and (siting >= 2 or not ring)
]


def made_of(height, width, number, layout, exceptions=0, relative=False, seed=0, smooth=True):
    """What a band may be made of: planes at random, exceptions at random places."""
    rng = np.random.default_rng(seed)

    def plane(*shape):
        if not smooth:
            return rng.integers(0, 256, shape, np.uint8)
        return np.clip(rng.integers(60, 190, shape[2:]) + rng.integers(-9, 10, shape), 0, 255).astype(
            np.uint8
        )

    grid = layout.grid(height, width)
    places = np.sort(rng.choice(height * width, exceptions, replace=False)).astype(np.int64)
    values = rng.integers(0, 256, (exceptions, 3), np.uint8)
    return maps.Mapped(number, layout, plane(height, width), plane(*grid, 2), places, values, relative)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_band_of_each_method(mode, banks):
    image = with_few_levels(64, 21, mode)
    source = made_of(16, 21, 1, maps.Layout())
    image[32:48, :, :3] = source.pixels()
    image[48:, 4:] = 90
    model = random_model(5, copies=True, told=4)
    agree_in_bands(image, mode, model, banks, [None, levels, lambda own: source, graphics])


@pytest.mark.parametrize(("mode", "decided"), [("RGB", False), ("RGBA", False), ("RGB", True)])
def test_differences(mode, decided, banks):
    image = picture(96, 21, mode)
    sources = [lambda own, one=one: mixed.Differences(one) for one in DIFFERENCES]
    model = random_model(5, copies=True, told=4)
    agree_in_bands(image, mode, model, banks, sources, decided=decided, most_bands=8)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("adaptive", [False, True])
def test_levels(mode, adaptive, banks):
    image = with_few_levels(36, 14, mode)
    agree_in_bands(image, mode, random_model(3), banks, [levels, None, levels], adaptive)


def test_levels_with_decisions(banks):
    image = with_few_levels(36, 14, "LA")
    agree_in_bands(image, "LA", random_model(3), banks, [levels, None, levels], decided=True)


@pytest.mark.parametrize("mode", MODES)
def test_graphics(mode, banks):
    image = flat_shapes(36, 40, *MODES[mode] or (1,)).reshape(picture(36, 40, mode).shape)
    model = random_model(3)
    agree_in_bands(image, mode, model, banks, [graphics, None, gradients], False)
    if mode in ("LA", "RGBA"):
        image[..., -1] = 77
        agree_in_bands(image, mode, model, banks, [graphics, None, graphics], False)
    if mode in ("RGB", "RGBA"):
        image[..., 1] = image[..., 2] = image[..., 0]
        agree_in_bands(image, mode, model, banks, [graphics, levels, None], False, True)


def drawings():
    """Pictures for every path of the coder of graphics."""
    rng = np.random.default_rng(3)
    for channels in (1, 2, 3, 4):
        yield rng.integers(0, 256, (4, 7, channels))
        yield np.tile(rng.integers(0, 4, (7, 23, channels)) * 60, (5, 5, 1))
        page = np.full((60, 300, channels), 200)
        page[10:30, 50:120], page[20:50, 100:280] = 30, np.arange(channels) * 10
        page[rng.integers(0, 60, 12), rng.integers(0, 300, 12)] = 7
        yield page
        yield np.indices((20, 30)).sum(0)[..., None] * np.arange(2, 2 + channels) % 256
    yield np.zeros((1, 1, 3))
    yield np.full((9, 1, 4), 3)
    yield np.full((300, 700, 3), 5)


def test_graphics_of_many_kinds(banks):
    model = random_model(3)
    names = dict(zip((1, 2, 3, 4), MODES))
    for image in drawings():
        mode = names[image.shape[-1]]
        how = False, ResidualCoder.MIXED, 0, model.id, 512, 1, False
        header = Header(image.shape[1], image.shape[0], Mode(mode), *how)
        outline = Outline.plain(Tiling.of(header).bands()[0])
        stream = mixed.write(
            header, method_of(header, model), outline, image.astype(np.uint8), graphics(None)
        )
        file = plain_decoder.parse(container.pack(header, container.head_of(header, Metadata()), [stream]))
        tiles = [(0, None, place) for place in file.tiles()]
        read = plain_decoder.read_band(file, model.tensors, banks, tiles, plain_decoder.Stream(stream))
        assert (read == image).all()


@pytest.mark.parametrize("number", range(1, 12))
def test_every_map(number, banks):
    """The colour of what every map makes of 2^16 triples and of the extremes; a file of a few."""
    rng = np.random.default_rng(number)
    luma, u, v = (rng.integers(0, 256, (256, 256), np.uint8) for _ in range(3))
    u[:2], v[:2] = np.arange(256), 255 * np.arange(2)[:, None]
    u[2:4], v[2:4] = v[:2], u[:2]
    expected = maps.MAPS[number - 1].apply(luma, np.stack([u, v], -1))
    assert (plain_maps.colours(number, luma, u, v) == expected).all()
    source = made_of(10, 13, number, maps.Layout(), 9, number % 2 == 0)
    agree_in_bands(source.pixels(), "RGB", random_model(3), banks, [lambda own: source])


def test_every_layout_of_chroma():
    """Heads and planes, without the entropy coder."""
    for i, layout in enumerate(LAYOUTS):
        for height, width in ((1, 1), (1, 2), (2, 5), (3, 1), (6, 7), (7, 6)):
            about = i % 11 + 1, layout, i % (height * width + 1), i % 2 == 0, i
            source = made_of(height, width, *about, smooth=False)
            head = plain_decoder.MappedHead.parse(source.head(), height, width)
            assert (head.rows.cells, head.columns.cells) == source.chroma.shape[:2]
            chroma = np.moveaxis(source.chroma.astype(np.int64), -1, 0)
            assert (head.shown(source.luma.astype(np.int64), chroma) == source.pixels()).all()


@pytest.mark.parametrize("i", range(0, len(LAYOUTS), 11))
def test_bands_of_halved_chroma(i, banks):
    layout = LAYOUTS[i]
    mode = ("RGB", "RGBA")[i % 2]
    own = [made_of(13, 15, i // 11 + 1, layout, 5 * k, k == 1, i + k) for k in range(2)]
    image = np.concatenate([one.pixels() for one in own])
    if mode == "RGBA":
        alpha = np.full((26, 15, 1), 9)
        alpha[13:] += np.arange(15)[:, None]
        image = np.concatenate([image, alpha], -1).astype(np.uint8)
    sources = [lambda _: own[0], lambda _: own[1]]
    agree_in_bands(
        image, mode, random_model(3, copies=i % 3 == 0), banks, sources, i % 4 < 2, decided=i % 4 == 0
    )


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_pictures_that_were_jpegs(subsampling, banks):
    file = io.BytesIO()
    Image.fromarray(picture(30, 28, "RGB")).save(file, "JPEG", quality=90, subsampling=subsampling)
    image = np.array(Image.open(file))
    source = preimage.mapped(image, 1)
    assert (source.chroma.shape[:2] != image.shape[:2]) == (subsampling > 0)
    agree_in_bands(image, "RGB", random_model(3), banks, [lambda own: preimage.mapped(own, 1)] * 2)


def test_damage_is_refused(banks):
    model = random_model(3)
    data = codec.encode(picture(5, 6, "RGB"), model=model, threads=1)
    for at in range(0, len(data), 4):
        damaged = bytearray(data)
        damaged[at] ^= 4
        with pytest.raises(plain_decoder.RefusedError):
            plain_decoder.decode(bytes(damaged), model.tensors, banks)


def test_what_the_encoder_makes(banks):
    image = flat_shapes(48, 60, 3)
    data = codec.encode(image, effort="best", threads=1)
    file = plain_decoder.parse(data)
    assert file.coder == ResidualCoder.MIXED
    (model,) = (found for found in map(models.load, models.installed()) if found.id.startswith(file.model))
    assert (plain_decoder.decode(data, model.tensors, banks) == image).all()


@pytest.mark.parametrize("method", ["levels", "mapped", "graphics"])
def test_damage_to_mixed_files_is_refused(method, banks):
    source = made_of(6, 7, 1, maps.Layout(maps.Siting.BOX, (True, True)), 9)
    image = {
        "levels": with_few_levels(6, 7, "RGB"),
        "mapped": source.pixels(),
        "graphics": flat_shapes(6, 7, 3),
    }
    sources = {"levels": levels, "mapped": lambda own: source, "graphics": graphics}
    model = random_model(3)
    data = agree_in_bands(image[method], "RGB", model, banks, [sources[method]])
    for at in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[at] ^= 32
        with pytest.raises(plain_decoder.RefusedError):
            plain_decoder.decode(bytes(damaged), model.tensors, banks)


def head_of(number=1, flags=0, more=b"\0"):
    return bytes([number, flags]) + more


def changes_of(listed):
    packed = zlib.compress(listed)
    return bytes([len(packed)]) + packed


REFUSED = [
    head_of(0),
    head_of(12),
    head_of(more=b""),
    head_of(more=b"\0\0"),
    head_of(flags=1),  # sited with no axis halved
    head_of(flags=4),
    head_of(flags=16),  # a phase on an axis that is not halved
    head_of(flags=1 | 4 | 32),
    head_of(flags=1 | 4 | 64),  # a ring of repeated chroma
    head_of(flags=64),
    head_of(flags=3 | 4, more=b"\5\0"),
    head_of(more=b"\4\0"),
    head_of(more=b"\4\0\0\0\0"),
    head_of(more=changes_of(b"\1\0\0\1\2")),
    head_of(more=changes_of(b"\1\0\0\1\2\3\4")),
    head_of(more=changes_of(b"\1\x1e\0\1\2\3")),  # beyond 5 × 6 pixels
    head_of(more=changes_of(bytes(16 * 30 + 17))),
]


@pytest.mark.parametrize("head", REFUSED)
def test_heads_that_are_refused(head):
    with pytest.raises(plain_decoder.RefusedError):
        plain_decoder.MappedHead.parse(head, 5, 6)
    if not head.startswith(head_of(more=b"\0\0")):  # bytes too many are the caller's to refuse
        with pytest.raises(CorruptError):
            maps.parse_head(head, 5, 6)


SOUND = [
    head_of(),
    head_of(flags=128),
    head_of(flags=1 | 4 | 8 | 16),
    head_of(flags=3 | 8 | 64, more=b"\4\0"),
    head_of(more=changes_of(b"\0")),
    head_of(more=changes_of(b"\1\x1d\0\1\2\3")),
]


@pytest.mark.parametrize("head", SOUND)
def test_heads_that_are_sound(head):
    plain_decoder.MappedHead.parse(head, 5, 6)
    assert maps.parse_head(head, 5, 6)[1] == len(head)


def test_parts_of_wide_frames_may_have_fewer_bits(banks):
    frames = [np.random.default_rng(0).integers(0, 60_000, (40, 40)).astype(np.uint16)] * 2
    frames[1] = frames[0].copy()
    frames[1][3:9, 4:9] = 300
    data = saidcodec.encode_frames(frames)
    table, files = container.split(data)
    assert table.frames[1].kind == FrameKind.PART
    assert [container.unpack_image(file).header.depth for file in files] == [16, 9]
    _, _, found = plain_decoder.decode_frames(data, {}, banks)
    for (_, frame, _), wanted in zip(found, frames):
        np.testing.assert_array_equal(frame, wanted)
