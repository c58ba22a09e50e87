"""Render CLEVR scenes of 64×64 pixels with the true mask of every object, for benchmarks/objects.py.

    python -m venv blender && blender/bin/pip install bpy numpy pillow
    blender/bin/python benchmarks/scenes.py ASSETS FOLDER [--count 128] [--samples 64] [--noise]

ASSETS is the folder image_generation/data of the repository facebookresearch/clevr-dataset-gen, which holds
the room, shapes and materials.  bpy is Blender as a Python package; each of its releases runs under one
version of Python only (5.0 under 3.11).  Scenes follow CLEVR's rules (Johnson et al., 2017, appendix A):
three to ten objects of any shape, size, material and colour, apart from each other, all visible, with the
camera and the lamps moved a little.  As in the literature of object discovery, the image is the square of 192
pixels out of 320×240 that begins at (64, 29), reduced by three.

Few rays and a denoiser come near to smooth scenes.  CLEVR's own images have 512 rays a pixel and their noise:
--samples 512 --noise.

FOLDER gets sheets dev-* and dev.npz, which ``saidcodec.training.datasets.sheets`` reads.  What does not lie
in the square counts for nothing.  Scenes that are in FOLDER/parts are not rendered again.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector
from PIL import Image

SEED = 61_000
WIDTH, HEIGHT = 320, 240
LEFT, TOP, SIDE = 64, 29, 192
CANVAS = 64
REDUCTION = SIDE // CANVAS
SHEET = 16  # images along one side of a sheet

FEWEST, MOST = 3, 10
REACH = 3.0  # of objects' centres from the room's middle, along both axes
APART = 0.25  # the least free distance between two objects
MARGIN = 0.4  # objects whose order along an axis is told apart differ by more
VISIBLE = 200  # pixels of 320×240 that the least visible object has at least
TRIES = 50  # for the place of an object, before the scene begins anew
CAMERA_JITTER, LAMP_JITTER = 0.5, 1.0

SHAPES = ("cube", "sphere", "cylinder")  # the order of attributes in dev.npz
SIZES = ("small", "large")
MATERIALS = ("rubber", "metal")
COLOURS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow")


@dataclass
class Thing:
    """An object: its kinds as numbers of the tuples above, its place on the ground, its radius and turn."""

    kinds: tuple[int, int, int, int]
    x: float
    y: float
    radius: float
    turn: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("assets", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=128)
    parser.add_argument("--samples", type=int, default=64, help="rays a pixel")
    parser.add_argument("--noise", action="store_true", help="keep the rays' noise")
    wanted = parser.parse_args()
    parts = wanted.folder / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    for number in range(wanted.count):
        path = parts / f"{number:05d}.npz"
        if not path.exists():
            image, mask, attributes = scene_of(number, wanted, parts)
            unfinished = path.with_suffix(".part.npz")
            np.savez_compressed(unfinished, image=image, mask=mask, attributes=attributes)
            unfinished.replace(path)
            print(f"{number}: {len(attributes)} objects", flush=True)
    gather(wanted.folder, [parts / f"{i:05d}.npz" for i in range(wanted.count)])


def scene_of(
    number: int, wanted: argparse.Namespace, scratch: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scene ``number``: uint8 [64, 64, 3], masks uint8 [192, 192], 1 + which object is seen, kinds [n, 4]."""
    rng = np.random.default_rng([SEED, number])
    known = json.loads((wanted.assets / "properties.json").read_text())
    while True:
        room(wanted, rng)
        things = place(rng, known["sizes"])
        if things is None:
            continue
        for thing in things:
            put(thing, wanted.assets, known)
        seen = look(len(things))
        if np.bincount(seen.ravel(), minlength=len(things) + 1)[1:].min() >= VISIBLE:
            break
    path = scratch / f"{number:05d}.render.png"
    bpy.context.scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    with Image.open(path) as whole:
        square = whole.convert("RGB").crop((LEFT, TOP, LEFT + SIDE, TOP + SIDE))
    path.unlink()
    image = np.asarray(square.resize((CANVAS, CANVAS), Image.Resampling.BOX))
    mask = seen[TOP : TOP + SIDE, LEFT : LEFT + SIDE]
    return image, mask, np.array([thing.kinds for thing in things], np.int8)


