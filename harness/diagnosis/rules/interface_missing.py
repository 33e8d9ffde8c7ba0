"""A gateway runs and has no wg0."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.commands import together
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop
from harness.wireguard import INTERFACE


def _over(facts: Facts) -> list[GatewayFacts]:
    return [] if facts.snapshot.static else facts.gateways


def _when(facts: Facts, gateway: GatewayFacts) -> Iterator[Case]:
    # Restarted alone it would have a namespace of its own, and leave behind whoever lives in its present one.
    values = {"household": together(facts, gateway)}
    if INTERFACE not in gateway.links:
        evidence = (f"{gateway.service}: links {', '.join(gateway.links)}", *gateway.log_lines(INTERFACE)[-2:])
        yield Case(node=gateway.service, evidence=evidence, values=values)
    elif gateway.interface is None:
        told = f"{gateway.service}: wg0 is no WireGuard interface, or unanswered"
        yield Case(node=gateway.service, evidence=(told,), values=values)


RULES = (
    Rule(
        id="interface-missing",
        title="A gateway has no wg0",
        hop=Hop.INTERFACE,
        over=_over,
        when=_when,
        cause="{node} runs and has no wg0",
        remedy="docker logs {container} says why; docker compose up -d --force-recreate {household} builds it anew",
        consequence_of=STOPS_A_CONTAINER | {"container-down"},
    ),
)
