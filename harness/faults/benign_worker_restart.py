"""The Celery worker has been restarted."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault

_STOP_GRACE = 5  # seconds, as in the compose file


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRestarted(Fault):
    """`docker restart celery`, as after every release."""

    benign: ClassVar[bool] = True

    name = "a restarted worker"
    seen = "nothing; a job waits for a second or two"
    roots = frozenset()

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Restart it; the undo starts it, had that been interrupted half-way."""
        undo.callback(deployment.celery.container.start)
        deployment.celery.container.restart(timeout=_STOP_GRACE)
        disruptions.settle(deployment.celery)


CASES: tuple[Fault, ...] = (WorkerRestarted(),)
