"""Handing jobs to the worker."""

from datetime import UTC, datetime

import redis
from kombu.exceptions import KombuError

from jobs.tasks import digest
from website.broker import app

FAILURES = (KombuError, redis.RedisError, OSError)
"""What is raised when the broker does not take a job."""


def put(identifier: str, text: str) -> None:
    """Queue a job; raises one of `FAILURES`."""
    # A fresh connection: a pooled one that outlived an outage would fail for the first client after it.
    with app.connection_for_write() as connection:
        digest.apply_async(
            (identifier, text, datetime.now(UTC).isoformat()), task_id=identifier, connection=connection, retry=False
        )
