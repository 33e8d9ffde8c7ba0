"""Without wg0 what is meant for the tunnel would leave in the clear."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface

from harness.diagnosis.facts import End, Facts
from harness.diagnosis.nodefacts import Way
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop
from harness.wireguard import INTERFACE

_CLOSED = ("blackhole", "unreachable", "prohibit")


def _over(facts: Facts) -> tuple[End, ...]:
    return () if facts.snapshot.static else facts.ends


def _when(_facts: Facts, end: End) -> Iterator[Case]:
    wanted = end.other.wanted_address
    if wanted is None:
        return
    route = end.gateway.route_to(wanted.ip, without=INTERFACE)
    if route is None or route.kind != "unicast":
        return
    closed = [each for each in end.gateway.routes if each.kind in _CLOSED and wanted.ip in each.network]
    if closed and route == end.gateway.route_to(wanted.ip):
        return  # one route lies above wg0's and the closed one alike, which another rule says
    by = f"{route.destination} by {route.device}"
    evidence = (f"{end.gateway.service}: without wg0 {wanted.ip} is reached by the route {by}",)
    values = {"route": _under(end.gateway.way_to(wanted.ip), wanted), "by": by}
    yield Case(node=end.gateway.service, evidence=evidence, paths=frozenset(), values=values)


def _under(way: Way | None, wanted: IPv4Interface) -> str:
    """Where a route lies under the tunnel's: it is as long, or it would be taken instead, and in the same table."""
    if way is None or way.device != INTERFACE:
        return f"{wanted.network} metric 9999"
    table = f" table {way.policy.table}" if way.policy else ""
    return f"{way.route.destination} metric 9999{table}"


RULES = (
    Rule(
        id="fail-open",
        title="Without wg0 the tunnel's traffic would leave in the clear",
        hop=Hop.EXPOSURE,
        over=_over,
        when=_when,
        cause=(
            "in {node} nothing lies under the tunnel's route: with wg0 down, what is meant for it leaves in the "
            "clear, {by}"
        ),
        remedy="docker exec {container} ip route replace blackhole {route}",
        consequence_of=STOPS_A_CONTAINER,
    ),
)
