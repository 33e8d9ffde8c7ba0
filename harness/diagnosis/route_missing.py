"""No route leads through wg0 to the other end."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis import STOPS_A_CONTAINER, Case, Rule
from harness.facts import End, Facts
from harness.model import Hop
from harness.wireguard import INTERFACE


def _over(facts: Facts) -> tuple[End, ...]:
    return () if facts.snapshot.static else facts.ends


def _when(_facts: Facts, end: End) -> Iterator[Case]:
    wanted = end.other.wanted_address
    if wanted is None or INTERFACE not in end.gateway.links:
        return
    route = end.gateway.route_to(wanted.ip)
    if route is not None and route.device == INTERFACE and route.kind == "unicast":
        return
    leads = f"{route.kind} {route.destination} {f'by {route.device}' if route.device else ''}" if route else "no route"
    evidence = (
        f"{end.gateway.service}: to {wanted.ip} leads {leads.strip()}",
        f"{end.gateway.service}: wg0 has {', '.join(map(str, end.gateway.tunnel_addresses)) or 'no address'}",
    )
    yield Case(node=end.gateway.service, evidence=evidence, values={"other": wanted.ip, "subnet": wanted.network})


RULES = (
    Rule(
        id="route-missing",
        title="No route leads into the tunnel",
        hop=Hop.INTERFACE,
        over=_over,
        when=_when,
        cause="no route of {node} leads through wg0 to the other end, {other}",
        remedy="docker exec {container} ip route add {subnet} dev wg0 (an address with the subnet's prefix length makes it by itself)",
        consequence_of=STOPS_A_CONTAINER
        | {"address-missing", "interface-down", "interface-missing", "address-duplicated"},
    ),
)
