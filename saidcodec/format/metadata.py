"""Metadata ⇄ the items of a file (bitstream_spec.md, section 2)."""

from __future__ import annotations

from collections.abc import Iterator

from saidcodec.errors import CorruptError, LimitError, TruncatedError, VersionError
from saidcodec.format.cursor import Cursor, varint
from saidcodec.format.header import Metadata, Resolution, Text, Unit

MOST_METADATA = 1 << 26  # bytes, unpacked
MOST_TEXTS = 1 << 12
MOST_KEY = 79  # characters of a text's key, as in PNG
MOST_TERM = (1 << 32) - 1  # of a resolution's fractions
KINDS = {1: "icc", 2: "exif", 3: "xmp", 4: "resolution", 5: "texts", 6: "comment", 7: "chunks"}
CRITICAL = 0x80
# PNG chunks that are kept, and the lengths of their bodies.
CHUNKS = {
    b"bKGD": (1, 2, 6),
    b"cHRM": (32,),
    b"cICP": (4,),
    b"gAMA": (4,),
    b"sBIT": (1, 2, 3, 4),
    b"sRGB": (1,),
    b"tIME": (7,),
}
MALFORMED = "The file's metadata is malformed"


def items_of(metadata: Metadata) -> bytes:
    """The metadata's items one after another, not compressed."""
    values = values_of(metadata)
    return b"".join(bytes([kind]) + sized(values[name]) for kind, name in KINDS.items() if values[name])


def values_of(metadata: Metadata) -> dict[str, bytes]:
    """The value of each kind's item, by the kind's name; of what there is not, no bytes."""
    found = {"icc": metadata.icc, "exif": metadata.exif, "xmp": metadata.xmp, "comment": metadata.comment}
    found["resolution"] = resolution_value(metadata.resolution)
    found["texts"] = b"".join(
        sized(part.encode())
        for one in metadata.texts
        for part in (one.key, one.language, one.translated, one.text)
    )
    found["chunks"] = b"".join(kind + sized(body) for kind, body in metadata.chunks)
    return found


def sized(value: bytes) -> bytes:
    return varint(len(value)) + value


def resolution_value(resolution: Resolution | None) -> bytes:
    if resolution is None:
        return b""
    return bytes([resolution.unit]) + b"".join(map(varint, (*resolution.across, *resolution.down)))


def metadata_of(body: bytes) -> Metadata:
    """The metadata that ``items_of`` gave the items of.  Raises CorruptError, LimitError, VersionError."""
    try:
        return parsed(dict(metadata_items(body)))
    except TruncatedError:
        raise CorruptError("The file's metadata ends within an item.") from None


def metadata_items(body: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, value) of every known item; unknown ones are skipped unless they are critical."""
    cursor = Cursor(body)
    found = set()
    while cursor.at < len(body):
        kind = cursor.take(1)[0]
        value = cursor.take(cursor.varint())
        if kind & CRITICAL:
            raise VersionError("The file holds a critical item that this program does not know.")
        if kind in KINDS:
            if kind in found:
                raise CorruptError("The file holds the same kind of metadata twice.")
            found.add(kind)
            yield KINDS[kind], value


def parsed(values: dict[str, bytes]) -> Metadata:
    """The metadata of items by name.  Raises CorruptError, LimitError, TruncatedError."""
    if values.get("comment") == b"":
        raise CorruptError(f"{MALFORMED}: the comment is empty.")
    return Metadata(
        icc=values.get("icc", b""),
        exif=values.get("exif", b""),
        xmp=values.get("xmp", b""),
        resolution=parsed_resolution(values["resolution"]) if "resolution" in values else None,
        texts=parsed_texts(values["texts"]) if "texts" in values else (),
        comment=values.get("comment", b""),
        chunks=parsed_chunks(values["chunks"]) if "chunks" in values else (),
    )


def parsed_resolution(value: bytes) -> Resolution:
    cursor = Cursor(value)
    unit = cursor.take(1)[0]
    terms = [cursor.varint() for _ in range(4)]
    if unit > max(Unit) or not all(1 <= term <= MOST_TERM for term in terms) or cursor.at < len(value):
        raise CorruptError(f"{MALFORMED}: the resolution is none.")
    return Resolution(Unit(unit), (terms[0], terms[1]), (terms[2], terms[3]))


def parsed_texts(value: bytes) -> tuple[Text, ...]:
    cursor, texts = Cursor(value), list[Text]()
    while cursor.at < len(value) or not texts:
        if len(texts) == MOST_TEXTS:
            raise LimitError(f"The file's metadata has more than {MOST_TEXTS} texts.")
        try:
            key, language, translated, text = (cursor.take(cursor.varint()).decode() for _ in range(4))
        except UnicodeDecodeError:
            raise CorruptError(f"{MALFORMED}: a text is not UTF-8.") from None
        texts.append(Text(key, text, language, translated))
        if not is_text(texts[-1]):
            raise CorruptError(f"{MALFORMED}: a text has an impossible key or language.")
    return tuple(texts)


def is_text(one: Text) -> bool:
    """Whether a text is one that PNG could hold."""
    fits = 1 <= len(one.key) <= MOST_KEY and max(one.key) <= "\xff" and one.language.isascii()
    return fits and "\0" not in one.key + one.language + one.translated


def parsed_chunks(value: bytes) -> tuple[tuple[bytes, bytes], ...]:
    cursor, chunks = Cursor(value), dict[bytes, bytes]()
    while cursor.at < len(value) or not chunks:
        kind = cursor.take(4)
        body = cursor.take(cursor.varint())
        if kind in chunks or len(body) not in CHUNKS.get(kind, ()):
            raise CorruptError(f"{MALFORMED}: a PNG chunk is unknown, twice there or of another length.")
        chunks[kind] = body
    return tuple(chunks.items())
