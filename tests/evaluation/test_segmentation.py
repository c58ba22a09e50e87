"""Masks of objects, and how they are measured."""

from types import SimpleNamespace

import numpy as np
import pytest

from saidcodec import codec, models
from saidcodec.evaluation import segmentation
from saidcodec.objects import Objects
from saidcodec.training import datasets


def test_the_index_is_one_for_the_same_parts_and_near_zero_by_chance() -> None:
    rng = np.random.default_rng(1)
    true = rng.integers(0, 4, 5000)
    assert segmentation.adjusted_rand_index(true, 3 - true) == 1.0
    assert abs(segmentation.adjusted_rand_index(true, rng.integers(0, 4, 5000))) < 0.01
    assert 0.3 < segmentation.adjusted_rand_index(true, np.minimum(true, 2)) < 0.9
    assert segmentation.adjusted_rand_index(true, np.zeros(5000, int)) == 0.0


def test_the_index_of_a_small_table() -> None:
    """Worked by hand: 2 of 15 pairs together in both, 6 and 3 in one, so (2 - 1.2) / (4.5 - 1.2)."""
    true, found = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 2, 2])
    assert segmentation.adjusted_rand_index(true, found) == pytest.approx(0.8 / 3.3)


def test_a_pixel_belongs_to_the_box_in_which_it_is_nearest_to_the_middle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    boxes = np.array([[0, 0, 8, 4], [4, 0, 8, 4], [9, 1, 10, 2]])
    found = SimpleNamespace(objects=Objects(boxes, [[0], [1], [2]]))
    header = SimpleNamespace(width=10, height=5)
    monkeypatch.setattr(
        segmentation.inspection, "header_and_features", lambda *words, **options: (header, found)
    )
    mask = segmentation.mask_of(b"", models.Model("", "", {}, {}))
    assert mask.tolist() == [
        [1, 1, 1, 1, 1, 2, 2, 2, 0, 0],
        [1, 1, 1, 1, 1, 2, 2, 2, 0, 3],
        [1, 1, 1, 1, 1, 2, 2, 2, 0, 0],
        [1, 1, 1, 1, 1, 2, 2, 2, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.skipif(not models.installed(), reason="no model is shipped")
def test_masks_of_sprites_lie_on_them() -> None:
    scenes = datasets.multi_dsprites(6, seed=5)
    model = models.find("multidsprites")
    assert scenes.masks is not None
    found = [segmentation.mask_of(codec.encode(image, model=model), model) for image in scenes.images]
    assert max(mask.max() for mask in found) >= 2
    scores = [segmentation.foreground_ari(*pair) for pair in zip(scenes.masks, found, strict=True)]
    assert np.mean(scores) > 0.7
    empty = codec.encode(scenes.images[0], model=model, glimpses=0)
    assert not segmentation.mask_of(empty, model).any()
