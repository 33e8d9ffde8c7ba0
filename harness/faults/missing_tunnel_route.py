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
        """Give wg0 the address anew, without the route that a wider prefix brings along."""
        mutations.set_address(undo, deployment.wireguard_web, IPv4Interface(f"{deployment.plan.tunnel_web.ip}/32"))


CASES: tuple[Fault, ...] = (MissingTunnelRoute(),)
