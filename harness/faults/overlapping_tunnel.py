"""services-net has the tunnel's subnet, as in the deployment's first version."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import sibling
from harness.addresses import TUNNEL_WEB
from harness.deployment import Deployment
from harness.faults import Fault, Stage
from harness.model import Budget
from harness.nodes import ContainerState
from harness.waiting import wait_until

_REFUSED = Budget(seconds=20, reason="a gateway that finds the overlap ends within a second of its start")
_STARTED = ("wireguard-services", "mariadb", "redis", "wireguard-web")


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlappingTunnel(Fault):
    """A deployment with services-net on 10.100.0.0/24, brought up as far as it comes."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP
    layouts: ClassVar[tuple[str, ...]] = ("dev",)  # it takes a second deployment on the same engine

    name = "services-net overlaps the tunnel"
    seen = "services' gateway refuses to start, over and over, and the deployment never becomes healthy"
    roots = frozenset({"subnet-overlap"})

    def unavailable(self, deployment: Deployment) -> str | None:
        """It needs a plan of its own, and the tunnel's subnet as that of a Docker network."""
        for network in deployment.engine.networks():
            if any(subnet.overlaps(TUNNEL_WEB.network) for subnet in network.subnets):
                return f"the engine's network {network.name} has the tunnel's subnet already"
        return sibling.taken(deployment)

    def apply(self, deployment: Deployment, undo: ExitStack) -> Deployment:
        """Create a sibling of the deployment and start its gateways and backends."""
        tunnel = str(TUNNEL_WEB.network.network_address).rpartition(".")[0]
        beside = sibling.prepare(deployment, undo, lambda text: text.replace("10.101.${PLAN:-0}", tunnel))
        beside.project("web").create()
        for service in _STARTED:
            beside.node(service).container.start()
        gateway = beside.wireguard_services
        wait_until(f"{gateway.name} to refuse", gateway.state, _has_ended, within=_REFUSED)
        return beside


def _has_ended(state: ContainerState) -> bool:
    return state.restarts > 0 or state.status in ("exited", "restarting")


CASES: tuple[Fault, ...] = (OverlappingTunnel(),)
