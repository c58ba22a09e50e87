"""How the encoder makes a description shorter."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saidcodec import codec, inspection, models
from saidcodec.encoder import plan, refine
from saidcodec.encoder.price import SAME, Pricer, distinct
from saidcodec.said import Description
from saidcodec.said.description import iou
from saidcodec.said.section import tables_of
from saidcodec.training import datasets

pytestmark = pytest.mark.skipif(not models.installed(), reason="no model is shipped")
NONE = np.zeros((0, 4), np.int64)
DIGITS = np.asarray(Image.open(Path(__file__).parents[1].joinpath("digits.png")))


@pytest.mark.parametrize("low", [(21, 13), (28, 18), (24, 6)])
def test_a_box_moves_until_it_lies_about_what_it_holds(low: tuple[int, int]) -> None:
    """From any of these corners one move alone leaves a part of the object outside."""
    size, energy = np.array([15, 15]), np.zeros((64, 64))
    energy[16:25, 24:37] = 9.0
    assert refine.centred(energy, np.array(low), size).tolist() == [23, 13]


def test_a_box_stays_on_the_canvas() -> None:
    size, energy = np.array([15, 15]), np.zeros((64, 64))
    energy[60:, :4] = 9.0
    assert refine.centred(energy, np.array([2, 47]), size).tolist() == [0, 49]


def test_sizes_that_are_looked_for_are_cheap() -> None:
    digits = refine.usual_sizes(tables_of(models.find("multimnist")).box)
    assert np.array(digits).tolist() == [[15, 15]]
    tables = tables_of(models.find("multidsprites")).box
    sprites = refine.usual_sizes(tables)
    assert len(sprites) > 1
    for size in sprites:
        for n, table in zip(size, tables[:2], strict=True):
            assert table.bits[n - 1] < table.bits.min() + refine.LITTLE


def boxes_of(data: bytes) -> np.ndarray:
    return np.array([glimpse["box"] for glimpse in inspection.inspect(data)["glimpses"]]).reshape(-1, 4)


def test_each_digit_has_one_box() -> None:
    boxes = boxes_of(codec.encode(DIGITS, model="multimnist"))
    assert len(boxes) == 4
    assert (iou(boxes, boxes) - np.eye(4) < SAME).all()


def test_digits_that_touch_all_have_boxes() -> None:
    """A glimpse beside one that was just taken waits for its turn."""
    placed = np.array([[14, 16, 29, 31], [14, 31, 29, 46], [29, 16, 44, 31], [29, 31, 44, 46]])
    image = np.zeros_like(DIGITS)
    for (x0, y0, x1, y1), (left, top, right, bottom) in zip(
        placed, boxes_of(codec.encode(DIGITS, model="multimnist")), strict=True
    ):
        part = DIGITS[top:bottom, left:right][:15, :15]
        image[y0 : y0 + len(part), x0 : x0 + part.shape[1]] = part
        assert x1 - x0 == y1 - y0 == 15
    boxes = boxes_of(codec.encode(image, model="multimnist"))
    assert len(boxes) == 4
    assert (iou(placed, boxes).max(1) > 0.5).all()


def test_glimpses_that_touch_are_taken_one_after_another() -> None:
    boxes = np.array([[0, 0, 10, 10], [11, 0, 20, 10], [12, 3, 20, 13], [40, 40, 50, 50]])
    assert refine.apart(boxes[:1], boxes).tolist() == [[False, False, True, True]]
    assert refine.crowded(boxes)
    assert not refine.crowded(boxes[[0, 2, 3]])
    assert not refine.crowded(boxes[:1])
    assert not refine.crowded(boxes[:0])


def test_changes_of_the_price_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """An offer says what the whole description with it costs more."""
    checked = []
    original = refine.best_of

    def best_of(pricer, canvas, description, boxes, latents):  # type: ignore[no-untyped-def]
        found = original(pricer, canvas, description, boxes, latents)
        before = pricer.price(description)
        for offer in found:
            after = pricer.price(description.added(offer.box, offer.latent))
            checked.append(after - before - offer.more)
        pricer.price(description)
        return found

    monkeypatch.setattr(refine, "best_of", best_of)
    codec.encode(DIGITS, model="multimnist")
    codec.encode(datasets.multi_dsprites(1, seed=11).images[0], model="multidsprites")
    assert len(checked) > 12
    assert np.abs(checked).max() < 1e-6


def test_another_base_is_taken_where_it_is_cheaper(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same glimpses over a finer base, if that pays."""

    def price_below(pricer: Pricer, description: Description | None, limit: float) -> float | None:
        return limit - 1 if description is not None and description.step == plan.FINE_STEPS[1] else None

    found = []
    kept = refine.improved

    def improved(pricer, tile, bases, proposed):  # type: ignore[no-untyped-def]
        found.append(kept(pricer, tile, bases, proposed))
        return found[-1]

    monkeypatch.setattr(plan, "improved", improved)
    data = codec.encode(DIGITS, model="multimnist")
    monkeypatch.setattr(Pricer, "price_below", price_below)
    other = codec.encode(DIGITS, model="multimnist")
    assert [one.step for one in found] == [max(plan.FINE_STEPS), plan.FINE_STEPS[1]]
    assert boxes_of(other).tolist() == boxes_of(data).tolist()


