"""WG_FORWARD_PORTS has no entry for MariaDB's port."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Outcome
from harness.overlays import Variables
from harness.probes.mariadb import MariaDBQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingForwardEntry(Fault):
    """Services' gateway was never told to forward 3306."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    name = "MariaDB's forward entry is missing"
    seen = "web reaches Redis, and MariaDB is refused"
    roots = frozenset({"forward-rule-missing"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """The gateway refuses what is for itself."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.REFUSED,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create services' gateway anew with the other entries."""
        declared = deployment.wireguard_services.forwards()
        rest = " ".join(str(forward) for forward in declared if forward.port != deployment.plan.mariadb_port)
        overlay = Variables({"wireguard-services": {"WG_FORWARD_PORTS": rest}})
        recreation.redeploy(deployment, undo, overlay, "wireguard-services")


CASES: tuple[Fault, ...] = (MissingForwardEntry(),)
