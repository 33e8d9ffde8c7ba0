"""Leaves a trace of every heartbeat that the worker sends to its broker, for `celery-health`."""

from pathlib import Path
from typing import Any

from celery.signals import heartbeat_sent, worker_shutdown

TRACE = Path("/tmp/celery-heartbeat")  # noqa: S108 - the container's own, and celery-health looks there


@heartbeat_sent.connect
def touch(**_signal: Any) -> None:  # noqa: ANN401
    """Note that a heartbeat went out."""
    TRACE.touch()


@worker_shutdown.connect
def remove(**_signal: Any) -> None:  # noqa: ANN401
    """Forget the heartbeats of a worker that has stopped."""
    TRACE.unlink(missing_ok=True)