def test_no_glimpses_means_none() -> None:
    data = codec.encode(DIGITS, model="multimnist", glimpses=0)
    assert not inspection.inspect(data)["glimpses"]


def test_another_look_at_the_same_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    original = refine.completed

    def doubled(pricer, tile, description, proposed):  # type: ignore[no-untyped-def]
        description = original(pricer, tile, description, proposed)
        assert distinct(description.boxes) == len(description.boxes) == 4
        return description.added(description.boxes[0] + [0, 0, 1, 0], description.latents[0])

    monkeypatch.setattr(refine, "completed", doubled)
    assert len(boxes_of(codec.encode(DIGITS, model="multimnist"))) == 4


def test_bounded_errors_are_not_improved_by_lossless_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object) -> None:
        raise AssertionError

    monkeypatch.setattr(plan, "improved", never)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)  # drawings are tried exactly, too
    assert codec.encode(noise, model="multimnist", max_error=3)


def test_remains_are_where_errors_are() -> None:
    size = np.array([12, 14])
    tile, reconstruction = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    tile[13:17, 8:12], tile[43:47, 45:49] = 150, 100

    def holding(boxes: np.ndarray, x: int, y: int) -> np.ndarray:
        return (boxes[:, :2] <= (x, y)).all(1) & (boxes[:, 2:] > (x, y)).all(1)

    found = refine.remains(tile, reconstruction, np.zeros((0, 4), int), size, NONE)
    assert (found[:, 2:] - found[:, :2] == size).all()
    assert holding(found, 10, 15).any()
    assert holding(found, 47, 45).any()
    assert not holding(refine.remains(tile, tile, found, size, NONE), 10, 15).any()


def test_remains_count_less_where_a_glimpse_has_been() -> None:
    size = np.array([12, 14])
    tile, reconstruction = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    tile[12:18, 8:14], tile[42:48, 44:50] = 150, 120
    error = refine.on_canvas(tile.astype(np.float32) / 255)
    for boxes, corner in (([], (8, 12)), ([[6, 8, 18, 22]], (44, 42))):
        scope = np.ones((64, 64))
        for x0, y0, x1, y1 in boxes:
            scope[y0:y1, x0:x1] = 0
        low = refine.largest(refine.energy_of(error, scope), size)
        assert (low <= corner).all()
        assert (low + size > corner).all()
    assert not len(refine.remains(tile, tile, np.zeros((0, 4), int), size, NONE))
    assert len(refine.remains(tile, reconstruction, np.array([[6, 8, 18, 22]]), size, NONE)) == 2


def test_remains_are_looked_for_outside_boxes_that_were_tried_in_vain() -> None:
    """A box between two objects shows neither; what it leaves of each leads to a box about it."""
    tile, size = np.zeros((64, 64, 3), np.uint8), np.array([14, 14])
    tile[20:28, 10:16] = tile[20:28, 26:32] = 200
    between = np.array([[14, 17, 28, 31]])
    found = refine.remains(tile, np.zeros_like(tile), NONE, size, between)
    assert found.tolist() == [[6, 17, 20, 31], [22, 17, 36, 31]]
    everywhere = np.array([[8, 17, 34, 31]])
    assert not len(refine.remains(tile, np.zeros_like(tile), NONE, size, everywhere))


