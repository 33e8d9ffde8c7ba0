"""What the worker does besides its jobs.

It leaves a trace of every heartbeat that it sends to its broker, for `celery-health`, and writes its log as JSON when
that is asked for.
"""

import logging
import os
import warnings
from pathlib import Path
from typing import Any

from celery.apps import worker as celery_worker
from celery.exceptions import CPendingDeprecationWarning
from celery.signals import after_setup_logger, after_setup_task_logger, heartbeat_sent, worker_ready, worker_shutdown

from website import logs

TRACE = Path("/tmp/celery-heartbeat")  # noqa: S108 - the container's own, and celery-health looks there


@heartbeat_sent.connect
def touch(**_signal: Any) -> None:
    """Note that a heartbeat went out."""
    TRACE.touch()


@worker_shutdown.connect
def remove(**_signal: Any) -> None:
    """Forget the heartbeats of a worker that has stopped."""
    TRACE.unlink(missing_ok=True)


@worker_ready.connect
def quieten(**_signal: Any) -> None:
    """Drop ten lines at every loss of the broker about a setting that website/broker.py has decided."""
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)


@after_setup_logger.connect
@after_setup_task_logger.connect
def write_json(logger: logging.Logger, **_signal: Any) -> None:
    """Write each record as a line of JSON when that is asked for."""
    if logs.wanted():
        for handler in logger.handlers:
            handler.setFormatter(logs.JSONLines())
        celery_worker.safe_say = _say


def _say(message: str, *_file: Any) -> None:
    """Write what the worker says while it is being stopped, from a signal's handler, past all loggers."""
    os.write(2, f"{logs.line('info', 'celery.worker', message)}\n".encode())
