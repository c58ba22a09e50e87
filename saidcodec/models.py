"""Model files: find, load, hash and save (bitstream_spec.md, section 10).

A model is one ``.safetensors`` file.  Its id is the hash of the tensors that decoding uses; those that
only the encoder uses are named ``encoder.*`` and may change without changing the id.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from saidcodec import files
from saidcodec.errors import ModelError

ID_BYTES = 4
ENCODER = "encoder."
FOLDER_VARIABLE = "SAIDCODEC_MODELS"
SUFFIX = ".safetensors"
AnyPath = str | os.PathLike[str]  # not pathlib's alone, which takes 4 ms to import


class Model:
    """All tensors of one model; ``id`` is 8 hexadecimal digits.  Not to be changed."""

    def __init__(self, name: str, id: str, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]):
        self.name, self.id = name, id
        self.tensors, self.metadata = tensors, metadata

    def __repr__(self) -> str:
        return f"Model(name={self.name!r}, id={self.id!r})"

    @property
    def sees_reconstruction(self) -> bool:
        """Whether x̂ tells the residual network anything; if not, no glimpse pays under it."""
        return len(self.tensors.get("residual.around", ())) > 0


def identify(tensors: Mapping[str, np.ndarray]) -> str:
    """The id of a set of tensors (spec section 10)."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        if not name.startswith(ENCODER):
            tensor = tensors[name]
            shape = ",".join(map(str, tensor.shape))
            digest.update(f"{name}\0{tensor.dtype.name}\0{shape}\0".encode())
            digest.update(tensor.astype(tensor.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()[: 2 * ID_BYTES]


def save(
    path: AnyPath, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str], force: bool = True
) -> str:
    """Write a model file; returns its id.  ``metadata`` must hold "name".

    Raises FileError where it cannot be written, or exists and ``force`` is False.
    """
    ordered = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    identity = identify(ordered)
    data = safetensors.numpy.save(ordered, {**metadata, "id": identity})
    files.write(os.fspath(path), force, lambda file: file.write(data))
    return identity


def read_metadata(path: AnyPath) -> dict[str, str]:
    """The metadata of a model file, without its tensors.  Raises ModelError."""
    try:
        with safe_open(path, "np") as file:
            return dict(file.metadata() or {})
    except OSError as error:
        raise ModelError(f"The model {path} cannot be read: {files.reason(error)}.") from None
    except SafetensorError:
        raise ModelError(f"{path} is not a model file.") from None


@lru_cache(maxsize=64)
def claimed_id(path: str, changed: int, size: int) -> str | None:
    """The id that a model file claims to have; read anew where the time of its change or its size differ.
    Raises ModelError."""
    return read_metadata(path).get("id")


@lru_cache(maxsize=8)
def load(path: str) -> Model:
    """Load and verify a model file.  Raises ModelError."""
    metadata = read_metadata(path)
    try:
        tensors = safetensors.numpy.load_file(path)
    except (OSError, SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"The model {path} cannot be loaded: {error}.") from None
    identity = identify(tensors)
    if identity != metadata.get("id"):
        raise ModelError(f"The model {path} is damaged: its tensors do not match its id.")
    return Model(metadata.get("name", stem(path)), identity, tensors, metadata)


def folders() -> list[str]:
    """Where models are looked for: the package's own folder, then $SAIDCODEC_MODELS."""
    package = os.path.dirname(os.path.abspath(__file__))
    own = os.path.join(package, "_models")
    found = [own if os.path.isdir(own) else os.path.join(os.path.dirname(package), "models")]
    if extra := os.environ.get(FOLDER_VARIABLE):
        found.append(extra)
    return found


def installed() -> list[str]:
    """The paths of the model files in those folders, by folder and name."""
    there = [folder for folder in folders() if os.path.isdir(folder)]
    return [
        os.path.join(folder, name)
        for folder in there
        for name in sorted(os.listdir(folder))
        if name.endswith(SUFFIX)
    ]


def stem(path: AnyPath) -> str:
    """The name that a model file gives its model, if the file itself has none."""
    return os.path.basename(path).removesuffix(SUFFIX)


def find(wanted: AnyPath) -> Model:
    """The model of a name or a path.  Raises ModelError."""
    for path in installed():
        if stem(path) == os.fspath(wanted):
            return load(path)
    if os.path.isfile(wanted):
        return load(os.fspath(wanted))
    names = ", ".join(sorted({*map(stem, installed())})) or "none"
    raise ModelError(f"There is no model {wanted}; installed: {names}.")


def with_id(identity: str) -> list[Model]:
    """The installed models whose id begins so; only their own files are read whole."""
    found: dict[str, Model] = {}
    for path in installed():
        with suppress(OSError, ModelError):  # a broken file must not stand before the right one
            status = os.stat(path)
            claimed = claimed_id(path, status.st_mtime_ns, status.st_size) or ""
            if claimed.startswith(identity) and claimed not in found:
                found[claimed] = load(path)
    return [*found.values()]


def find_id(identity: str) -> Model:
    """The installed model whose id begins so; only its own file is read whole.

    Raises ModelError where there is none, or more than one.
    """
    found = with_id(identity)
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(f"{model.name} ({model.id})" for model in found)
        raise ModelError(f"Several models have an id that begins with {identity}: {several}; name one.")
    raise ModelError(
        f"The file needs the model whose id begins with {identity}, which is not installed: name its file "
        f"with --model PATH or put it into the folder that {FOLDER_VARIABLE} names."
    )
