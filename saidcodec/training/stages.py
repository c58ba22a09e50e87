"""A whole model out of a folder of images: which stages that takes, and each of them.

Large pictures get the shipped model of photographs, adapted.  Small ones, which the SAID layer sees whole,
and all where boxes of objects are wanted, also get both layers, one after the other, then together; the model
with the fewest bytes on images that are held out is kept.  Each stage leaves a checkpoint or a model file in
a folder of its own, from which an interrupted training goes on.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saidcodec import codec, models
from saidcodec.encoder import refine
from saidcodec.encoder.auto import DEFAULT_MODEL
from saidcodec.errors import FileError
from saidcodec.inspection import features
from saidcodec.models import Model
from saidcodec.training import adapt, export, joint, looks, residual, said, sources
from saidcodec.training.defaults import AROUND, BOUND, STATISTICS, WIDE
from saidcodec.training.folder import Images, as_coded
from saidcodec.training.windows import Shape

HIDDEN, HEAD = (96, 64, 64, 64), 32  # of a new network: a third of the multiply-adds of the shipped ones
GLIMPSES, OBJECTS = 6, 8  # of an image, at most, while both layers learn apart and together
BOX_WORTH = 24.0  # bits that a box may cost in the end
OBJECTS_WORTH = 0.02  # how many more bytes, as a share, a model may take whose files hold boxes
WARM_UP = 0.2  # share of the training of both for the VAE alone
BLACK, GREY = 8, 7  # steps of flat bases
REHEARSAL = 0.3  # share of the SAID layer's training for the VAE alone
ADAPTED = "photo model, adapted"
SHARES = {"SAID layer": 0.15, "residual network": 0.3, "both together": 0.4, ADAPTED: 0.15}  # of the time
LOOKED_AT = 100  # images a minute of training, at most, that the slower steps look at
FINGERPRINT = "images.txt"

Bar = Callable[[str], AbstractContextManager[Callable[[float], None]]]


@dataclass(frozen=True)
class Plan:
    """What a training is to do: images, seconds of training in all, and where its checkpoints lie.

    ``objects``: boxes of objects are wanted for themselves, also in images of several tiles.
    """

    images: Images
    seconds: float
    seed: int
    device: str
    work: Path
    objects: bool = False

    @property
    def layered(self) -> bool:
        """Whether both layers are trained."""
        return self.images.small or self.objects

    @property
    def stages(self) -> dict[str, float]:
        """Seconds of each stage, by its name."""
        if not self.layered:
            return {ADAPTED: self.seconds}
        return {name: share * self.seconds for name, share in SHARES.items()}

    def candidate(self, name: str) -> Path:
        """Where one of the models lies that the best is chosen from."""
        return self.work / f"{name}.safetensors"

    @property
    def looked_at(self) -> int:
        """Images that the slower steps of a training of this length look at."""
        return max(16, int(LOOKED_AT * self.seconds / 60))

    @property
    def beside(self) -> float:
        """Seconds that searching, learning tables and measuring may take, by the time that one file takes.

        On large images other codecs are slowest.  Tables are learnt in turns, from files with all glimpses.
        """
        learning, held_out = len(self.images.learning), len(self.images.held_out)
        image = self.images.held_out[0]
        if self.layered and not self.images.small:  # a file takes as long as files of its tiles
            canvases = self.images.canvases(self.looked_at)
            learning, image = len(canvases[0]), canvases[1].images[0]
            held_out = sum(one[..., 0].size for one in self.images.held_out) // image[..., 0].size
        image = as_coded(image)
        codec.encode(image)  # start-up is not counted
        started = time.perf_counter()
        codec.encode(image)
        one = time.perf_counter() - started
        looked_at = min(learning, self.looked_at)
        if not self.layered:
            return 12 * held_out * one
        learnt = min(STATISTICS, looked_at)
        return (4.5 * held_out + looked_at + 2 * joint.ROUNDS * learnt) * one


def prepare(plan: Plan, resume: bool) -> None:
    """Make the folder of checkpoints, or see that it is of these images.  Raises FileError."""
    digest = hashlib.sha256(f"{plan.seed}{' objects' * plan.objects}".encode())
    for image in plan.images.every:
        digest.update(image.tobytes())
    mark = plan.work / FINGERPRINT
    if plan.work.exists():
        if not resume:
            raise FileError(
                f"{plan.work} holds an unfinished training: --resume goes on with it; remove it to begin "
                "anew."
            )
        if not mark.is_file() or mark.read_text() != digest.hexdigest():
            raise FileError(
                f"{plan.work} is of another training: the images, --seed or --objects have changed since."
            )
        return
    if resume:
        raise FileError(f"{plan.work} does not exist: there is no training to resume.")
    plan.work.mkdir()
    mark.write_text(digest.hexdigest())


def clear(plan: Plan) -> None:
    """Remove the checkpoints of a training that is done."""
    shutil.rmtree(plan.work)


def train(plan: Plan, bar: Bar) -> Model:
    """The model that suits the images, its name still open.

    Raises ModelError where nothing was gained on the shipped model, or a checkpoint is of another training.
    """
    return scenes(plan, bar) if plan.layered else photographs(plan, bar)


def photographs(plan: Plan, bar: Bar) -> Model:
    """The shipped model of photographs, adapted.

    Where that gained nothing, nothing is left to resume, and ModelError is raised.
    """
    begin = models.find(DEFAULT_MODEL)
    tensors = adapted(plan, bar)
    made = Model("", models.identify(tensors), tensors, {})
    before, after = (adapt.file_bytes(one, plan.images) for one in (begin, made))
    if after >= before:
        clear(plan)
    adapt.check_gain(before, after, begin.name)
    return made


def scenes(plan: Plan, bar: Bar) -> Model:
    """Of three models the one whose files are smallest: both layers, apart and together, and one adapted.

    Where objects are wanted, one whose files hold boxes may take a little more.
    """
    for name, make in CANDIDATES.items():
        path = plan.candidate(name)
        if not path.exists():
            models.save(path, make(plan, bar), {"name": name})

    def price(model: Model) -> float:
        files = adapt.held_out_files(model, plan.images)
        boxes = plan.objects and any(len(features(file, model=model).boxes) for file in files)
        return sum(map(len, files)) / (1 + OBJECTS_WORTH * boxes)

    return min((models.load(plan.candidate(name)) for name in CANDIDATES), key=price)


def adapted(plan: Plan, bar: Bar) -> dict[str, np.ndarray]:
    """Tensors of the shipped model of photographs, adapted."""
    settings = adapt.settings_for(plan.stages[ADAPTED], plan.seed)
    with bar(ADAPTED) as progress:
        return adapt.adapted(
            models.find(DEFAULT_MODEL), plan.images, settings, plan.work / "adapted.pt", progress
        )


def layers(plan: Plan, bar: Bar) -> dict[str, np.ndarray]:
    """Tensors of a SAID layer and of a residual network that sees its x̂."""
    grey, checkpoint = plan.images.grey, plan.work / "said.pt"
    settings = said.Settings(
        steps=BOUND,
        seconds=plan.stages["SAID layer"],
        iterations=GLIMPSES,
        rehearsal=REHEARSAL,
        grey=grey,
        seed=plan.seed,
        device=plan.device,
    )

    learning, _ = plan.images.canvases()
    with bar("SAID layer") as progress:
        said.train(
            settings,
            lambda rng: sources.endless(learning.images, settings.batch, True, rng),
            checkpoint,
            silent,
            progress=progress,
        )
    model, _ = export.load_said(checkpoint)
    statistics = learning.images[: min(STATISTICS, plan.looked_at)]
    painted = export.with_statistics(export.said_tensors(model), statistics, grey)
    pool, development = sources.scene_tiles(
        plan.images.canvases(plan.looked_at), checkpoint, GLIMPSES, plan.images.small
    )
    wanted = residual.Settings(
        steps=BOUND,
        seconds=plan.stages["residual network"],
        keen=True,
        seed=plan.seed,
        log_every=adapt.LOG_EVERY,
        shape=shape_for(plan.images, AROUND),
    )
    with bar("residual network") as progress:
        network = residual.train(
            wanted, pool, development, plan.work / "residual.pt", silent, progress=progress
        )
    style = export.style_table(np.ones(1))
    return export.merge(painted, {**residual.export(network), **style}, {})[0]


def tuned(plan: Plan, bar: Bar) -> dict[str, np.ndarray]:
    """Tensors of both layers after a training of both together, on boxes about objects."""
    proposal = "regions" if plan.images.flat else "hills"
    settings = joint.Settings(
        steps=BOUND,
        seconds=plan.stages["both together"],
        warm_up=WARM_UP,
        base_step=BLACK if plan.images.dark else GREY,
        flat=True,
        whole=plan.images.small,
        grey=plan.images.grey,
        seed=plan.seed,
        shape=shape_for(plan.images, WIDE),
    )
    layer = joint.begun(plan.work / "said.pt", settings.grey)
    network = joint.widened(plan.work / "residual.pt", settings.shape)
    checkpoints = plan.work / "together.said.pt", plan.work / "together.residual.pt"
    parts = [part.images for part in plan.images.canvases(plan.looked_at)]
    learning, held_out = (looks.look_at_objects(part, proposal, OBJECTS) for part in parts)
    with bar("both together") as progress:
        joint.train(settings, learning, held_out, layer, network, checkpoints, silent, progress)
    trained, _ = export.load_said(checkpoints[0])
    tensors = {
        **export.said_tensors(trained),
        **residual.export(residual.load_checkpoint(checkpoints[1])),
        **export.style_table(np.ones(1)),
        refine.tensor_of(proposal): np.array([settings.base_step], np.float32),
    }
    return joint.settle(tensors, parts[0][:STATISTICS], plan.images.grey, BOX_WORTH)


CANDIDATES = {"apart": layers, "together": tuned, "adapted": adapted}  # in the order of their making


def shape_for(images: Images, around: tuple[tuple[int, int], ...]) -> Shape:
    return Shape(hidden=HIDDEN, head=HEAD, styles=1, around=around, copies=images.flat)


def silent(line: str) -> None:
    """The bars say enough."""
