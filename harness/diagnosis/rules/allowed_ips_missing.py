"""A gateway does not let its peer have the other end's tunnel address."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from harness.diagnosis.facts import End, Facts
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> tuple[End, ...]:
    return facts.ends


def _when(facts: Facts, end: End) -> Iterator[Case]:
    wanted = end.other.wanted_address
    if wanted is None:
        return
    if facts.snapshot.static:
        allowed = _told(end.gateway.environment.get("WG_PEER_ALLOWED_IPS", ""))
        told = end.gateway.environment.get("WG_PEER_ALLOWED_IPS", "")
        lines: tuple[str, ...] = (f"{end.gateway.service}: WG_PEER_ALLOWED_IPS={told}",)
    else:
        peers = end.gateway.peers
        if not peers:
            return  # without a peer nothing is allowed to nobody
        other = end.other.interface.public_key if end.other.evidence.has("dump") and end.other.interface else None
        known = [peer for peer in peers if peer.public_key == other]
        allowed = tuple(network for peer in known or peers for network in peer.allowed_ips)
        lines = tuple(f"{end.gateway.service}: {end.gateway.dump_line(peer.public_key)}" for peer in peers)
    if any(wanted.ip in network for network in allowed):
        return
    listed = ", ".join(map(str, allowed)) or "nothing"
    yield Case(node=end.gateway.service, evidence=lines, values={"other": wanted.ip, "allowed": listed})


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
)
