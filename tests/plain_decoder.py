"""A second decoder, written from bitstream_spec.md alone: plain Python, int64 NumPy, no code of saidcodec's.

It is slow; the tests hold it against the real one.  Numbers in comments are the specification's sections.
"""

from __future__ import annotations

import bisect
import hashlib
import json
import zlib
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
import plain_graphics
import plain_maps
import plain_wide
from plain_adaptation import COMPONENT_LOW, Adaptation, bank_row, clamp, in_quanta, table_of
from plain_decided import Decisions

MIDDLE = (128, 0, 0)
WINDOW = [
    *[(-2, 0), (-3, 0)],
    *[(dx, -1) for dx in range(-3, 2)],
    *[(dx, -2) for dx in range(-3, 4)],
    *[(dx, -3) for dx in range(-2, 3)],
]


class RefusedError(Exception):
    """The file is not one that the spec allows."""


def need(condition):
    if not condition:
        raise RefusedError


def halves_to_even(value, unit):
    """The integer nearest to value / unit, for any integers with unit > 0."""
    down, rest = divmod(value, unit)
    return down + (2 * rest > unit or (2 * rest == unit and down % 2 == 1))


# 3. Entropy coding


class Stream:
    def __init__(self, data):
        need(data)
        more = data[0] >> 6
        need(len(data) >= 1 + more and (len(data) - 1 - more) % 4 == 0)
        first = int.from_bytes(bytes([data[0] & 63]) + data[1 : 1 + more], "big")
        self.words = [int.from_bytes(data[i : i + 4], "big") for i in range(1 + more, len(data), 4)][::-1]
        need(not more or first >= 1 << (8 * more - 2))
        if first:
            self.words.append(first)
        need(first or not self.words or self.words[-1] >= 1 << 30)
        self.state = self.words.pop() if self.words else 0
        if self.words:
            self.state = self.state << 32 | self.words.pop()

    def take(self, table):
        """``table``: sums of frequencies, from 0 to 2**24."""
        q = self.state & 0xFFFFFF
        symbol = bisect.bisect_right(table, q) - 1
        self.state = (self.state >> 24) * (table[symbol + 1] - table[symbol]) + q - table[symbol]
        if self.state < 1 << 32 and self.words:
            self.state = self.state << 32 | self.words.pop()
        return symbol

    def take_many(self, table, n):
        return [self.take(table) for _ in range(n)]

    def finish(self, bottom):
        need(self.state == bottom and not self.words)


def sums(frequency):
    table = [0, *accumulate(int(f) for f in frequency)]
    need(table[-1] == 1 << 24 and min(frequency) >= 1)
    return table


def uniform(n):
    return [i * 2**24 // n for i in range(n + 1)]


# 2. Container


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        need(self.at + n <= len(self.data))
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self):
        value = 0
        for i in range(5):
            byte = self.take(1)[0]
            value += (byte & 127) << 7 * i
            if byte < 128:
                need(byte or not i)
                return value
        raise RefusedError


