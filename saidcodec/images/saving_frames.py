"""Several frames → animations and pages in other formats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from saidcodec.errors import ImageError, warn_of_loss
from saidcodec.format.header import Metadata
from saidcodec.format.palette import OPAQUE, Palette
from saidcodec.images import deep_saving, deep_tiff
from saidcodec.images.frames import ImageFrames
from saidcodec.images.holding import advice
from saidcodec.images.opening import open_image
from saidcodec.images.saving import (
    Written,
    add_png_chunks,
    same_palette,
    same_pixels,
    saving_options,
    to_pillow,
    turned_as,
    warn_of_lost_parts,
    why,
)
from saidcodec.picture import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "WEBP", "GIF", "TIFF")
ANIMATIONS = ("PNG", "WEBP", "GIF")
COLOURS = 256  # of a frame of a GIF file
ROUNDING = {"GIF": 10, "WEBP": 1}  # milliseconds


def save_frames(
    frames: Iterable[Picture], plays: int, file: BinaryIO, name: str, *, lossy: bool = False
) -> None:
    """Write frames in Pillow's format ``name``, read them back and compare.

    Frames that are equal may become one that is shown for longer.  What the format does not keep beside them
    is named by a SaidWarning.  Unless it may be ``lossy``, raises ImageError where the format does not give
    the same frames back.
    """
    shown = [*frames]
    if name not in FORMATS:
        raise ImageError(f"{name} cannot hold the {len(shown)} frames; {advice(shown)}.")
    if name in ANIMATIONS and len({one.pixels.shape[:2] for one in shown}) > 1:
        raise ImageError(f"{name} cannot hold frames of several sizes; {advice(shown)}.")
    kept = shown[0].metadata
    if are_deep(shown):
        if name != "TIFF":
            sentence = f"{name} cannot hold several frames of more than 8 bits a sample"
            raise ImageError(f"{sentence}; {advice(shown)}.")
        held = [one.smooth() for one in shown]
        kept = deep_tiff.write(held, file)[0]
    else:
        held = as_held(shown, name)
        write(shown, plays, file, name, exact=not lossy)
    file.flush()  # a full disk is not the format's fault
    found = ImageFrames([open_image(file, name)])
    if not lossy and not same_frames(found, shown, name):
        raise ImageError(
            f"{name} cannot hold these frames exactly; {advice(shown)}, and --lossy allows the loss."
        )
    if name not in ANIMATIONS and any(one.duration for one in shown):
        warn_of_loss(f"{name} does not keep how long frames are shown.")
    first = next(found.each())
    first.load()
    changed = any(one.presentation != other.presentation for one, other in zip(held, shown, strict=True))
    palette = shown[0].presentation.palette and not same_palette(first, to_pillow(shown[0]))
    if changed and not (palette and len({one.presentation for one in shown}) == 1):
        warn_of_loss(
            f"{name} does not keep the modes of these frames: palettes, bits or transparent colours."
        )
    warn_of_lost_parts(kept, first, file, name, ["palette"] if palette else [])


def are_deep(shown: Sequence[Picture]) -> bool:
    """Whether some frames have more than 8 bits a sample."""
    return any(one.pixels.dtype == np.uint16 for one in shown)


def write(shown: Sequence[Picture], plays: int, file: BinaryIO, name: str, *, exact: bool) -> None:
    """Raises ImageError."""
    images = [as_written(one, name, exact) for one in as_held(shown, name)]
    if name == "TIFF":
        for image, one in zip(images, shown, strict=True):
            own = saving_options(one.metadata, name, image.size)
            image.encoderinfo = {"exif": b"", "icc_profile": None, **own}
    metadata = shown[0].metadata
    options = saving_options(metadata, name, images[0].size)
    if name in ANIMATIONS:
        options["duration"] = durations(shown, name)
        if name == "GIF":
            options.update(
                optimize=False,
                disposal=2 if any("A" in one.presentation.smooth().mode for one in shown) else 1,
            )
        if name != "GIF" or plays != 1:
            options["loop"] = plays - 1 if name == "GIF" and plays else plays
    if name == "WEBP":
        options.update(kmin=0, kmax=1)  # every frame whole, so that the colours of hidden pixels stay
    try:
        images[0].save(Written(file), name, save_all=True, append_images=images[1:], **options)
    except MemoryError:
        raise
    except Exception as error:  # Pillow's writers raise nearly everything on what they do not know
        if isinstance(error, OSError) and error.errno is not None:  # the disk's fault, not the format's
            raise
        raise ImageError(f"{name} cannot hold these frames{why(error)}; {advice(shown)}.") from None
    if name == "PNG":
        add_png_chunks(metadata, file, images[0].mode)


def durations(shown: Sequence[Picture], name: str) -> list[float]:
    """Milliseconds of every frame, as a format can hold them; rounding is named by a SaidWarning."""
    wanted = [one.duration for one in shown]
    step = ROUNDING.get(name)
    if step is None:
        return wanted
    rounded: list[float] = [step * round(one / step) for one in wanted]
    if rounded != wanted:
        warn_of_loss(f"{name} holds the durations of frames in steps of {step} ms; they are rounded.")
    return rounded


def as_held(shown: Sequence[Picture], name: str) -> list[Picture]:
    """The frames in modes of their own where a format can hold them so, otherwise in colours."""
    first = shown[0].presentation
    one_palette = first.palette is not None and all(one.presentation == first for one in shown)
    if name == "TIFF":
        return [one.with_alpha() for one in shown]
    if name == "GIF" or (name == "PNG" and one_palette and first.smooth().mode == "RGB"):
        return [*shown]
    return [one.smooth() for one in shown]


def as_written(one: Picture, name: str, exact: bool) -> Image:
    """A frame as an image that Pillow writes without converting it, where the format can hold it."""
    image = to_pillow(one._replace(metadata=Metadata()))
    if name != "GIF":
        return image
    if one.presentation.palette and gif_holds(one.presentation.palette):
        return image
    palette = with_palette(one.smooth().pixels)
    if palette is None and exact:
        sentence = f"GIF cannot hold a frame of more than {COLOURS} colours or of half transparent ones"
        raise ImageError(f"{sentence} exactly; {advice([one])}.")
    return palette or image


def gif_holds(palette: Palette) -> bool:
    """Whether all entries are opaque, but for one at most, which is fully transparent."""
    alphas = palette.shown()[:, 3:]
    return bool(np.isin(alphas, (0, OPAQUE)).all()) and int((alphas == 0).sum()) <= 1


def with_palette(pixels: np.ndarray) -> Image | None:
    """A frame of at most 256 colours, opaque or fully transparent, as a palette image; None of others."""
    from PIL import Image

    rgba = np.asarray(Image.fromarray(pixels).convert("RGBA"))
    colours, indices = np.unique(rgba.reshape(-1, 4), axis=0, return_inverse=True)
    if len(colours) > COLOURS or not np.isin(colours[:, 3], (0, 255)).all() or (colours[:, 3] == 0).sum() > 1:
        return None
    image = Image.fromarray(indices.reshape(rgba.shape[:2]).astype(np.uint8), "L")
    image.putpalette(colours[:, :3].tobytes())
    clear = np.flatnonzero(colours[:, 3] == 0)
    if clear.size:
        image.info["transparency"] = int(clear[0])
    return image


def same_frames(found: ImageFrames, shown: Sequence[Picture], name: str) -> bool:
    """Whether a file shows the same; where it is an animation, equal frames may have become one."""
    if are_deep(shown):
        pages = zip_longest(found, shown)
        return all(one and other and same_page(one, other.smooth()) for one, other in pages)
    wanted = (to_pillow(one) for one in shown)
    pairs = zip_longest(steps(found.each(), name), steps(wanted, name))
    return all(one and other and same_pixels(one, turned_as(one, other)) for one, other in pairs)


def same_page(found: Picture, wanted: Picture) -> bool:
    """Whether a page of a TIFF file has the mode and the pixels that were written."""
    same = deep_saving.same_pixels(found.pixels, deep_saving.turned(wanted))
    return same and found.presentation == wanted.presentation


def steps(frames: Iterable[Image], name: str) -> Iterator[Image]:
    """Frames of which, in an animation, none is the same as the one before."""
    last = None
    for frame in frames:
        frame.load()
        if name not in ANIMATIONS:
            yield frame
        elif last is None or not same_pixels(frame, last):
            last = frame.copy()
            yield last
