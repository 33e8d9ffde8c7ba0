"""How what people are told to type begins and goes on: in which container, or on which machine; pure."""

from __future__ import annotations

from harness.diagnosis.facts import End, Facts, Path
from harness.diagnosis.nodefacts import GatewayFacts


def inside(path: Path) -> str:
    """How a command for a path's backend begins: in its container, or on the machine of one that nobody looked into."""
    return f"docker exec {path.backend.evidence.name}" if path.backend else "on its own machine:"


def both_anew(facts: Facts, end: End, *, forced: bool = False) -> str:
    """What creates both gateways anew, each with whoever lives in its namespace; on the server of `end` first.

    Each server knows its own services alone: whoever names there another one's would start that there too.
    """
    up = f"docker compose up -d{' --force-recreate' if forced else ''}"
    own, others = (" ".join(_household(facts, gateway)) for gateway in (end.gateway, end.other))
    if not facts.are_apart(end.gateway, end.other):
        return f"{up} {own} {others}"
    server = f"the server {end.other.host}" if end.other.host else "the other server"
    return f"{up} {own}; and on {server} likewise: {up} {others}"


def _household(facts: Facts, gateway: GatewayFacts) -> list[str]:
    return [gateway.service, *(node.service for node in facts.nodes if node.container.joined == gateway.service)]
