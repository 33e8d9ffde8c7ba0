"""A backend can be reached past the tunnel, or anything from beyond this host."""

from __future__ import annotations

from collections.abc import Iterator

from harness.addresses import WIREGUARD_PORT
from harness.diagnosis.containers import PublishedPort
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.roles import Role
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop, Severity

_LOOPBACK = ("127.", "::1")
_PUBLIC = {"80", "443"}  # what a web server is there to publish


def _over(facts: Facts) -> tuple[NodeFacts, ...]:
    return facts.nodes


def _when(_facts: Facts, node: NodeFacts) -> Iterator[Case]:
    for port in node.container.published:
        on_loopback = port.host.startswith(_LOOPBACK)
        if on_loopback or _is_meant(node, port):
            continue
        evidence = (f"{node.service}: {port}",)
        values = {"published": port, "port": port.port}
        severity = Severity.WARNING if _is_documented(node, port.port) else None
        yield Case(node=node.service, evidence=evidence, paths=frozenset(), values=values, severity=severity)


def _is_meant(node: NodeFacts, port: PublishedPort) -> bool:
    """What is there to be reached: a web server's ports, and WireGuard's own, which answers none but its peer."""
    if node.role is Role.GATEWAY and port.protocol == "udp":
        return str(port.port) == node.environment.get("WG_LISTEN_PORT", str(WIREGUARD_PORT))
    return node.role is not Role.BACKEND and bool({str(port.port), port.host_port} & _PUBLIC)


def _is_documented(node: NodeFacts, port: int) -> bool:
    """Production may publish the services application's 8001 for all (SERVICES_BIND_ADDRESS): that is to be known."""
    return node.role is not Role.BACKEND and node.documented == "services" and port == 8001  # noqa: PLR2004 (the documented port)


RULES = (
    Rule(
        id="port-exposed",
        title="A port is published for everybody",
        hop=Hop.EXPOSURE,
        over=_over,
        when=_when,
        cause="{node} is published as {published}: everybody who reaches this host reaches it, past the tunnel",
        remedy=(
            "remove port {port} from the ports of {node} in the compose file (or bind it to 127.0.0.1), then: "
            "docker compose up -d {node}"
        ),
    ),
)
