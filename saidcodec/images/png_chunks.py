"""Chunks of PNG files: those about colours, time, resolution and texts, read from the file and put into it.

Pillow gives only some of them, and writes only some.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from saidcodec.errors import warn_of_loss
from saidcodec.format.header import Metadata, Resolution, Text, Unit
from saidcodec.format.metadata import CHUNKS, MOST_METADATA, MOST_TEXTS, is_text
from saidcodec.images.metadata import PNG_SIGNATURE, XMP_KEY, printable
from saidcodec.images.resolution import as_phys, resolution

TEXTS = (b"tEXt", b"zTXt", b"iTXt")
NEEDED = (b"IHDR", b"PLTE", b"pHYs")
# Pixels and frames, what Pillow gives, and how programs of Apple cut their pixels in parts.
KEPT = (b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"iCCP", b"eXIf", b"hIST", b"iDOT")
LONGEST = MOST_METADATA  # bytes of a chunk that are read
PALETTE = 3  # a colour type
LONG_TEXT = 1 << 10  # bytes from which on a text is compressed


@dataclass(frozen=True)
class PngChunks:
    """What a PNG file says beside its pixels.

    ``depth`` in bits and ``kind`` are its colour type; ``palette``: the body of PLTE.  ``unknown``: types of
    chunks that nothing is kept of.
    """

    depth: int
    kind: int
    palette: bytes
    chunks: tuple[tuple[bytes, bytes], ...]
    texts: tuple[Text, ...]
    resolution: Resolution | None
    unknown: tuple[str, ...]


def places(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and length of the body of every chunk of a PNG file that is there as a whole."""
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            return
        yield kind, at + 8, length
        at += 12 + length


def read(data: bytes) -> PngChunks:
    """What a PNG file says.  Texts that cannot be kept are named by a SaidWarning."""
    depth, kind, palette, found = 8, 2, b"", None
    chunks, texts, unknown = dict[bytes, bytes](), list[Text](), dict[str, None]()
    for name, start, length in places(data):
        if length > LONGEST or name not in (*NEEDED, *CHUNKS, *TEXTS):
            if name not in KEPT:
                unknown[name.decode("latin-1")] = None
            continue
        body = data[start : start + length]
        if name == b"IHDR" and length == 13:
            depth, kind = body[8], body[9]
        elif name == b"PLTE":
            palette = body
        elif name == b"pHYs" and length == 9 and body[8] < 2:
            across, down, metre = struct.unpack(">IIB", body)
            found = resolution(Unit.METRE if metre else Unit.NONE, across, down)
        elif name in TEXTS:
            add_text(texts, name, body)
        elif name in CHUNKS:
            chunks[name] = body
    return PngChunks(depth, kind, palette, tuple(chunks.items()), tuple(texts), found, tuple(unknown))


def add_text(texts: list[Text], kind: bytes, body: bytes) -> None:
    """Add the text of a chunk; one that cannot be kept is named."""
    with suppress(ValueError, zlib.error):
        text = parsed_text(kind, body)
        if is_text(text) and len(texts) < MOST_TEXTS:
            texts.append(text)
            return
    key = body.split(b"\0")[0][:79].decode("latin-1")
    warn_of_loss(f"The image's text {printable(key)} cannot be kept.")


def parsed_text(kind: bytes, body: bytes) -> Text:
    """Raises ValueError, zlib.error."""
    raw_key, rest = body.split(b"\0", 1)
    key = raw_key.decode("latin-1")
    if kind == b"tEXt":
        return Text(key, rest.decode("latin-1"))
    if kind == b"zTXt":
        if rest[:1] != b"\0":
            raise ValueError
        return Text(key, unpacked(rest[1:]).decode("latin-1"))
    if rest[:2] not in (b"\0\0", b"\1\0"):
        raise ValueError
    language, translated, text = rest[2:].split(b"\0", 2)
    text = unpacked(text) if rest[0] else text
    return Text(key, text.decode(), language.decode("ascii"), translated.decode())


def unpacked(packed: bytes) -> bytes:
    """Raises ValueError, zlib.error."""
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(packed, MOST_METADATA)
    if not unpacker.eof:
        raise ValueError
    return data


