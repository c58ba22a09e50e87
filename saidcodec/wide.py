"""Images of 9 to 16 bits a sample ⇄ .said files (bitstream_spec.md, sections 2.3 and 8.6).

They need no model and have no SAID layer.  Bands are as in other files, and as independent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saidcodec.entropy.rans import Decoder, uniform
from saidcodec.errors import CorruptError, ImageError, TruncatedError
from saidcodec.format import container, planes
from saidcodec.format.container import Container
from saidcodec.format.header import BY_NAME, BYTE_BITS, Header, Metadata, ResidualCoder
from saidcodec.format.presentation import Presentation
from saidcodec.format.tiling import Band, Place, Tiling, choose_tiling
from saidcodec.parallel import Progress, in_threads, no_progress
from saidcodec.residual import wide_band

NO_MODEL = ""
FRONT_BYTES = 64  # of the first stream; they hold the checksum of the head


def encode(
    pixels: np.ndarray,
    presentation: Presentation,
    metadata: Metadata,
    max_error: int,
    threads: int,
    progress: Progress = no_progress,
) -> bytes:
    """The file of an image, uint16 H×W or H×W×C.  Raises LimitError on too much metadata."""
    return write(header_of(pixels, presentation, max_error), pixels, metadata, threads, progress)


def write(
    header: Header, pixels: np.ndarray, metadata: Metadata, threads: int, progress: Progress = no_progress
) -> bytes:
    """``encode`` with a header that is made already."""
    channels = planes.channels_of(header, pixels)

    head = container.head_of(header, metadata)
    check = container.head_check(head, NO_MODEL)

    def coded(band: Band) -> bytes:
        return wide_band.write(header, channels[band.rows], b"" if band.rows.start else check)

    streams = [*in_threads(coded, Tiling.of(header).bands(), threads, progress)]
    return container.pack(header, head, streams)


def check_options(residual: str, glimpses: int | None) -> None:
    """Refuse options of ``codec.encode`` that ask for what such files do not have.  Raises ImageError."""
    if residual != "context" or glimpses:
        raise ImageError("Images of more than 8 bits a sample have no glimpses, and one residual coder.")


def header_of(pixels: np.ndarray, presentation: Presentation, max_error: int) -> Header:
    """The header of an image, uint16 H×W or H×W×C; its depth is that of the largest sample or number of the
    key, 9 at least."""
    height, width = pixels.shape[:2]
    own, key = BY_NAME[presentation.mode], presentation.key
    depth = max(BYTE_BITS + 1, max((int(pixels.max()), *(key or ()))).bit_length())
    replicated = planes.is_replicated(pixels, own)
    side, bands = choose_tiling(width, height)
    coder = ResidualCoder.CONTEXT
    header = Header(width, height, own, replicated, coder, max_error, NO_MODEL, side, bands)
    return header._replace(depth=depth, key=key)


def read(file: Container, place: Place, threads: int, progress: Progress = no_progress) -> np.ndarray:
    """The pixels at a place of the image, uint16.  Raises CorruptError, TruncatedError."""
    rows, columns = place
    header, tiling = file.header, Tiling.of(file.header)
    numbers = tiling.bands_at(rows)
    if numbers.stop > len(file.streams) - (not file.complete):
        raise TruncatedError(f"The file is truncated: it ends after {file.size} bytes, within the image.")
    bands = [tiling.band(number) for number in numbers]
    streams = [bytes(file.streams[number]) for number in numbers]
    top, bottom = bands[0].rows.start, bands[-1].rows.stop
    check_head(file)
    channels = np.empty((bottom - top, header.width, header.channels), np.uint16)

    def decode(job: tuple[int, Band, bytes]) -> None:
        number, band, stream = job
        decoder = Decoder(stream)
        if number == 0:
            decoder.take(uniform(256), container.HEAD_CHECK_BYTES)
        rows = slice(band.rows.start - top, band.rows.stop - top)
        channels[rows] = wide_band.read(header, band.height, decoder)

    jobs: Sequence[tuple[int, Band, bytes]] = [*zip(numbers, bands, streams, strict=True)]
    for _ in in_threads(decode, jobs, threads, progress):
        pass
    pixels = planes.pixels_of(header, channels[rows.start - top : rows.stop - top, columns])
    return np.ascontiguousarray(pixels)


def check_head(file: Container) -> None:
    """Compare the checksum of a file's head.  Raises CorruptError."""
    stream = file.streams[0]
    front = Decoder(bytes(stream[: min(FRONT_BYTES, len(stream))]), len(stream) <= FRONT_BYTES)
    check = front.take(uniform(256), container.HEAD_CHECK_BYTES)
    if bytes(check.astype(np.uint8)) != container.head_check(file.head, NO_MODEL):
        raise CorruptError("The checksum of its head does not match.")
