"""Model files: their identity, how they are found, and what a broken one says."""

import hashlib
import json
import os
import stat
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from factory import random_tensors

from saidcodec import models
from saidcodec.errors import FileError, ModelError

TENSORS = {
    "b": np.array([[1, -2], [3, 4]], np.int8),
    "a": np.array([7, 1 << 20], np.int32),
    "encoder.c": np.ones((2, 3), np.float32),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that $SAIDCODEC_MODELS names."""
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def with_header(header: bytes, rest: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + rest


def test_identity_is_the_hash_that_the_specification_says() -> None:
    digest = hashlib.sha256(
        b"a\0int32\x002\0" + bytes([7, 0, 0, 0, 0, 0, 16, 0]) + b"b\0int8\x002,2\0" + bytes([1, 254, 3, 4])
    )
    assert models.identify(TENSORS) == digest.hexdigest()[:8]


def test_identity_ignores_the_encoder_byte_order_and_memory_order_only() -> None:
    identity = models.identify(TENSORS)
    same = {
        "a": TENSORS["a"].astype(">i4"),
        "b": np.asfortranarray(TENSORS["b"]),
        "encoder.c": np.zeros(1, np.float32),
    }
    assert models.identify(same) == identity
    for other in (
        {**TENSORS, "a": TENSORS["a"] + 1},
        {**TENSORS, "a": TENSORS["a"].astype(np.int64)},
        {**TENSORS, "b": TENSORS["b"].reshape(4)},
        {"a": TENSORS["a"]},
        {**TENSORS, "d": TENSORS["a"]},
    ):
        assert models.identify(other) != identity


def test_saved_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "little.safetensors"
    identity = models.save(path, TENSORS, {"name": "little", "licence": "CC0-1.0"})
    model = models.load(path)
    assert (model.name, model.id) == ("little", identity)
    assert model.metadata["licence"] == "CC0-1.0"
    assert set(model.tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert model.tensors[name].dtype == tensor.dtype
        np.testing.assert_array_equal(model.tensors[name], tensor)
    assert models.load(path) is model
    assert models.read_metadata(path)["id"] == identity


def test_found_by_name_path_and_id(folder: Path) -> None:
    identity = models.save(folder / "little.safetensors", TENSORS, {"name": "little"})
    assert str(folder / "little.safetensors") in models.installed()
    assert models.find("little").id == identity
    assert models.find(str(folder / "little.safetensors")) is models.find("little")
    assert models.find_id(identity) is models.find("little")


def test_a_missing_model_says_what_to_do(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"00c0ffee.*--model PATH.*SAIDCODEC_MODELS"):
        models.find_id("00c0ffee")
    with pytest.raises(ModelError, match="no model nothing; installed:"):
        models.find("nothing")


def test_a_folder_that_does_not_exist_holds_no_models(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path / "nowhere"))
    before = models.installed()
    monkeypatch.delenv(models.FOLDER_VARIABLE)
    assert models.installed() == before


def test_finding_an_id_reads_no_other_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(3):
        models.save(folder / f"{i}.safetensors", {"a": np.array([i], np.int32)}, {"name": str(i)})
    wanted = models.read_metadata(folder / "1.safetensors")["id"]
    loaded: list[str] = []
    original = safetensors.numpy.load_file
    monkeypatch.setattr(
        safetensors.numpy, "load_file", lambda path: loaded.append(Path(path).stem) or original(path)
    )
    assert models.find_id(wanted).name == "1"
    assert loaded == ["1"]


def test_the_beginning_of_an_id_finds_one_model_or_names_all(folder: Path) -> None:
    for i in range(40):
        models.save(folder / f"{i}.safetensors", {"a": np.array([i], np.int32)}, {"name": str(i)})
    ids = {path.stem: str(models.read_metadata(path)["id"]) for path in folder.glob("*.safetensors")}
    models.save(folder / "copy.safetensors", {"a": np.array([7], np.int32)}, {"name": "copy"})
    assert models.find_id(ids["7"][:4]).name == "7"
    digit = next(d for d in "0123456789abcdef" if sum(i.startswith(d) for i in ids.values()) > 1)
    with pytest.raises(ModelError, match=f"Several models have an id that begins with {digit}: .* name one"):
        models.find_id(digit)


def test_a_broken_file_does_not_hide_the_others(folder: Path) -> None:
    (folder / "0.safetensors").write_bytes(b"noise")
    identity = models.save(folder / "1.safetensors", TENSORS, {"name": "1"})
    assert models.find_id(identity).name == "1"


def test_changed_weights_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "little.safetensors"
    models.save(path, TENSORS, {"name": "little"})
    data = bytearray(path.read_bytes())
    place = data.rindex(TENSORS["b"].tobytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        models.load(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"noise",
        struct.pack("<Q", 1 << 60) + b"{}",
        with_header(b"[]"),
        with_header(b"{"),
        with_header(b'{"__metadata__": 7}'),
        with_header(b'{"__metadata__": []}'),
        with_header(b"[" * 100_000),
        with_header(b"\xff\xfe"),
    ],
)
def test_what_is_no_model_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="is not a model file"):
        models.load(path)


def test_tensors_that_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "short.safetensors"
    entry = {
        "a": {"dtype": "I32", "shape": [1000], "data_offsets": [0, 4000]},
        "__metadata__": {"id": "0" * 8},
    }
    path.write_bytes(with_header(json.dumps(entry).encode(), bytes(10)))
    with pytest.raises(ModelError, match="is not a model file"):
        models.load(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        models.load(tmp_path / "gone.safetensors")


def test_without_an_id_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    safetensors.numpy.save_file(TENSORS, path)
    with pytest.raises(ModelError, match="do not match"):
        models.load(path)


def test_shipped_models_are_whole_and_have_cards() -> None:
    own = Path(models.folders()[0])
    for path in sorted(own.glob("*.safetensors")):
        model = models.load(path)
        assert model.name == path.stem
        assert path.with_suffix(".md").is_file()
        assert {name for name in random_tensors() if not name.startswith("residual.trunk")} <= set(
            model.tensors
        )


@pytest.mark.parametrize("path", [*map(Path, models.installed())], ids=lambda path: path.stem)
def test_every_shipped_model_has_a_card_with_its_id(path: Path) -> None:
    card = Path(__file__).parents[1] / "models" / f"{path.stem}.md"
    assert f"| id | {models.load(path).id} |" in card.read_text()


def test_model_files_are_as_readable_as_others_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "little.safetensors"
    before = os.umask(0o022)
    try:
        models.save(path, TENSORS, {"name": "little"})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    with pytest.raises(FileError, match="exists already"):
        models.save(path, {}, {"name": "little"}, force=False)
    assert set(models.load(path).tensors) == set(TENSORS)
    assert os.listdir(tmp_path) == ["little.safetensors"]
