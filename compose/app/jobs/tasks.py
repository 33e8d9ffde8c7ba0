"""The work itself."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from celery import shared_task
from celery.exceptions import Reject
from celery.utils.log import get_task_logger
from celery.worker import state
from django.db import InterfaceError, OperationalError, ProgrammingError, connection

from jobs.models import Job
from website.reasons import reason

if TYPE_CHECKING:
    from celery import Task

log = get_task_logger(__name__)

# A job waits for the database where it is: Celery's own retry would queue it anew and lose it, were
# the broker away as well. Past this it goes back to the queue, before the broker gives it out again.
DATABASE_WITHIN = 20.0
DATABASE_POLL = 0.5


@shared_task(bind=True, name="jobs.digest")
def digest(self: Task, identifier: str, text: str, created: str) -> None:
    """Write the SHA-256 of a text to the job's row; a job that is delivered twice changes nothing."""
    row = {
        "text": text,
        "result": hashlib.sha256(text.encode()).hexdigest(),
        "worker": self.request.hostname or "",
        "created": datetime.fromisoformat(created),
    }
    deadline = time.monotonic() + DATABASE_WITHIN
    waiting = False
    while True:
        try:
            Job.objects.get_or_create(id=UUID(identifier), defaults=row | {"finished": datetime.now(UTC)})
        # A table that is missing is about to be made by the services role.
        except (OperationalError, InterfaceError, ProgrammingError) as error:
            connection.close()
            if time.monotonic() > deadline or state.should_stop is not None or state.should_terminate is not None:
                raise Reject(error, requeue=True) from None
            if not waiting:
                log.warning("Job %s waits for the database: %s", identifier, reason(error))
                waiting = True
        else:
            return
        time.sleep(DATABASE_POLL)
