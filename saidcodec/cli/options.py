"""What several commands share: texts of options, and how an input is named."""

from __future__ import annotations

from saidcodec import files

MODEL_HELP = "Name or path of a model."
LOSSY_HELP = "Allow a format that changes pixels, such as JPEG."


def name_of(source: str) -> str:
    """An input's name in messages."""
    return "standard input" if source == files.STANDARD else source
