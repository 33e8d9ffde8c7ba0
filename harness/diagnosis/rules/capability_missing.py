"""A gateway may not administer its network."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.containers import ABSENT
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[GatewayFacts]:
    return [gateway for gateway in facts.gateways if gateway.container.status != ABSENT]


def _when(_facts: Facts, gateway: GatewayFacts) -> Iterator[Case]:
    container = gateway.container
    if container.privileged or {"NET_ADMIN", "ALL"} & set(container.capabilities):
        return
    given = ", ".join(container.capabilities) or "none"
    evidence = (f"{gateway.service}: capabilities given: {given}", *gateway.log_lines("NET_ADMIN")[-1:])
    yield Case(node=gateway.service, evidence=evidence)


RULES = (
    Rule(
        id="capability-missing",
        title="A gateway lacks NET_ADMIN",
        hop=Hop.INTERFACE,
        over=_over,
        when=_when,
        cause="{node} lacks the capability NET_ADMIN, without which it can make neither wg0 nor rules",
        remedy="give {node} cap_add: [NET_ADMIN] in the compose file, then: docker compose up -d {node}",
    ),
)
