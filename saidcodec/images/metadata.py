"""Metadata of Pillow images ⇄ metadata of .said files.

Fractions and PNG chunks are imported where an image has them: decoding to an array needs neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from saidcodec.errors import reason, warn_of_loss
from saidcodec.format.header import Metadata, Resolution, Text
from saidcodec.format.metadata import MOST_METADATA, MOST_TEXTS, is_text, values_of
from saidcodec.images.tags import (
    EXIF_PREFIX,
    ORIENTATION_TAG,
    RESOLUTION_TAGS,
    descriptive_tags,
    parsed_exif,
    says_only,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from saidcodec.images.png_chunks import PngChunks

ROOM_FOR_LENGTHS = 64  # bytes that the lengths of metadata take in a file
METADATA_NAMES = {
    "icc": "ICC profile",
    "exif": "EXIF",
    "xmp": "XMP",
    "resolution": "resolution",
    "texts": "texts",
    "comment": "comment",
    "chunks": "PNG chunks",
}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEY, RAW_EXIF_KEY = (
    "XML:com.adobe.xmp",
    "Raw profile type exif",
)  # texts of another kind
COMMENT_KEY = "Comment"  # of the text that a comment becomes in a PNG file
EXIF_OF_RESOLUTION = ("TIFF", "WEBP")  # formats whose EXIF may be there for the resolution alone
# PNG chunks as Pillow tells them of an image whose file is not at hand: key, type, factor and bytes a number.
TOLD_CHUNKS = (("gamma", b"gAMA", 100_000, 4), ("chromaticity", b"cHRM", 100_000, 4), ("srgb", b"sRGB", 1, 1))

Part = TypeVar("Part")


def png_chunks_of(data: bytes) -> PngChunks | None:
    """What a PNG file says beside its pixels; None of other files."""
    if not data.startswith(PNG_SIGNATURE):
        return None
    from saidcodec.images import png_chunks

    return png_chunks.read(data)


def metadata_of(image: Image, png: PngChunks | None = None) -> Metadata:
    """Metadata of a loaded image; ``png``: as its file says it.

    What cannot be kept is left out with a SaidWarning.
    """

    def read(name: str, reader: Callable[[], Part], otherwise: Part) -> Part:
        try:
            return reader()
        except Exception as error:  # metadata is as various as the programs that wrote it
            warn_of_loss(f"The image's {METADATA_NAMES[name]} cannot be kept: {reason(error)}.")
            return otherwise

    exif = read("exif", lambda: exif_of(image), b"")
    resolution = png.resolution if png else read("resolution", lambda: resolution_of(image, exif), None)
    if image.format in EXIF_OF_RESOLUTION and resolution and says_only(exif, *RESOLUTION_TAGS):
        exif = b""
    return within_limits(
        Metadata(
            icc=read("icc", lambda: bytes(image.info.get("icc_profile") or b""), b""),
            exif=exif,
            xmp=read("xmp", lambda: xmp_of(image), b""),
            resolution=resolution,
            texts=read("texts", lambda: texts_of(image, png, exif), ()),
            comment=read("comment", lambda: comment_of(image), b""),
            chunks=png.chunks if png else read("chunks", lambda: told_chunks(image), ()),
        )
    )


def exif_of(image: Image) -> bytes:
    """EXIF from its TIFF header on."""
    found = image.info.get("exif") or b""
    if not found and (image.format == "TIFF" or RAW_EXIF_KEY in image.info):
        tags = descriptive_tags(image.getexif())
        found = tags.tobytes() if len(tags) else b""
    return bytes(found).removeprefix(EXIF_PREFIX)


def xmp_of(image: Image) -> bytes:
    found = image.info.get("xmp") or b""
    return found.encode() if isinstance(found, str) else bytes(found)


def resolution_of(image: Image, exif: bytes) -> Resolution | None:
    from saidcodec.images import resolution

    return resolution.of_image(image, parsed_exif(exif) if exif else None)


def texts_of(image: Image, png: PngChunks | None, exif: bytes) -> tuple[Text, ...]:
    """Texts with a key; those that hold metadata of another kind are none."""
    from PIL.PngImagePlugin import iTXt

    if png:
        found = png.texts
    else:
        own = getattr(image, "text", None) or {}  # of an image that Pillow has read from a PNG file
        told = {key: value for key, value in image.info.items() if key in own or isinstance(value, iTXt)}
        found = tuple(
            Text(str(key), str(value), getattr(value, "lang", None) or "", getattr(value, "tkey", None) or "")
            for key, value in told.items()
            if isinstance(value, str)
        )
    other = (XMP_KEY, *((RAW_EXIF_KEY,) if exif else ()))
    found = tuple(text for text in found if text.key not in other)
    kept = tuple(text for text in found if is_text(text))[:MOST_TEXTS]
    if len(kept) < len(found):
        warn_of_loss(f"Of the image's texts {len(found) - len(kept)} cannot be kept.")
    return kept


def comment_of(image: Image) -> bytes:
    """The comment of a JPEG or GIF file; of several the last."""
    comments = [part for name, part in getattr(image, "applist", ()) if name == "COM"]
    if len(comments) > 1:
        warn_of_loss(f"Of the image's {len(comments)} comments only the last is kept.")
    found = image.info.get("comment") or b""
    return found.encode() if isinstance(found, str) else bytes(found)


def told_chunks(image: Image) -> tuple[tuple[bytes, bytes], ...]:
    """PNG chunks of an image, as far as Pillow has told of them."""
    found = []
    for key, kind, factor, size in TOLD_CHUNKS:
        if key in image.info:
            value = image.info[key]
            numbers = [round(number * factor) for number in (value if isinstance(value, tuple) else (value,))]
            found.append((kind, b"".join(number.to_bytes(size, "big") for number in numbers)))
    return tuple(found)


def within_limits(metadata: Metadata) -> Metadata:
    """The metadata without its largest parts, if all of it is too much; each is named by a SaidWarning."""
    sizes = {name: len(value) for name, value in values_of(metadata).items()}
    empty = Metadata._field_defaults
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if sum(sizes.values()) + ROOM_FOR_LENGTHS > MOST_METADATA:
            warn_of_loss(f"The image's {METADATA_NAMES[name]} cannot be kept: it has {sizes[name]} bytes.")
            left: dict[str, Any] = {name: empty[name]}
            metadata = metadata._replace(**left)
            sizes[name] = 0
    return metadata


def info_of(metadata: Metadata) -> dict[Any, Any]:
    """Metadata under Pillow's names; what Pillow has no name for is left out."""
    found: dict[Any, Any] = {}
    if metadata.icc:
        found["icc_profile"] = metadata.icc
    if metadata.exif:
        found["exif"] = EXIF_PREFIX + metadata.exif
    if metadata.xmp:
        found["xmp"] = metadata.xmp
    if metadata.comment:
        found["comment"] = metadata.comment
    if metadata.resolution:
        from saidcodec.images.resolution import as_info

        found.update(as_info(metadata.resolution))
    if metadata.texts:
        found.update(text_info(metadata.texts))
    chunks = dict(metadata.chunks)
    for key, kind, factor, size in TOLD_CHUNKS:
        if body := chunks.get(kind):
            numbers = [int.from_bytes(body[i : i + size], "big") for i in range(0, len(body), size)]
            values = tuple(number if factor == 1 else number / factor for number in numbers)
            found[key] = values if len(values) > 1 else values[0]
    return found