def test_sides_of_a_box_are_moved_one_by_one() -> None:
    boxes = refine.resized(np.array([30, 30, 36, 44])).tolist()
    assert sorted(boxes) == sorted(
        [30 + a, 30 + b, 36 + c, 44 + d]
        for a, b, c, d in [(0, 0, 0, 0), *np.eye(4, dtype=int).tolist(), *(-np.eye(4, dtype=int)).tolist()]
    )
    for edge in ([0, 0, 4, 4], [60, 58, 64, 64], [10, 10, 12, 40]):
        boxes = refine.resized(np.array(edge))
        assert ((boxes >= 0) & (boxes <= 64)).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= 4).all()


def test_a_side_that_is_one_unit_wrong_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[20:38, 24:40] = (200, 60, 30)
    right = boxes_of(codec.encode(image, model="multidsprites"))
    wrong = right + np.array([0, 0, 1, 0])
    monkeypatch.setitem(refine.PROPOSALS, "regions", lambda canvas: wrong)
    assert boxes_of(codec.encode(image, model="multidsprites")).tolist() == right.tolist()
    monkeypatch.setattr(refine, "resized", lambda box: box[None])
    assert boxes_of(codec.encode(image, model="multidsprites")).tolist() != right.tolist()


@pytest.mark.parametrize("model", ["multimnist", "multidsprites", "clevr", "auto"])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_blank_images_have_nothing_to_look_at(model: str, value: int) -> None:
    """Where x̂ is exact no place is left to try."""
    image = np.full((64, 64, 3), value, np.uint8)
    assert np.array_equal(codec.decode(codec.encode(image, model=model)), image)


def test_the_last_look_is_outside_all_that_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    original = refine.remains

    def remains(*words):  # type: ignore[no-untyped-def]
        found = original(*words)
        looks.append((len(words[2]), len(words[-1])))
        return found

    monkeypatch.setattr(refine, "remains", remains)
    codec.encode(DIGITS, model="multimnist")
    assert [glimpses for glimpses, _ in looks] == sorted(glimpses for glimpses, _ in looks)
    *_, before, last = looks
    assert before == (4, 0)
    assert last[0] == 4
    assert last[1] >= 4
    looks.clear()
    codec.encode(datasets.multi_dsprites(1, seed=11).images[0], model="multidsprites")
    assert {vain for _, vain in looks} == {0}


def test_rounding_by_bits_is_never_dearer(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = []
    original = refine.rounded

    def rounded(pricer, tile, canvas, description, found):  # type: ignore[no-untyped-def]
        again = original(pricer, tile, canvas, description, found)
        assert len(again) == len(found)
        after = {offer.box.tobytes(): offer for offer in again}
        for offer in found:
            other = after[offer.box.tobytes()]
            assert other.more <= offer.more + 1e-9
            assert offer.more < 0 or other.more == offer.more
            changed.append((other.latent != offer.latent).any())
        return again

    monkeypatch.setattr(refine, "rounded", rounded)
    codec.encode(DIGITS, model="multimnist")
    assert any(changed)


@pytest.mark.parametrize("proposal", refine.PROPOSALS)
def test_a_model_is_asked_for_what_its_proposal_finds(proposal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sprites = models.find("multidsprites")
    tensors = {name: tensor for name, tensor in sprites.tensors.items() if name != "encoder.regions"}
    model = models.Model("it", sprites.id, {**tensors, f"encoder.{proposal}": np.array([8], np.float32)}, {})
    asked = []

    def one(canvas: np.ndarray) -> np.ndarray:
        asked.append(canvas.shape)
        return np.array([[20, 20, 41, 41]])

    assert refine.proposal_of(model) == proposal
    assert refine.proposal_of(models.find("multimnist")) is None
    assert [base.step for base in refine.bases_of(model)] == [8]
    monkeypatch.setitem(refine.PROPOSALS, proposal, one)
    image = np.zeros((64, 64, 3), np.uint8)
    image[20:41, 20:41] = (200, 40, 90)
    data = codec.encode(image, model=model, threads=1)
    assert asked == [(64, 64, 3)]
    assert np.array_equal(codec.decode(data, model=model), image)
