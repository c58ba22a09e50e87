"""``python -m saidcodec.cli``, the same as ``saidcodec``."""

from saidcodec.cli import main

main()
