"""No route leads through wg0 to the other end."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface

from harness.diagnosis.facts import End, Facts
from harness.diagnosis.nodefacts import Way
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop
from harness.wireguard import INTERFACE

_ON_THE_SAME_NODE = frozenset({"address-missing", "interface-down", "interface-missing"})


def _over(facts: Facts) -> tuple[End, ...]:
    return () if facts.snapshot.static else facts.ends


def _when(_facts: Facts, end: End) -> Iterator[Case]:
    wanted = end.other.wanted_address
    if wanted is None or INTERFACE not in end.gateway.links:
        return
    way = end.gateway.way_to(wanted.ip)
    if way is not None and way.device == INTERFACE:
        return
    evidence = (
        f"{end.gateway.service}: to {wanted.ip} leads {way or 'no route'}",
        f"{end.gateway.service}: wg0 has {', '.join(map(str, end.gateway.tunnel_addresses)) or 'no address'}",
    )
    values = {"other": wanted.ip, "remedy": _remedy(end, wanted, way)}
    yield Case(node=end.gateway.service, evidence=evidence, values=values)


def _remedy(end: End, wanted: IPv4Interface, way: Way | None) -> str:
    """What is in the way is taken away; where nothing is, the route comes back."""
    if way is not None and way.policy is not None:
        return f"ip rule del pref {way.policy.priority} ({way.policy} comes before the table with wg0's route)"
    own = any(route.device == INTERFACE and wanted.ip in route.network for route in end.gateway.routes)
    if own and way is not None:
        kind = "" if way.route.kind == "unicast" else f"{way.route.kind} "
        return f"ip route del {kind}{way.route.destination} (it is preferred to the route by wg0)"
    return f"ip route add {wanted.network} dev wg0 (an address with the subnet's prefix length makes it by itself)"


RULES = (
    Rule(
        id="route-missing",
        title="No route leads into the tunnel",
        hop=Hop.INTERFACE,
        over=_over,
        when=_when,
        cause="no route of {node} leads through wg0 to the other end, {other}",
        remedy="docker exec {container} {remedy}",
        consequence_of=STOPS_A_CONTAINER | _ON_THE_SAME_NODE | {"address-duplicated"},
        local=_ON_THE_SAME_NODE,
    ),
)
