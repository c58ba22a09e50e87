"""Images of every kind ⇄ arrays: which images can be encoded, and how they come back.

``reading``     whatever ``encode`` takes → pixels, mode, metadata
``arrays``      arrays: shapes and sizes
``modes``       modes of Pillow images ⇄ presentations of .said files
``opening``     files, opened with Pillow
``frames``, ``indices``      the frames of images that have several; in the palette of the first one
``depth``       bits a sample
``metadata``    metadata of Pillow images ⇄ metadata of .said files
``tags``        EXIF and a TIFF file's tags
``resolution``, ``png_chunks``   what few images have, imported for those
``holding``     which formats hold which images
``saving``, ``saving_frames``    pixels and metadata → files of other formats
"""

from typing import TYPE_CHECKING

from saidcodec.lazy import attributes

if TYPE_CHECKING:
    from saidcodec.images.arrays import from_array
    from saidcodec.images.frames import ImageFrames, several_frames
    from saidcodec.images.holding import Kind, suffix_for
    from saidcodec.images.metadata import differing, info_of, png_chunks_of, printable
    from saidcodec.images.modes import transparency_of
    from saidcodec.images.opening import ImageFile, frames_of, open_image
    from saidcodec.images.reading import from_any, from_file, from_pillow, taken
    from saidcodec.images.saving import format_of, save, save_any, save_exactly, to_pillow
    from saidcodec.images.tags import EXIF_PREFIX

__all__ = [
    "EXIF_PREFIX",
    "ImageFile",
    "ImageFrames",
    "Kind",
    "differing",
    "format_of",
    "frames_of",
    "from_any",
    "from_array",
    "from_file",
    "from_pillow",
    "info_of",
    "open_image",
    "png_chunks_of",
    "printable",
    "save",
    "save_any",
    "save_exactly",
    "several_frames",
    "suffix_for",
    "taken",
    "to_pillow",
    "transparency_of",
]

_HOMES = {
    "EXIF_PREFIX": "saidcodec.images.tags",
    "ImageFile": "saidcodec.images.opening",
    "ImageFrames": "saidcodec.images.frames",
    "Kind": "saidcodec.images.holding",
    "differing": "saidcodec.images.metadata",
    "format_of": "saidcodec.images.saving",
    "frames_of": "saidcodec.images.opening",
    "from_any": "saidcodec.images.reading",
    "from_array": "saidcodec.images.arrays",
    "from_file": "saidcodec.images.reading",
    "from_pillow": "saidcodec.images.reading",
    "info_of": "saidcodec.images.metadata",
    "open_image": "saidcodec.images.opening",
    "png_chunks_of": "saidcodec.images.metadata",
    "printable": "saidcodec.images.metadata",
    "save": "saidcodec.images.saving",
    "save_any": "saidcodec.images.saving",
    "save_exactly": "saidcodec.images.saving",
    "several_frames": "saidcodec.images.frames",
    "suffix_for": "saidcodec.images.holding",
    "taken": "saidcodec.images.reading",
    "to_pillow": "saidcodec.images.saving",
    "transparency_of": "saidcodec.images.modes",
}
__getattr__ = attributes(__name__, _HOMES)
