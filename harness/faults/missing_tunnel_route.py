"""Web's tunnel address was given without the subnet's prefix length, so no route leads into the tunnel."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import ClassVar

from harness import mutations
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery
from harness.wireguard import INTERFACE


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingTunnelRoute(Fault):
    """Web's tunnel address is right, and a /32."""

    anywhere: ClassVar[bool] = True

    name = "tunnel address is a /32 without a route"
    seen = "the tunnel shakes hands, and web is told at once that 10.100.0.11 cannot be reached"
    roots = frozenset({"route-missing"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """The blackhole route takes what web asks."""
        return Symptom(probe=MariaDBQuery("web"), outcomes=(Outcome.UNREACHABLE,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Give wg0 the address anew, without the route that a wider prefix or wg-quick(8) brings along."""
        gateway = deployment.wireguard_web
        mutations.set_address(undo, gateway, IPv4Interface(f"{deployment.plan.tunnel_web.ip}/32"))
        for route in gateway.routes_to(deployment.plan.tunnel_services.ip):
            if route.device == INTERFACE:
                gateway.act("ip", "route", "delete", route.destination, "dev", INTERFACE)


CASES: tuple[Fault, ...] = (MissingTunnelRoute(),)
