"""What a file's head says: size, mode, model, tiling, metadata, and the numbers that stand for them
(bitstream_spec.md, section 2)."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TYPE_CHECKING, NamedTuple

from saidcodec.format.colour import Transform
from saidcodec.format.presentation import Presentation

if TYPE_CHECKING:
    from saidcodec.format.palette import Palette

VERSION = (0, 11)
SIGNATURE = bytes([0xD0 | VERSION[1]]) + b"\r\n"  # names the version, and breaks where line ends are changed
ARCHIVE_SIGNATURE = b"\xd3S\r\n"  # of archives, which hold many images (archive_spec.md)
IS_SEQUENCE = bytes([0x80, 0x80])  # layout and extension of a file of several frames
OLD_SIGNATURE = b"\xd3A\r\n"  # up to version 0.5, which the next byte gives
LAST_OLD = (0, 5)
MOST_SIDE = 1 << 20  # pixels
MOST_PIXELS = 1 << 28  # decode() refuses more before it allocates anything
MOST_BAND_PIXELS = 1 << 24  # what a decoder must hold at once, for each of its threads
ADAPTIVE_PIXELS = 1 << 14  # from here on an image is long enough to learn from
MOST_DECIDED_WIDTH = 1 << 15  # pixels: decisions keep about 2.6 KB a column of every band that is coded
SMALLEST_TILE, LARGEST_TILE = 16, 512  # pixels a side


class Mode(str, Enum):
    """The channels that an image is coded as, by Pillow's name; 8 bits each.  The first four are in the order
    of the file's numbers."""

    L = "L"
    LA = "LA"
    RGB = "RGB"
    RGBA = "RGBA"
    CMYK = "CMYK"

    __str__ = str.__str__


# Names of modes of 16 bits; the first is Pillow's, which knows no others.
WIDE_MODES = {Mode.L: "I;16", Mode.LA: "LA;16", Mode.RGB: "RGB;16", Mode.RGBA: "RGBA;16"}
BY_NAME = {name: mode for mode, name in WIDE_MODES.items()}
BYTE_BITS, MOST_DEPTH = 8, 16  # bits of a sample

MODES = tuple(mode.value for mode in Mode if mode != Mode.CMYK)  # those of arrays, by their channels


class ResidualCoder(IntEnum):
    """How the residual is coded."""

    NONE = 0
    GAUSSIAN = 1
    CONTEXT = 2
    MIXED = 3

    @property
    def has_network(self) -> bool:
        """Whether the residual network codes bands."""
        return self in (ResidualCoder.CONTEXT, ResidualCoder.MIXED)


class BandMethod(IntEnum):
    """How a band of a MIXED file is coded: its colours as they are, as ranks of the levels that occur, as
    the luma and chroma that a known map makes them of, as flat graphics, or these of differences; or as one
    channel and the others' differences from it."""

    PLAIN = 0
    LEVELS = 1
    MAPPED = 2
    GRAPHICS = 3
    GRADIENTS = 4
    DIFFERENCES = 5


class TileKind(IntEnum):
    """What the SAID section says of a tile: without a SAID layer, with one, or its samples as they are."""

    PLAIN = 0
    SAID = 1
    STORED = 2


class Unit(IntEnum):
    """The length that a resolution counts pixels of; NONE: it gives the shape of a pixel alone."""

    NONE = 0
    METRE = 1
    INCH = 2
    CENTIMETRE = 3


class Resolution(NamedTuple):
    """Pixels a unit, across and down: fractions, each a numerator and a denominator from 1 to 2^32 − 1."""

    unit: Unit
    across: tuple[int, int]
    down: tuple[int, int]


class Text(NamedTuple):
    """A text about the image, as PNG has them: ``language`` is a tag of RFC 5646, ``translated`` the key in
    that language; both may be empty."""

    key: str
    text: str
    language: str = ""
    translated: str = ""