def crc16(data):
    """2: of the head's checksum."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


@dataclass
class Form:
    """2.1: how channels are shown.  ``palette``: entries as [R, G, B] or [R, G, B, alpha]; ``transparency``:
    an index, or a list of alphas."""

    channels: int
    depth: int = 8
    ranked: bool = False
    key: tuple[int, ...] | None = None
    palette: list[list[int]] | None = None
    transparency: int | list[int] | None = None


@dataclass
class File:
    width: int
    height: int
    mode: int
    grey: bool
    coder: int
    adaptive: bool
    decided: bool
    by_parity: bool
    max_error: int
    order: int | None
    model: str
    side: int
    bands: int
    metadata: dict[int, bytes]
    head: bytes
    streams: list[bytes]
    form: Form

    @property
    def has_alpha(self):
        return self.mode in (1, 3)

    @property
    def components(self):
        return 1 if self.grey else 3

    @property
    def tile_counts(self):
        """(nx, ny)."""
        return -(-self.width // self.tile_size[0]), -(-self.height // self.tile_size[1])

    @property
    def band_count(self):
        return min(self.bands, -(-self.height // self.side))

    @property
    def tile_size(self):
        """(tw, th)."""
        rows = -(-self.height // self.side)
        share = -(-rows // self.band_count) * self.band_count
        return -(-self.width // -(-self.width // self.side)), -(-self.height // share)

    def tiles(self):
        """(x, y, w, h) of every tile."""
        tw, th = self.tile_size
        return [
            (x, y, min(tw, self.width - x), min(th, self.height - y))
            for y in range(0, self.height, th)
            for x in range(0, self.width, tw)
        ]


def usual_tiling(width, height):
    """(T, bands)."""
    if max(width, height) <= 160:
        return next(t for t in (16, 32, 64, 128, 256) if t >= max(width, height)), 1
    side = 128 if width * height > 1 << 19 else 64
    while side > 16 and width * -(-height // -(-height // side)) > 1 << 24:
        side //= 2
    bands = max(1, width * height // 1_500_000)
    if width * height >= 1 << 18 and height >= 128:
        bands = max(bands, 2, height // 384)
    return side, 2 ** (bands.bit_length() - 1)


def form_of(mode, source):
    """2.1: (form, whether a key is given)."""
    if mode < 6:
        return Form(mode), False
    need(mode == 7)
    byte = source.take(1)[0]
    channels, depth, has_key, ranked = byte & 7, byte >> 3 & 7, bool(byte & 64), bool(byte & 128)
    need(byte > 5 and depth < 3)
    need(depth != 1 or channels == 0)
    need(not has_key or channels in (0, 2, 4))
    need(not ranked or channels == 7)
    bits = source.take(1)[0] if depth == 2 else 8 >> 3 * depth
    need(depth < 2 or (9 <= bits <= 16 and channels < 6))
    return Form(channels, bits, ranked), has_key


def palette_of(source, before):
    """2.2: (entries, transparency)."""
    count, flags = source.take(1)[0] + 1, source.take(1)[0]
    if flags == 64 and count == 1 and before:
        return before
    need(flags < 64 and flags & 6 != 6 and (flags & 8 or not flags & 48))
    transparency = source.take(1)[0] if flags & 2 else None
    need(transparency is None or transparency < count)
    alphas = source.take(1)[0] + 1 if flags & 4 else 0
    need(alphas <= count)
    numbers = 4 if flags & 1 else 3
    size = count * numbers + alphas
    body = unpacked(source.take(source.number()), size) if flags & 8 else source.take(size)
    need(len(body) == size)
    entries = [
        [body[n * count + i] if flags & 16 else body[i * numbers + n] for n in range(numbers)]
        for i in range(count)
    ]
    if flags & 32:
        for before, entry in pairwise(entries):
            entry[:] = [(a + b) % 256 for a, b in zip(before, entry, strict=True)]
    return entries, [*body[count * numbers :]] if alphas else transparency


def parse(data, before=None):
    """``before``: entries and transparency of the frame before, of which this one is a rectangle."""
    source = Bytes(data)
    need(source.take(3) == b"\xdb\r\n")
    layout = source.take(1)[0]
    mode, coder = layout & 7, layout >> 3 & 3
    need(coder < 3 or not layout & 64)
    extension = source.take(1)[0] if layout & 128 else 0
    form, has_key = form_of(mode, source)
    need((coder and not layout & 64) or (form.channels < 7 and form.depth != 1))
    need(form.depth <= 8 or (coder == 2 and not extension & 2))
    mode = {6: 3, 7: 0}.get(form.channels, form.channels)
    replicated = mode >= 4
    mode -= 2 * replicated
    need(1 <= extension <= 15 or not layout & 128)
    need(coder >= 2 or not extension & 2)
    width, oblong = divmod(source.number(), 2)
    width += 1
    height = source.number() + 1 if oblong else width
    need(not oblong or width != height)
    need(max(width, height) <= 1 << 20 and width * height <= 1 << 28)
    model = "" if form.depth > 8 else source.take(2).hex()
    max_error = source.number() if layout & 64 else 0
    need(not layout & 64 or 1 <= max_error <= (255 if form.depth <= 8 else 32767))
    order = None
    if max_error and form.depth <= 8 and not (mode < 2 or replicated):
        order = source.take(1)[0]
        need(order < len(ORDERS))
    side, bands = usual_tiling(width, height)
    if extension & 1:
        tiling = source.take(1)[0]
        need(tiling & 15 <= 5)
        side, bands = 16 << (tiling & 15), 1 << (tiling >> 4)
    if has_key:
        form.key = tuple(source.number() for _ in range(1 if form.channels == 0 else 3))
        need(max(form.key) < 2 ** (form.depth if form.depth > 8 else 16))
    if form.channels == 7:
        form.palette, form.transparency = palette_of(source, before)
    metadata = items(source.take(source.number())) if layout & 32 else {}
    grey = mode < 2 or bool(replicated)
    adaptive = (coder >= 2 and form.depth <= 8 and width * height >= 1 << 14) != bool(extension & 2)
    decided = bool(extension & 4)
    need(not decided or (adaptive and not max_error and width <= 1 << 15))
    by_parity = bool(extension & 8)
    need(adaptive or not by_parity)
    file = File(
        width,
        height,
        mode,
        grey,
        coder,
        adaptive,
        decided,
        by_parity,
        max_error,
        order,
        model,
        side,
        bands,
        metadata,
        data[: source.at],
        [],
        form,
    )
    rows, count = file.tile_counts[1], file.band_count
    need(width * -(-rows // count) * file.tile_size[1] <= 1 << 24)
    lengths = [source.number() for _ in range(count)] if bands > 1 else [len(data) - source.at]
    file.streams = [source.take(length) for length in lengths]
    need(source.at == len(data))
    return file


def unpacked(packed, most):
    """What is in a zlib stream, exactly: at most ``most`` bytes."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, most + 1)
    except zlib.error as error:
        raise RefusedError from error
    need(unpacker.eof and not unpacker.unused_data and len(data) <= most)
    return data


def items(packed):
    source = Bytes(unpacked(packed, 1 << 26))
    found = {}
    while source.at < len(source.data):
        kind = source.take(1)[0]
        value = source.take(source.number())
        need(kind < 128)
        if kind in range(1, 8):
            need(kind not in found)
            need(kind not in METADATA or METADATA[kind](Bytes(value)))
            found[kind] = value
    return found


def is_resolution(source):
    unit, *terms = source.take(1)[0], *(source.number() for _ in range(4))
    return unit <= 3 and all(1 <= term < 1 << 32 for term in terms) and source.at == len(source.data)


def are_texts(source):
    count = 0
    while source.at < len(source.data) or not count:
        try:
            key, language, translated, _ = (source.take(source.number()).decode() for _ in range(4))
        except UnicodeDecodeError as error:
            raise RefusedError from error
        need(1 <= len(key) <= 79 and all(0 < ord(c) < 256 for c in key))
        need(all(0 < ord(c) < 128 for c in language) and "\0" not in translated)
        count += 1
    return count <= 4096


def are_chunks(source):
    lengths = {b"bKGD": (1, 2, 6), b"cHRM": (32,), b"cICP": (4,), b"gAMA": (4,), b"sRGB": (1,), b"tIME": (7,)}
    lengths[b"sBIT"] = (1, 2, 3, 4)
    while True:
        body = source.take(4), source.take(source.number())
        need(len(body[1]) in lengths.pop(body[0], ()))
        if source.at == len(source.data):
            return True


METADATA = {4: is_resolution, 5: are_texts, 6: lambda source: bool(source.data), 7: are_chunks}


# 4. Colour


def to_planes(red, green, blue):
    orange = red - blue
    middle = blue + (orange >> 1)
    excess = green - middle
    return middle + (excess >> 1), orange, excess


def to_rgb(luma, orange, excess):
    middle = luma - (excess >> 1)
    blue = middle - (orange >> 1)
    return blue + orange, excess + middle, blue


ORDERS = ("RGB", "RBG", "GRB", "GBR", "BRG", "BGR")


