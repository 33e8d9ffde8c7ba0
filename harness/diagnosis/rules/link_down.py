"""A gateway's link to one of its networks is down."""

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
    for name, link in gateway.links.items():
        flags = link.get("flags", [])
        if name in (INTERFACE, "lo") or "LOOPBACK" in flags or link.get("link_type") != "ether":
            continue
        has = [str(each.address) for each in gateway.addresses if each.interface == name]
        if has and ("UP" not in flags or "NO-CARRIER" in flags):
            evidence = (f"{gateway.service}: {name} <{','.join(flags)}> has {', '.join(has)}",)
            yield Case(node=gateway.service, evidence=evidence, values={"link": name, "has": ", ".join(has)})


RULES = (
    Rule(
        id="link-down",
        title="A gateway's link to a network is down",
        hop=Hop.INTERFACE,
        over=_over,
        when=_when,
        cause="{link} of {node}, by which it is on the network of {has}, is down",
        remedy=(
            "docker exec {container} ip link set {link} up (where it has no carrier, the other end of the link is down)"
        ),
        consequence_of=STOPS_A_CONTAINER,
    ),
)
