"""Lets every test import factory.py and plain_decoder.py, which lie beside this file."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
