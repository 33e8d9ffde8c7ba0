"""Two nodes have one address."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from ipaddress import IPv4Address

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import GatewayFacts, NodeFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

Pair = tuple[NodeFacts, NodeFacts]


def _over(facts: Facts) -> Iterator[Pair]:
    yield from itertools.combinations(facts.nodes, 2)


def _when(facts: Facts, pair: Pair) -> Iterator[Case]:
    first, second = pair
    if first.container.joined == second.service or second.container.joined == first.service:
        return  # they share a namespace, and rightly all its addresses
    apart = facts.are_apart(first, second)
    for address in sorted(_addresses(first) & _addresses(second)):
        if apart and not facts.in_tunnel(str(address)):
            continue  # two machines' networks never meet: they may have the same addresses
        evidence = (f"{first.service} has {address}", f"{second.service} has {address}")
        for node, other in (pair, pair[::-1]):
            yield Case(node=node.service, evidence=evidence, values={"address": address, "other": other.service})


def _addresses(node: NodeFacts) -> set[IPv4Address]:
    """What a node was given by Docker, was told to have in the tunnel, and has."""
    found = set(node.container.addresses)
    if isinstance(node, GatewayFacts):
        if node.wanted_address:
            found.add(node.wanted_address.ip)
        try:
            found |= {each.address.ip for each in node.addresses if not each.address.ip.is_loopback}
        except UnseenError:
            return found  # what it was told is enough for a finding
    return found


RULES = (
    Rule(
        id="address-duplicated",
        title="Two nodes have one address",
        hop=Hop.INTERFACE,
        over=_over,
        when=_when,
        cause="{node} and {other} both have {address}",
        remedy=(
            "give each an address of its own (web's end of the tunnel is 10.100.0.10, services' 10.100.0.11), "
            "then: docker compose up -d {node}"
        ),
    ),
)
