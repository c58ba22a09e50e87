"""What stays open until it is closed."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TypeVar

Own = TypeVar("Own", bound="Closing")


class Closing:
    """A reader of a file that is let go of by ``close``, or at the end of a ``with``."""

    _held: ExitStack  # what must be let go of

    def close(self) -> None:
        """Let go of the file; nothing can be read any more."""
        self._held.close()

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
