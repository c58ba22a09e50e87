"""Known colour maps: pictures that were luma and chroma once, coded as such (bitstream_spec.md, "Known
maps").

Decoded JPEGs, video frames and PhotoCD scans were 8-bit luma and chroma before they became RGB, the chroma
often at half the resolution.  Where a known map makes (nearly) every pixel of a band, the band's luma and
chroma are coded and the decoder applies the map; pixels that no luma and chroma give are exceptions, listed
by themselves. Everything here is integer arithmetic that decoding depends on; finding the planes is
``encoder.preimage``.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property

import numpy as np

from saidcodec.errors import CorruptError
from saidcodec.format.cursor import varint

LEVELS = np.arange(256, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class ColourMap:
    """An integer map of luma Y and chroma U, V, all in 0..255, to R, G, B.

    R = (y[Y] + rv[V]) >> shift, G = (y[Y] + gu[U] + gv[V]) >> shift, B = (y[Y] + bu[U]) >> shift, each then
    clamped to 0..255.  The five tables are int64 [256]; ``middle`` are the U and V of grey.
    """

    name: str
    shift: int
    middle: tuple[int, int]
    y: np.ndarray
    rv: np.ndarray
    gu: np.ndarray
    gv: np.ndarray
    bu: np.ndarray

    def apply(self, luma: np.ndarray, chroma: np.ndarray) -> np.ndarray:
        """Y [...] and U, V [..., 2], integers in 0..255 → R, G, B uint8 [..., 3]."""
        base, u, v = self._y.take(luma), chroma[..., 0], chroma[..., 1]
        result = np.empty((*base.shape, 3), np.uint8)
        offsets = (self._rv.take(v), self._gu.take(u) + self._gv.take(v), self._bu.take(u))
        for channel, offset in enumerate(offsets):
            offset += base
            offset >>= self.shift
            result[..., channel] = np.clip(offset, 0, 255, out=offset)
        return result

    # 32 bits hold every sum; half the memory to move
    _y = cached_property(lambda self: self.y.astype(np.int32))
    _rv = cached_property(lambda self: self.rv.astype(np.int32))
    _gu = cached_property(lambda self: self.gu.astype(np.int32))
    _gv = cached_property(lambda self: self.gv.astype(np.int32))
    _bu = cached_property(lambda self: self.bu.astype(np.int32))


def linear(
    name: str,
    scale: int,
    zero: int,
    factors: tuple[int, int, int, int],
    rounding: int,
    shift: int = 16,
    middle: tuple[int, int] = (128, 128),
) -> ColourMap:
    """y = scale · (Y − zero) + rounding; rv, gu, gv, bu = the factors times V − middle, U − middle."""
    u, v = LEVELS - middle[0], LEVELS - middle[1]
    red, green_u, green_v, blue = factors
    return ColourMap(
        name, shift, middle, scale * (LEVELS - zero) + rounding, red * v, green_u * u, green_v * v, blue * u
    )


def photo_ycc() -> ColourMap:
    """Kodak's PhotoYCC as the software of 1993 computed it: R' = Y' + C2', B' = Y' + C1' rounded down, and
    G from C1' and C2' that had been rounded down to integers first."""
    u, v = 145352 * (LEVELS - 156), 119374 * (LEVELS - 137)
    return ColourMap("PhotoYCC", 16, (156, 137), 89024 * LEVELS, v, -12714 * (u >> 16), -33358 * (v >> 16), u)


def stb() -> ColourMap:
    """stb_image's decoder of JPEG: 20 bits, one green term cut to its upper half."""
    u, v = LEVELS - 128, LEVELS - 128
    green = (-360960 * u) >> 16 << 16
    luma = (LEVELS << 20) + (1 << 19)
    return ColourMap("JFIF, stb_image", 20, (128, 128), luma, 1470208 * v, green, -748800 * v, 1858048 * u)


def webp() -> ColourMap:
    """libwebp's decoder: BT.601 in the limited range, every term cut to six more bits by itself."""
    return ColourMap(
        "BT.601 limited, libwebp", 6, (128, 128), LEVELS * 19077 >> 8, (LEVELS * 26149 >> 8) - 14234,
        -(LEVELS * 6419 >> 8), 8708 - (LEVELS * 13320 >> 8), (LEVELS * 33050 >> 8) - 17685,
    )  # fmt: skip


