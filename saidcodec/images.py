"""Images of every kind ⇄ arrays: which images can be encoded, and how they come back."""

from __future__ import annotations

import io
import os
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import numpy as np

from saidcodec import arguments, depth, files
from saidcodec.errors import FileError, ImageError, LimitError, SaidWarning, about
from saidcodec.format.container import MOST_METADATA
from saidcodec.format.header import MODES, MOST_PIXELS, MOST_SIDE, Metadata

if TYPE_CHECKING:
    from PIL.Image import Exif, Image

EQUIVALENT = {"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB"}
# Formats whose further frames are other views of the same photograph.
FIRST_FRAME_IS_ALL = ("MPO",)
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
ICC_TAG, XMP_TAG = 34675, 700
STORAGE_TAGS = frozenset((*PIXEL_TAGS, *JPEG_TAGS, ICC_TAG, XMP_TAG))
STRIP = 256  # rows that are compared at a time, for the sake of memory
EXIF_PREFIX = b"Exif\0\0"
EXIF_IFD, GPS_IFD, INTEROP_IFD = 34665, 34853, 40965
BITS_PER_SAMPLE = 258
FORMATS_THAT_READ_EXIF = ("TIFF", "AVIF")  # others write its bytes whatever they are
BC6H = 6  # DirectDraw's compression of samples of 16 bits
ROOM_FOR_LENGTHS = 64  # bytes that the lengths of metadata take in a file
METADATA_NAMES = {"icc": "ICC profile", "exif": "EXIF", "xmp": "XMP"}
INFO_KEYS = {"icc": "icc_profile", "exif": "exif", "xmp": "xmp"}  # Pillow's names
LOSSLESS_FORMATS = ".png, .webp and .tif"


def from_any(image: Any) -> tuple[np.ndarray, str, Metadata]:
    """Whatever ``encode`` takes → (uint8 pixels H×W or H×W×C, mode, metadata).

    ``image``: an array, a Pillow image, or the path or open binary file of one.  Of a Pillow image that
    has several frames the current one is taken, as in Pillow's own ``save``; the first with a SaidWarning.
    Raises TypeError, ImageError, LimitError, FileError.
    """
    if isinstance(image, np.ndarray):
        return (*from_array(image), Metadata())
    from PIL import Image

    if isinstance(image, Image.Image):
        frames = frames_of(image)
        if frames > 1 and image.tell() == 0:  # nobody has chosen a frame
            sentence = f"Only the first of the image's {frames} frames is encoded."
            warnings.warn(sentence, SaidWarning, stacklevel=3)
        return from_pillow(image, whole=False)
    if hasattr(image, "__array_interface__") or hasattr(image, "__array__"):
        return (*from_array(image), Metadata())
    name = arguments.name_of(image)
    if isinstance(image, (str, os.PathLike)):
        return from_file(files.read_path(image), name)
    if hasattr(image, "read"):
        return from_file(arguments.read_open(image), name)
    raise TypeError(
        "An image must be given as a uint8 array, a Pillow image, a path or an open binary file, "
        f"not as {arguments.kind_of(image)}."
    )


def from_file(data: bytes, name: str | None) -> tuple[np.ndarray, str, Metadata]:
    """The contents of an image file, called ``name`` in messages if it has one → (pixels, mode, metadata).

    Raises ImageError, LimitError.
    """
    with about(name):
        return from_pillow(open_image(io.BytesIO(data), name or "The file"))