def room(wanted: argparse.Namespace, rng: np.random.Generator) -> None:
    """Open the empty room; move camera and lamps."""
    bpy.ops.wm.open_mainfile(filepath=str(wanted.assets / "base_scene.blend"))
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.cycles.samples = wanted.samples
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.use_denoising = not wanted.noise  # by Open Image Denoise
    scene.cycles.blur_glossy = 2.0
    scene.cycles.max_bounces = scene.cycles.transparent_max_bounces = 8
    scene.cycles.seed = int(rng.integers(1 << 30))
    # Only the square that is used is rendered; Blender counts rows from below.
    scene.render.use_border, scene.render.use_crop_to_border = True, False
    scene.render.border_min_x, scene.render.border_max_x = LEFT / WIDTH, (LEFT + SIDE) / WIDTH
    scene.render.border_min_y, scene.render.border_max_y = 1 - (TOP + SIDE) / HEIGHT, 1 - TOP / HEIGHT
    for name, jitter in (
        ("Camera", CAMERA_JITTER),
        ("Lamp_Key", LAMP_JITTER),
        ("Lamp_Back", LAMP_JITTER),
        ("Lamp_Fill", LAMP_JITTER),
    ):
        spot = bpy.data.objects[name].location
        for axis in range(3):
            spot[axis] += jitter * rng.uniform(-1, 1)
    for name in ("Rubber", "MyMetal"):
        trees = wanted.assets / "materials" / f"{name}.blend" / "NodeTree"
        bpy.ops.wm.append(directory=str(trees), filename=name)
    bpy.context.view_layer.update()


def axes() -> list[np.ndarray]:
    """Right and behind, as the camera sees them, along the ground: unit vectors [2]."""
    turn = bpy.context.scene.camera.matrix_world.to_quaternion()
    found = []
    for vector in (Vector((1, 0, 0)), Vector((0, 0, -1))):
        flat = np.array((turn @ vector)[:2])
        found.append(flat / np.linalg.norm(flat))
    return found


def place(rng: np.random.Generator, radii: dict[str, float]) -> list[Thing] | None:
    """Objects that are apart along the ground and along both axes; None where they found no room."""
    directions = axes()
    things: list[Thing] = []
    for _ in range(rng.integers(FEWEST, MOST + 1)):
        size = int(rng.integers(len(SIZES)))
        radius = radii[SIZES[size]]
        for _ in range(TRIES):
            x, y = rng.uniform(-REACH, REACH, 2)
            if all(free(np.array([x - o.x, y - o.y]), radius + o.radius, directions) for o in things):
                break
        else:
            return None
        shape = int(rng.integers(len(SHAPES)))
        material, colour = int(rng.integers(len(MATERIALS))), int(rng.integers(len(COLOURS)))
        if SHAPES[shape] == "cube":
            radius /= math.sqrt(2)
        things.append(Thing((shape, size, material, colour), x, y, radius, rng.uniform(0, 360)))
    return things


def free(apart: np.ndarray, radii: float, directions: list[np.ndarray]) -> bool:
    """Whether two objects ``apart`` from each other touch neither each other nor each other's order."""
    clear = float(np.linalg.norm(apart)) - radii >= APART
    return clear and all(abs(float(apart @ axis)) >= MARGIN for axis in directions)