def libyuv(name: str, gain: int, bias: int, factors: tuple[int, int, int, int]) -> ColourMap:
    """libyuv's: six bits, luma scaled by gain / 2**16 of 257 times itself."""
    made = linear(name, 1, 0, factors, 0, 6)
    return replace(made, y=(LEVELS * 257 * gain >> 16) + bias)


HALF = 1 << 15
MAPS = (  # numbered from 1; the list may grow at its end
    linear("JFIF, libjpeg", 65536, 0, (91881, -22554, -46802, 116130), HALF),
    photo_ycc(),
    webp(),
    linear("BT.601 limited", 76309, 16, (104597, -25675, -53279, 132201), HALF),
    linear("BT.709 limited", 76309, 16, (117489, -13975, -34925, 138438), HALF),
    linear("BT.709 full", 65536, 0, (103206, -12276, -30679, 121609), HALF),
    linear("BT.601 limited, OpenCV", 1220542, 16, (1673527, -409993, -852492, 2116026), 1 << 19, 20),
    stb(),
    linear("JFIF, OpenCV", 1 << 14, 0, (22987, -5636, -11698, 29049), 1 << 13, 14),
    libyuv("JFIF, libyuv", 16320, 32, (90, -22, -46, 113)),
    libyuv("BT.601 limited, libyuv", 18997, -1160, (102, -25, -52, 128)),
)


EXCEPTION_SHARE = 8  # at most one pixel in so many is an exception,
FEW_EXCEPTIONS = 1024  # or so many in all


class Siting(IntEnum):
    """Where chroma samples lie, along each halved axis, relative to pixels 2i and 2i + 1 of their cell."""

    FULL = 0  # one for every pixel
    BOX = 1  # one for both, repeated
    FIRST = 2  # at the first; the second is the mean of two
    CENTRED = 3  # between them; three parts of the nearer, one of the farther


class Rounding(IntEnum):
    """How CENTRED sums are rounded: to nearest, or as a decoder does whose bias alternates along an axis."""

    NEAREST = 0  # half of the unit is added: stb_image, libwebp
    COLUMNS = 1  # libjpeg: even pixels 8 (or 1), odd pixels 7 (or 2)
    COLUMNS_MIRRORED = 2
    ROWS = 3
    ROWS_MIRRORED = 4


