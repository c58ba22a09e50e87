"""The form of an image: modes beyond those that a file's layout names, and the facts that they need
(bitstream_spec.md, sections 2.1 and 2.2).

A file of a common mode has no form: its layout says everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from saidcodec.errors import CorruptError
from saidcodec.format.cursor import Cursor, varint
from saidcodec.format.header import BYTE_BITS, MODES, MOST_DEPTH, Header, Mode

if TYPE_CHECKING:
    from saidcodec.format.palette import Palette

FORM_FOLLOWS = 7  # in the place of a mode
CMYK, INDICES = 6, 7  # channels of a form; below them as the modes of a layout
DEPTHS = {8: 0, 1: 1}  # bits of a sample, and their number
WIDE = 2  # the number of depths from 9 to 16, which the next byte gives
# Form, from the lowest bit: channels 3, depth 3, and whether there is a key, and whether indices are ranks
DEPTH_SHIFT, HAS_KEY, IS_RANKED = 3, 1 << 6, 1 << 7
MOST_KEY = (1 << 16) - 1  # of images of up to 8 bits a sample; wide ones have the numbers of their samples
NO_SUCH_THING = "The file's header asks for something that does not exist."


class Form(NamedTuple):
    """What a layout's mode, or a form, says; fields as in ``Header``."""

    mode: Mode
    replicated: bool
    depth: int = 8
    has_key: bool = False
    has_palette: bool = False
    ranked: bool = False

    @property
    def wide(self) -> bool:
        """Whether samples have more than 8 bits."""
        return self.depth > BYTE_BITS

    @property
    def must_be_exact(self) -> bool:
        """Whether only lossless files show such an image."""
        return self.has_palette or self.depth == 1

    def read_facts(
        self, cursor: Cursor, before: Palette | None
    ) -> tuple[tuple[int, ...] | None, Palette | None]:
        """The key and the palette, which may be that of the frame ``before``.

        Raises CorruptError, TruncatedError, LimitError.
        """
        key = None
        if self.has_key:
            key = tuple(cursor.varint() for _ in range(3 if self.mode == Mode.RGB else 1))
            if max(key) > ((1 << self.depth) - 1 if self.wide else MOST_KEY):
                raise CorruptError(NO_SUCH_THING)
        if not self.has_palette:
            return key, None
        from saidcodec.format.palette import read_palette  # which few images have

        return key, read_palette(cursor, before)


def number_of(header: Header) -> tuple[int, bytes]:
    """The mode in a header's layout, and the form that follows it, if one does."""
    plain = header.depth == 8 and header.key is None and not header.palette and header.mode != Mode.CMYK
    channels = CMYK
    if header.palette:
        channels = INDICES
    elif header.mode != Mode.CMYK:
        channels = MODES.index(header.mode) + 2 * header.replicated
    if plain:
        return channels, b""
    form = channels | (WIDE if header.wide else DEPTHS[header.depth]) << DEPTH_SHIFT
    form |= HAS_KEY * (header.key is not None) | IS_RANKED * header.ranked
    return FORM_FOLLOWS, bytes([form, header.depth][: 1 + header.wide])


def facts_of(header: Header) -> bytes:
    """The key and the palette of a header."""
    key = b"".join(map(varint, header.key or ()))
    if not header.palette:
        return key
    from saidcodec.format.palette import pack_palette  # as above

    return key + pack_palette(header.palette)


def read_form(number: int, cursor: Cursor) -> Form:
    """The form that a layout's mode is, or that follows it.  Raises CorruptError, TruncatedError."""
    if number < CMYK:
        return common(number)
    if number != FORM_FOLLOWS:
        raise CorruptError(NO_SUCH_THING)
    byte = cursor.take(1)[0]
    channels, depth = byte & 7, byte >> DEPTH_SHIFT & 7
    has_key, ranked = bool(byte & HAS_KEY), bool(byte & IS_RANKED)
    depths = {number: bits for bits, number in DEPTHS.items()}
    if depth == WIDE:
        depths[WIDE] = cursor.take(1)[0]
    unfit = byte < CMYK or depth not in depths  # the former would be a layout's mode
    unfit |= depths.get(depth) == 1 and channels != 0
    unfit |= depth == WIDE and (channels >= CMYK or not BYTE_BITS < depths[WIDE] <= MOST_DEPTH)
    unfit |= has_key and channels not in (0, 2, 4)
    unfit |= ranked and channels != INDICES
    if unfit:
        raise CorruptError(NO_SUCH_THING)
    if channels == INDICES:
        return Form(Mode.L, False, has_palette=True, ranked=ranked)
    if channels == CMYK:
        return Form(Mode.CMYK, False)
    found = common(channels)
    return Form(found.mode, found.replicated, depths[depth], has_key)


def common(number: int) -> Form:
    """That of a common mode."""
    replicated = number >= len(MODES)
    return Form(Mode(MODES[number - 2 * replicated]), replicated)
