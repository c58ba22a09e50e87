"""Work for tests of what does it; in a module of its own, so that other processes can import it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from saidcodec.batch.work import Outcome, Work
from saidcodec.stopwatch import Stopwatch


@dataclass(frozen=True)
class Dying(Work):
    """Notes which process read a file, and kills or ends it where the file says so."""

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
        outcome.notes.append(str(os.getpid()))
