"""A gateway is not given the capability NET_ADMIN."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.probes.served import NOT_SERVED, Served


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityMissing(Fault):
    """Without NET_ADMIN nobody may make an interface: the gateway ends, and is started again and again."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    gateway: str
    """The service's name."""

    roots = frozenset({"capability-missing"})

    @property
    def name(self) -> str:
        """The fault's name."""
        return f"{self.gateway} without NET_ADMIN"

    @property
    def seen(self) -> str:
        """What a user sees."""
        return f"{self.gateway} restarts over and over, and web reaches neither MariaDB nor Redis"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """There is no tunnel."""
        return Symptom(probe=Served(self.gateway), outcomes=NOT_SERVED)

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create the gateway anew without `cap_add`."""
        overlay = f"services: {{{self.gateway}: {{cap_add: !reset []}}}}\n"
        disruptions.redeploy_to_fail(deployment, undo, overlay, self.gateway)


CASES: tuple[Fault, ...] = (CapabilityMissing(gateway="wireguard-services"),)
