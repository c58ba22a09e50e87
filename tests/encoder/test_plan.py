"""What the encoder decides by bits."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saidcodec import boxes, codec, inspection, models
from saidcodec.encoder import plan, refine, writing
from saidcodec.encoder.price import Pricer
from saidcodec.evaluation import detection
from saidcodec.format import tiling
from saidcodec.plugins import pillow
from saidcodec.training.datasets import multi_dsprites

pytestmark = pytest.mark.skipif(not models.installed(), reason="no model is shipped")
DIGITS = np.asarray(Image.open(Path(__file__).parents[1].joinpath("digits.png")))


def test_a_network_that_sees_no_reconstruction_is_not_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **options: object) -> None:
        raise AssertionError

    monkeypatch.setattr(plan, "describe", never)
    assert codec.decode(codec.encode(DIGITS, model="photo")).tolist() == DIGITS.tolist()


def test_forced_glimpses_cost_a_blind_network_their_own_bits_only() -> None:
    pixels = np.asarray(Image.open(Path(__file__).parents[2] / "examples" / "scene.png"))[60:156, 60:156]
    plain, forced = (codec.encode(pixels, model="photo", glimpses=n) for n in (0, 2))
    spent = inspection.inspect(forced)["bits"]
    said = sum(spent[part] for part in ("base", "boxes", "latents")) / 8
    assert said > 0
    assert len(forced) < 1.002 * len(plain) + said + 8


def test_only_noise_is_worth_storing() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (40, 40, 3)).astype(np.int16)
    assert plan.restless(noise)
    assert not plan.restless(DIGITS.astype(np.int16)[..., None])
    assert not plan.restless(noise[:, :1])


def test_auto_searches_only_near_the_shortest(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []
    original = writing.write

    def write(header, model, pixels, metadata, glimpses, *rest):  # type: ignore[no-untyped-def]
        if glimpses is None:
            searched.append(model.name)
        return original(header, model, pixels, metadata, glimpses, *rest)

    monkeypatch.setattr(writing, "write", write)
    data = codec.encode(DIGITS)
    assert searched == ["multimnist"]
    assert inspection.inspect(data)["model"]["name"] == "multimnist"


def test_auto_encodes_once_with_blind_models(monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    original = writing.write

    def write(header, model, *rest):  # type: ignore[no-untyped-def]
        written.append((model.name, rest[4]))
        return original(header, model, *rest)

    monkeypatch.setattr(writing, "write", write)
    pixels = np.asarray(Image.open(Path(__file__).parents[2] / "examples" / "scene.png"))[60:124, 60:124]
    for shown, transforms in ((pixels, [False, True]), (pixels[..., 0], [False])):
        written.clear()
        data = codec.encode(shown)
        kept = models.find(inspection.inspect(data)["model"]["name"])
        assert not kept.sees_reconstruction
        assert [suited for name, suited in written if name == kept.name] == transforms


@pytest.fixture
def field() -> np.ndarray:
    """25 pictures of sprites side by side, more pixels than are judged by exact bits in other models."""
    sprites = multi_dsprites(25, seed=4).images
    field = np.concatenate([np.concatenate(sprites[i : i + 5], 1) for i in range(0, 25, 5)])
    assert field.shape[0] * field.shape[1] > plan.JUDGED_PIXELS
    return field


def test_objects_of_large_images_have_boxes(field: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "MIDDLE_IMAGE", 1 << 16)  # from which tiles of others are of 128
    data = codec.encode(field, model="multidsprites")
    assert np.array_equal(codec.decode(data), field)
    account = inspection.inspect(data)
    assert {glimpse["tile"] for glimpse in account["glimpses"]} == {*range(25)}  # of 64
    apart = [
        inspection.inspect(codec.encode(field[y : y + 64, x : x + 64], model="multidsprites"))
        for y in range(0, 320, 64)
        for x in range(0, 320, 64)
    ]
    alone = sum(len(one["objects"]) for one in apart)
    assert abs(len(account["objects"]) - alone) < 0.1 * alone
    assert len(data) < len(codec.encode(field, model="multidsprites", glimpses=0))


def test_objects_across_tiles_have_one_box(field: np.ndarray) -> None:
    data = codec.encode(np.roll(field, (32, 32), (0, 1)), model="multidsprites")
    account = inspection.inspect(data)
    several = [one for one in account["objects"] if len(one["glimpses"]) > 1]
    assert len(several) >= 5
    for one in several:
        parts = np.array([account["glimpses"][number]["box"] for number in one["glimpses"]])
        assert one["box"] == [*parts[:, :2].min(0), *parts[:, 2:].max(0)]
    expected = [one["box"] for one in account["objects"]]
    assert inspection.features(data).objects.boxes.tolist() == expected
    assert boxes.read(data, "it").boxes.tolist() == expected
    assert detection.boxes_in([data], models.find("multidsprites"))[0][0].tolist() == expected
    pillow.register()
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert [list(box) for box in image.info["boxes"]] == expected


@pytest.mark.parametrize(
    ("options", "searched"),
    [({}, True), ({"effort": "fast"}, False), ({"glimpses": 0}, False), ({"residual": "gaussian"}, False)],
)
def test_large_images_are_searched_where_objects_pay(
    field: np.ndarray, options: dict, searched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = []

    def improved(pricer: Pricer, tile: np.ndarray, bases: list, proposed: np.ndarray) -> None:
        assert np.array_equal(proposed, refine.proposals(pricer.model, tile))
        places.append(tile.shape)

    monkeypatch.setattr(plan, "improved", improved)
    codec.encode(field, model="multidsprites", **options)
    assert len(places) == (plan.PROBED_TILES if searched else 0)  # nothing paid on the tiles that were probed
    places.clear()
    codec.encode(np.full_like(field, 90), model="multidsprites", **options)
    assert not places  # nothing is proposed


def test_gaussian_glimpses_are_searched_over_a_coarse_and_a_fine_base(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fine, coarse = min(plan.FINE_STEPS), max(plan.FINE_STEPS)
    scene = Image.open(Path(__file__).parents[2] / "examples" / "scene.png").convert("RGB")
    cases = [("clevr", np.asarray(scene.resize((64, 64), Image.Resampling.BOX)))]
    cases.append(("multidsprites", multi_dsprites(8, seed=77).images[1]))
    original = plan.describe
    for model, pixels in cases:
        both = len(codec.encode(pixels, model=model, residual="gaussian"))
        alone = {}
        for step in (fine, coarse):
            with monkeypatch.context() as patched:
                patched.setattr(
                    plan, "describe", lambda *args, over=(step,): original(*args[:6], over, *args[7:])
                )
                alone[step] = len(codec.encode(pixels, model=model, residual="gaussian"))
        assert alone[fine] != alone[coarse]
        assert both <= min(alone.values())


def test_a_picture_without_a_residual_keeps_its_luma() -> None:
    """One σ for each component would trade it for small errors of colour, which files do not code."""
    pixels = multi_dsprites(6, seed=3).images
    error = [
        codec.decode(codec.encode(one, model="multidsprites", residual="none", glimpses=4)).astype(float)
        - one
        for one in pixels
    ]
    assert 10 * np.log10(255**2 / np.square(error).mean()) > 24
