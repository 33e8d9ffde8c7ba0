"""wg0 is there and down."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop
from harness.wireguard import INTERFACE


def _over(facts: Facts) -> list[GatewayFacts]:
    return [] if facts.snapshot.static else facts.gateways


def _when(_facts: Facts, gateway: GatewayFacts) -> Iterator[Case]:
    link = gateway.links.get(INTERFACE)
    if link is not None and not gateway.is_up:
        flags = ",".join(link.get("flags", []))
        yield Case(node=gateway.service, evidence=(f"{gateway.service}: {INTERFACE} <{flags}>",))


RULES = (
    Rule(
        id="interface-down",
        title="wg0 is down",
        hop=Hop.INTERFACE,
        over=_over,
        when=_when,
        cause="wg0 of {node} is down",
        remedy="docker exec {container} ip link set wg0 up",
    ),
)