class Metadata(NamedTuple):
    """What travels beside the pixels.

    ``icc``, ``exif``, ``xmp`` and ``comment`` are the bytes that other formats hold.  ``chunks``: types and
    bodies of PNG chunks about colours and time (section 2 lists them), as in a PNG file of the image's mode.
    """

    icc: bytes = b""
    exif: bytes = b""
    xmp: bytes = b""
    resolution: Resolution | None = None
    texts: tuple[Text, ...] = ()
    comment: bytes = b""
    chunks: tuple[tuple[bytes, bytes], ...] = ()


class Header(NamedTuple):
    """The facts that everything else depends on.

    ``replicated``: the image is RGB or RGBA and R = G = B everywhere, so that grey is coded.  ``max_error``:
    largest error of a sample, 0 for lossless.  ``model``: the model's id; in the header that was read from a
    file its beginning.  ``side`` bounds the tiles' sides, ``most_bands`` is the largest number of bands; both
    are powers of 2.  ``adaptive``: the context coder learns along;
    ``decided``: by decisions, too (section 6.10); ``by_parity``: with weights for each parity (6.9).
    ``differences``: what the components of a near-lossless
    colour image are.

    The others say how the channels are shown.  ``depth``: bits of a sample; an image of depth 1 is coded as
    the greys 0 and 255, one of depth 9 to 16 is wide: it has samples of uint16, no model and no SAID layer.
    ``key``: the colour that stands for transparency.  ``palette``: of an image of
    indices, which is coded as one grey channel; if ``ranked``, as the places of the indices in the palette
    ordered by luma.
    """

    width: int
    height: int
    mode: Mode
    replicated: bool
    coder: ResidualCoder
    max_error: int
    model: str
    side: int
    most_bands: int
    adaptive: bool = False
    decided: bool = False
    by_parity: bool = False
    differences: Transform = Transform.GBR
    depth: int = 8
    key: tuple[int, ...] | None = None
    palette: Palette | None = None
    ranked: bool = False

    @property
    def presentation(self) -> Presentation:
        """How the channels are shown."""
        name = "P" if self.palette else "1" if self.depth == 1 else str(self.mode)
        if self.wide:
            name = WIDE_MODES[self.mode]
        return Presentation(name, self.palette, self.key)

    @property
    def wide(self) -> bool:
        """Whether samples have more than 8 bits."""
        return self.depth > BYTE_BITS

    @property
    def flat(self) -> bool:
        """Whether the samples are few colours that need not be alike where their numbers are."""
        return self.palette is not None or self.depth == 1

    @property
    def grey(self) -> bool:
        """Whether the one colour component that is coded is a grey value."""
        return self.replicated or self.mode in (Mode.L, Mode.LA)

    @property
    def components(self) -> int:
        """Colour components that are coded: three, or Y alone."""
        return 1 if self.grey else 3

    @property
    def transform(self) -> Transform:
        """What the components are, unless a band says otherwise: near-lossless, later ones make up for the
        first one's errors, which differences allow."""
        return self.differences if self.has_order else Transform.YCOCG

    @property
    def has_order(self) -> bool:
        """Whether the head says which differences the components are."""
        return bool(self.max_error) and not (self.grey or self.wide)

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is coded by itself: alpha, or the black of CMYK."""
        return self.mode in (Mode.LA, Mode.RGBA, Mode.CMYK)

    @property
    def channels(self) -> int:
        """Channels that are coded, alpha included; replicated grey counts once."""
        return self.components + self.has_alpha

    @property
    def usually_adaptive(self) -> bool:
        """Whether a file of this size and residual coder learns along unless it says otherwise."""
        return self.coder.has_network and not self.wide and self.width * self.height >= ADAPTIVE_PIXELS

    @property
    def exact(self) -> bool:
        """Whether the file decodes to the very pixels that were encoded."""
        return self.coder != ResidualCoder.NONE and not self.max_error
