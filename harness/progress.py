"""Lines that say what is being done, each with the seconds since the start."""

from __future__ import annotations

import contextlib
import os
import sys
import time

# The set-up scripts export when they began, so that a script and what it calls share one clock.
_SCRIPT_STARTED = os.environ.get("STARTED_TENTHS", "")
_started = int(_SCRIPT_STARTED) / 10 if _SCRIPT_STARTED.isdecimal() else time.time()
_indent = "    " if _SCRIPT_STARTED else ""


def say(line: str) -> None:
    """Print one line of progress to standard error, at once, also when that is no terminal; never raises."""
    write(stamped(line) + "\n")


def write(text: str) -> None:
    """Write to standard error, and go on where nobody reads it any more: who speaks may be in the midst of cleaning up.

    A terminal that was closed fails with EIO, a pipe whose reader has gone with EPIPE. A signal handler may speak
    while its own thread is writing, which Python refuses as reentrant.
    """
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        sys.stderr.write(text)
        sys.stderr.flush()


def stamped(line: str) -> str:
    """The line with the seconds since this process, or the script that called it, began."""
    return f"{_indent}[{time.time() - _started:5.1f}s] {line}"
