"""What a .said file does not keep of an image file: the reason to keep that file, too."""

from __future__ import annotations

import io

from saidcodec import images
from saidcodec.format.header import MODES, Mode
from saidcodec.images.modes import GREY

# What Pillow tells of a file that says how it stores its pixels, or that is kept as metadata.
HARMLESS = frozenset((
    "adobe", "adobe_transform", "aspect", "background", "bbox", "blend", "chromaticity", "comment",
    "compression", "disposal", "dpi", "duration", "exif", "extension", "gamma", "icc_profile", "interlace",
    "jfif", "jfif_density", "jfif_unit", "jfif_version", "loop", "lossless", "mp", "progression",
    "progressive", "quality", "resolution", "srgb", "timestamp", "transparency", "version", "xmp",
))  # fmt: skip


def of(data: bytes, name: str) -> list[str]:
    """What is lost of an image file's contents, in words.  Raises ImageError, LimitError.

    Metadata that is kept of most files, but not of this one, is named where the file is read
    (``images.from_file``).
    """
    image = images.open_image(io.BytesIO(data), name)
    known = image.mode in (*MODES, *GREY, "1", "P", Mode.CMYK)
    lost = [] if known else [f"its mode {image.mode}"]
    texts = getattr(image, "text", {})
    for key, value in image.info.items():
        if key == "sizes":  # of an icon
            lost += ["its other sizes"] if len(value) > 1 else []
        elif key not in HARMLESS and key not in texts:
            lost.append(str(key))
    png = images.png_chunks_of(data)
    if png and png.unknown:
        lost.append(f"PNG chunks {', '.join(png.unknown)}")
    return lost
