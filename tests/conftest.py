"""Lets every test import factory.py and plain_decoder.py, which lie beside this file."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def interrupts() -> Iterator[None]:
    """For tests of interrupted commands, which ignore further interrupts; pytest does not."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)
