"""The page about a model that was trained on a folder: its data, its bytes beside others', its commands."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from saidcodec import inspection
from saidcodec.evaluation import rate
from saidcodec.evaluation.rate import Peer
from saidcodec.models import Model
from saidcodec.parallel import cores
from saidcodec.training.adapt import held_out_files
from saidcodec.training.folder import Images, as_coded


def peers(model: Model) -> list[Peer]:
    """PNG and WebP, JPEG XL where imagecodecs is installed, the shipped models, and ``model``."""
    found = [
        Peer("PNG (optimised)", rate.pillow_png, rate.pillow_open),
        Peer("WebP lossless", rate.pillow_webp, rate.pillow_open, rate.coloured),
    ]
    with suppress(ImportError):
        found += [rate.jpegxl(effort, cores()) for effort in (7, 9)]
    return [*found, rate.own("auto", cores()), rate.own(model, cores())]


def page(model: Model, images: Images, stages: Mapping[str, float], command: str) -> str:
    """The Markdown of a model's card.  ``stages``: seconds of each; ``command``: what was called."""
    pictures = [as_coded(image) if images.grey else image for image in images.held_out]
    rows = "\n".join(rate.lines(peers(model), pictures, cores()))
    objects = [inspection.features(file, model=model).objects for file in held_out_files(model, images)]
    count = sum(len(one.boxes) for one in objects) / len(objects)
    times = ", ".join(f"{name} {seconds / 60:.3g} min" for name, seconds in stages.items())
    layers = "both" if model.sees_reconstruction else "the residual network; glimpses do not pay"
    return f"""# {model.name}

| | |
|---|---|
| id | {model.id} |
| data | {images.described()} |
| training | {times} |
| layers | {layers} |
| objects in the files of held-out images | {count:.1f} an image |

## Bytes of the images that are held out

{rows}

Every file was decoded and its pixels compared.  Of images of more than 1024 pixels a side the middle counts.
Training saw none of these images, but they are of the same folder.  Others are measured by

    saidcodec bench --model {model.name}.safetensors FOLDER

## How it was made

    {command}
"""
