"""Web is told the address that MariaDB has on the other side of the tunnel."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.overlays import Variables
from harness.probes.health import HealthVerdict
from harness.probes.served import NOT_SERVED


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendAddressAtWeb(Fault):
    """The address is right, for services: web has no way there but the tunnel's, which is 10.100.0.11."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    name = "web is told the backend's own address"
    seen = "web says that its database does not answer, while Redis is well"
    roots = frozenset({"setting-contradicted"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Docker keeps its networks apart, by silence or by a refusal."""
        return Symptom(probe=HealthVerdict("web", "database"), outcomes=NOT_SERVED)

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create web anew with what services is told."""
        overlay = Variables({"web": {"DATABASE_HOST": str(deployment.plan.mariadb)}})
        recreation.redeploy(deployment, undo, overlay, "web")


CASES: tuple[Fault, ...] = (BackendAddressAtWeb(),)