def components_of(colours, order):
    """RGB [..., 3] → YCoCg-R, or differences in an order; [..., 3]."""
    if order is None:
        return np.stack(to_planes(*np.moveaxis(colours, -1, 0)), -1)
    first, second, third = (colours[..., "RGB".index(name)] for name in order)
    return np.stack([first, second - first, third - first], -1)


def colours_of(components, order):
    """The way back."""
    if order is None:
        return np.stack(to_rgb(*np.moveaxis(components, -1, 0)), -1)
    channel = dict(zip(order, np.moveaxis(components, -1, 0)))
    for name in order[1:]:
        channel[name] = channel[name] + channel[order[0]]
    return np.stack([channel[name] for name in "RGB"], -1)


# 5. Integer networks


def raw(tensors, name, x):
    """int64 [n, in] → (sums int64 [n, out], shift [out])."""
    weight, bias, shift = (tensors[f"{name}.{part}"].astype(np.int64) for part in ("weight", "bias", "shift"))
    need(np.abs(weight).max() <= 63 and (255 * np.abs(weight).sum(0) + np.abs(bias)).max() < 1 << 24)
    return x @ weight + bias, shift


def layer(tensors, name, x):
    total, shift = raw(tensors, name, x)
    unit = np.int64(1) << shift
    down, rest = total // unit, total % unit
    return np.clip(down + ((2 * rest > unit) | ((2 * rest == unit) & (down % 2 == 1))), 0, 255)


# 9. The SAID section