def from_array(image: Any) -> tuple[np.ndarray, str]:
    """A uint8 array H×W, H×W×1, ×2, ×3 or ×4 of any memory order and class → (plain C-ordered array, mode).

    Raises ImageError, LimitError.
    """
    if isinstance(image, np.ma.MaskedArray) and np.ma.is_masked(image):
        raise ImageError("An array with masked pixels cannot be encoded; give them values with filled().")
    try:
        pixels = np.asarray(image)
    except Exception as error:  # an array interface may run any code
        raise ImageError(f"The array cannot be read: {reason(error)}.") from None
    if pixels.dtype != np.uint8:
        raise ImageError(f"Only 8-bit images can be encoded, not arrays of {pixels.dtype}.")
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] > len(MODES)) or not pixels.size:
        raise ImageError(f"An array of shape {pixels.shape} is no image.")
    height, width, channels = (*pixels.shape, 1)[:3]
    check_size(width, height)
    shape = (height, width) if channels == 1 else (height, width, channels)
    # Through one dimension, so that axes of length 1 have ordinary strides, too.
    return np.ascontiguousarray(pixels).reshape(-1).reshape(shape), MODES[channels - 1]


def check_size(width: int, height: int, name: str = "The image") -> None:
    """Refuse an image that is larger than the format allows.  Raises LimitError."""
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        raise LimitError(f"{name} has more pixels than the limit of {MOST_PIXELS}: {width}×{height}.")


def from_pillow(image: Image, *, whole: bool = True) -> tuple[np.ndarray, str, Metadata]:
    """An image of Pillow's → (pixels, mode, metadata).  Raises ImageError, LimitError.

    ``whole`` refuses an image that has more frames than the current one.
    """
    check_size(image.width, image.height)
    try:
        if whole and frames_of(image) > 1:
            raise ImageError("Animations and images of several pages cannot be encoded yet.")
        check_depth(image)
        image.load()  # first of all, because some formats keep their metadata behind the pixels
        metadata = metadata_of(image)
        image = in_mode(image)
        pixels, mode = from_array(np.asarray(image))
    except (ImageError, MemoryError, SaidWarning):
        raise
    except Exception as error:  # Pillow's readers raise nearly everything on damaged files
        raise ImageError(f"The image cannot be read: {reason(error)}.") from None
    return pixels, mode, metadata


def frames_of(image: Image) -> int:
    """How many pictures an image holds that differ from each other.  Raises ImageError on damage."""
    try:
        return 1 if image.format in FIRST_FRAME_IS_ALL else getattr(image, "n_frames", 1)
    except Exception as error:  # some readers look at the whole file only now
        raise ImageError(f"The image cannot be read: {reason(error)}.") from None


def check_depth(image: Image) -> None:
    """Refuse more than eight bits a sample where Pillow drops bits silently.  Raises ImageError.

    An image that Pillow has read from a stream without a name has forgotten the stream, and sometimes how
    deep its samples were.  It is taken as what it holds now.
    """
    if tiles_are_deep(image) or tags_are_deep(image) or file_is_deep(image):
        raise ImageError("Images of more than 8 bits a sample cannot be encoded yet.")


def tiles_are_deep(image: Image) -> bool:
    """Whether the parts of a file that are still to be read hold more than eight bits a sample."""
    for tile in getattr(image, "tile", ()):
        codec, args = tile[0], tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        deep_ppm = codec.startswith("ppm") and len(args) > 1 and args[1] > 255
        deep_dds = codec == "bcn" and args[0] == BC6H
        deep = codec.lower() == "sgi16" or any(
            isinstance(a, str) and re.search(r";16[BLN]$", a) for a in args
        )
        if deep or deep_ppm or deep_dds:
            return True
    return False


def tags_are_deep(image: Image) -> bool:
    """Whether a TIFF file's own tags say so."""
    bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, 8)
    return max(bits if isinstance(bits, tuple) else (bits,)) > 8


def file_is_deep(image: Image) -> bool:
    """Whether the file behind an image says so, as far as it is at hand."""
    with suppress(OSError, ValueError), file_behind(image) as file:
        if file is None:
            return False
        if depth.bits_in(file) > 8:
            return True
        if not getattr(image, "tile", ()):  # read already
            opened = opened_from(file)
            return opened is not None and tiles_are_deep(opened)
    return False


