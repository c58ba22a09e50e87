"""Images of every kind ⇄ arrays: which images can be encoded, and how they come back.

``reading``     whatever ``encode`` takes → pixels, mode, metadata
``arrays``      arrays: shapes and sizes
``modes``       modes of Pillow images ⇄ presentations of .said files
``opening``     files, opened with Pillow
``frames``      the frames of images that have several
``depth``       bits a sample
``metadata``    metadata of Pillow images ⇄ metadata of .said files
``tags``        EXIF and a TIFF file's tags
``resolution``, ``png_chunks``   what few images have, imported for those
``saving``, ``saving_frames``    pixels and metadata → files of other formats
"""

from saidcodec.images.arrays import from_array
from saidcodec.images.frames import ImageFrames, several_frames
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
    "taken",
    "to_pillow",
    "transparency_of",
]
