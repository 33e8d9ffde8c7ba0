"""Services alone is told of another database host than its gateway forwards to."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions, recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.probes.health import HealthVerdict
from harness.probes.served import NOT_SERVED

_NOBODY = 99
"""An address of the containers' network that nobody has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseHostWrong(Fault):
    """DATABASE_HOST was changed for the application and not for the gateway, or the other way round."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP
    layouts: ClassVar[tuple[str, ...]] = ("prod",)  # in dev the address is MariaDB's own, in the compose file

    name = "DATABASE_HOST of services is wrong"
    seen = "services says that its database does not answer, while web reaches it through the tunnel"
    roots = frozenset({"setting-contradicted"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nobody is there."""
        return Symptom(probe=HealthVerdict("services", "database"), outcomes=NOT_SERVED)

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create services anew with it."""
        wrong = {"DATABASE_HOST": str(deployment.plan.services_net[_NOBODY])}
        recreation.redeploy(deployment, undo, disruptions.with_environment("services", wrong), "services")


CASES: tuple[Fault, ...] = (DatabaseHostWrong(),)
