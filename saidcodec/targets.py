"""Which format a .said file is decoded to where nobody names one."""

from __future__ import annotations

from saidcodec import arguments, images
from saidcodec.arguments import Source
from saidcodec.format import container


def is_sequence(source: Source) -> bool:
    """Whether a file has several frames.  Raises FileError."""
    with arguments.opened(source) as contents:
        return container.is_sequence(contents)


def suffix_for(source: Source, number: int | None = None) -> str:
    """The suffix of the usual format that holds all frames of a file, or the one with a number; no pixel is
    decoded.

    Raises a kind of SaidError.
    """
    if not is_sequence(source):
        with arguments.opened(source) as contents:
            headers = [container.unpack(contents, whole=False).header]
    else:
        from saidcodec.frames import Frames  # which few files have

        with Frames(source) as frames:
            numbers = range(len(frames)) if number is None else range(len(frames))[number : number + 1]
            headers = [frames.header(one) for one in numbers]
    return images.suffix_for([images.Kind(one.presentation, one.width, one.height) for one in headers])
