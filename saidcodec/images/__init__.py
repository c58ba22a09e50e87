"""Images of every kind ⇄ arrays: which images can be encoded, and how they come back.

reading    whatever ``encode`` takes → pixels, mode, metadata
arrays     arrays: shapes and sizes
opening    files, opened with Pillow
depth      bits a sample
modes      modes of Pillow images ⇄ presentations of .said files
metadata   metadata of Pillow images ⇄ metadata of .said files
tags       EXIF and a TIFF file's tags
saving     pixels and metadata → files of other formats
"""

from saidcodec.images.arrays import from_array
from saidcodec.images.metadata import METADATA_NAMES, info_of
from saidcodec.images.modes import transparency_of
from saidcodec.images.opening import frames_of, open_image
from saidcodec.images.reading import from_any, from_file, from_pillow
from saidcodec.images.saving import format_of, save, save_exactly, to_pillow
from saidcodec.images.tags import EXIF_PREFIX

__all__ = [
    "EXIF_PREFIX",
    "METADATA_NAMES",
    "format_of",
    "frames_of",
    "from_any",
    "from_array",
    "from_file",
    "from_pillow",
    "info_of",
    "open_image",
    "save",
    "save_exactly",
    "to_pillow",
    "transparency_of",
]
