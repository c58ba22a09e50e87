"""A model's residual network brought closer to the images of a folder; its SAID layer stays.

The network begins as the integers of the model file and is trained as what it will be, quantised, from the
first step on, in the steps of the file.  So nothing is lost when it is written, and minutes pay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from saidcodec.errors import ModelError
from saidcodec.many import encode_many
from saidcodec.models import Model
from saidcodec.training import export, residual, shrink, sources
from saidcodec.training.defaults import BOUND
from saidcodec.training.folder import Images, as_coded

RATE = 5e-4  # a quarter of a new network's: most is known already
LOG_EVERY = 50  # steps between checkpoints
DESCRIBED = 2000  # images, at most, whose files say what x̂ the network will see


def settings_for(seconds: float, seed: int) -> residual.Settings:
    return residual.Settings(
        steps=BOUND, seconds=seconds, rate=RATE, qat_from=0.0, seed=seed, log_every=LOG_EVERY
    )


def adapted(
    model: Model,
    images: Images,
    settings: residual.Settings,
    checkpoint: Path,
    progress: Callable[[float], None] = lambda share: None,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, np.ndarray]:
    """The tensors of ``model`` with its residual network trained on; ``settings.shape`` is the model's own.

    An existing ``checkpoint`` is continued.  Raises ModelError where it is of another network, or where the
    model's cannot be read back.
    """
    network = shrink.network_of(model.tensors)
    if model.sees_reconstruction:
        pool, development = sources.file_tiles(images.canvases(DESCRIBED), model)
    else:
        pool, development = images.tiles()
    keen = images.flat and network.shape.styles == 1
    settings = replace(settings, shape=network.shape, keen=keen)
    trained = residual.train(settings, pool, development, checkpoint, log, network, progress)
    styles = export.style_table(export.style_counts(trained, development))
    tensors, _ = export.merge(
        export.without_residual(model.tensors), {**residual.export(trained), **styles}, {}
    )
    return tensors


def held_out_files(model: Model, images: Images) -> list[bytes]:
    """The files of the images that are held out, with a model."""
    return encode_many([as_coded(image) for image in images.held_out], model=model)


def file_bytes(model: Model, images: Images) -> int:
    """Their bytes."""
    return sum(map(len, held_out_files(model, images)))


def check_gain(before: int, after: int, name: str) -> None:
    """Raises ModelError where nothing was gained."""
    if after >= before:
        raise ModelError(
            f"Nothing is written: the images that are held out take {after:,} bytes after training and "
            f"{before:,} with the model {name}, which is better kept."
        )
