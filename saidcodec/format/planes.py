"""Pixels ⇄ the planes that are coded (bitstream_spec.md, sections 2 and 4).

Pixels, H×W or H×W×C in the image's mode, become coded channels: the same, with replicated grey once, and of
other modes what section 2.1 says, uint8 [h, w, channels].  Their colour becomes the components of a
transform, or Y alone, int16 [h, w, components]; alpha stays as it is.
"""

from __future__ import annotations

import zlib

import numpy as np

from saidcodec.errors import CorruptError
from saidcodec.format import colour
from saidcodec.format.colour import Transform
from saidcodec.format.header import Header, Mode, TileKind

NO_RECONSTRUCTION = -32768  # stands in the planes of x̂ where a tile has none
INK = np.array([255, 255, 255, 0], np.uint8)  # which bits of C, M, Y, K are turned: ink takes light away
SET = 255  # how a sample of one bit that is 1 is coded


def is_replicated(pixels: np.ndarray, mode: str) -> bool:
    """Whether an image, H×W or H×W×C, has a mode of three colours that are the same everywhere."""
    return mode in (Mode.RGB, Mode.RGBA) and bool(
        (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all()
    )


def channels_of(header: Header, pixels: np.ndarray) -> np.ndarray:
    """Pixels of a whole image → its coded channels."""
    if header.depth == 1:
        return (pixels * np.uint8(SET))[..., None]
    if header.palette and header.ranked:
        return header.palette.ranks(pixels)[..., None]
    if header.mode == Mode.CMYK:
        return pixels ^ INK
    if pixels.ndim == 2:
        return pixels[..., None]
    return pixels[..., 2:] if header.replicated else pixels


def pixels_of(header: Header, channels: np.ndarray) -> np.ndarray:
    """The inverse of ``channels_of``, of some rows.  Raises CorruptError where there is no such sample."""
    if header.depth == 1:
        check_samples((channels == 0) | (channels == SET))
        return channels[..., 0] == SET
    if header.palette:
        check_samples(channels < len(header.palette))
        return header.palette.indices(channels[..., 0]) if header.ranked else channels[..., 0]
    if header.mode == Mode.CMYK:
        return channels ^ INK
    if header.replicated:
        return np.concatenate([channels[..., :1], channels[..., :1], channels], -1)
    return channels[..., 0] if header.mode == Mode.L else channels


def check_samples(right: np.ndarray) -> None:
    """Raises CorruptError unless all samples are ``right``."""
    if not right.all():
        raise CorruptError("The residual section decodes to a sample that the image cannot have.")


def check_kinds(header: Header, kinds: np.ndarray) -> None:
    """Raises CorruptError where indices of a palette have a SAID layer."""
    if header.palette and (kinds == TileKind.SAID).any():
        raise CorruptError("An image with a palette has a SAID layer.")


def colour_of(header: Header, channels: np.ndarray, transform: Transform | None = None) -> np.ndarray:
    """The colour planes of coded channels, int16 [h, w, components]; by default in the file's transform."""
    if header.grey:
        return channels[..., :1].astype(np.int16)
    return colour.forward(channels[..., :3], header.transform if transform is None else transform)


def alpha_of(channels: np.ndarray) -> np.ndarray:
    """The alpha plane of coded channels that have one, int16 [h, w, 1]."""
    return channels[..., -1:].astype(np.int16)


def checksum(header: Header, channels: np.ndarray) -> int:
    """CRC-32 of the whole id of the model and of the coded channels uint8 [h, w, channels] of a band."""
    return zlib.crc32(np.ascontiguousarray(channels).data, zlib.crc32(bytes.fromhex(header.model)))


def rgb_of(header: Header, channels: np.ndarray) -> np.ndarray:
    """Coded channels as the SAID layer sees them, uint8 [h, w, 3]."""
    return np.repeat(channels[..., :1], 3, -1) if header.grey else channels[..., :3]


def joined(
    header: Header, planes: np.ndarray, alpha: np.ndarray | None, transform: Transform | None = None
) -> np.ndarray:
    """Colour planes and alpha → coded channels, likewise.  Raises CorruptError where a lossless file has an
    impossible colour."""
    transform = header.transform if transform is None else transform
    whole = np.empty((*planes.shape[:2], planes.shape[2] + (alpha is not None)), np.uint8)
    for part in colour.strips(planes):
        samples = planes[part] if header.grey else colour.inverse(planes[part], transform)
        clipped = np.clip(samples, 0, 255)
        if header.exact and (samples != clipped).any():
            raise CorruptError("The residual section decodes to an impossible colour.")
        whole[part][..., : planes.shape[2]] = clipped
    if alpha is not None:
        whole[..., -1:] = alpha
    return whole


def without_residual(header: Header, reconstruction: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
    """What x̂ int16 [h, w, 3], or none, shows alone of a band of a size (height, width): coded channels."""
    shown = or_middle(reconstruction, (*size, header.components))
    alpha = np.full((*size, 1), 255, np.int16) if header.has_alpha else None
    return joined(header, shown, alpha)


def or_middle(reconstruction: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """x̂ int16 [h, w, 3], or the middle of the range where there is none; int16 [h, w, components]."""
    middle = middle_of(shape)
    if reconstruction is None:
        return middle
    here = reconstruction[..., : shape[2]]
    return np.where(here == NO_RECONSTRUCTION, middle, here)


def middle_of(shape: tuple[int, ...]) -> np.ndarray:
    """The middle of the components' ranges, int16 [h, w, components]."""
    return np.broadcast_to(np.array(colour.MIDDLE[: shape[2]], np.int16), shape)
