"""A second decoder, written from bitstream_spec.md alone: plain Python, int64 NumPy, no code of saidcodec's.

It is slow; the tests hold it against the real one.  Numbers in comments are the specification's sections.
"""

from __future__ import annotations

import bisect
import hashlib
import json
import zlib
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

COMPONENT_LOW = (0, -255, -255)
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


def clamp(value, low, high):
    return min(max(value, low), high)


def halves_to_even(value, unit):
    """The integer nearest to value / unit, for any integers with unit > 0."""
    down, rest = divmod(value, unit)
    return down + (2 * rest > unit or (2 * rest == unit and down % 2 == 1))


# 3. Entropy coding


class Stream:
    def __init__(self, data):
        need(not data.endswith(b"\0"))
        data = data + bytes(-len(data) % 4)
        self.words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
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

    def finish(self):
        need(self.state == 0 and not self.words)


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
        for i in range(4):
            byte = self.take(1)[0]
            value += (byte & 127) << 7 * i
            if byte < 128:
                need(byte or not i)
                return value
        raise RefusedError


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


@dataclass
class File:
    width: int
    height: int
    mode: int
    grey: bool
    coder: int
    max_error: int
    model: str
    side: int
    bands: int
    metadata: dict[int, bytes]
    said: bytes
    streams: list[bytes]
    checksum: int

    @property
    def has_alpha(self):
        return self.mode in (1, 3)

    @property
    def components(self):
        return 1 if self.grey else 3

    @property
    def tile_size(self):
        """(tw, th)."""
        across, down = -(-self.width // self.side), -(-self.height // self.side)
        return -(-self.width // across), -(-self.height // down)

    def tiles(self):
        """(x, y, w, h) of every tile."""
        tw, th = self.tile_size
        return [
            (x, y, min(tw, self.width - x), min(th, self.height - y))
            for y in range(0, self.height, th)
            for x in range(0, self.width, tw)
        ]


def parse(data):
    source = Bytes(data)
    need(source.take(4) == b"\xd3A\r\n")
    need(source.take(1) == b"\x04")
    layout = source.take(1)[0]
    mode, replicated, coder = layout & 3, layout >> 2 & 1, layout >> 4 & 3
    need(not layout & 128 and coder < 3 and (not replicated or mode >= 2))
    width, height = source.number() + 1, source.number() + 1
    need(max(width, height) <= 1 << 24 and width * height <= 1 << 28)
    model = source.take(4).hex()
    max_error = source.number() if layout & 64 else 0
    need(not layout & 64 or 1 <= max_error <= 255)
    tiling = source.take(1)[0]
    metadata = items(source.take(source.number())) if layout & 8 else {}
    said = source.take(source.number())
    head = data[: source.at]
    need(crc16(head) == int.from_bytes(source.take(2), "little"))
    grey = mode < 2 or bool(replicated)
    file = File(
        width,
        height,
        mode,
        grey,
        coder,
        max_error,
        model,
        16 << (tiling & 15),
        1 << (tiling >> 4),
        metadata,
        said,
        [],
        0,
    )
    if coder:
        body = Bytes(source.take(source.number() if file.bands > 1 else len(data) - source.at - 4))
        count = min(file.bands, len(file.tiles()))
        lengths = [body.number() for _ in range(count - 1)]
        file.streams = [body.take(length) for length in lengths]
        file.streams.append(body.take(len(body.data) - body.at))
    file.checksum = int.from_bytes(source.take(4), "little")
    need(source.at == len(data))
    return file


def items(packed):
    unpacker = zlib.decompressobj()
    source = Bytes(unpacker.decompress(packed, 1 << 26))
    need(unpacker.eof and not unpacker.unused_data)
    found = {}
    while source.at < len(source.data):
        kind = source.take(1)[0]
        value = source.take(source.number())
        need(kind < 128)
        if kind in (1, 2, 3):
            need(kind not in found)
            found[kind] = value
    return found


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


def place(i, n):
    """(k, f) of output i of n (9.3)."""
    p = clamp((2 * i + 1) * 8 * 128 // (2 * n) - 64, 0, 7 * 128)
    return p >> 7, p & 127


def upsample(v, width, height):
    """One channel: v[8][8] → rows of integers (9.3)."""
    out = []
    for y in range(height):
        k, f = place(y, height)
        upper, lower = v[k], v[min(k + 1, 7)]
        row = []
        for x in range(width):
            m, g = place(x, width)
            right = min(m + 1, 7)
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
    """R, G, B, alpha, int64 [8, 8, 4] (9.5)."""
    multiplier = tensors["said.latent.multiplier"]
    x = np.array([[clamp(128 + int(m) * int(q), 0, 255) for m, q in zip(multiplier, latent)]])
    x = layer(tensors, "said.decoder.1", layer(tensors, "said.decoder.0", x)).reshape(4, 4, 32)
    x = convolution(tensors, "said.decoder.2", x).repeat(2, 0).repeat(2, 1)
    for i in (3, 4, 5):
        x = convolution(tensors, f"said.decoder.{i}", x)
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


def positions(scale):
    """P of section 7."""
    return next(p for last, p in ((13, 8), (17, 4), (21, 2), (43, 1)) if scale <= last)


def kept(scale):
    return positions(scale) // 2 + 1


def bank_row(scale, tail, position):
    rows = sum(tails(s) * kept(s) for s in range(scale))
    return rows + tail * tails(scale) // 4 * kept(scale) + position


def tails(scale):
    return 4 if scale < 10 else 2


def read_said(file, tensors, mixture):
    """(kinds, descriptions); a description is (step, base, boxes, latents), or None."""
    stream = Stream(file.said)
    tables = {
        name: [sums(row) for row in tensor.reshape(-1, tensor.shape[-1])]
        for name, tensor in tensors.items()
        if name.endswith(".frequency")
    }
    kinds = stream.take_many(tables["tile.kind.frequency"][0], len(file.tiles()))
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
    stream.finish()
    own = []
    for step, base, n in zip(steps, bases, counts):
        own.append((step, base, boxes[:n], latents[:n]))
        boxes, latents = boxes[n:], latents[n:]
    described = iter(own)
    return kinds, [next(described) if kind == 1 else None for kind in kinds]


def prediction(file, tensors, description, width, height):
    """x̂(T) in Y, Co, Cg as the residual sees it, int64 [h, w, 3]."""
    planes = np.stack(to_planes(*np.moveaxis(render(tensors, *description, width, height), -1, 0)), -1)
    if file.grey:
        planes[..., 1:] = 0
    return planes


# 6, 7, 8. The residual


@dataclass
class Tile:
    """One plane of a tile on its way: ``seen`` is x̂(T) in Y, Co, Cg or None."""

    width: int
    height: int
    seen: np.ndarray | None
    style: int = 0
    samples: dict[tuple[int, int], list[int]] | None = None


class Plane:
    """The colour (three components or one) or the alpha of a band's coded tiles."""

    def __init__(self, file, tensors, banks, tiles, components, errors):
        self.tensors, self.tiles = tensors, tiles
        self.mixture, self.gaussian, self.copy = banks
        listed = self.tensors.get("residual.origins", [(-1, 0)] * len(WINDOW))
        self.origins = [(int(dx), int(dy)) for dx, dy in listed]
        self.marks = [int(mark) for mark in self.tensors.get("residual.marks", (128, 127))]
        self.copies = [
            tuple(offset) for offset in tensors.get("residual.copies", np.zeros((0, 2), int)).tolist()
        ]
        self.tw, self.th = file.tile_size
        self.components, self.errors = components, errors
        self.context_coder = file.coder == 2

    def read(self, stream):
        if not self.context_coder:
            return [self.read_gaussian(stream, tile) for tile in self.tiles]
        styles = sums(self.tensors["tile.style.frequency"])
        for tile in self.tiles:
            tile.style, tile.samples = stream.take(styles), {}
        for step in range(self.tw + 2 * (self.th - 1)):
            self.read_step(stream, step)
        return [
            np.array(
                [
                    [tile.samples[x, y][: self.components] for x in range(tile.width)]
                    for y in range(tile.height)
                ]
            )
            for tile in self.tiles
        ]

    def sample(self, centre, distance, component):
        """7 and 7.1."""
        error, low = self.errors[component], COMPONENT_LOW[component]
        value = centre + (2 * error + 1) * distance
        need(error or low <= value <= 255)
        return clamp(value, low, 255)

    def read_gaussian(self, stream, tile):
        """8.1."""
        planes = np.zeros((tile.height, tile.width, self.components), np.int64)
        for c in range(self.components):
            table = self.gaussian[stream.take(uniform(44))]
            for y in range(tile.height):
                for x in range(tile.width):
                    mean = MIDDLE[c] if tile.seen is None else int(tile.seen[y, x, c])
                    planes[y, x, c] = self.sample(mean, stream.take(table) - 510, c)
        return planes

    def reference(self, tile, x, y):
        """6.2."""
        if x:
            return tile.samples[x - 1, y]
        return tile.samples[0, y - 1] if y else list(MIDDLE)

    def near(self, tile, x, y):
        """6.3: the reference, then the window, by offset."""
        found = {(-1, 0): self.reference(tile, x, y)}
        for dx, dy in WINDOW:
            row = max(y + dy, 0)
            column = min(clamp(x + dx, 0, self.tw - 1), x + 2 * (y - row) - 1)
            found[dx, dy] = found[-1, 0] if column < 0 else tile.samples[column, row]
        return found

    def context(self, tile, x, y):
        """6.4."""
        near = self.near(tile, x, y)
        reference = near[-1, 0]
        inputs = [
            v - r for offset, origin in zip(WINDOW, self.origins) for v, r in zip(near[offset], near[origin])
        ]
        for dx, dy in self.tensors["residual.around"].astype(int):
            if tile.seen is None:
                inputs += [0, 0, 0]
            else:
                row = min(clamp(y + dy, 0, self.th - 1), tile.height - 1)
                column = min(clamp(x + dx, 0, self.tw - 1), tile.width - 1)
                inputs += [int(v) - r for v, r in zip(tile.seen[row, column], reference)]
        inputs += [
            0 if tile.seen is None else 127,
            self.marks[0] * x // self.tw,
            self.marks[0] * y // self.th,
        ]
        if self.copies:
            most = max(1, *(values[0] for values in near.values()))
            inputs += [most >> 1, *(127 * values[0] // most for values in near.values())]
        inputs += [
            self.marks[1] * (s == tile.style) for s in range(len(self.tensors["tile.style.frequency"]))
        ]
        return [clamp(d, -128, 127) + 128 for d in inputs]

    def read_step(self, stream, step):
        found = [
            (tile, step - 2 * y, y)
            for y in range(self.th)
            for tile in self.tiles
            if 0 <= step - 2 * y < self.tw
        ]
        if not found:
            return
        hidden = np.array([self.context(*one) for one in found], np.int64)
        trunk = 0
        while f"residual.trunk{trunk}.weight" in self.tensors:
            hidden = layer(self.tensors, f"residual.trunk{trunk}", hidden)
            trunk += 1
        near = [self.near(*one) for one in found]
        references = [one[-1, 0] for one in near]
        inside = [i for i, (tile, x, y) in enumerate(found) if x < tile.width and y < tile.height]
        copied = self.read_copies(stream, hidden, near, inside) if self.copies else {}
        for tile, x, y in found:
            tile.samples[x, y] = [0, 0, 0]
        beside = [[] for _ in found]  # e_Y, then e_Y and e_Co
        for c in range(self.components):
            starts, rows = [reference[c] for reference in references], [[] for _ in found]
            if c and self.copies:
                for i, (tile, x, y) in enumerate(found):
                    starts[i], rows[i] = chroma_start(near[i], tile.samples[x, y][0], c)
            if c:
                name = ("co", "cg")[c - 1]
                extra = np.array([e + row for e, row in zip(beside, rows)], np.int64)
                inner = layer(
                    self.tensors, f"residual.hidden_{name}", np.concatenate([hidden, extra + 128], 1)
                )
                total, shift = raw(self.tensors, f"residual.head_{name}", inner)
            else:
                total, shift = raw(self.tensors, "residual.head_y", hidden)
            choices = [
                self.choice([halves_to_even(int(t), 1 << int(s)) for t, s in zip(row, shift)], start, c)
                for row, start in zip(total, starts)
            ]
            for i, (tile, x, y) in enumerate(found):
                tile.samples[x, y][c] = copied.get(i, references[i])[c]
            coded = [i for i in inside if i not in copied]
            for i in sorted(coded, key=lambda i: choices[i][1]):
                _, row, centre, sign = choices[i]
                tile, x, y = found[i]
                tile.samples[x, y][c] = self.sample(centre, sign * (stream.take(self.mixture[row]) - 510), c)
            for i, (tile, x, y) in enumerate(found):
                sample = tile.samples[x, y][c]
                error = sample - halves_to_even(choices[i][0], 16)
                shown = (4 * error, error, sample - references[i][c])
                beside[i] = beside[i] + [clamp(d, -128, 127) for d in shown]

    def read_copies(self, stream, hidden, near, inside):
        """6.7: samples of the pixels that are copies, by place in the step."""
        total, shift = raw(self.tensors, "residual.head_copy", hidden)
        copied = {}
        for j, offset in enumerate(self.copies):
            asked = []
            for i in inside:
                earlier = [near[i][before] for before in self.copies[:j]]
                if i not in copied and near[i][offset] not in earlier:
                    asked.append((clamp(halves_to_even(int(total[i, j]), 1 << int(shift[j])), 0, 48), i))
            for logit, i in sorted(asked, key=lambda one: one[0]):
                if stream.take(self.copy[logit]):
                    copied[i] = near[i][offset]
        return copied

    def choice(self, whole, start, component):
        """(mean, bank row, centre, sign) of 6.6 and 7."""
        mean = clamp(16 * start + whole[0], 16 * COMPONENT_LOW[component], 16 * 255)
        scale, tail = clamp(whole[1], 0, 43), clamp(whole[2], 0, 3)
        p = positions(scale)
        g = 16 // p
        place = ((mean & 15) + g // 2) // g
        if 2 * place > p:
            return mean, bank_row(scale, tail, p - place), (mean >> 4) + 1, -1
        return mean, bank_row(scale, tail, place), mean >> 4, 1


def chroma_start(near, luma, c):
    """6.8: where the mean of Co (1) or Cg (2) starts, and the clues."""
    values = list(near.values())
    equal = [v for v in values if v[0] == luma]
    brightest = max(v[0] for v in values)
    chosen = equal[0] if equal else next(v for v in values if v[0] == brightest)
    bright, chroma = chosen[0], chosen[c]
    start = clamp((2 * chroma * luma + bright) // (2 * bright), -255, 255) if bright else chroma
    brighter = 127 if bright == luma else (luma - bright) >> 1
    clues = (start - values[0][c], bright >> 1, brighter)
    return start, [clamp(d, -128, 127) for d in clues]


def read_band(file, tensors, banks, tiles, data):
    """``tiles``: (kind, x̂(T) or None, w, h) each → int64 [h, w, channels] each, in coded channels."""
    stream = Stream(data)
    channels = file.components + file.has_alpha
    stored = {}
    for i, (kind, _, width, height) in enumerate(tiles):
        if kind == 2:
            values = stream.take_many(uniform(256), width * height * channels)
            stored[i] = np.array(values).reshape(height, width, channels)
    coded = [i for i in range(len(tiles)) if i not in stored]
    if coded:
        constant = file.has_alpha and stream.take(uniform(2)) == 1
        value = stream.take(uniform(256)) if constant else 255
        d = file.max_error
        errors = (d,) if file.grey else (d - 2 * (d // 3), 2 * (d // 3), 2 * (d // 3))
        colour = [Tile(w, h, seen) for _, seen, w, h in (tiles[i] for i in coded)]
        planes = Plane(file, tensors, banks, colour, file.components, errors).read(stream)
        alpha = [np.full((tile.height, tile.width, 1), value) for tile in colour]
        if file.has_alpha and not constant:
            empty = [Tile(tile.width, tile.height, None) for tile in colour]
            alpha = Plane(file, tensors, banks, empty, 1, (d,)).read(stream)
        for i, one, transparency in zip(coded, planes, alpha):
            samples = coloured(file, one, check=not d)
            stored[i] = np.concatenate([samples, transparency], -1) if file.has_alpha else samples
    stream.finish()
    return [stored[i] for i in range(len(tiles))]


def coloured(file, planes, check):
    """Y, Co, Cg or Y → coded channels within 0..255."""
    samples = planes if file.grey else np.stack(to_rgb(*np.moveaxis(planes, -1, 0)), -1)
    need(not check or (samples.min() >= 0 and samples.max() <= 255))
    return np.clip(samples, 0, 255)


def without_residual(file, seen, width, height):
    planes = np.broadcast_to(MIDDLE, (height, width, 3)) if seen is None else seen
    samples = coloured(file, planes[..., : file.components], check=False)
    opaque = np.full((height, width, 1), 255)
    return np.concatenate([samples, opaque], -1) if file.has_alpha else samples


def decode(data, tensors, banks):
    """A file's pixels, uint8 H×W or H×W×C.

    ``tensors``: those of its model; ``banks``: the arrays ``mixture``, ``gaussian`` and ``copy`` (7).
    """
    file = parse(data)
    need(file.model == identify(tensors))
    banks = [[sums(row) for row in array] for array in banks]
    kinds, descriptions = read_said(file, tensors, banks[0])
    places = file.tiles()
    tiles = []
    for kind, description, (_, _, w, h) in zip(kinds, descriptions, places):
        tiles.append(
            (kind, None if description is None else prediction(file, tensors, description, w, h), w, h)
        )
    if file.coder:
        count, bands = len(tiles), len(file.streams)
        decoded = []
        for b, stream in enumerate(file.streams):
            decoded += read_band(
                file, tensors, banks, tiles[b * count // bands : (b + 1) * count // bands], stream
            )
    else:
        decoded = [without_residual(file, seen, w, h) for _, seen, w, h in tiles]
    out = np.zeros((file.height, file.width, file.components + file.has_alpha), np.uint8)
    for (x, y, w, h), pixels in zip(places, decoded):
        out[y : y + h, x : x + w] = pixels
    if file.grey and file.mode >= 2:
        out = np.concatenate([out[..., :1], out[..., :1], out], -1)
    if file.mode == 0:
        out = out[..., 0]
    need(zlib.crc32(np.ascontiguousarray(out)) == file.checksum)
    return out


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
