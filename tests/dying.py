"""Work for tests of what does it; in a module of its own, so that other processes can import it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from saidcodec.batch.work import Outcome, Work
from saidcodec.stopwatch import Stopwatch

PATIENCE = 30  # seconds


@dataclass(frozen=True)
class Dying(Work):
    """Notes which process read a file, and kills or ends it where the file says so.  A file that names
    another one waits until that is read, too."""

    verb: ClassVar[str] = "dying"

    def check(self) -> None:
        """Everything is fine."""

    def do(self, outcome: Outcome, threads: int, watch: Stopwatch) -> None:
        said = Path(outcome.job.source).read_text()
        if said == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if said == "end":
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                Path(outcome.job.source).write_text("tidied")
        if said.startswith("meet "):
            Path(f"{outcome.job.source}.here").touch()
            other, until = Path(f"{said.removeprefix('meet ')}.here"), time.monotonic() + PATIENCE
            while not other.exists():
                assert time.monotonic() < until
                time.sleep(0.01)
        outcome.notes.append(str(os.getpid()))