@contextmanager
def file_behind(image: Image) -> Iterator[IO[bytes] | None]:
    """The file that a Pillow image was opened from, where it is still at hand."""
    file, path = getattr(image, "fp", None), getattr(image, "filename", "")
    contents = getattr(image, "fc", None)  # where the JPEG XL plugin keeps the whole file
    if isinstance(contents, bytes):
        yield io.BytesIO(contents)
    elif file is not None and not getattr(file, "closed", False):
        place = file.tell()
        try:
            yield file
        finally:
            file.seek(place)
    elif path and os.path.isfile(path):
        with open(path, "rb") as opened:
            yield opened
    else:
        yield None


def in_mode(image: Image) -> Image:
    """The image in one of the modes that can be encoded, with every visible pixel as it was."""
    if image.mode == "P":
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode in ("1", "L", "RGB") and "transparency" in image.info:  # a colour that stands for nothing
        return image.convert("RGBA" if image.mode == "RGB" else "LA")
    if image.mode in EQUIVALENT:
        return image.convert(EQUIVALENT[image.mode])
    if image.mode not in MODES:
        raise ImageError(f"Images of mode {image.mode} (not 8-bit grey or RGB) cannot be encoded yet.")
    return image


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


def warn_of_loss(sentence: str) -> None:
    warnings.warn(sentence, SaidWarning, stacklevel=2)


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


def open_image(source: Path | BinaryIO, name: str) -> Image:
    """Open a file, called ``name`` in messages; its pixels are read later.  Raises ImageError, LimitError."""
    try:
        if isinstance(source, Path):
            with open(source, "rb") as file:
                opened = opened_from(file, str(source))
        else:
            opened = opened_from(source)
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise ImageError(f"{name} cannot be read as an image: {reason(error)}.") from None
    if opened is None:
        raise ImageError(f"{name} is not an image that Pillow can open.")
    check_size(opened.width, opened.height, name)
    return opened


def opened_from(file: IO[bytes], path: str | None = None) -> Image | None:
    """What ``Image.open`` does, without its limit on pixels, which is a setting of the whole process.

    ``path`` lets the image open its file anew and close it when its pixels are read.  None where no reader
    of Pillow's knows the format.
    """
    from PIL import Image

    file.seek(0)
    prefix = file.read(16)
    tried: set[str] = set()
    for learn_formats in (Image.preinit, Image.init):  # the common formats, then all
        learn_formats()
        for name in [name for name in Image.ID if name not in tried]:
            tried.add(name)
            factory, accept = Image.OPEN[name]
            with suppress(SyntaxError, IndexError, TypeError, struct.error):
                accepted = accept(prefix) if accept else True
                if not accepted or isinstance(accepted, str):  # a string says which library is missing
                    continue
                file.seek(0)
                return factory(file, "") if path is None else factory(path, path)  # type: ignore[arg-type]
    return None


def reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def to_pillow(pixels: np.ndarray, metadata: Metadata) -> Image:
    """Pixels uint8 H×W or H×W×C → a Pillow image that carries the metadata in ``info``."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.info.update(info_of(metadata))
    return image


def info_of(metadata: Metadata) -> dict[str, bytes]:
    """Metadata under Pillow's names."""
    exif = metadata.exif and EXIF_PREFIX + metadata.exif
    values = {"icc": metadata.icc, "exif": exif, "xmp": metadata.xmp}
    return {INFO_KEYS[part]: value for part, value in values.items() if value}


def format_of(target: str) -> str:
    """Pillow's name of the format that a path's suffix asks for; PNG for "-".  Raises FileError."""
    suffix = Path(target).suffix.lower()
    if target == "-" or suffix == ".png":
        return "PNG"
    from PIL import Image

    Image.preinit()  # the common formats; the others take a tenth of a second
    if suffix not in Image.EXTENSION:
        Image.init()
    name = Image.EXTENSION.get(suffix)
    if name is None or name not in Image.SAVE:
        raise FileError(f"{target}: there is no image format with the suffix {suffix or '(none)'} to write.")
    return name


