"""LOG_FORMAT=json: one JSON object a line from every role, for Loki and its like. Unset or text: as each server does.

The objects have `time`, `service`, `level`, `logger` and `message`, and `exception` where there was one: a traceback
is part of its line. Nothing here is imported by a health check, or costs anything while the format is text.
"""

from __future__ import annotations

import json
import logging
import logging.config
import os
import sys
from datetime import UTC, datetime
from typing import Any

ROLE = "APP_ROLE"  # set by the entrypoint, for what it becomes


def wanted() -> bool:
    """Whether lines are to be JSON objects; what else LOG_FORMAT may be is checked by the environment."""
    return os.environ.get("LOG_FORMAT", "").strip() == "json"


def line(level: str, logger: str, message: str, *, at: float | None = None, exception: str | None = None) -> str:
    """Return one line without its end; `at` is in seconds since 1970, now unless given."""
    moment = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    record = {
        "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "service": os.environ.get(ROLE, "app"),
        "level": level.lower(),
        "logger": logger,
        "message": message,
    }
    return json.dumps(record | ({"exception": exception} if exception else {}))


class JSONLines(logging.Formatter):
    """Writes each record as one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line."""
        exception = self.formatException(record.exc_info) if record.exc_info else record.exc_text
        message = record.getMessage()
        return line(record.levelname, record.name, message, at=record.created, exception=exception)


def configuration(**levels: str) -> dict[str, Any]:
    """Return a configuration of `logging` by which these loggers, and the root, write to standard error."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "website.logs.JSONLines"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            name.replace("__", "."): {"handlers": ["stderr"], "level": level, "propagate": False}
            for name, level in levels.items()
        },
    }


def configure(level: str) -> None:
    """Have all that is written through `logging`, from this level on, written as JSON."""
    logging.config.dictConfig(configuration())
    logging.getLogger().setLevel(level)


def complain(message: str) -> None:
    """Write the line with which a role ends; its name stands before it, as text, or beside it."""
    role = os.environ.get(ROLE, "app")
    sys.stderr.write(f"{line('error', 'app', message) if wanted() else f'{role}: {message}'}\n")