def text_info(texts: tuple[Text, ...]) -> dict[str, Any]:
    """Texts as Pillow has those of PNG files."""
    from PIL.PngImagePlugin import iTXt

    return {one.key: iTXt(one.text, one.language, one.translated) for one in texts}


def differing(one: Metadata, other: Metadata) -> list[str]:
    """Names of the kinds of metadata in which two images differ.

    Resolutions may differ by rounding, PNG chunks in their order, and a comment may have become a text.
    """
    found = [part for part in METADATA_NAMES if getattr(one, part) != getattr(other, part)]
    if "chunks" in found and dict(one.chunks) == dict(other.chunks):
        found.remove("chunks")
    if "resolution" in found:
        from saidcodec.images.resolution import alike

        if alike(one.resolution, other.resolution):
            found.remove("resolution")
    if "comment" in found and all_texts(one) == all_texts(other):
        found = [part for part in found if part not in ("texts", "comment")]
    return [METADATA_NAMES[part] for part in found]


def all_texts(metadata: Metadata) -> list[Text]:
    """The texts, and the comment as one of them."""
    comment = comment_text(metadata)
    return [*metadata.texts, *([comment] if comment else [])]


def with_comment_as_text(metadata: Metadata) -> Metadata:
    """Metadata of a PNG file, in which a comment is a text."""
    comment = comment_text(metadata)
    if comment is None or comment in metadata.texts:
        return metadata
    return metadata._replace(texts=(*metadata.texts, comment))


def comment_text(metadata: Metadata) -> Text | None:
    """The comment as a text."""
    if not metadata.comment:
        return None
    try:
        return Text(COMMENT_KEY, metadata.comment.decode())
    except UnicodeDecodeError:
        return Text(COMMENT_KEY, metadata.comment.decode("latin-1"))


def comment_for(metadata: Metadata) -> bytes:
    """The comment of a JPEG or GIF file: the image's own, or the text that stands for one in PNG files."""
    own = [text.text for text in metadata.texts if text.key == COMMENT_KEY]
    return metadata.comment or (own[0].encode() if own else b"")


def printable(key: str) -> str:
    """A text's key as messages show it."""
    return "".join(char if char.isprintable() else "?" for char in key)


def lost_parts(wanted: Metadata, found: Metadata) -> list[str]:
    """What there is no longer of metadata that was written to a file and read back."""
    lost = [
        METADATA_NAMES[part]
        for part in ("icc", "exif", "xmp")
        if getattr(wanted, part) and not getattr(found, part)
    ]
    # Pillow turns a TIFF file's pixels itself, and the orientation is gone.
    if METADATA_NAMES["exif"] in lost and says_only(wanted.exif, ORIENTATION_TAG, *RESOLUTION_TAGS):
        lost.remove(METADATA_NAMES["exif"])
    if wanted.resolution and METADATA_NAMES["resolution"] in differing(wanted, found):
        lost.append(METADATA_NAMES["resolution"])
    texts = [text for text in all_texts(wanted) if text not in all_texts(found)]
    if texts and texts[-1] == comment_text(wanted):
        texts.pop()
        lost.append(METADATA_NAMES["comment"])
    if texts:
        lost.append(f"texts ({', '.join(printable(text.key) for text in texts)})")
    if chunks := [kind.decode() for kind, body in wanted.chunks if (kind, body) not in found.chunks]:
        lost.append(f"PNG chunks ({', '.join(chunks)})")
    return lost
