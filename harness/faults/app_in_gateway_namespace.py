"""Services is joined to its gateway's namespace, as web is to its own."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions, recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.probes.served import NOT_SERVED, Served


@dataclass(frozen=True, slots=True, kw_only=True)
class AppInGatewayNamespace(Fault):
    """The `network_mode: service` of the deployment's history: services has neither address nor name any more."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    name = "services joined to its gateway by network_mode"
    seen = "services runs and reaches its backends, but nobody reaches services: not by name, address or tunnel"
    roots = frozenset({"app-inside-gateway"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nobody has the address of services."""
        return Symptom(probe=Served("services"), outcomes=NOT_SERVED)

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create services anew in the gateway's namespace; a container that joins one can publish no port."""
        overlay = """
            services:
              services:
                network_mode: service:wireguard-services
                networks: !reset null
                ports: !reset []
        """
        recreation.redeploy(deployment, undo, overlay, "services", alone=True)
        disruptions.settle(deployment.services)


CASES: tuple[Fault, ...] = (AppInGatewayNamespace(),)
