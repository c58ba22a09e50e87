"""Resolutions: what other formats say of them ⇄ numerators, denominators and a unit."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from saidcodec.format.header import Resolution, Unit
from saidcodec.format.metadata import MOST_TERM

if TYPE_CHECKING:
    from PIL.Image import Exif, Image

ACROSS_TAG, DOWN_TAG, UNIT_TAG = 282, 283, 296  # of TIFF and EXIF
TAGS = (ACROSS_TAG, DOWN_TAG, UNIT_TAG)
TIFF_UNITS = {1: Unit.NONE, 2: Unit.INCH, 3: Unit.CENTIMETRE}
JFIF_UNITS = {0: Unit.NONE, 1: Unit.INCH, 2: Unit.CENTIMETRE}
PER_METRE = {Unit.METRE: Fraction(1), Unit.INCH: Fraction(5000, 127), Unit.CENTIMETRE: Fraction(100)}
MOST_OF_JFIF, MOST_OF_PNG = (1 << 16) - 1, (1 << 31) - 1
FINEST = 10_000  # the greatest denominator of what is given as a float


def resolution(unit: Unit, across: Any, down: Any) -> Resolution | None:
    """A resolution of two numbers of any kind; None where they cannot be one."""
    with suppress(ArithmeticError, AttributeError, TypeError, ValueError):
        terms = [
            (number.numerator, number.denominator)
            for number in (fraction(across), fraction(down))
            if 0 < number.numerator <= MOST_TERM and number.denominator <= MOST_TERM
        ]
        if len(terms) == 2:
            return Resolution(unit, terms[0], terms[1])
    return None


def is_square(found: Resolution | None) -> bool:
    """Whether pixels are said to be square, and nothing else: what JPEG files say where nobody asked."""
    return found is not None and found.unit == Unit.NONE and found.across == found.down


def fraction(number: Any) -> Fraction:
    """A number exactly; a float as the fraction that it most likely was."""
    if isinstance(number, float):
        return Fraction(number).limit_denominator(FINEST)
    return Fraction(int(number.numerator), int(number.denominator))


def of_image(image: Image, tags: Exif | None) -> Resolution | None:
    """What a loaded Pillow image and the ``tags`` of its EXIF say.

    EXIF in a PNG file does not stand for ``pHYs``: it would come back with a chunk that it had not.
    """
    own = getattr(image, "tag_v2", None)
    if own is not None:
        return of_tags(own)
    info = image.info
    if image.format in ("JPEG", "MPO") and "jfif_density" in info:
        unit = JFIF_UNITS.get(info.get("jfif_unit", -1))
        found = None if unit is None else resolution(unit, *info["jfif_density"])
        if found is not None and not is_square(found):
            return found
    elif isinstance(info.get("dpi"), tuple) and len(info["dpi"]) == 2:
        return resolution(Unit.INCH, *info["dpi"])
    elif isinstance(info.get("aspect"), tuple) and len(info["aspect"]) == 2:
        return resolution(Unit.NONE, *info["aspect"])
    return None if tags is None or image.format == "PNG" else of_tags(tags)


def of_tags(tags: Any) -> Resolution | None:
    """What tags of EXIF or of a TIFF file say."""
    unit = TIFF_UNITS.get(tags.get(UNIT_TAG, 2))
    if unit is None or ACROSS_TAG not in tags or DOWN_TAG not in tags:
        return None
    return resolution(unit, tags[ACROSS_TAG], tags[DOWN_TAG])


def as_tags(found: Resolution) -> dict[int, Any]:
    """The same as tags, in inches unless there is no unit."""
    from PIL.TiffImagePlugin import IFDRational

    across, down = numbers(found) if found.unit == Unit.NONE else per_inch(found)
    terms = [
        IFDRational(number.numerator, number.denominator) if number.numerator <= MOST_TERM else round(number)
        for number in (across, down)
    ]
    return {ACROSS_TAG: terms[0], DOWN_TAG: terms[1], UNIT_TAG: 1 if found.unit == Unit.NONE else 2}


def as_info(found: Resolution | None) -> dict[str, tuple[float, float]]:
    """The same under Pillow's names."""
    if found is None:
        return {}
    if found.unit == Unit.NONE:
        return {"aspect": aspect(found, MOST_OF_PNG)}
    across, down = per_inch(found)
    return {"dpi": (float(across), float(down))}


def as_jfif(found: Resolution) -> tuple[int, int, int]:
    """The same as JPEG files have it: unit, and whole numbers, of centimetres where only those are exact."""
    if found.unit == Unit.NONE:
        return 0, *aspect(found, MOST_OF_JFIF)
    choices = []
    for code, unit in ((1, Unit.INCH), (2, Unit.CENTIMETRE)):
        terms = [min(max(1, round(number / PER_METRE[unit])), MOST_OF_JFIF) for number in per_metre(found)]
        choices.append((code, terms[0], terms[1]))
        if alike(found, resolution(unit, *terms)):
            return choices[-1]
    return choices[0]


def as_phys(found: Resolution) -> tuple[int, int, int]:
    """The same as PNG files have it: two whole numbers and whether they count a metre's pixels."""
    if found.unit == Unit.NONE:
        return *aspect(found, MOST_OF_PNG), 0
    across, down = (min(max(1, round(number)), MOST_OF_PNG) for number in per_metre(found))
    return across, down, 1


def aspect(found: Resolution, most: int) -> tuple[int, int]:
    """The shape of a pixel as a fraction of numbers up to ``most``."""
    across, down = numbers(found)
    smaller = min(across / down, down / across).limit_denominator(most)
    terms = max(1, smaller.numerator), smaller.denominator
    return terms if across < down else terms[::-1]


def numbers(found: Resolution) -> tuple[Fraction, Fraction]:
    return Fraction(*found.across), Fraction(*found.down)


def per_metre(found: Resolution) -> tuple[Fraction, Fraction]:
    across, down = numbers(found)
    return across * PER_METRE[found.unit], down * PER_METRE[found.unit]


def per_inch(found: Resolution) -> tuple[Fraction, Fraction]:
    across, down = per_metre(found)
    return across / PER_METRE[Unit.INCH], down / PER_METRE[Unit.INCH]


def alike(one: Resolution | None, other: Resolution | None) -> bool:
    """Whether two resolutions are the same to a whole pixel a metre, which is what PNG files can say."""
    if one is None or other is None or (one.unit == Unit.NONE) != (other.unit == Unit.NONE):
        return one == other
    return as_phys(one) == as_phys(other)


def described(found: Resolution) -> str:
    """A resolution for people."""
    across, down = numbers(found)
    if found.unit == Unit.NONE:
        return "{}:{}".format(*aspect(found, MOST_OF_PNG))
    return f"{float(across):.6g} × {float(down):.6g} per {found.unit.name.lower()}"
