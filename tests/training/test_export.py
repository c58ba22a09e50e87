"""What model files hold of networks, and back."""

from pathlib import Path

import numpy as np
import pytest
import torch

from saidcodec import models
from saidcodec.training import export, networks

SHIPPED = Path(__file__).parents[2] / "models"
pytestmark = pytest.mark.skipif(not models.installed(), reason="no model is shipped")


@pytest.mark.parametrize("name", ["clevr", "multimnist", "photo"])
def test_the_said_layer_of_a_model_file_is_read_back(name: str) -> None:
    model = models.load(SHIPPED / f"{name}.safetensors")
    again = export.said_tensors(export.said_in(model))
    networks_of = [key for key in again if not key.endswith(".frequency")]
    assert len(networks_of) > 20
    for key in networks_of:
        assert np.array_equal(again[key], model.tensors[key]), key


@pytest.mark.parametrize("side", [8, 16])
def test_what_is_read_back_paints_the_same(side: int) -> None:
    torch.manual_seed(0)
    trained = networks.Said(side)
    trained.posterior.fill_(0.3)
    trained.quantise()
    file = models.Model("it", "0" * 8, export.said_tensors(trained), {})
    latents = trained.latent(torch.randn(5, networks.LATENTS))
    assert torch.equal(export.said_in(file).decoder(latents), trained.decoder(latents))