def text_chunk(text: Text) -> bytes:
    """A chunk with a text: Latin-1 where that can hold it, UTF-8 otherwise."""
    key = text.key.encode("latin-1")
    if not text.language and not text.translated:
        with suppress(UnicodeEncodeError):
            body = text.text.encode("latin-1")
            if len(body) < LONG_TEXT:
                return chunk(b"tEXt", key + b"\0" + body)
            return chunk(b"zTXt", key + b"\0\0" + zlib.compress(body, 9))
    body = text.text.encode()
    packed = len(body) >= LONG_TEXT
    names = b"\0".join([text.language.encode(), text.translated.encode(), b""])
    body = zlib.compress(body, 9) if packed else body
    return chunk(b"iTXt", key + bytes([0, packed, 0]) + names + body)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))


def for_mode(found: PngChunks, mode: str) -> tuple[tuple[bytes, bytes], ...]:
    """The chunks about colours of a file whose pixels have become those of ``mode``, a name of Pillow's."""
    out = []
    mode = "L" if mode == "I;16" else mode.removesuffix(";16")
    for kind, own in found.chunks:
        body = own
        if kind == b"sBIT":
            body = significant(own, found, mode)
        elif kind == b"bKGD" and mode not in ("P", "1"):
            body = background(own, found)
        if len(body) == wanted_length(kind, mode):
            out.append((kind, body))
        else:
            warn_of_loss(f"The image's PNG chunk {kind.decode()} cannot be kept: it is not valid.")
    return tuple(out)


def wanted_length(kind: bytes, mode: str) -> int:
    """Bytes of a chunk in a PNG file of a mode."""
    if kind == b"sBIT":
        return 3 if mode == "P" else len(mode)  # one for each channel that is coded
    if kind == b"bKGD":
        return 6 if mode.startswith("RGB") else 2 - (mode == "P")
    return CHUNKS[kind][0]


def significant(bits: bytes, found: PngChunks, mode: str) -> bytes:
    """sBIT of a file as that of a mode: alpha that was added has all bits, or those that it had."""
    colours = 3 if mode == "P" or mode.startswith("RGB") else 1
    if not mode.endswith("A"):
        return bits[:colours]
    return bits if found.kind in (4, 6) else bits[:colours] + bytes([max(found.depth, 8)])


def background(colour: bytes, found: PngChunks) -> bytes:
    """bKGD as 8 bits a sample, without a palette."""
    if found.kind == PALETTE:
        own = found.palette[3 * colour[0] : 3 * colour[0] + 3] if colour else b""
        return struct.pack(f">{len(own)}H", *own)
    if found.depth < 8 and len(colour) == 2:
        (grey,) = struct.unpack(">H", colour)
        return struct.pack(">H", min(grey, (1 << found.depth) - 1) * 255 // ((1 << found.depth) - 1))
    return colour


def insert(file: BinaryIO, metadata: Metadata, mode: str) -> None:
    """Put chunks into a PNG file that Pillow has written, of a Pillow mode: colours before the palette,
    the others before the pixels."""
    colours = [one for one in metadata.chunks if len(one[1]) == wanted_length(one[0], mode)]
    early = [chunk(*one) for one in colours if one[0] != b"bKGD"]
    late = [chunk(*one) for one in colours if one[0] == b"bKGD"]
    if metadata.resolution is not None:
        across, down, metre = as_phys(metadata.resolution)
        late.append(chunk(b"pHYs", struct.pack(">IIB", across, down, metre)))
    if metadata.xmp:
        late.append(chunk(b"iTXt", XMP_KEY.encode() + bytes(5) + metadata.xmp))
    late += map(text_chunk, metadata.texts)
    if not early and not late:
        return
    file.seek(0)
    data = file.read()
    starts = [(kind, start - 8) for kind, start, _ in places(data)]
    first = next(at for kind, at in starts if kind in (b"iCCP", b"PLTE", b"IDAT"))
    pixels = next(at for kind, at in starts if kind == b"IDAT")
    file.seek(first)
    file.writelines([*early, data[first:pixels], *late, data[pixels:]])
