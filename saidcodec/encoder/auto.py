"""Which models an image is encoded with, and which of the files is kept."""

from __future__ import annotations

from collections.abc import Callable

from saidcodec import models
from saidcodec.errors import ModelError
from saidcodec.models import Model
from saidcodec.parallel import Progress, no_progress

AUTO_PIXELS = 1 << 14  # up to here every shipped model is tried
WITHIN_REACH = 1.25  # of the shortest file without glimpses: what a model may take to be tried with them
DEFAULT_MODEL = "photo"
FINE_MODEL = "photofine"  # nearly three times the network, and 0.7 % fewer bits at effort best

# Model, number of glimpses, whether in the transform of colours that suits the image, progress.
FileWith = Callable[[Model, "int | None", bool, Progress], bytes]


def candidates(model: Model | models.AnyPath, pixels: int, thorough: bool) -> list[Model]:
    """The models to encode with; ``thorough`` takes a larger one for large images.  Raises ModelError."""
    if isinstance(model, Model):
        return [model]
    if model != "auto":
        return [models.find(model)]
    if pixels > AUTO_PIXELS:
        return [models.find(FINE_MODEL if thorough else DEFAULT_MODEL)]
    found = [models.load(path) for path in models.installed()]
    if not found:
        raise ModelError("No model is installed.")
    return found


def shortest(
    tried: list[Model], file_with: FileWith, glimpses: int | None, suited: bool, progress: Progress
) -> bytes:
    """The shortest file of several models with the residual network.

    All are tried without glimpses first: no glimpses make up for a model of other images.  If ``suited``,
    the best of them is tried in the transform of colours that suits the image.
    """
    plain = {one: file_with(one, 0, False, no_progress) for one in tried}
    best = min(tried, key=lambda one: len(plain[one]))
    near = [one for one in tried if len(plain[one]) <= WITHIN_REACH * len(plain[best])]
    searched = [one for one in near if glimpses or (glimpses is None and one.sees_reconstruction)]
    files = [file_with(one, glimpses, False, no_progress) if one in searched else plain[one] for one in near]
    if suited and not glimpses:
        files.append(file_with(best, 0, True, no_progress))
    progress(1.0)
    return min(files, key=len)
