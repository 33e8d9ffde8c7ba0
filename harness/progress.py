"""Lines that say what is being done, each with the seconds since the start."""

from __future__ import annotations

import os
import sys
import time

_started = time.monotonic() - float(os.environ.get("HARNESS_ELAPSED") or 0)


def say(line: str) -> None:
    """Print one line of progress to standard error, at once, also when that is no terminal."""
    sys.stderr.write(stamped(line) + "\n")
    sys.stderr.flush()


def stamped(line: str) -> str:
    """The line with the seconds since the process, or the script that started it, began."""
    return f"[{time.monotonic() - _started:6.1f}s] {line}"
