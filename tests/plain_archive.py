"""A second reader of archives, written from archive_spec.md alone, upon plain_decoder.py.

Numbers in comments are the specification's sections.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import plain_decoder
from plain_decoder import Bytes, Stream, need

ROWS = 324


@dataclass
class Image:
    name: str
    label: str | None
    metadata: dict[int, bytes]
    pixels: np.ndarray


def decode(data, tensors, banks):
    """Every image of an archive."""
    need(data[:4] == b"\xd3S\r\n" and data[4] == 1)  # 2
    need(data[-4:] == b"\r\nS\xd3")
    end = len(data) - 8
    index = data[end - int.from_bytes(data[end : end + 4], "little") : end]
    need(int.from_bytes(index[-4:], "little") == zlib.crc32(index[:-4]))
    source = Bytes(index[:-4])
    need(source.take(1) == b"\2")
    at, found = 5, []
    for _ in range(source.number()):
        images, size = source.number(), source.number()
        group = read_group(data[at : at + size], tensors, banks)
        need(len(group) == images)
        found += group
        at += size
    need(source.at == len(source.data) and at == end - len(index))
    return found


def read_group(data, tensors, banks):
    source = Bytes(data)
    need(source.take(1) == b"\1")
    size, body = source.number(), source.number()
    head = Bytes(source.take(size))
    check = zlib.crc32(data[: source.at])
    need(int.from_bytes(source.take(4), "little") == check)
    facts, *said = (head.take(head.number()) for _ in range(3))
    need(head.at == size)

    facts = Bytes(plain_decoder.unpacked(facts, 1 << 26))  # 3
    count, together = facts.number(), facts.number()
    model = facts.take(4).hex()
    kinds = [read_kind(facts.take(facts.number()), model) for _ in range(facts.number())]
    kind = [facts.number() if len(kinds) > 1 else 0 for _ in range(count)]
    files = [kinds[number] for number in kind]
    rows = read_calibration(facts)
    runs = divided(files, together)
    least = facts.number()
    lengths = [least + facts.number() for _ in runs]
    need(sum(lengths) == body)
    shared, names = [facts.number() for _ in range(count)], [b""]
    *rests, end = facts.take(facts.number()).split(b"\n")
    need(len(rests) == count and not end)
    for common, rest in zip(shared, rests):
        need(common <= len(names[-1]))
        names.append(names[-1][:common] + rest)
    labels = facts.take(facts.number()).decode().split("\n")[:-1] or [None] * count
    need(len(labels) == count)
    different = [{}]
    for _ in range(facts.number()):
        different.append(plain_decoder.items(zlib.compress(facts.take(facts.number()))))
    metadata = [different[facts.number() if len(different) > 1 else 0] for _ in range(count)]
    need(facts.at == len(facts.data))

    described = {}  # 5
    for section, grey in zip(said, (True, False)):
        own = [image for image in range(count) if files[image] and files[image].grey == grey]
        tiles = [tile for image in own for tile in files[image].tiles()]
        both = ([], [])
        if tiles:
            need(model == plain_decoder.identify(tensors))
            seen, stream = described_by(tiles, 1 if grey else 3), Stream(section)
            both = plain_decoder.read_descriptions(seen, tensors, banks[0], stream)
            stream.finish(0)
        need(tiles or not section)
        pairs = iter(zip(*both))
        described |= {image: [next(pairs) for _ in files[image].tiles()] for image in own}

    calibrated = [[banks[0][row] for row in rows], *banks[1:]]  # 4
    pixels = []
    for run, length in zip(runs, lengths):  # 6
        stream = source.take(length)
        if files[run[0]] is None:
            pixels.append(plain_decoder.decode(stream, tensors, banks))
            continue
        stream, check = Stream(stream), 0
        for image in run:
            found = read_image(files[image], described[image], tensors, calibrated, stream)
            check = zlib.crc32(np.ascontiguousarray(found), check)
            file = files[image]
            pixels.append(plain_decoder.shown(file.form, plain_decoder.as_pixels(file, found)))
        stream.finish(check & 0xFFFFFF)
    need(source.at == len(data))
    texts = [name.decode() for name in names[1:]]
    return [Image(*facts) for facts in zip(texts, labels, metadata, pixels)]


def read_kind(kind, model):
    """The header of a kind, made a file of by a stream without bytes; None: whole files."""
    if not kind:
        return None
    file = plain_decoder.parse(kind)
    need(file.head == kind and not file.metadata and model.startswith(file.model))
    need(file.form.depth <= 8)
    need(file.band_count == 1 and not file.adaptive and file.width * file.height <= 1 << 14)
    return file


def described_by(tiles, components):
    """What a SAID section describes, as if it were one file."""
    return SimpleNamespace(tiles=lambda: tiles, components=components)


def read_calibration(source):
    rows, row = [*range(ROWS)], 0
    for _ in range(source.number()):
        row += source.number()
        rows[row] = source.number()
    return rows


def divided(files, together):
    """The images of each run."""
    runs = []
    for image, file in enumerate(files):
        last = runs[-1] if runs else []
        if file and last and files[last[0]] and len(last) < together:
            last.append(image)
        else:
            runs.append([image])
    return runs


def read_image(file, described, tensors, banks, stream):
    tiles = [
        (kind, description and plain_decoder.prediction(file, tensors, description, *place[2:]), place)
        for (kind, description), place in zip(described, file.tiles())
    ]
    return plain_decoder.read_tiles(file, tensors, banks, tiles, stream).astype(np.uint8)
