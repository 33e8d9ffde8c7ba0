"""Web's gateway is restarted and web is not, so that web lives on in a namespace that leads nowhere."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.nodes import Node
from harness.probes.tcp import TcpConnect

_STOP_GRACE = 5  # seconds, as in the compose file


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRestartedAlone(Fault):
    """`docker restart wireguard-web`: the new gateway is well, and nothing tells that web is cut off."""

    name = "web's gateway restarted alone"
    seen = "the tunnel is up and web runs, but its page does not answer and it has no network but its own loopback"
    roots = frozenset({"namespace-orphaned"})

    def symptom(self, deployment: Deployment) -> Symptom:
        """Where web is nothing is left but loopback."""
        probe = TcpConnect("web", str(deployment.plan.tunnel_services.ip), deployment.plan.mariadb_port)
        return Symptom(probe=probe, outcomes=(Outcome.UNREACHABLE,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Restart the gateway; the undo restarts those that it has left behind."""
        undo.callback(_rejoin, deployment)
        deployment.wireguard_web.container.restart(timeout=_STOP_GRACE)
        disruptions.settle(deployment.wireguard_web)


def _rejoin(deployment: Deployment) -> None:
    gateway = deployment.wireguard_web
    gateway.container.start()
    for node in (deployment.probe_web, deployment.web):
        if _namespace(node) != _namespace(gateway):
            node.container.restart(timeout=_STOP_GRACE)
        disruptions.settle(deployment.wireguard_web)


def _namespace(node: Node) -> str:
    return node.output("readlink", "/proc/self/ns/net").strip()


CASES: tuple[Fault, ...] = (GatewayRestartedAlone(),)
