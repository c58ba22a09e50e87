"""Many images at once: the same files and pixels as one by one, on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from saidcodec import arguments, codec, models
from saidcodec.codec import AnyModel
from saidcodec.errors import about
from saidcodec.format.header import Metadata
from saidcodec.parallel import Progress, cores, in_threads

T = TypeVar("T")


def encode_many(
    images: Iterable[Any],
    *,
    model: AnyModel = "auto",
    residual: str = "context",
    max_error: int = 0,
    glimpses: int | None = None,
    metadata: Metadata | None = None,
    threads: int | None = None,
    effort: str = "normal",
    progress: Progress | None = None,
) -> list[bytes]:
    """The files that ``encode`` makes of each image with these options, in their order.

    ``threads``: how many work in all, by default one for each core.  ``progress`` is told the share that is
    done after every image.  Raises what ``encode`` raises; an error of one image begins with its number,
    counted from 0.
    """
    arguments.check_encoding(residual, max_error, glimpses, metadata, threads, effort)
    arguments.check_model(model)
    if isinstance(model, (str, os.PathLike)) and model != "auto":
        model = models.find(model)

    def file_of(image: Any, threads: int) -> bytes:
        return codec.encode(
            image,
            model=model,
            residual=residual,
            max_error=max_error,
            glimpses=glimpses,
            metadata=metadata,
            threads=threads,
            effort=effort,
        )

    return each(file_of, images, "Image", threads, progress)


def decode_many(
    files: Iterable[arguments.Source],
    *,
    model: AnyModel | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[np.ndarray]:
    """The images that ``decode`` makes of each file, in their order.

    ``threads`` and ``progress`` as in ``encode_many``.  Raises what ``decode`` raises; an error of one file
    begins with its number, counted from 0.
    """
    arguments.checked_threads(threads)
    if model is not None:
        arguments.check_model(model)
        model = models.find(model) if isinstance(model, (str, os.PathLike)) else model

    def image_of(file: arguments.Source, threads: int) -> np.ndarray:
        return codec.decode(file, model=model, threads=threads)

    return each(image_of, files, "File", threads, progress)


def each(
    work: Callable[[Any, int], T],
    items: Iterable[Any],
    kind: str,
    threads: int | None,
    progress: Progress | None,
) -> list[T]:
    """The results of ``work`` on every item, which gets a number of threads of its own.

    ``kind``: what an item is called in messages.  Raises TypeError where ``items`` is a single one.
    """
    if isinstance(items, (str, bytes, bytearray, memoryview, os.PathLike)) or not isinstance(items, Iterable):
        raise TypeError(f"{kind}s must be given as a list or the like, not as {arguments.kind_of(items)}.")
    jobs = [*enumerate(items)]
    threads = threads or cores()
    within = max(1, threads // max(1, len(jobs)))

    def one(job: tuple[int, Any]) -> T:
        number, item = job
        with numbered(f"{kind} {number}"):
            return work(item, within)

    return [*in_threads(one, jobs, threads, progress)]


@contextmanager
def numbered(name: str) -> Iterator[None]:
    """Let the sentence of every error begin with the item that it is about."""
    try:
        with about(name):
            yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None