@dataclass(frozen=True)
class Layout:
    """How the chroma of ``height`` × ``width`` pixels lies.

    Pixel x of a halved axis is pixel x + phase of the uncut picture, so that its cell is (x + phase) >> 1.
    ``ring``: samples outside of the pixels are coded where a pixel needs them; without it the outermost are
    repeated.
    """

    siting: Siting = Siting.FULL
    halved: tuple[bool, bool] = (False, False)  # rows, columns
    phase: tuple[int, int] = (0, 0)  # rows, columns; 0 or 1, and 0 where not halved
    rounding: Rounding = Rounding.NEAREST
    ring: bool = False

    def extent(self, axis: int, size: int) -> tuple[int, int]:
        """First cell and the one after the last that are coded along an axis of ``size`` pixels."""
        if not self.halved[axis]:
            return 0, size
        last = size - 1 + self.phase[axis]
        low, high = 0, (last >> 1) + 1
        if self.ring and self.siting == Siting.CENTRED:
            low, high = low - 1, high + 1
        elif self.ring and self.siting == Siting.FIRST and last & 1:
            high += 1
        return low, high

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the coded chroma."""
        (top, bottom), (left, right) = self.extent(0, height), self.extent(1, width)
        return bottom - top, right - left

    def cells(self, axis: int, size: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nearer and the farther cell of pixels along an axis, as indices of the coded chroma."""
        if not self.halved[axis]:
            return places, places
        at = places + self.phase[axis]
        near = at >> 1
        far = near
        if self.siting == Siting.FIRST:
            far = near + (at & 1)
        elif self.siting == Siting.CENTRED:
            far = near - 1 + 2 * (at & 1)
        low, high = self.extent(axis, size)
        return np.clip(near, low, high - 1) - low, np.clip(far, low, high - 1) - low

    def moved(self, top: int, left: int) -> Layout:
        """The layout of pixels that start ``top`` rows and ``left`` columns later."""
        rows, columns = (
            (p + s) & 1 if on else 0 for p, s, on in zip(self.phase, (top, left), self.halved, strict=True)
        )
        return replace(self, phase=(rows, columns))

    def bias(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """What is added before shifting sums of CENTRED, for pixels (y, x)."""
        both = all(self.halved)
        if self.rounding == Rounding.NEAREST:
            return np.full(np.broadcast(y, x).shape, 8 if both else 2)
        columns = self.rounding in (Rounding.COLUMNS, Rounding.COLUMNS_MIRRORED)
        odd = (x + self.phase[1] if columns else y + self.phase[0]) & 1
        odd = odd ^ (self.rounding in (Rounding.COLUMNS_MIRRORED, Rounding.ROWS_MIRRORED))
        return np.broadcast_to(8 - odd if both else 1 + odd, np.broadcast(y, x).shape)

    def upsample(self, grid: np.ndarray, height: int, width: int) -> np.ndarray:
        """Chroma of every pixel: int32 [rows, columns, n] → int32 [height, width, n]."""
        if self.siting == Siting.FULL:
            return grid
        y, x = np.arange(height)[:, None], np.arange(width)[None]
        return self.at(grid, self.cells(0, height, y), self.cells(1, width, x), y, x)

    def at(
        self,
        grid: np.ndarray,
        rows: tuple[np.ndarray, np.ndarray],
        columns: tuple[np.ndarray, np.ndarray],
        y: np.ndarray,
        x: np.ndarray,
    ) -> np.ndarray:
        """Chroma int32 [..., n] of pixels (y, x) with the given nearer and farther cells."""
        nearest = grid[rows[0], columns[0]]
        if self.siting in (Siting.FULL, Siting.BOX):
            return nearest
        side, above, far = grid[rows[0], columns[1]], grid[rows[1], columns[0]], grid[rows[1], columns[1]]
        first = self.siting == Siting.FIRST
        if not all(self.halved):
            other = side if self.halved[1] else above
            if first:
                return (nearest + other + 1) >> 1
            return (3 * nearest + other + self.bias(y, x)[..., None]) >> 2
        if first:
            return (nearest + side + above + far + 2) >> 2
        return (9 * nearest + 3 * (side + above) + far + self.bias(y, x)[..., None]) >> 4


@dataclass(frozen=True)
class Mapped:
    """A band as its map sees it: everything the decoder needs to make its pixels.

    ``number``: 1 + the place in MAPS.  ``luma`` uint8 [h, w]; ``chroma`` uint8 [rows, columns, 2], U and V.
    ``places``: ascending flat indices y · w + x of the exceptions, int64 [n]; ``values`` uint8 [n, 3]:
    their R, G, B.
    ``relative``: the values are written as differences from what the map gives there.
    """

    number: int
    layout: Layout
    luma: np.ndarray
    chroma: np.ndarray
    places: np.ndarray
    values: np.ndarray
    relative: bool = False

    def made(self) -> np.ndarray:
        """R, G, B of every pixel as the map gives them, uint8 [h, w, 3]."""
        height, width = self.luma.shape
        chroma = self.layout.upsample(self.chroma.astype(np.int32), height, width)
        return MAPS[self.number - 1].apply(self.luma, chroma)

    def pixels(self) -> np.ndarray:
        """R, G, B with the exceptions, uint8 [h, w, 3]."""
        pixels = self.made()
        pixels.reshape(-1, 3)[self.places] = self.values
        return pixels

    def head(self) -> bytes:
        """What precedes the planes: map, layout and exceptions."""
        layout = self.layout
        flags = layout.siting | layout.halved[0] << 2 | layout.halved[1] << 3 | layout.phase[0] << 4
        flags |= layout.phase[1] << 5 | layout.ring << 6 | self.relative << 7
        body = bytes([self.number, flags])
        if layout.siting == Siting.CENTRED:
            body += bytes([layout.rounding])
        values = self.values
        if self.relative:
            values = values - self.made().reshape(-1, 3)[self.places]  # modulo 256
        listed = zlib.compress(exceptions_bytes(self.places, values), 9) if len(self.places) else b""
        return body + varint(len(listed)) + listed


def take_number(data: bytes, at: int) -> tuple[int, int]:
    """The number that starts at a byte, and the byte after it; CorruptError where there is none."""
    value = 0
    for i in range(5):
        if at + i >= len(data):
            break
        value |= (data[at + i] & 127) << 7 * i
        if data[at + i] < 128:
            if i and not data[at + i]:
                break
            return value, at + i + 1
    raise CorruptError("A number in the head of a map is damaged.")


def exceptions_bytes(places: np.ndarray, values: np.ndarray) -> bytes:
    """The exceptions before zlib: runs (gap, length − 1), ended by the number of runs in front; then R, G,
    B of all, the difference of each from the exception before it modulo 256."""
    starts = np.flatnonzero(np.diff(places, prepend=-2) != 1)
    ends = np.append(starts[1:], len(places))[: len(starts)]
    out = bytearray(varint(len(starts)))
    after = 0
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        first = int(places[start])
        out += varint(first - after) + varint(end - start - 1)
        after = first + end - start
    steps = np.diff(values, axis=0, prepend=np.zeros((1, 3), np.uint8))
    return bytes(out) + steps.T.tobytes()


def most_exceptions(pixels: int) -> int:
    """How many exceptions a band of so many pixels may have."""
    return max(pixels // EXCEPTION_SHARE, FEW_EXCEPTIONS)


def take_exceptions(data: bytes, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and values that ``exceptions_bytes`` wrote, of a band of so many pixels; CorruptError
    otherwise."""
    runs, at = take_number(data, 0)
    if runs > min(len(data) // 2, most_exceptions(pixels)):
        raise CorruptError("There are more runs of exceptions than there can be.")
    spans = np.empty((runs, 2), np.int64)  # first pixel, length
    after = 0
    for i in range(runs):
        gap, at = take_number(data, at)
        length, at = take_number(data, at)
        if i and not gap:
            raise CorruptError("Two runs of exceptions are one.")
        spans[i] = after + gap, length + 1
        after += gap + length + 1
        if after > pixels:
            raise CorruptError("An exception lies outside of its band.")
    starts, lengths = spans.T
    total = int(lengths.sum())
    if total > most_exceptions(pixels) or len(data) - at != 3 * total:
        raise CorruptError("The exceptions' values are too many or too few.")
    places = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(total)
    steps = np.frombuffer(data, np.uint8, offset=at).reshape(3, -1).T
    return places, np.cumsum(steps, 0, dtype=np.uint8)


def parse_head(data: bytes, height: int, width: int) -> tuple[Mapped, int]:
    """The head at the start of ``data`` and its length; CorruptError.

    The planes are zeros of their shapes, to be filled in; where the head is ``relative``, ``values`` are the
    differences until ``settled``.
    """
    if len(data) < 3:
        raise CorruptError("The head of a map is cut off.")
    number, flags = data[0], data[1]
    siting, halved = Siting(flags & 3), (bool(flags & 4), bool(flags & 8))
    phase, at, rounding = (flags >> 4 & 1, flags >> 5 & 1), 2, 0
    if siting == Siting.CENTRED:
        rounding, at = data[2], 3
    sound = 1 <= number <= len(MAPS) and rounding < len(Rounding)
    sound &= (siting == Siting.FULL) == (halved == (False, False))
    sound &= all(on or not p for on, p in zip(halved, phase, strict=True))
    sound &= siting in (Siting.FIRST, Siting.CENTRED) or not flags & 64
    if not sound:
        raise CorruptError("The head of a map names what there is not.")
    layout = Layout(siting, halved, phase, Rounding(rounding), bool(flags & 64))
    length, at = take_number(data, at)
    if at + length > len(data):
        raise CorruptError("The exceptions of a map are cut off.")
    places, values = np.zeros(0, np.int64), np.zeros((0, 3), np.uint8)
    if length:
        unpack = zlib.decompressobj()
        try:
            listed = unpack.decompress(data[at : at + length], 13 * most_exceptions(height * width) + 5)
        except zlib.error as error:
            raise CorruptError("The exceptions of a map are damaged.") from error
        if not unpack.eof or unpack.unused_data:
            raise CorruptError("The exceptions of a map do not end where they should.")
        places, values = take_exceptions(listed, height * width)
    rows, columns = layout.grid(height, width)
    luma, chroma = np.zeros((height, width), np.uint8), np.zeros((rows, columns, 2), np.uint8)
    return Mapped(number, layout, luma, chroma, places, values, bool(flags & 128)), at + length


def settled(head: Mapped, luma: np.ndarray, chroma: np.ndarray) -> Mapped:
    """What ``parse_head`` gave, with its planes as they were coded and its values as they are."""
    whole = replace(head, luma=luma, chroma=chroma)
    if not head.relative:
        return whole
    return replace(whole, values=whole.values + whole.made().reshape(-1, 3)[whole.places])
