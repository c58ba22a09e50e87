"""Every error that the codec raises on purpose; each carries one clear sentence for the user."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class SaidError(Exception):
    """Base of all of saidcodec's errors."""


class FormatError(SaidError):
    """The data is not a .said file."""


class VersionError(SaidError):
    """The file is of a version that this program does not read."""


class TruncatedError(SaidError):
    """The file ends too early."""


class CorruptError(SaidError):
    """The file is damaged: a checksum fails or a value is impossible."""


class LimitError(SaidError):
    """The file or image claims more than the limits allow."""


class ModelError(SaidError):
    """A model is not installed, or its file is unusable."""


class ImageError(SaidError):
    """The input image cannot be read or is of an unsupported kind."""


class RegionError(SaidError):
    """A region is not inside the image."""


class FileError(SaidError):
    """A file cannot be read or written."""


class ClusterError(SaidError):
    """A cluster of machines cannot be used."""


class SaidWarning(UserWarning):
    """The pixels are kept, but something beside them is not."""


@contextmanager
def about(name: str | None) -> Iterator[None]:
    """Let the sentence of every error raised inside begin with the name of the file that it is about.

    A sentence that begins so already stays as it is, and so does every sentence where ``name`` is None.
    """
    try:
        yield
    except SaidError as error:
        if name is None or str(error).startswith((f"{name} ", f"{name}: ", f"{name}/")):
            raise
        raise type(error)(f"{name}: {error}") from None


def warn_of_loss(sentence: str) -> None:
    warnings.warn(sentence, SaidWarning, stacklevel=2)


def reason(error: Exception) -> str:
    """What another library's error says, without its full stop."""
    return str(error).rstrip(".") or type(error).__name__
