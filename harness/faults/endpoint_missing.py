"""Web's gateway is not told where services' is: neither end begins."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import mutations, recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Outcome
from harness.overlays import Variables
from harness.probes.mariadb import MariaDBQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointMissing(Fault):
    """The web server was deployed without WG_SERVICES_ENDPOINT, which is empty unless it is set."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP

    name = "neither gateway has an endpoint"
    seen = "both gateways run and wait for each other; whatever web asks for fails"
    roots = frozenset({"endpoint-missing"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """WireGuard does not know where to send it, which the kernel's says, and wireguard-go does not."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.TIMED_OUT, Outcome.UNREACHABLE))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create web's gateway anew without it; what shares its namespace moves along."""
        recreation.redeploy(deployment, undo, Variables({"wireguard-web": {"WG_PEER_ENDPOINT": None}}), "wireguard-web")
        mutations.forget_endpoint(deployment.wireguard_services)


CASES: tuple[Fault, ...] = (EndpointMissing(),)
