"""EXIF as tags, and a TIFF file's own tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saidcodec.errors import warn_of_loss
from saidcodec.format.header import Metadata

if TYPE_CHECKING:
    from PIL.Image import Exif

# Tags of a TIFF file that say how its pixels are stored, and ICC and XMP: no part of an image's EXIF.
PIXEL_TAGS = (
    *range(254, 260),
    262,
    266,
    273,
    *range(277, 280),
    284,
    317,
    *range(320, 326),
    330,
    338,
    339,
    347,
)
JPEG_TAGS = (*range(512, 522), *range(529, 533))
ICC_TAG, XMP_TAG, ORIENTATION_TAG = 34675, 700, 274
RESOLUTION_TAGS = (282, 283, 296)  # kept beside EXIF, and written as what they are
STORAGE_TAGS = frozenset((*PIXEL_TAGS, *JPEG_TAGS, *RESOLUTION_TAGS, ICC_TAG, XMP_TAG))
EXIF_PREFIX = b"Exif\0\0"
EXIF_IFD, GPS_IFD, INTEROP_IFD = 34665, 34853, 40965


def descriptive_tags(source: Exif) -> Exif:
    """A copy of EXIF without the tags that say how a TIFF file stores its pixels.

    Tags that EXIF has no room for, such as numbers of 64 bits, are left out with a SaidWarning.
    """
    from PIL import Image

    tags = Image.Exif()
    tags.endian = source.endian
    lost = []
    for tag in sorted({*source, EXIF_IFD, GPS_IFD} - STORAGE_TAGS):
        value = source.get_ifd(tag) if tag in (EXIF_IFD, GPS_IFD) else source[tag]
        if tag in (EXIF_IFD, GPS_IFD) and not value:
            continue
        if tag == EXIF_IFD and INTEROP_IFD in value:
            value = {**value, INTEROP_IFD: source.get_ifd(INTEROP_IFD)}
        if can_be_written(tag, value):
            tags[tag] = value
        else:
            lost.append(str(tag))
    if lost:
        warn_of_loss(f"Of the image's tags these cannot be kept: {', '.join(lost)}.")
    copied = Image.Exif()  # through bytes, because Pillow reads nested tags from those alone
    copied.load(tags.tobytes())
    return copied


def can_be_written(tag: int, value: Any) -> bool:
    """Whether EXIF can hold a tag's value."""
    from PIL import Image

    alone = Image.Exif()
    alone[tag] = value
    try:
        alone.tobytes()
    except Exception:  # Pillow's writers of tags raise whatever their types do
        return False
    return True


def parsed_exif(exif: bytes) -> Exif | None:
    """EXIF as tags; None where the bytes are no EXIF."""
    from PIL import Image

    tags = Image.Exif()
    try:
        tags.load(EXIF_PREFIX + exif)
    except Exception:  # as above
        return None
    return tags


def with_valid_exif(metadata: Metadata, name: str) -> Metadata:
    """Metadata for a format, called ``name``, that needs valid EXIF: what is none is left out with a
    SaidWarning."""
    if not metadata.exif or parsed_exif(metadata.exif) is not None:
        return metadata
    warn_of_loss(f"{name} cannot hold the image's EXIF: it is not valid.")
    return metadata._replace(exif=b"")


def file_tags(metadata: Metadata) -> Exif:
    """EXIF, XMP and the resolution, which a TIFF file keeps among its own tags; where there is none, that of
    EXIF, whose tags are the same."""
    from PIL import Image

    parsed = parsed_exif(metadata.exif) if metadata.exif else None
    tags = descriptive_tags(parsed) if parsed else Image.Exif()
    if metadata.xmp:
        tags[XMP_TAG] = metadata.xmp
    if metadata.resolution or parsed:
        from saidcodec.images.resolution import as_tags, of_tags

        if found := metadata.resolution or of_tags(parsed):
            tags.update(as_tags(found))
    return tags


def says_only(exif: bytes, *known: int) -> bool:
    """Whether EXIF has no other tags than these."""
    tags = parsed_exif(exif) if exif else None
    return tags is not None and {*tags} <= {*known}
