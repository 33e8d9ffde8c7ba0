"""What one gateway sends does not arrive at the other, and nothing between their settings explains it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import End, Facts
from harness.diagnosis.journeys import suspects
from harness.diagnosis.packetpath import Packet
from harness.diagnosis.rules import KILLS_A_TUNNEL, Case, Rule
from harness.errors import ParseError
from harness.model import Hop


def _over(facts: Facts) -> tuple[End, ...]:
    return () if facts.snapshot.static else facts.ends


def _when(facts: Facts, end: End) -> Iterator[Case]:
    if not end.gateway.container.running or not end.other.container.running or not facts.is_dead(end):
        return
    if not (end.gateway.initiates or _tried(facts, end) or facts.is_mute(end)):
        return  # it has nobody to send to: it is for the other end to begin
    evidence = [f"{end.gateway.service}: {end.gateway.dump_line(peer.public_key)}" for peer in end.gateway.peers]
    evidence += [f"{end.other.service}: {end.other.dump_line(peer.public_key)}" for peer in end.other.peers]
    if _tried(facts, end):
        sent, arrived = facts.traffic(end)
        evidence.append(f"of {sent} bytes that {end.gateway.service} sent into the tunnel {arrived} arrived")
    elif facts.is_mute(end):
        evidence.append(f"{end.gateway.service}: of 100 packets for the tunnel nothing left it")
    blocked = list(_blocked(end))
    yield Case(
        node=end.gateway.service,
        evidence=(*evidence, *blocked),
        values={
            "other": end.other.service,
            "why": f"this stops it: {blocked[0]}" if blocked else "the underlay between them does not carry it",
        },
    )


def _tried(facts: Facts, end: End) -> bool:
    try:
        return facts.traffic(end)[0] > 0
    except UnseenError:
        return False


def _blocked(end: End) -> Iterator[str]:
    """What either gateway has that keeps WireGuard's own packets from passing from one to the other."""
    try:
        endpoint = next(peer.endpoint for peer in end.candidates if peer.endpoint)
        host, _, port = endpoint.rpartition(":")
        way = end.gateway.way_to(IPv4Address(host), mark=end.gateway.mark)
        if way is None or way.device is None:
            yield f"{end.gateway.service}: to {host} leads {way or 'no route'}"
            return
        source = next(each.address.ip for each in end.gateway.addresses if each.interface == way.device)
        packet = Packet(
            protocol="udp",
            source=source,
            destination=IPv4Address(host),
            port=int(port),
            source_port=end.gateway.interface.listen_port if end.gateway.interface else None,
        )
        sent = end.gateway.firewall.send(packet, end.gateway.leads_to)
        if sent.dropped_by:
            yield f"{end.gateway.service}: {sent.dropped_by}"
        yield from (f"{end.gateway.service}: {rule}" for rule in suspects(end.gateway, [sent], ever=True))
        device = next(each.interface for each in end.other.addresses if str(each.address.ip) == host)
        came = end.other.firewall.forward(_arriving(packet, device), end.other.leads_to)
        if came.dropped_by:
            yield f"{end.other.service}: {came.dropped_by}"
        yield from (f"{end.other.service}: {rule}" for rule in suspects(end.other, [came], ever=True))
    except (StopIteration, ValueError, ParseError, UnseenError):
        return


def _arriving(packet: Packet, device: str) -> Packet:
    return Packet(
        interface_in=device,
        protocol=packet.protocol,
        source=packet.source,
        destination=packet.destination,
        port=packet.port,
        source_port=packet.source_port,
    )


RULES = (
    Rule(
        id="peer-unreachable",
        title="What one gateway sends does not arrive at the other",
        hop=Hop.HANDSHAKE,
        over=_over,
        when=_when,
        cause="what {node} sends to {other} does not arrive: {why}",
        remedy=(
            "let UDP of WireGuard's port pass from {node} to {other}: look for a firewall, a security group, a "
            "NAT, a cut line between them"
        ),
        consequence_of=KILLS_A_TUNNEL | {"network-missing", "link-down", "process-stopped", "outgoing-dropped"},
    ),
)
