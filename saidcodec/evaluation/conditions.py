"""What figures were measured with: the machine, and the versions of what ran."""

from __future__ import annotations

import os
import platform
import textwrap
from importlib import metadata
from pathlib import Path

import saidcodec
from saidcodec import models
from saidcodec.residual import engine

COLUMNS = 110  # of a page
PACKAGES = ("numpy", "constriction", "pillow", "imagecodecs")


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def load() -> str:
    """How busy the machine is with everything that runs on it."""
    try:
        return f"load average {os.getloadavg()[0]:.1f}"
    except (OSError, AttributeError):
        return "load unknown"


def version(name: str) -> str | None:
    """The version of an installed package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def machine(threads: int) -> str:
    """Processor, threads and engine."""
    return f"{processor()}, {threads} threads, {engine.current().name}, Python {platform.python_version()}"


def versions() -> str:
    """The versions of saidcodec and of what it is measured with, and the installed models' ids."""
    found = [f"saidcodec {saidcodec.__version__}"]
    found += [f"{name} {number}" for name in PACKAGES if (number := version(name))]
    ids = {models.stem(path): models.read_metadata(path)["id"] for path in models.installed()}
    shipped = ", ".join(f"{name} {identity}" for name, identity in ids.items())
    return f"{', '.join(found)}; models {shipped}"


def wrapped(text: str) -> str:
    """Text in lines that fit a page."""
    return textwrap.fill(text, COLUMNS, break_long_words=False, break_on_hyphens=False)
