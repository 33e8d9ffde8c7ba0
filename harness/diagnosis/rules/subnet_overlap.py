"""Two networks share addresses, or one has the tunnel's."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from ipaddress import IPv4Network

from harness.diagnosis.facts import Facts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

Pair = tuple[str, IPv4Network, str, IPv4Network]


def _over(facts: Facts) -> Iterator[Pair]:
    ours = [(each, subnet) for each in facts.snapshot.networks if each.ours for subnet in each.ipv4]
    theirs = [(each, subnet) for each in facts.snapshot.networks if not each.ours for subnet in each.ipv4]
    pairs = [*itertools.combinations(ours, 2), *itertools.product(ours, theirs)]
    for (one, first), (two, second) in pairs:
        if one.host == two.host:
            yield f"network {one.name}", first, f"network {two.name}", second
    for (network, subnet), tunnel in itertools.product(ours, facts.tunnel):
        yield f"network {network.name}", subnet, "the tunnel", tunnel


def _when(facts: Facts, pair: Pair) -> Iterator[Case]:
    one, first, two, second = pair
    if not first.overlaps(second):
        return
    gateway = facts.back or facts.front
    said = gateway.log_lines("overlaps")[-1:] if gateway else ()
    yield Case(
        node=gateway.service if gateway else one,
        evidence=(f"{one} is {first}", f"{two} is {second}", *said),
        paths=frozenset(path.id for path in facts.paths),
        values={"one": one, "two": two},
    )


RULES = (
    Rule(
        id="subnet-overlap",
        title="Two networks share addresses",
        hop=Hop.INTERFACE,
        over=_over,
        when=_when,
        cause="{one} overlaps {two}: packets for one go to the other, or Docker refuses to make the network",
        remedy=(
            "give one of them another subnet: services-net is 10.101.0.0/24 and the tunnel 10.100.0.0/24; a "
            "network that nobody needs goes with: docker network rm NAME"
        ),
    ),
)
