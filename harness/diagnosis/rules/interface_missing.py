"""A gateway runs and has no wg0."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop
from harness.wireguard import INTERFACE


def _over(facts: Facts) -> list[GatewayFacts]:
    return [] if facts.snapshot.static else facts.gateways


def _when(_facts: Facts, gateway: GatewayFacts) -> Iterator[Case]:
    if INTERFACE not in gateway.links:
        evidence = (f"{gateway.service}: links {', '.join(gateway.links)}", *gateway.log_lines(INTERFACE)[-2:])
        yield Case(node=gateway.service, evidence=evidence)
    elif gateway.interface is None:
        yield Case(node=gateway.service, evidence=(f"{gateway.service}: wg0 is no WireGuard interface, or unanswered",))


RULES = (
    Rule(
        id="interface-missing",
        title="A gateway has no wg0",
        hop=Hop.INTERFACE,
        over=_over,
        when=_when,
        cause="{node} runs and has no wg0",
        remedy=(
            "docker logs {container} says why; docker restart {container} builds it anew (and whatever shares its "
            "namespace moves along)"
        ),
        consequence_of=STOPS_A_CONTAINER | {"container-down"},
    ),
)
