"""The exporter's log: a line an event on standard output, as text or as a JSON object."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Log:
    """Writes lines; the objects have the same names as the gateway's and the applications'."""

    def __init__(self, *, as_json: bool, write: Callable[[str], None] = _print) -> None:
        self._as_json = as_json
        self._write = write

    def info(self, message: str) -> None:
        """Tell of something that is as it should be."""
        self._line("info", message)

    def warning(self, message: str) -> None:
        """Tell of something that is not."""
        self._line("warning", message)

    def fatal(self, message: str) -> None:
        """Tell why the exporter ends."""
        self._line("error", message)

    def _line(self, level: str, message: str) -> None:
        message = " ".join(message.split())
        if not self._as_json:
            self._write(f"exporter: {message}")
            return
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._write(json.dumps({"time": time, "service": "exporter", "level": level, "message": message}))