def place(i, n, side):
    """(k, f) of output i of n from ``side`` samples (9.3)."""
    p = clamp((2 * i + 1) * side * 128 // (2 * n) - 64, 0, (side - 1) * 128)
    return p >> 7, p & 127


def upsample(v, width, height):
    """One channel: v[side][side] → rows of integers (9.3)."""
    out, side = [], len(v)
    for y in range(height):
        k, f = place(y, height, side)
        upper, lower = v[k], v[min(k + 1, side - 1)]
        row = []
        for x in range(width):
            m, g = place(x, width, side)
            right = min(m + 1, side - 1)
            total = (128 - f) * ((128 - g) * int(upper[m]) + g * int(upper[right]))
            total += f * ((128 - g) * int(lower[m]) + g * int(lower[right]))
            row.append((total + 2**13) >> 14)
        out.append(row)
    return out


def convolution(tensors, name, x):
    """int64 [h, w, c] → int64 [h, w, out]."""
    height, width, channels = x.shape
    outside = np.zeros(channels, np.int64)
    rows = [
        np.concatenate(
            [
                x[y + dy, column + dx] if 0 <= y + dy < height and 0 <= column + dx < width else outside
                for dy in (-1, 0, 1)
                for dx in (-1, 0, 1)
            ]
        )
        for y in range(height)
        for column in range(width)
    ]
    return layer(tensors, name, np.array(rows)).reshape(height, width, -1)


def patch(tensors, latent):
    """R, G, B, alpha, int64 [side, side, 4] (9.5)."""
    multiplier = tensors["said.latent.multiplier"]
    x = np.array([[clamp(128 + int(m) * int(q), 0, 255) for m, q in zip(multiplier, latent)]])
    x = layer(tensors, "said.decoder.1", layer(tensors, "said.decoder.0", x)).reshape(4, 4, 32)
    fine = "said.decoder.6.weight" in tensors
    for i in range(2, 7 if fine else 6):
        x = convolution(tensors, f"said.decoder.{i}", x)
        if i == 2 or (fine and i == 4):
            x = x.repeat(2, 0).repeat(2, 1)
    return x


def start(step, base, width, height):
    """x̂(0) of a quantised base [8][8][3], int64 [h, w, 3] (9.2)."""
    cells = np.zeros((8, 8, 3), np.int64)
    for y in range(8):
        for x in range(8):
            planes = [clamp(int(base[y][x][c]) << step, COMPONENT_LOW[c], 255) for c in range(3)]
            cells[y, x] = [clamp(v, 0, 255) for v in to_rgb(*planes)]
    return np.stack([upsample(cells[..., c], width, height) for c in range(3)], -1).astype(np.int64)


def paint(canvas, box, colours):
    """Paint a patch into its box of int64 [h, w, 3], in place (9.4, 9.6)."""
    height, width = canvas.shape[:2]
    x0, y0, x1, y1 = (int(v) for v in box)
    left, right = x0 * width // 64, -(-x1 * width // 64)
    top, bottom = y0 * height // 64, -(-y1 * height // 64)
    *rgb, alpha = (upsample(colours[..., c], right - left, bottom - top) for c in range(4))
    for y in range(top, bottom):
        for x in range(left, right):
            a = alpha[y - top][x - left]
            for c in range(3):
                under = int(canvas[y, x, c])
                canvas[y, x, c] = under + ((rgb[c][y - top][x - left] - under) * a + 127) // 255


def render(tensors, step, base, boxes, latents, width, height):
    """x̂(T), int64 RGB [h, w, 3]."""
    canvas = start(step, base, width, height)
    for box, latent in zip(boxes, latents):
        paint(canvas, box, patch(tensors, latent))
    return canvas


def read_said(file, tensors, mixture, stream):
    """(kinds, descriptions) and the head's checksum."""
    found = read_descriptions(file, tensors, mixture, stream)
    check = crc16(bytes.fromhex(identify(tensors)) + file.head)
    need(stream.take_many(uniform(256), 2) == [check & 255, check >> 8])
    return found


def read_descriptions(file, tensors, mixture, stream):
    """(kinds, descriptions); a description is (step, base, boxes, latents), or None."""
    tables = {
        name: [sums(row) for row in tensor.reshape(-1, tensor.shape[-1])]
        for name, tensor in tensors.items()
        if name.endswith(".frequency")
    }
    number = len(file.tiles())
    if number > 1 and stream.take(uniform(2)):
        kinds = [0] * number
    else:
        kinds = stream.take_many(tables["tile.kind.frequency"][0], number)
    count, components = kinds.count(1), file.components
    steps = stream.take_many(tables["said.base.step.frequency"][0], count)
    scales = stream.take_many(tables["said.base.scale.frequency"][0], count * components)
    bases = []
    for i in range(count):
        base = [[[0, 0, 0] for _ in range(8)] for _ in range(8)]
        for c in range(components):
            table = mixture[bank_row(scales[i * components + c], 1, 0)]
            for y in range(8):
                for x in range(8):
                    if x and y:
                        predicted = (base[y][x - 1][c] + base[y - 1][x][c]) >> 1
                    elif x or y:
                        predicted = base[y - (x == 0)][max(x - 1, 0)][c]
                    else:
                        predicted = MIDDLE[c] >> steps[i]
                    base[y][x][c] = predicted + stream.take(table) - 510
        bases.append(base)
    counts = stream.take_many(tables["said.count.frequency"][0], count)
    total = sum(counts)
    widths, heights, lefts, tops = (stream.take_many(table, total) for table in tables["said.box.frequency"])
    boxes = [(x, y, x + w + 1, y + h + 1) for w, h, x, y in zip(widths, heights, lefts, tops)]
    need(all(x1 <= 64 and y1 <= 64 for _, _, x1, y1 in boxes))
    fields = [[q - 64 for q in stream.take_many(table, total)] for table in tables["said.latent.frequency"]]
    latents = list(zip(*fields))
    own = []
    for step, base, n in zip(steps, bases, counts):
        own.append((step, base, boxes[:n], latents[:n]))
        boxes, latents = boxes[n:], latents[n:]
    described = iter(own)
    return kinds, [next(described) if kind == 1 else None for kind in kinds]


def prediction(file, tensors, description, width, height):
    """x̂(T) in components as the residual sees it, int64 [h, w, 3]."""
    planes = components_of(np.asarray(render(tensors, *description, width, height)), order_of(file))
    if file.grey:
        planes[..., 1:] = 0
    return planes


def order_of(file):
    """7.1: the order of near-lossless differences."""
    return None if file.order is None else ORDERS[file.order]


# 6, 7, 8. The residual

OFFSETS = [(-1, 0), *WINDOW]  # (−1, 0) stands for the reference


class Plane:
    """The colour (three components or one) or the alpha of a band.

    ``samples``: int64 [h, w, 3], right where ``tile_of``, [h, w], names a tile that is not in ``coded``; the
    rest is read into it.  ``seen``: x̂(T) in components where ``has_seen``, [h, w].
    """

    def __init__(self, file, tensors, banks, geometry, components, samples, seen, has_seen):
        self.tensors, self.components, self.max_error = tensors, components, file.max_error
        self.mixture, self.gaussian, self.copy = banks
        self.places, self.coded, self.tile_of = geometry
        self.samples, self.seen, self.has_seen = samples, seen, has_seen
        self.height, self.width = self.tile_of.shape
        self.to_read = np.isin(self.tile_of, self.coded)
        self.style = np.zeros(len(self.places), np.int64)
        listed = tensors.get("residual.origins", [(-1, 0)] * len(WINDOW))
        self.origins = [OFFSETS.index((int(dx), int(dy))) for dx, dy in listed]
        self.marks = [int(mark) for mark in tensors.get("residual.marks", (128, 127))]
        listed = tensors.get("residual.copies", [])
        self.copies = [OFFSETS.index((int(dx), int(dy))) for dx, dy in listed]
        self.told = 3
        if file.coder >= 2:
            more = [len(tensors[f"residual.hidden_{name}.weight"]) for name in ("cg", "co")]
            self.told = 4 if more[0] - more[1] == 4 else 3
        self.adaptation = Adaptation(self, file.by_parity) if file.adaptive else None
        self.decisions = Decisions(self, self.adaptation) if file.decided else None

    def read(self, stream):
        """Take the samples to be read from the stream: the context coder's."""
        styles = sums(self.tensors["tile.style.frequency"])
        for tile in self.coded:
            self.style[tile] = stream.take(styles)
        for step in range(self.width + 2 * (self.height - 1)):
            if self.adaptation:
                self.adaptation.begin(step)
            places = [(step - 2 * y, y) for y in range(self.height) if 0 <= step - 2 * y < self.width]
            places = [(x, y) for x, y in places if self.to_read[y, x]]
            if places:
                self.read_step(stream, *np.array(places).T)

    def read_gaussian(self, stream):
        """8.1."""
        for tile in self.coded:
            left, top, width, height = self.places[tile]
            for c in range(self.components):
                table = self.gaussian[stream.take(uniform(44))]
                for y in range(top, top + height):
                    for x in range(left, left + width):
                        mean = int(self.seen[y, x, c]) if self.has_seen[y, x] else MIDDLE[c]
                        self.samples[y, x, c] = self.sample(mean, stream.take(table) - 510, c)

    def sample(self, centre, distance, component):
        """7 and 7.1."""
        low = COMPONENT_LOW[component]
        value = centre + (2 * self.max_error + 1) * distance
        need(self.max_error or low <= value <= 255)
        return clamp(value, low, 255)

    def near(self, x, y):
        """6.2, 6.3: the reference, then the window; int64 [20, n, 3]."""
        beside = np.where((x > 0)[:, None], self.samples[y, x - 1], self.samples[y - 1, x])
        beside[(x == 0) & (y == 0)] = MIDDLE
        found = [beside]
        for dx, dy in WINDOW:
            row = np.maximum(y + dy, 0)
            column = np.minimum(np.clip(x + dx, 0, self.width - 1), x + 2 * (y - row) - 1)
            found.append(np.where((column < 0)[:, None], beside, self.samples[row, column]))
        return np.array(found)

    def inputs(self, near, x, y):
        """6.4: bytes, int64 [n, inputs]."""
        parts = [near[i + 1] - near[origin] for i, origin in enumerate(self.origins)]
        for dx, dy in self.tensors["residual.around"].astype(int):
            row, column = np.clip(y + dy, 0, self.height - 1), np.clip(x + dx, 0, self.width - 1)
            parts.append(np.where(self.has_seen[row, column][:, None], self.seen[row, column] - near[0], 0))
        if self.components == 1:
            for part in parts:
                part[:, 1:] = 0
        own = [127 * self.has_seen[y, x], self.marks[0] * x // self.width, self.marks[0] * y // self.height]
        if self.copies:
            luma = near[..., 0]
            most = np.maximum(luma.max(0), 1)
            own += [most >> 1, *(127 * luma // most)]
        styles = len(self.tensors["tile.style.frequency"])
        own += [self.marks[1] * (self.style[self.tile_of[y, x]] == s) for s in range(styles)]
        return as_bytes(np.concatenate([*parts, np.stack(own, 1)], 1))

    def read_step(self, stream, x, y):
        """Take the samples of a step at columns ``x`` and rows ``y``: those that the stream holds of it."""
        tensors, places = self.tensors, range(len(x))
        near = self.near(x, y)
        hidden = self.inputs(near, x, y)
        trunk = 0
        while f"residual.trunk{trunk}.weight" in tensors:
            hidden = layer(tensors, f"residual.trunk{trunk}", hidden)
            trunk += 1
        copied = self.read_copies(stream, hidden, near) if self.copies else {}
        for i, values in copied.items():
            self.samples[y[i], x[i]] = values
        learnt = np.array([i for i in places if i not in copied], int)
        beside = np.zeros((len(x), 0), np.int64)  # e_Y, then e_Y and e_Co
        for c in range(self.components):
            start = 16 * near[0, :, c]
            if c:
                clues = np.zeros((len(x), 0), np.int64)
                if self.copies:
                    found = [chroma_start(near[:, i], self.samples[y[i], x[i], 0], c) for i in places]
                    start = np.array([one[0] for one in found])
                    clues = as_bytes(np.array([one[1] for one in found]))
                name = ("co", "cg")[c - 1]
                inner = np.concatenate([hidden, beside, clues], 1)
                inner = layer(tensors, f"residual.hidden_{name}", inner)
                total, shift = raw(tensors, f"residual.head_{name}", inner)
            else:
                total, shift = raw(tensors, "residual.head_y", hidden)
            means, scales, tails = (
                np.array([halves_to_even(int(t), 1 << int(shift[k])) for t in total[:, k]]) for k in range(3)
            )
            means = np.clip(start + means, 16 * COMPONENT_LOW[c], 16 * 255)
            scales, tails = np.clip(scales, 0, 43), np.clip(tails, 0, 3)
            choices = means[learnt], scales[learnt], tails[learnt]
            if self.adaptation:
                choices = *self.adaptation.adapt(x[learnt], y[learnt], c, *choices), choices[2]
            for k, (i, *choice) in enumerate(zip(learnt, *(numbers.tolist() for numbers in choices))):
                if self.decisions:
                    value = self.decisions.read(stream, int(x[i]), int(y[i]), c, k)
                    self.samples[y[i], x[i], c] = self.sample(value, 0, c)
                    continue
                row, centre, sign = table_of(*in_quanta(*choice, self.max_error))
                distance = sign * (stream.take(self.mixture[row]) - 510)
                self.samples[y[i], x[i], c] = self.sample(centre, distance, c)
            if self.adaptation:
                self.adaptation.decoded(x[learnt], y[learnt], c)
            values = self.samples[y, x, c]
            errors = values - [halves_to_even(int(mean), 16) for mean in means]
            shown = [4 * errors, errors, values - near[0, :, c]]
            if self.told == 4:
                factor = np.array((23, 19, 16, 13))[scales % 4]
                shown.append((16 * values - means) * factor >> scales // 4)
            beside = np.concatenate([beside, as_bytes(np.stack(shown, 1))], 1)
        if self.adaptation:
            self.adaptation.learn(x[learnt], y[learnt])
        if self.decisions:
            self.decisions.learn(x[learnt].tolist(), y[learnt].tolist())

    def read_copies(self, stream, hidden, near):
        """6.7: samples of the pixels that are copies, by place in the step."""
        total, shift = raw(self.tensors, "residual.head_copy", hidden)
        copied = {}
        for j, offset in enumerate(self.copies):
            for i in range(len(hidden)):
                earlier = [near[before, i].tolist() for before in self.copies[:j]]
                if i not in copied and near[offset, i].tolist() not in earlier:
                    logit = clamp(halves_to_even(int(total[i, j]), 1 << int(shift[j])), 0, 48)
                    if stream.take(self.copy[logit]):
                        copied[i] = near[offset, i]
        return copied


def as_bytes(d):
    return np.clip(d, -128, 127) + 128


def chroma_start(near, luma, c):
    """6.8: where the mean of Co (1) or Cg (2) starts, in sixteenths, and the clues; ``near``: [20, 3]."""
    equal, luma = (near[:, 0] == luma).nonzero()[0], int(luma)
    bright, *light = (int(v) for v in near[equal[0] if len(equal) else near[:, 0].argmax()])
    dark, *shade = (int(v) for v in near[near[:, 0].argmin()])
    if not dark < luma < bright:
        dark, shade = 0, (0, 0)
    apart = light[c - 1] - shade[c - 1]
    if bright > dark:
        apart = (32 * apart * (luma - dark) + bright - dark) // (2 * (bright - dark))
    else:
        apart *= 16
    start = clamp(16 * shade[c - 1] + apart, -16 * 255, 16 * 255)
    brighter = 127 if bright == luma else (luma - bright) >> 1
    return start, [((start + 8) >> 4) - int(near[0, c]), bright >> 1, brighter]


def read_band(file, tensors, banks, tiles, stream):
    """``tiles``: (kind, x̂(T) or None, (x, y, w, h)) each → int64 [h, w, channels], in coded channels."""
    out = read_tiles(file, tensors, banks, tiles, stream)
    stream.finish(zlib.crc32(bytes.fromhex(identify(tensors)) + out.astype(np.uint8).tobytes()))
    return out


def read_tiles(file, tensors, banks, tiles, stream):
    """The same from a stream that may go on."""
    top = tiles[0][2][1]
    tiles = [(kind, image, (x, y - top, w, h)) for kind, image, (x, y, w, h) in tiles]
    method = stream.take(uniform(6)) if file.coder == 3 else 0
    need(method == 0 or all(kind == 0 or (kind == 2 and method == 5) for kind, _, _ in tiles))
    if file.coder == 0:
        out = without_residual(file, tiles)
    elif method == 0:
        out = read_plain(file, tensors, banks, tiles, stream)
    elif method == 1:
        levels, file = read_levels(file, stream), replace(file, by_parity=False)
        out = read_plain(file, tensors, banks, tiles, stream)
        for c, values in enumerate(levels):
            need(out[..., c].max() < len(values))
            out[..., c] = np.array(values)[out[..., c]]
    elif method == 2:
        out = read_mapped(replace(file, by_parity=False), tensors, banks, tiles, stream)
    elif method == 5:
        need(not file.grey)
        out = read_plain(file, tensors, banks, tiles, stream, ORDERS[stream.take(uniform(6))])
    else:
        out = read_graphics(file, tiles, stream, method == 4)
    return out


def extent(tiles):
    _, _, (x, y, w, h) = tiles[-1]
    return y + h, x + w


def read_plain(file, tensors, banks, tiles, stream, order=None):
    channels, (height, width) = file.components + file.has_alpha, extent(tiles)
    places = [place for _, _, place in tiles]
    out = np.zeros((height, width, channels), np.int64)
    seen, has_seen = np.zeros((height, width, 3), np.int64), np.zeros((height, width), bool)
    tile_of, coded = tiled(places), []
    for i, (kind, image, (x, y, w, h)) in enumerate(tiles):
        if kind == 1:
            seen[y : y + h, x : x + w], has_seen[y : y + h, x : x + w] = image, True
        if kind == 2:
            values = stream.take_many(uniform(256), w * h * channels)
            out[y : y + h, x : x + w] = np.array(values).reshape(h, w, channels)
        else:
            coded.append(i)
    if coded:
        geometry, to_read = (places, coded, tile_of), np.isin(tile_of, coded)
        alpha = constant_alpha(file, stream)
        if alpha is not None:
            out[to_read, -1] = alpha
        order = order or order_of(file)
        samples = np.zeros((height, width, 3), np.int64)
        if file.grey:
            samples[..., 0] = out[..., 0]
        else:
            samples[:] = components_of(out[..., :3], order)
        jobs = [(file.components, samples, has_seen)]
        if file.has_alpha and alpha is None:
            samples = np.zeros_like(samples)
            samples[..., 0] = out[..., -1]
            jobs.append((1, samples, np.zeros_like(has_seen)))
        for components, samples, has in jobs:
            plane = Plane(file, tensors, banks, geometry, components, samples, seen, has)
            (plane.read if file.coder >= 2 else plane.read_gaussian)(stream)
        out[to_read, : file.components] = coloured(file, jobs[0][1][to_read], order, check=not file.max_error)
        if len(jobs) == 2:
            out[to_read, -1] = jobs[1][1][to_read, 0]
    return out


def tiled(places):
    """The number of every pixel's tile."""
    x, y, w, h = places[-1]
    tile_of = np.zeros((y + h, x + w), int)
    for i, (x, y, w, h) in enumerate(places):
        tile_of[y : y + h, x : x + w] = i
    return tile_of


def constant_alpha(file, stream):
    """Step 2 of 8: alpha if it is constant."""
    return stream.take(uniform(256)) if file.has_alpha and stream.take(uniform(2)) else None


# 8.2 to 8.5, 8.7. Mixed files


def read_head(stream):
    length = int.from_bytes(bytes(stream.take_many(uniform(256), 4)), "little")
    need(length <= min(1 << 26, 4 * len(stream.words) + 8))
    return bytes(stream.take_many(uniform(256), length))


def read_levels(file, stream):
    """For each colour channel its levels."""
    data = unpacked(read_head(stream), 32 * file.components)
    need(len(data) == 32 * file.components)
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little").reshape(-1, 256)
    need(bits.any(1).all())
    return [row.nonzero()[0] for row in bits]


@dataclass
class MappedHead:
    number: int
    rows: plain_maps.Axis
    columns: plain_maps.Axis
    siting: int
    rounding: int
    relative: bool
    changes: tuple[list[int], np.ndarray]

    @staticmethod
    def parse(data, height, width):
        head = Bytes(data)
        number, flags = head.take(2)
        siting, ring = flags & 3, flags >> 6 & 1
        halved, phases = (flags >> 2 & 1, flags >> 3 & 1), (flags >> 4 & 1, flags >> 5 & 1)
        rounding = head.take(1)[0] if siting == 3 else 0
        exceptions = head.take(head.number())
        need(1 <= number <= 11 and rounding <= 4 and head.at == len(data))
        need((siting > 0) == any(halved) and (siting >= 2 or not ring))
        need(all(half or not phase for half, phase in zip(halved, phases)))
        changes = read_exceptions(exceptions, height, width) if exceptions else ([], np.zeros((0, 3), int))
        axes = [
            plain_maps.Axis(n, half, phase, siting, ring)
            for n, half, phase in zip((height, width), halved, phases)
        ]
        return MappedHead(number, *axes, siting, rounding, flags >> 7 == 1, changes)

    def shown(self, luma, grids):
        """R, G, B."""
        need(all(plane.min() >= 0 and plane.max() <= 255 for plane in (luma, *grids)))
        chroma = [plain_maps.full(grid, self.rows, self.columns, self.rounding) for grid in grids]
        out = plain_maps.colours(self.number, luma, *chroma)
        places, values = self.changes
        pixels = out.reshape(-1, 3)
        pixels[places] = (pixels[places] * self.relative + values) & 255
        return out


def read_mapped(file, tensors, banks, tiles, stream):
    need(not file.grey)
    head = MappedHead.parse(read_head(stream), *extent(tiles))
    alpha = constant_alpha(file, stream)
    places = [place for _, _, place in tiles]

    def plane(components, places):
        tile_of = tiled(places)
        samples, has_seen = np.zeros((*tile_of.shape, 3), np.int64), np.zeros(tile_of.shape, bool)
        geometry = places, range(len(places)), tile_of
        read = Plane(file, tensors, banks, geometry, components, samples, samples.copy(), has_seen)
        read.read(stream)
        return samples

    if head.siting:
        luma = plane(1, places)[..., 0]
        grids = [plane(1, [(0, 0, head.columns.cells, head.rows.cells)])[..., 0] for _ in "UV"]
    else:
        luma, *grids = np.moveaxis(plane(3, places) + np.array((0, 128, 128)), -1, 0)
    out = head.shown(luma, grids)
    if file.has_alpha:
        last = plane(1, places)[..., :1] if alpha is None else np.full_like(out[..., :1], alpha)
        out = np.concatenate([out, last], -1)
    return out


def read_exceptions(packed, height, width):
    """(places in row-major order, values [n, 3])."""
    most = max(height * width // 8, 1024)
    source = Bytes(unpacked(packed, 13 * most + 5))
    places, end = [], 0
    for run in range(source.number()):
        gap = source.number()
        need(gap > 0 or run == 0)
        begin = end + gap
        end = begin + source.number() + 1
        need(end <= height * width and len(places) + end - begin <= most)
        places += range(begin, end)
    differences = np.frombuffer(source.take(3 * len(places)), np.uint8).reshape(3, -1).T
    need(source.at == len(source.data))
    return places, differences.cumsum(0, np.int64) & 255


def read_graphics(file, tiles, stream, differences):
    height, width = extent(tiles)
    alpha = constant_alpha(file, stream)
    channels = file.components + (file.has_alpha and alpha is None)
    rows = plain_graphics.Graphics(stream, height, width, channels).read()
    out = np.array(rows, np.int64)[..., None] >> 8 * np.arange(channels) & 255
    if differences:
        out = out.cumsum(0).cumsum(1) & 255
    if alpha is not None:
        out = np.concatenate([out, np.full_like(out[..., :1], alpha)], -1)
    return out


def coloured(file, planes, order, check):
    """Components (of a grey image the first counts), [..., 3] → coded channels within 0..255."""
    samples = planes[..., :1] if file.grey else colours_of(planes, order)
    need(not check or (samples.min() >= 0 and samples.max() <= 255))
    return np.clip(samples, 0, 255)


def without_residual(file, tiles):
    out = np.full((*extent(tiles), file.components + file.has_alpha), 255)
    for _, seen, (x, y, w, h) in tiles:
        planes = np.broadcast_to(MIDDLE, (h, w, 3)) if seen is None else seen
        out[y : y + h, x : x + w, : file.components] = coloured(file, planes, order_of(file), check=False)
    return out


def decode(data, tensors, banks):
    """A file's pixels, uint8 H×W or H×W×C; of indices their colours, of 1 bit 0 or 1.

    ``tensors``: those of its model; ``banks``: what ``load_banks`` gives.
    """
    file = parse(data)
    return shown(file.form, decode_samples(file, tensors, banks))


def decode_samples(file, tensors, banks):
    """As ``decode``, but of indices these."""
    if file.form.depth > 8:
        return decode_wide(file)
    need(identify(tensors).startswith(file.model))
    streams = [Stream(stream) for stream in file.streams]
    kinds, descriptions = read_said(file, tensors, banks[0], streams[0])
    need(not file.form.palette or 1 not in kinds)
    tiles = [
        (kind, description and prediction(file, tensors, description, *place[2:]), place)
        for kind, description, place in zip(kinds, descriptions, file.tiles())
    ]
    across, down, bands = *file.tile_counts, len(streams)
    edges = [across * (b * down // bands) for b in range(bands + 1)]
    decoded = [
        read_band(file, tensors, banks, tiles[low:high], stream)
        for low, high, stream in zip(edges, edges[1:], streams)
    ]
    return as_pixels(file, np.concatenate(decoded))


def shown(form, samples):
    """2.2: indices as their colours; all else as it is."""
    if not form.palette:
        return samples
    colours = []
    for index, entry in enumerate(form.palette):
        alpha = entry[3] if len(entry) == 4 else 255
        if isinstance(form.transparency, list) and index < len(form.transparency):
            alpha = form.transparency[index]
        elif form.transparency == index:
            alpha = 0
        opaque = len(entry) == 3 and form.transparency is None
        colours.append(entry[:3] if opaque else [*entry[:3], alpha])
    return np.array(colours, np.uint8)[samples]


def shown_as(file):
    """2: what two frames must have in common for one to be a part of the other."""
    form = replace(file.form, channels=6 * (file.form.channels == 6), ranked=False)
    return file.mode, replace(form, depth=min(form.depth, 9))  # of wide images the bits may differ


def decode_frames(data, tensors, banks):
    """Plays, ticks a second, and (duration in ticks, pixels, metadata) of each frame of a file of several."""
    source = Bytes(data)
    need(source.take(3) == b"\xdb\r\n" and source.take(2) == b"\x80\x80")
    table = source.take(source.number())
    need(zlib.crc32(table).to_bytes(4, "little") == source.take(4))
    table = Bytes(table)
    plays, ticks = table.number(), table.number()
    need(max(plays, ticks) < 1 << 32 and ticks)
    frames, duration, first, palette = [], 0, None, None
    while table.at < len(table.data):
        flags = table.take(1)[0]
        kind, own = flags & 3, flags >> 3
        need(own < 2 and (kind or not own) and (kind == 1 or frames) and len(frames) < 1 << 16)
        if flags & 4:
            duration = table.number()
            need(duration < 1 << 32)
        x, y = (table.number(), table.number()) if kind > 1 else (0, 0)
        key = table.take(4) if kind == 3 else b""
        if kind:
            image = source.take(table.number())
            file = parse(image, palette if kind > 1 else None)
            found = decode_samples(file, tensors, banks)
            first = file.metadata if first is None else first
            metadata = file.metadata if own else first
        else:
            metadata = first
        if kind == 1:
            last, form = found, shown_as(file)
            palette = file.form.palette and (file.form.palette, file.form.transparency)
        elif kind:
            last = last.copy()
            need(shown_as(file) == form)
            need(y + file.height <= len(last) and x + file.width <= last.shape[1])
            for row in range(file.height):
                for column in range(file.width):
                    samples = found[row, column]
                    if kind == 2 or samples.tobytes() != key[: samples.size]:
                        last[y + row, x + column] = samples
        frames.append((duration, shown(form[1], last), metadata))
    need(len(frames) > 1 and source.at == len(data))
    return plays, ticks, frames


# 2.3, 8.6. Wide images


def decode_wide(file):
    """A wide file's pixels, uint16."""
    streams = [Stream(stream) for stream in file.streams]
    check = streams[0].take_many(uniform(256), 2)
    need(check[0] + 256 * check[1] == crc16(file.head))
    down, (_, th) = file.tile_counts[1], file.tile_size
    count = len(streams)
    edges = [min(b * down // count * th, file.height) for b in range(count + 1)]
    decoded = [
        read_wide_band(file, high - low, stream) for low, high, stream in zip(edges, edges[1:], streams)
    ]
    return as_pixels(file, np.concatenate(decoded), np.uint16)


def read_wide_band(file, height, stream):
    channels, values = file.components + file.has_alpha, 2**file.form.depth
    method, levels = stream.take(uniform(4)), None
    if method < 2 and not file.max_error:
        levels = read_wide_levels(file, channels, values, stream)
    tops = [values - 1 if levels is None else len(own) - 1 for own in levels or [None] * channels]
    if method == 2:
        samples = stream.take_many(uniform(values), height * file.width * channels)
        out = np.array(samples, np.int64).reshape(height, file.width, channels)
    elif method == 3:
        out = packed_samples(stream, (height, file.width, channels))
        need(out.max() < values)
    elif method == 1:
        need(levels is not None and max(tops) < 256)
        rows = plain_graphics.Graphics(stream, height, file.width, channels).read()
        out = np.array(rows, np.int64)[..., None] >> 8 * np.arange(channels) & 255
    else:
        out = np.array(plain_wide.Wide(stream, height, file.width, tops, file.max_error).read(), np.int64)
    if levels is not None and method < 2:
        need(all(out[..., c].max() <= top for c, top in enumerate(tops)))
        out = np.stack([np.array(own)[out[..., c]] for c, own in enumerate(levels)], -1)
    stream.finish(zlib.crc32(out.astype("<u2").tobytes()))
    return out[..., [1, 0, *range(2, channels)]] if file.components == 3 else out


def packed_samples(stream, shape):
    """8.6.6."""
    kind, count = stream.take(uniform(8)), int(np.prod(shape))
    data = np.frombuffer(unpacked(read_head(stream), 2 * count), np.uint8).astype(np.int64)
    need(len(data) == 2 * count)
    upper, lower = (data[:count], data[count:]) if kind & 4 else (data[::2], data[1::2])
    out = (256 * upper + lower).reshape(shape)
    for y in range(shape[0]):
        for x in range(shape[1]):
            if kind & 1 and x:
                out[y, x] += out[y, x - 1]
            if kind & 2 and y:
                out[y, x] += out[y - 1, x]
            if kind & 3 == 3 and x and y:
                out[y, x] -= out[y - 1, x - 1]
            out[y, x] %= 2**16
    return out


def read_wide_levels(file, channels, values, stream):
    """8.6.1: of each component its values, or None."""
    kind = stream.take(uniform(3))
    if kind == 0:
        return None
    if kind == 1:
        data = unpacked(read_head(stream), values // 8 * channels)
        need(len(data) == values // 8 * channels)
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little").reshape(-1, values)
        need(bits.any(1).all())
        return [row.nonzero()[0] for row in bits]
    found = []
    for _ in range(channels):
        numbers = stream.take_many(uniform(256), 6)
        first, step, most = (numbers[i] + 256 * numbers[i + 1] for i in (0, 2, 4))
        need(step and first + step * most < values)
        found.append([first + step * r for r in range(most + 1)])
    return found


def as_pixels(file, channels, kind=np.uint8):
    """Coded channels → the samples of the image's mode, uint8; 2.1: 0 or 1, and indices."""
    out, form = channels.astype(kind), file.form
    if form.depth == 1:
        need(np.isin(out, (0, 255)).all())
        return out[..., 0] // 255
    if form.palette:
        need((out < len(form.palette)).all())
        lumas = [299 * red + 587 * green + 114 * blue for red, green, blue, *_ in form.palette]
        order = sorted(range(len(lumas)), key=lambda index: (lumas[index], index))
        return np.array(order, np.uint8)[out[..., 0]] if form.ranked else out[..., 0]
    if form.channels == 6:
        return np.concatenate([255 - out[..., :3], out[..., 3:]], -1)
    if file.grey and file.mode >= 2:
        out = np.concatenate([out[..., :1], out[..., :1], out], -1)
    return out[..., 0] if file.mode == 0 else out


# 7. The bank

BANKS_SHA256 = "c6fdf0e2f70ddac0c28b93431e6e1d4e18e8a43e2519665db762cfe7429088f5"


def load_banks(path):
    """Sums of the frequencies of ``mixture``, ``gaussian`` and ``copy``, by row."""
    with np.load(path) as file:
        arrays = [file[name] for name in ("mixture", "gaussian", "copy")]
    need(hashlib.sha256(b"".join(a.astype("<i4").tobytes() for a in arrays)).hexdigest() == BANKS_SHA256)
    return [[sums(row) for row in array.tolist()] for array in arrays]


# 10. Model files


def identify(tensors):
    digest = hashlib.sha256()
    for name in sorted(name for name in tensors if not name.startswith("encoder.")):
        tensor = tensors[name]
        kind = {"i1": "int8", "i4": "int32"}[tensor.dtype.str[1:]]
        shape = ",".join(str(n) for n in tensor.shape)
        digest.update(name.encode() + b"\0" + kind.encode() + b"\0" + shape.encode() + b"\0")
        digest.update(tensor.astype("<" + tensor.dtype.str[1:]).tobytes("C"))
    return digest.digest()[:4].hex()


def load_model(data):
    """The decode-side tensors in the bytes of a model file."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        if not name.startswith("encoder."):
            low, high = (8 + length + offset for offset in entry["data_offsets"])
            kind = {"I8": "<i1", "I32": "<i4"}[entry["dtype"]]
            tensors[name] = np.frombuffer(data[low:high], kind).reshape(entry["shape"])
    need(identify(tensors) == metadata["id"])
    return tensors
