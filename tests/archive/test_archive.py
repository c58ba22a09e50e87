"""Archives from end to end: every image comes back, however it is asked for, and damage is found."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factory import flat_colour_model, random_description
from hypothesis import given, settings
from hypothesis import strategies as st
from small_archives import IMAGES, MODEL, NAMES, opened, pack, picture, same

import saidcodec
from saidcodec import codec
from saidcodec.archive import layout, writer
from saidcodec.archive.group import Group
from saidcodec.entropy.rans import Encoder
from saidcodec.errors import FileError, ImageError, ModelError, SaidError
from saidcodec.format.header import Metadata, TileKind
from saidcodec.said import write_section
from saidcodec.said.section import kind_table


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "all.saids"


@pytest.fixture
def archive(path: Path) -> saidcodec.Archive:
    pack(IMAGES, path, names=NAMES, labels=[str(i % 3) for i in range(11)], together=3)
    return opened(path)


def test_images_come_back_by_number_name_slice_and_in_order(archive: saidcodec.Archive) -> None:
    same([*archive], IMAGES)
    same([archive[i] for i in (10, 0, 4)], [IMAGES[i] for i in (10, 0, 4)])
    same([archive[-1], archive[np.int64(2)]], [IMAGES[-1], IMAGES[2]])
    same(archive[2:9:3], IMAGES[2:9:3])
    same(archive[::-1], IMAGES[::-1])
    same(archive.__getitems__([3, 3, 0]), [IMAGES[3], IMAGES[3], IMAGES[0]])
    same([archive[name] for name in NAMES], IMAGES)
    assert (len(archive), archive.names) == (11, NAMES)
    assert archive.labels == [str(i % 3) for i in range(11)]
    assert repr(archive) == f"<saidcodec.Archive {archive.name!r} of 11 images>"


def test_what_there_is_not(archive: saidcodec.Archive) -> None:
    for number in (11, -12):
        with pytest.raises(IndexError, match="holds 11 images"):
            archive[number]
    with pytest.raises(KeyError, match="no image of the name b"):
        archive["b"]
    for wrong in (1.5, None, True):
        with pytest.raises(TypeError, match="number or name"):
            archive[wrong]


def test_images_are_the_caller_s_own(archive: saidcodec.Archive) -> None:
    archive[0][...] = 99
    first, second = archive.__getitems__([0, 0])
    first[...] = 99
    same([archive[0], second], [IMAGES[0], IMAGES[0]])


kinds = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.sampled_from([2, 256]))


@given(
    st.lists(kinds, min_size=1, max_size=9),
    st.sampled_from(["context", "gaussian"]),
    st.integers(1, 4),
    st.booleans(),
)
@settings(max_examples=12, deadline=None)
def test_any_images_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    shapes: list[tuple[int, int, int, int]],
    residual: str,
    together: int,
    looks: bool,
) -> None:
    path = tmp_path_factory.mktemp("any") / "all.saids"
    images = [picture(*shape) for shape in shapes]
    if looks:  # replicated grey, and flat images, which may become graphics
        images += [np.repeat(picture(channels=1)[..., None], 3, -1), np.full((20, 20, 4), 7, np.uint8)]
    effort = "best" if looks else "normal"
    assert pack(images, path, residual=residual, together=together, effort=effort) == len(images)
    same([*opened(path)], images)


def test_bounded_errors_and_no_residual_are_those_of_single_files(path: Path) -> None:
    images = [picture(levels=256) for _ in range(3)]
    for options in ({"max_error": 9}, {"residual": "none"}, {"glimpses": 2}):
        pack(images, path, force=True, **options)
        files = saidcodec.encode_many(images, model=MODEL, threads=1, **options)
        same([*opened(path)], saidcodec.decode_many(files, model=MODEL, threads=1))


def test_graphics_take_no_more_bytes_where_errors_are_allowed(path: Path) -> None:
    y, x = np.mgrid[:60, :60]
    drawing = np.stack([x * 4, y * 4, (x // 10 * 37 + y // 10 * 91) % 256], -1).astype(np.uint8)
    pack([drawing], path, effort="best")
    exact = path.stat().st_size
    pack([drawing], path, effort="best", max_error=2, force=True)
    assert path.stat().st_size <= exact


def test_metadata_is_kept(path: Path, tmp_path: Path) -> None:
    from PIL import Image

    profiles = [b"", b"p" * 500, b"p" * 500, b"q" * (1 << 15)]  # none, one that two share, a whole file's
    paths = []
    for number, profile in enumerate(profiles):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(IMAGES[number]).save(paths[-1], icc_profile=profile or None)
    pack(paths, path, names=[path.name for path in paths])
    archive = opened(path)
    assert [archive.entry(i).metadata for i in range(4)] == [Metadata(icc=profile) for profile in profiles]
    same([*archive], IMAGES[:4])


def test_large_images_become_whole_files(path: Path) -> None:
    images = [IMAGES[0], np.tile(picture(), (30, 30, 1)), IMAGES[1], IMAGES[2]]
    pack(images, path, names=list("abcd"), residual="gaussian")
    archive = opened(path)
    same([*archive], images)
    entry = archive.entry("b")
    assert (entry.width, entry.height, entry.mode, entry.label) == (150, 180, "RGB", None)
    assert archive.group(0).head.runs == [range(1), range(1, 2), range(2, 4)]
    assert len(archive.features()) == 4


def test_features_are_those_of_single_files_and_need_no_pixels(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = flat_colour_model()
    images = [np.zeros((64, 64, 3), np.uint8) for _ in range(6)]
    for number, image in enumerate(images):
        image[4 * number : 30, 10:40] = (200, 8 * number, 120)
    images[3] = images[3][..., 0]
    images[5] = np.tile(images[5], (3, 3, 1))  # a whole file
    pack(images, path, model=model, glimpses=2, residual="gaussian")
    files = saidcodec.encode_many(images, model=model, glimpses=2, residual="gaussian", threads=1)
    monkeypatch.setattr(Group, "decode", None)
    with opened(path, model=model) as archive:
        found = archive.features()
    for one, file in zip(found, files, strict=True):
        wanted = saidcodec.features(file, model=model)
        np.testing.assert_array_equal(one.boxes, wanted.boxes)
        np.testing.assert_array_equal(one.latents, wanted.latents)
        np.testing.assert_array_equal(one.tiles, wanted.tiles)
    assert len(found[0].boxes)


def test_boxes_of_ten_thousand_images_take_less_than_a_second(path: Path) -> None:
    model = flat_colour_model()
    pack([np.zeros((64, 64), np.uint8)], path, model=model)
    head = opened(path, model=model).group(0).head
    rng, count = np.random.default_rng(1), 10_000
    pieces, places, at = [path.read_bytes()[: layout.START]], [], layout.START
    for first in range(0, count, writer.GROUP_IMAGES):
        images = min(writer.GROUP_IMAGES, count - first)
        described = [random_description(rng, grey=True, glimpses=3) for _ in range(images)]
        encoder = Encoder()
        write_section([TileKind.SAID] * images, described, True, model, encoder)
        columns = {"names": ("",) * images, "metadata": (Metadata(),) * images, "kind": (0,) * images}
        lengths = (0,) * len(layout.runs_of([True] * images, head.together))
        group = layout.pack_group(
            replace(
                head, model=model.id, said=(encoder.finish(), b""), lengths=lengths, rows=None, **columns
            ),
            [],
        )
        pieces.append(group)
        places.append(layout.Place(at, len(group), images))
        at += len(group)
    path.write_bytes(b"".join(pieces) + layout.pack_index(places))
    archive = opened(path, model=model)
    archive.features  # noqa: B018
    saidcodec.features(saidcodec.encode(IMAGES[0], model=model), model=model)  # tables are made once
    started = time.process_time()
    found = archive.features()
    assert time.process_time() - started < 1
    assert sum(len(one.boxes) for one in found) == 3 * count


def test_a_calibration_makes_unfit_images_smaller(path: Path) -> None:
    y, x = np.mgrid[:16, :16]
    images = [((x * x + 3 * y + 17 * i) % 256).astype(np.uint8) for i in range(24)]
    pack(images, path)
    calibrated, rows = path.stat().st_size, opened(path).group(0).head.rows
    assert rows
    same([*opened(path)], images)
    files = saidcodec.encode_many(images, model=MODEL, threads=1)
    assert calibrated < 0.9 * sum(map(len, files))


def test_overhead_is_at_most_six_bytes_an_image(path: Path) -> None:
    rng, count = np.random.default_rng(6), 128
    images = [rng.integers(0, 256, (8, 8)).astype(np.uint8) for _ in range(count)]  # noise, which is stored
    information = 8 * 8 + kind_table(MODEL).bits[TileKind.STORED] / 8
    for together, most in ((1, 6), (4, 3)):
        pack(images, path, names=[f"{i:05}.png" for i in range(count)], together=together, force=True)
        kinds, _ = opened(path).group(0).descriptions[0]
        assert kinds == [TileKind.STORED]
        head = 80  # bytes of an archive and a group, whatever they hold
        assert path.stat().st_size < head + count * (information + most)


def test_appending_keeps_what_is_there(path: Path) -> None:
    pack(IMAGES[:5], path, names=NAMES[:5], labels=["x"] * 5)
    before = path.read_bytes()
    groups = before[: -len(layout.pack_index(opened(path).places))]
    pack(IMAGES[5:], path, names=NAMES[5:], append=True)
    after = path.read_bytes()
    assert after.startswith(groups)
    archive = opened(path)
    same([*archive], IMAGES)
    assert archive.names == NAMES
    assert archive.labels == ["x"] * 5 + [None] * 6
    with pytest.raises(FileError, match=r"already holds an image of the name a/03\.png"):
        pack(IMAGES[:1], path, names=["a/03.png"], append=True)
    with pytest.raises(ImageError):
        pack([IMAGES[0], np.zeros((2, 2, 9), np.uint8)], path, append=True)
    assert path.read_bytes() == after


def test_several_groups(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "AT_ONCE", 2)
    monkeypatch.setattr(writer, "GROUP_IMAGES", 4)
    pack(IMAGES, path, names=NAMES)
    archive = opened(path)
    assert [place.images for place in archive.places] == [4, 4, 3]
    same([*archive], IMAGES)
    same(archive[3:9], IMAGES[3:9])
    same([archive["a/08.png"]], [IMAGES[8]])


def test_images_that_cannot_be_packed(path: Path) -> None:
    bad = np.zeros((2, 2), np.int32)
    with pytest.raises(ImageError, match=r"b\.png: Only arrays of uint8"):
        pack([IMAGES[0], bad], path, names=["a.png", "b.png"])
    assert not path.exists()
    told: list[tuple[int, SaidError]] = []
    assert pack([bad, IMAGES[0]], path, on_error=lambda number, error: told.append((number, error))) == 1
    assert [number for number, _ in told] == [0]
    same([*opened(path)], IMAGES[:1])
    with pytest.raises(ImageError, match="no image to pack"):
        pack([bad], path, force=True, on_error=lambda number, error: None)
    with pytest.raises(FileError, match="exists already"):
        pack(IMAGES, path)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"names": ["a"]}, "one text for each"),
        ({"labels": ["a"]}, "one text for each"),
        ({"names": ["a", "a"]}, "given twice"),
        ({"labels": ["a", "b\n"]}, "that labels cannot have"),
        ({"labels": ["a", "b" * 5000]}, "more than the limit of 4096 bytes"),
        ({"together": 0}, "together must be"),
    ],
)
def test_unfit_columns(path: Path, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        pack(IMAGES[:2], path, **options)
    assert not path.exists()


@pytest.mark.parametrize("images", ["a.png", iter(IMAGES), 3])
def test_images_must_be_a_list(path: Path, images: object) -> None:
    with pytest.raises(TypeError, match="as a list or the like"):
        saidcodec.pack(images, path)


def test_names_that_lead_elsewhere_are_refused(path: Path) -> None:
    for name in ("../a", "/a", "a//b", "a\\b", "a\nb", "\udcff"):
        with pytest.raises(ImageError, match="name"):
            pack(IMAGES[:1], path, names=[name])


def test_one_model_is_chosen_for_all(path: Path) -> None:
    y, x = np.mgrid[:20, :20]
    images = [np.stack([x + y + i, x, y], -1).astype(np.uint8) for i in range(3)]
    saidcodec.pack(images, path)
    archive = saidcodec.Archive(path)
    same([*archive], images)
    assert archive.group(0).model.id in {
        model.id for model in map(codec.models.load, codec.models.installed())
    }


def test_a_model_that_is_missing_is_named(path: Path) -> None:
    pack(IMAGES, path)
    with pytest.raises(ModelError, match=rf"all.saids: image 0: .*{MODEL.id}"):
        saidcodec.Archive(path)[0]


def test_an_archive_can_be_pickled(archive: saidcodec.Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    archive[0]
    monkeypatch.chdir("/")
    again = pickle.loads(pickle.dumps(archive))
    same([*again], IMAGES)


def test_a_data_loader_with_workers_reads_it(archive: saidcodec.Archive) -> None:
    torch = pytest.importorskip("torch")
    loader = torch.utils.data.DataLoader(archive, batch_size=4, shuffle=True, num_workers=2)
    seen = np.concatenate([batch.numpy() for batch in loader])
    assert sorted(map(bytes, seen)) == sorted(map(bytes, IMAGES))


@pytest.mark.parametrize("read", ["[*archive]", "archive.features(), archive.names, archive[0]"])
def test_reading_imports_no_encoder(read: str, path: Path) -> None:
    saidcodec.pack(IMAGES[:2], path, model="photo", glimpses=0)
    code = (
        "import sys, saidcodec\n"
        "archive = saidcodec.Archive(sys.argv[1])\n"
        f"{read}\n"
        "print(*[name for name in sys.modules if name.startswith(('saidcodec.encoder', 'torch', 'PIL'))])"
    )
    command = [sys.executable, "-c", code, path]
    run = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=True, env=os.environ)
    assert run.stdout.split() == []
