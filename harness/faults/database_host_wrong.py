"""Celery alone is told of another database host than its gateway forwards to."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage
from harness.overlays import Variables

_NOBODY = 99
"""An address of the containers' network that nobody has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseHostWrong(Fault):
    """DATABASE_HOST was changed for the application and not for the gateway, or the other way round."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP
    layouts: ClassVar[tuple[str, ...]] = ("prod",)  # in dev the address is MariaDB's own, in the compose file

    name = "DATABASE_HOST of celery is wrong"
    seen = "jobs that need the database fail, while web and services reach it"
    roots = frozenset({"setting-contradicted"})

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create celery anew with it."""
        wrong = {"DATABASE_HOST": str(deployment.plan.services_net[_NOBODY])}
        recreation.redeploy(deployment, undo, Variables({"celery": wrong}), "celery")


CASES: tuple[Fault, ...] = (DatabaseHostWrong(),)
