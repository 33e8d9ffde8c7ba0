"""What the worker does besides its jobs.

It leaves a trace of every heartbeat that it sends to its broker, for `celery-health`.
"""

import warnings
from pathlib import Path
from typing import Any

from celery.exceptions import CPendingDeprecationWarning
from celery.signals import heartbeat_sent, worker_ready, worker_shutdown

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
