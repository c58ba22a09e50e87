"""What a .said file does not keep of an image file: the reason to keep that file, too."""

from __future__ import annotations

import io

from saidcodec import images
from saidcodec.format.header import MODES, Mode

# What Pillow tells of a file that says how it stores its pixels, or that is kept.
HARMLESS = frozenset((
    "adobe", "adobe_transform", "background", "compression", "duration", "exif", "icc_profile", "interlace",
    "jfif", "jfif_density", "jfif_unit", "jfif_version", "loop", "lossless", "mp", "progression",
    "progressive", "quality", "timestamp", "transparency",
    "version", "xmp", "XML:com.adobe.xmp", "Raw profile type exif",
    "Raw profile type xmp",
))  # fmt: skip


def of(data: bytes, name: str) -> list[str]:
    """What is lost of an image file's contents, in words.  Raises ImageError, LimitError."""
    image = images.open_image(io.BytesIO(data), name)
    lost = [] if image.mode in (*MODES, "1", "P", Mode.CMYK) else [f"its mode {image.mode}"]
    for key, value in image.info.items():
        # An icon of one size, and the resolution of a TIFF file that has none, say nothing.
        empty = (key == "sizes" and len(value) == 1) or (key in ("dpi", "resolution") and value == (1, 1))
        if key not in HARMLESS and not empty:
            lost.append(str(key))
    return lost
