"""Bytes and speed of saidcodec beside other lossless codecs, on the same images in the same run."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saidcodec import codec, images, parallel
from saidcodec.errors import ImageError, about
from saidcodec.format.palette import OPAQUE
from saidcodec.models import Model

Encode = Callable[[np.ndarray], bytes | bytearray]
Decode = Callable[[bytes], np.ndarray]


@dataclass(frozen=True)
class Peer:
    """A codec under comparison; ``decode`` gives back exactly what ``known`` makes of the pixels."""

    name: str
    encode: Encode
    decode: Decode
    known: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels


@dataclass(frozen=True)
class Result:
    """Sums over all images: bytes, seconds, samples (sub-pixels) and pixels."""

    name: str
    bytes: int
    encoding: float
    decoding: float
    samples: int
    pixels: int
    count: int

    @property
    def bits_per_sample(self) -> float:
        return 8 * self.bytes / self.samples


def peers(threads: int) -> list[Peer]:
    """PNG always; WebP, JPEG 2000 and JPEG XL where imagecodecs is installed."""
    found = [Peer("PNG (optimised)", lambda pixels: pillow_png(pixels), pillow_open)]
    try:
        import imagecodecs
    except ImportError:
        return found

    return [
        *found,
        Peer(
            "WebP lossless",
            lambda p: imagecodecs.webp_encode(coloured(p), lossless=True),
            imagecodecs.webp_decode,
            coloured,
        ),
        Peer(
            "JPEG 2000",
            lambda p: imagecodecs.jpeg2k_encode(p, level=0, reversible=True),
            imagecodecs.jpeg2k_decode,
        ),
        jpegxl(7, threads),
        jpegxl(9, threads),
    ]


def coloured(pixels: np.ndarray) -> np.ndarray:
    """What WebP makes of an image: RGB of a grey one, without alpha where it is opaque; [h, w, 3 or 4]."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    count = pixels.shape[2]
    if count < 3:
        pixels = np.concatenate([np.repeat(pixels[..., :1], 3, 2), pixels[..., 1:]], 2)
    opaque = count in (2, 4) and (pixels[..., 3] == OPAQUE).all()
    return pixels[..., :3].copy() if opaque else pixels


def jpegxl(effort: int, threads: int) -> Peer:
    """Lossless JPEG XL of imagecodecs.  Raises ImportError."""
    import imagecodecs

    return Peer(
        f"JPEG XL e{effort}",
        lambda p: imagecodecs.jpegxl_encode(p, lossless=True, effort=effort, numthreads=threads),
        lambda data: imagecodecs.jpegxl_decode(data, numthreads=threads),
    )


def own(model: str | Model, threads: int, effort: str = "normal") -> Peer:
    """saidcodec with a model, which need not be installed, or "auto"."""
    named = None if model == "auto" else model
    name = f"saidcodec {model.name if isinstance(model, Model) else model}"
    return Peer(
        name if effort == "normal" else f"{name}, effort {effort}",
        lambda pixels: codec.encode(pixels, model=model, effort=effort, threads=threads),
        lambda data: codec.decode(data, model=named, threads=threads),
    )


def pillow_png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def pillow_webp(pixels: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True, exact=True)
    return stream.getvalue()


def pillow_open(data: bytes) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)))


def measure(peer: Peer, pictures: Sequence[np.ndarray]) -> Result:
    """Encode and decode every picture once.  Raises AssertionError if a pixel differs."""
    peer.decode(bytes(peer.encode(pictures[0])))  # start-up is not counted
    size, encoding, decoding = 0, 0.0, 0.0
    for picture in pictures:
        start = time.perf_counter()
        data = bytes(peer.encode(picture))
        middle = time.perf_counter()
        back = peer.decode(data)
        decoding += time.perf_counter() - middle
        encoding += middle - start
        size += len(data)
        expected = peer.known(picture)
        if back.size != expected.size or not np.array_equal(back.reshape(expected.shape), expected):
            raise AssertionError(f"{peer.name} did not give the same pixels back")
    samples, pixels = sum(p.size for p in pictures), sum(p.shape[0] * p.shape[1] for p in pictures)
    return Result(peer.name, size, encoding, decoding, samples, pixels, len(pictures))


def gather(paths: Iterable[str]) -> list[np.ndarray]:
    """The images of files and folders.  Raises ImageError if there is none."""
    found = []
    for path in map(Path, paths):
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            try:
                with about(str(file)):
                    pixels = images.from_pillow(images.open_image(file, str(file))).smooth().pixels
                    if pixels.dtype != np.uint8:
                        raise ImageError("It has more than 8 bits a sample; others are compared here.")
                    found.append(pixels)
            except ImageError:
                if not path.is_dir():
                    raise
    if not found:
        raise ImageError("There are no images to measure.")
    return found


def table(
    pictures: Sequence[np.ndarray],
    model: str,
    threads: int | None = None,
    efforts: Sequence[str] = ("normal",),
) -> Iterator[str]:
    """Lines of a Markdown table, one codec a line, as they are measured."""
    threads = threads or parallel.cores()
    ours = [own(model, threads, effort) for effort in efforts]
    return lines([*peers(threads), *ours], pictures, threads)


def lines(codecs: Iterable[Peer], pictures: Sequence[np.ndarray], threads: int) -> Iterator[str]:
    """``table`` of these codecs."""
    head = f"codec ({len(pictures)} images, {threads} threads)"
    yield f"| {head} | bytes an image | bits per sub-pixel | encode MP/s | decode MP/s |"
    yield "|---|---|---|---|---|"
    for peer in codecs:
        result = measure(peer, pictures)
        yield (
            f"| {result.name} | {result.bytes / result.count:,.0f} | {result.bits_per_sample:.3f} | "
            f"{result.pixels / 1e6 / result.encoding:.2f} | {result.pixels / 1e6 / result.decoding:.2f} |"
        )
