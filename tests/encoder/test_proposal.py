"""What the encoder's own networks say of a patch."""

import numpy as np
import pytest

from saidcodec import models
from saidcodec.encoder import proposal
from saidcodec.said.latent import LATENT_REACH, LATENT_UNITS, multiplier, quantise

pytestmark = pytest.mark.skipif(not models.installed(), reason="no model is shipped")


def test_single_latents_are_rounded_to_the_other_side_of_their_mean() -> None:
    model = models.find("multimnist")
    rng = np.random.default_rng(0)
    steps = rng.normal(0, 3, (6, 10))
    means = steps * multiplier(model) / LATENT_UNITS
    nearest = quantise(means, model)
    rows, found = proposal.rounded_otherwise(means, model)
    unsure = np.abs(steps - nearest) >= proposal.UNSURE
    assert np.array_equal(rows, np.nonzero(unsure)[0])
    differences = found - nearest[rows]
    assert (np.abs(differences).sum(1) == 1).all()
    assert (np.abs(found - steps[rows]).max(1) <= 1 - proposal.UNSURE + 1e-6).all()
    assert np.array_equal(differences != 0, np.eye(10, dtype=bool)[np.nonzero(unsure)[1]])


def test_latents_stay_within_their_reach_and_sure_ones_as_they_are() -> None:
    model = models.find("multimnist")
    step = multiplier(model) / LATENT_UNITS
    _, found = proposal.rounded_otherwise(np.stack([80.4 * step, -80.4 * step]), model)
    assert np.abs(found).max() <= LATENT_REACH
    rows, found = proposal.rounded_otherwise(np.stack([3.0 * step, -2.0 * step]), model)
    assert (len(rows), found.shape) == (0, (0, 10))
