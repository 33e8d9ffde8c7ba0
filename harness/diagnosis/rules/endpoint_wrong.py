"""A gateway sends to where the other end is not."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from harness.addresses import is_address, is_ipv6
from harness.diagnosis.evidence import UnreadError
from harness.diagnosis.facts import End, Facts
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[End]:
    return [end for end in facts.ends if end.gateway.initiates]


def _when(facts: Facts, end: End) -> Iterator[Case]:
    told = end.gateway.environment["WG_PEER_ENDPOINT"]
    endpoint = told
    if not facts.snapshot.static:
        if not end.other.container.running or not (facts.is_dead(end) or facts.is_dead(_turned(end))):
            return  # a peer that has roamed is followed, and where nobody answers at all there is nothing to miss
        endpoint = next((peer.endpoint for peer in end.candidates if peer.endpoint), told)
    host, _, number = endpoint.rpartition(":")
    apart = facts.are_apart(end.gateway, end.other)
    own = _listen_port(end.other, static=facts.snapshot.static)
    published = _published(end.other, own) if apart else own
    addresses = _of_machine(facts, end, host) if apart else end.reachable
    wrong_host = is_address(host) and bool(addresses) and host not in addresses
    wrong_host |= facts.snapshot.static and host in (end.gateway.service, end.gateway.evidence.name)
    at_home = is_address(host) and apart and _is_beside(facts, end.gateway, host)
    if not (wrong_host or at_home) and (published is None or number == str(published)):
        if facts.snapshot.static and not apart and is_ipv6(host):
            reason = f"{endpoint} is an address of IPv6, to which no way is judged: look at what runs"
            raise UnreadError(end.gateway.service, "WG_PEER_ENDPOINT", reason)
        return
    port = published or own
    right = f"{_right_host(host, addresses, wrong=wrong_host, at_home=at_home)}:{port}"
    yield Case(
        node=end.gateway.service,
        evidence=(
            f"{end.gateway.service}: endpoint {endpoint} (WG_PEER_ENDPOINT={told})",
            f"{end.other.service}: {', '.join(addresses) or 'no network in common'}, UDP port {port}",
        ),
        values={"endpoint": endpoint, "other": end.other.service, "right": right},
    )


def _is_beside(facts: Facts, gateway: GatewayFacts, host: str) -> bool:
    """Whether a host is looked for on a Docker network of the gateway's own server, where the other end is not."""
    return any(IPv4Address(host) in subnet for subnet in facts.subnets_of(gateway))


def _right_host(host: str, addresses: tuple[str, ...], *, wrong: bool, at_home: bool) -> str:
    if at_home:
        return "the address of the other server"
    return next(iter(addresses), "the other end's address") if wrong else host


def _turned(end: End) -> End:
    return End(gateway=end.other, other=end.gateway)


def _listen_port(gateway: GatewayFacts, *, static: bool) -> int:
    return gateway.told_port if static or gateway.interface is None else gateway.interface.listen_port


def _of_machine(facts: Facts, end: End, host: str) -> tuple[str, ...]:
    """The addresses of the other end's machine on the network on which it is looked for.

    None on any other network: a router between the two may well have an address of its own there.
    """
    machine = facts.machine(end.other.host)
    if machine is None or not is_address(host):
        return ()
    return tuple(str(each.ip) for each in machine.interfaces if IPv4Address(host) in each.network)


def _published(gateway: GatewayFacts, port: int) -> int | None:
    """The port of its machine by which a gateway's port is reached; None where it is none that can be told."""
    found = [each for each in gateway.container.published if (each.port, each.protocol) == (port, "udp")]
    return next((int(each.host_port) for each in found if each.host_port.isdecimal()), None)


RULES = (
    Rule(
        id="endpoint-wrong",
        title="A gateway sends to where the other end is not",
        hop=Hop.HANDSHAKE,
        over=_over,
        when=_when,
        cause="{node} sends to {endpoint}, and {other} is not there",
        remedy=(
            "set WG_PEER_ENDPOINT of {node} to {right}, then: docker compose up -d {node} (whatever shares its "
            "namespace moves along)"
        ),
        consequence_of=STOPS_A_CONTAINER | {"container-down", "interface-missing"},
    ),
)
