"""A gateway does not let its peer have the other end's tunnel address, or has let another have it since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

from harness.diagnosis.facts import End, Facts
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop, Peer


def _over(facts: Facts) -> tuple[End, ...]:
    return facts.ends


def _running(facts: Facts) -> tuple[End, ...]:
    return () if facts.snapshot.static else facts.ends


def _when(facts: Facts, end: End) -> Iterator[Case]:
    wanted = end.other.wanted_address
    if wanted is None:
        return
    if facts.snapshot.static:
        told = end.gateway.environment.get("WG_PEER_ALLOWED_IPS", "")
        allowed = _told(told)
        lines: tuple[str, ...] = (f"{end.gateway.service}: WG_PEER_ALLOWED_IPS={told}",)
    else:
        peers = end.gateway.peers
        if not peers or _taker(end, wanted.ip):
            return  # without a peer nothing is allowed to nobody
        allowed = tuple(network for peer in ((end.peer,) if end.peer else peers) for network in peer.allowed_ips)
        lines = _lines(end)
    if any(wanted.ip in network for network in allowed):
        return
    yield Case(node=end.gateway.service, evidence=lines, values={"other": wanted.ip, "allowed": _listed(allowed)})


def _when_taken(facts: Facts, end: End) -> Iterator[Case]:  # noqa: ARG001 (what every rule is given)
    wanted = end.other.wanted_address
    if wanted is None or end.peer is None or (taker := _taker(end, wanted.ip)) is None:
        return
    values = {
        "other": wanted.ip,
        "taker": taker.public_key,
        "taken": _listed(taker.allowed_ips),
        "peer": end.peer.public_key,
    }
    yield Case(node=end.gateway.service, evidence=_lines(end), values=values)


def _taker(end: End, address: IPv4Address) -> Peer | None:
    """Who is sent what is for the other end, when it is another: the narrowest network that has the address decides."""
    ways = [
        (network.prefixlen, peer) for peer in end.gateway.peers for network in peer.allowed_ips if address in network
    ]
    if not ways or end.peer is None:
        return None
    _, owner = max(ways, key=lambda way: way[0])
    return None if owner == end.peer else owner


def _lines(end: End) -> tuple[str, ...]:
    return tuple(f"{end.gateway.service}: {end.gateway.dump_line(peer.public_key)}" for peer in end.gateway.peers)


def _listed(networks: Iterable[IPv4Network]) -> str:
    return ", ".join(map(str, networks)) or "nothing"


def _told(setting: str) -> tuple[IPv4Network, ...]:
    try:
        return tuple(IPv4Network(entry, strict=False) for entry in setting.replace(",", " ").split())
    except ValueError:
        return (IPv4Network("0.0.0.0/0"),)  # what cannot be read is another rule's business


RULES = (
    Rule(
        id="allowed-ips-missing",
        title="The peer's allowed IPs lack the other end",
        hop=Hop.ALLOWED_IPS,
        over=_over,
        when=_when,
        cause=(
            "{node} allows its peer {allowed}, and not {other}: nothing is sent to that address and nothing from "
            "it is let in"
        ),
        remedy=(
            "set WG_PEER_ALLOWED_IPS of {node} to {other}/32, then: docker compose up -d {node} (whatever shares "
            "its namespace moves along)"
        ),
        consequence_of=STOPS_A_CONTAINER | {"address-duplicated"},
    ),
    Rule(
        id="allowed-ips-taken",
        title="Another peer has been given the other end's address",
        hop=Hop.ALLOWED_IPS,
        over=_running,
        when=_when_taken,
        cause=(
            "{node} sends what is for {other} to another peer, {taker}, which has been allowed {taken}: an address is "
            "one peer's alone, and whoever is given it takes it from the other"
        ),
        remedy=(
            "give that peer an address of its own, then: docker exec {container} wg set wg0 peer {taker} allowed-ips "
            "ITS-ADDRESS/32, and docker exec {container} wg set wg0 peer {peer} allowed-ips {other}/32"
        ),
        consequence_of=STOPS_A_CONTAINER,
    ),
)
