"""An entry of WG_FORWARD_PORTS cannot be read."""

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
class MalformedForwardEntry(Fault):
    """MariaDB's entry is written without the protocol, as in Docker's own way to publish a port."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    name = "malformed forward entry"
    seen = "services' gateway ends as soon as it starts, over and over, and web reaches nothing"
    roots = frozenset({"forward-setting-malformed"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nobody is at the other end of the tunnel."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create services' gateway anew with that entry among the others."""
        entries = [
            f"{forward.port}:{forward.destination}" if forward.port == deployment.plan.mariadb_port else str(forward)
            for forward in deployment.wireguard_services.forwards()
        ]
        overlay = Variables({"wireguard-services": {"WG_FORWARD_PORTS": " ".join(entries)}})
        recreation.redeploy(deployment, undo, overlay, "wireguard-services")


CASES: tuple[Fault, ...] = (MalformedForwardEntry(),)