def put(thing: Thing, assets: Path, known: dict[str, dict]) -> None:
    """Add ``thing`` to the scene, in its colour and material."""
    shape, _, material, colour = thing.kinds
    name = known["shapes"][SHAPES[shape]]
    before = set(bpy.data.objects)
    bpy.ops.wm.append(directory=str(assets / "shapes" / f"{name}.blend" / "Object"), filename=name)
    (body,) = set(bpy.data.objects) - before
    body["number"] = 1 + len([other for other in before if "number" in other])
    body.scale = (thing.radius,) * 3
    body.location = (thing.x, thing.y, thing.radius)
    body.rotation_mode = "XYZ"
    body.rotation_euler = (0.0, 0.0, thing.turn)
    paint = bpy.data.materials.new("paint")
    nodes = paint.node_tree.nodes
    nodes.clear()
    output, group = nodes.new("ShaderNodeOutputMaterial"), nodes.new("ShaderNodeGroup")
    group.node_tree = bpy.data.node_groups[known["materials"][MATERIALS[material]]]
    group.inputs["Color"].default_value = [*(v / 255 for v in known["colors"][COLOURS[colour]]), 1.0]
    paint.node_tree.links.new(group.outputs["Shader"], output.inputs["Surface"])
    body.data.materials.clear()
    body.data.materials.append(paint)


def look(count: int) -> np.ndarray:
    """Which object a ray through the middle of each pixel meets first: uint8 [240, 320], 0 for none."""
    bpy.context.view_layer.update()
    scene, graph = bpy.context.scene, bpy.context.evaluated_depsgraph_get()
    camera = scene.camera
    corners = [camera.matrix_world @ corner for corner in camera.data.view_frame(scene=scene)]
    right_top, _, left_low, left_top = corners
    origin = camera.matrix_world.translation
    seen = np.zeros((HEIGHT, WIDTH), np.uint8)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            across, down = (column + 0.5) / WIDTH, (row + 0.5) / HEIGHT
            point = left_top + (right_top - left_top) * across + (left_low - left_top) * down
            hit, _, _, _, body, _ = scene.ray_cast(graph, origin, (point - origin).normalized())
            if hit and "number" in body:
                seen[row, column] = body["number"]
    assert seen.max() <= count
    return seen


def gather(folder: Path, paths: list[Path]) -> None:
    """Sheets and dev.npz of scenes; objects that the square shows nothing of are left out."""
    images = np.zeros((len(paths), CANVAS, CANVAS, 3), np.uint8)
    masks = np.zeros((len(paths), CANVAS, CANVAS), np.uint8)
    boxes = np.full((len(paths), MOST, 4), -1, np.int16)
    attributes = np.full((len(paths), MOST, 4), -1, np.int8)
    counts = np.zeros(len(paths), np.int16)
    for i, path in enumerate(paths):
        with np.load(path) as scene:
            images[i], mask, kinds = scene["image"], scene["mask"], scene["attributes"]
        found = []
        for number in range(1, len(kinds) + 1):
            rows, columns = np.nonzero(mask == number)
            if len(rows):
                low, high = (columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1)
                box = [v // REDUCTION for v in low] + [-(-v // REDUCTION) for v in high]
                found.append((len(rows), box, kinds[number - 1]))
            masks[i][mask[REDUCTION // 2 :: REDUCTION, REDUCTION // 2 :: REDUCTION] == number] = number
        found.sort(key=lambda one: -one[0])
        counts[i] = len(found)
        boxes[i, : len(found)] = [box for _, box, _ in found]
        attributes[i, : len(found)] = [kind for _, _, kind in found]
    for start in range(0, len(images), SHEET**2):
        part = images[start : start + SHEET**2]
        rows = -(-len(part) // SHEET)
        grid = np.zeros((rows * SHEET, CANVAS, CANVAS, 3), np.uint8)
        grid[: len(part)] = part
        sheet = grid.reshape(rows, SHEET, CANVAS, CANVAS, 3).swapaxes(1, 2)
        sheet = sheet.reshape(rows * CANVAS, SHEET * CANVAS, 3)
        Image.fromarray(sheet).save(folder / f"dev-{start // SHEET**2:02d}.png")
    np.savez_compressed(folder / "dev.npz", boxes=boxes, n_objects=counts, attributes=attributes, masks=masks)


if __name__ == "__main__":
    main()
