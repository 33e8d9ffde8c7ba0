"""Services is published on every address of its server."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions, recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesPublished(Fault):
    """`SERVICES_BIND_ADDRESS=0.0.0.0`: a way to services that is not the tunnel."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP
    layouts: ClassVar[tuple[str, ...]] = ("prod",)

    name = "services published on 0.0.0.0:8001"
    seen = "all is well, for everybody who can reach the services server"
    roots = frozenset({"port-exposed"})

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create services anew with its port open to all."""
        overlay = 'services: {services: {ports: !override ["0.0.0.0:8001:8001"]}}\n'
        recreation.redeploy(deployment, undo, overlay, "services")
        disruptions.settle(deployment.services)


CASES: tuple[Fault, ...] = (ServicesPublished(),)
