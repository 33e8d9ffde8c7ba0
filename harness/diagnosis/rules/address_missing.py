"""wg0 has not the address that it should have."""

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
    wanted = gateway.wanted_address
    if wanted is None or INTERFACE not in gateway.links:
        return
    found = gateway.tunnel_addresses
    if wanted.ip not in {address.ip for address in found}:
        listed = ", ".join(map(str, found)) or "no address"
        evidence = (f"{gateway.service}: WG_ADDRESS={wanted}", f"{gateway.service}: wg0 has {listed}")
        yield Case(node=gateway.service, evidence=evidence, values={"wanted": wanted})


RULES = (
    Rule(
        id="address-missing",
        title="wg0 lacks its address",
        hop=Hop.INTERFACE,
        over=_over,
        when=_when,
        cause="wg0 of {node} lacks its tunnel address {wanted}",
        remedy="docker exec {container} ip address add {wanted} dev wg0",
        consequence_of=STOPS_A_CONTAINER,
    ),
)