def save_exactly(pixels: np.ndarray, metadata: Metadata, file: BinaryIO, name: str) -> None:
    """``save``, then read back and compare.

    Raises ImageError where the format does not give the same pixels back.  What it does not keep of the
    metadata is named by a SaidWarning.
    """
    metadata = save(pixels, metadata, file, name)
    wanted = to_pillow(pixels, metadata)
    try:
        back = open_image(file, name)
        back.load()
        same = same_pixels(back, turned_as(back, wanted))
    except (ImageError, OSError, ValueError):
        same = False
    if not same:
        kind = f"{wanted.width}×{wanted.height} {wanted.mode} image"
        raise ImageError(
            f"{name} cannot hold this {kind} exactly; {LOSSLESS_FORMATS} can, and --lossy allows the loss."
        )
    kept = {*back.info, *(wanted.info if name == "TIFF" else ())}  # TIFF has tags for all of them
    lost = [METADATA_NAMES[part] for part, key in INFO_KEYS.items() if key in wanted.info and key not in kept]
    if lost:
        warn_of_loss(f"{name} does not keep the image's {' and '.join(lost)}.")


def same_pixels(image: Image, wanted: Image) -> bool:
    """Whether every visible and hidden sample is the same; an opaque alpha may come and go."""
    if image.size != wanted.size:
        return False
    image = in_mode(image)
    if image.mode != wanted.mode:
        image, wanted = image.convert("RGBA"), wanted.convert("RGBA")
    strips = [(0, y, image.width, min(y + STRIP, image.height)) for y in range(0, image.height, STRIP)]
    return all(image.crop(strip).tobytes() == wanted.crop(strip).tobytes() for strip in strips)


def turned_as(back: Image, image: Image) -> Image:
    """``image`` as Pillow shows it when it reads ``back``: of TIFF files it turns the pixels itself."""
    exif = image.info.get("exif", b"")
    if back.format != "TIFF" or parsed_exif(exif.removeprefix(EXIF_PREFIX)) is None:
        return image
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def save(pixels: np.ndarray, metadata: Metadata, file: BinaryIO, name: str) -> Metadata:
    """Write an image in Pillow's format ``name``, losslessly where it can; returns the metadata written.

    Metadata that is no valid EXIF is left out with a SaidWarning where the format needs it to be valid.
    Raises ImageError.
    """
    if metadata.exif and name in FORMATS_THAT_READ_EXIF and parsed_exif(metadata.exif) is None:
        warn_of_loss(f"{name} cannot hold the image's EXIF: it is not valid.")
        metadata = replace(metadata, exif=b"")
    image = to_pillow(pixels, metadata)
    try:
        image.save(file, name, **saving_options(metadata, name, image.size))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's writers raise nearly everything on what they do not know
        if isinstance(error, OSError) and error.errno is not None:  # the disk's fault, not the format's
            raise
        sentence = f"A {image.mode} image cannot be written as {name}: {reason(error)}"
        raise ImageError(f"{sentence}; {LOSSLESS_FORMATS} can hold it.") from None
    return metadata


def saving_options(metadata: Metadata, name: str, size: tuple[int, int]) -> dict[str, Any]:
    """Arguments of Pillow's ``save`` that keep the metadata, and the pixels as far as the format can."""
    options: dict[str, Any] = dict(info_of(metadata))
    if metadata.xmp and name == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", options.pop("xmp"))
        options["pnginfo"] = info
    if name == "TIFF":
        options.update(tiff_options(metadata))
    if name == "WEBP":
        options.update(lossless=True, exact=True)
    if name in ("JPEG", "MPO"):
        options.update(quality=95)
    if name == "AVIF":  # exact for most grey images
        options.update(quality=100, subsampling="4:4:4")
    if name == "ICO":
        options.update(sizes=[size])
    return options


def tiff_options(metadata: Metadata) -> dict[str, Any]:
    """TIFF keeps EXIF and XMP among its own tags."""
    from PIL import Image

    parsed = parsed_exif(metadata.exif) if metadata.exif else None
    tags = descriptive_tags(parsed) if parsed else Image.Exif()
    if metadata.xmp:
        tags[XMP_TAG] = metadata.xmp
    return {"exif": tags} if len(tags) else {}
