"""Metadata of Pillow images ⇄ metadata of .said files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from saidcodec.errors import reason, warn_of_loss
from saidcodec.format.container import MOST_METADATA
from saidcodec.format.header import Metadata
from saidcodec.images.tags import EXIF_PREFIX, descriptive_tags

if TYPE_CHECKING:
    from PIL.Image import Image

ROOM_FOR_LENGTHS = 64  # bytes that the lengths of metadata take in a file
METADATA_NAMES = {"icc": "ICC profile", "exif": "EXIF", "xmp": "XMP"}
INFO_KEYS = {"icc": "icc_profile", "exif": "exif", "xmp": "xmp"}  # Pillow's names


def metadata_of(image: Image) -> Metadata:
    """ICC profile, EXIF (from its TIFF header on) and XMP of a loaded image, as bytes.

    What cannot be kept is left out with a SaidWarning.
    """

    def read(name: str, reader: Callable[[], bytes]) -> bytes:
        try:
            return reader()
        except Exception as error:  # metadata is as various as the programs that wrote it
            warn_of_loss(f"The image's {name} cannot be kept: {reason(error)}.")
            return b""

    info = image.info

    def exif() -> bytes:
        found = info.get("exif") or b""
        if not found and (image.format == "TIFF" or "Raw profile type exif" in info):
            tags = descriptive_tags(image.getexif())
            found = tags.tobytes() if len(tags) else b""
        return bytes(found).removeprefix(EXIF_PREFIX)

    def xmp() -> bytes:
        found = info.get("xmp") or b""
        return found.encode() if isinstance(found, str) else bytes(found)

    metadata = Metadata(
        read(METADATA_NAMES["icc"], lambda: bytes(info.get("icc_profile") or b"")),
        read(METADATA_NAMES["exif"], exif),
        read(METADATA_NAMES["xmp"], xmp),
    )
    sizes = {name: len(value) for name, value in vars(metadata).items()}
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if sum(sizes.values()) + ROOM_FOR_LENGTHS > MOST_METADATA:
            warn_of_loss(f"The image's {METADATA_NAMES[name]} cannot be kept: it has {sizes[name]} bytes.")
            metadata = replace(metadata, **{name: b""})
            sizes[name] = 0
    return metadata


def info_of(metadata: Metadata) -> dict[str, bytes]:
    """Metadata under Pillow's names."""
    exif = metadata.exif and EXIF_PREFIX + metadata.exif
    values = {"icc": metadata.icc, "exif": exif, "xmp": metadata.xmp}
    return {INFO_KEYS[part]: value for part, value in values.items() if value}
