"""The package's face."""

import subprocess
import sys

import saidcodec


def test_every_public_name_is_listed_and_there() -> None:
    code = "import saidcodec; print(*dir(saidcodec))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(saidcodec.__all__) <= set(found.stdout.split())
    assert all(getattr(saidcodec, name) for name in saidcodec.__all__)
