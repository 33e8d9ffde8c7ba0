"""A capture file in words: how many packets of what kind went from where to where. Pure: bytes in, text out."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

import dpkt

_WIREGUARD = {1: "handshake initiation", 2: "handshake response", 3: "cookie reply", 4: "data"}
"""The message types of WireGuard's paper, section 5.4; three reserved bytes follow each."""

_FLAGS = ((dpkt.tcp.TH_SYN, "SYN"), (dpkt.tcp.TH_FIN, "FIN"), (dpkt.tcp.TH_RST, "RST"))
_ETHERNET, _RAW = (1,), (12, 101)  # link types of the file format (pcap-linktype(7)): with a MAC address, and without
_LIMIT = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One packet: seconds since the first, whole length in bytes, and what it is."""

    at: float
    length: int
    what: str


def summary(capture: bytes) -> str:
    """A capture as text: how many packets in how long, then each kind with its number, bytes, first and last."""
    try:
        packets = list(_packets(capture))
    except (ValueError, dpkt.Error) as error:
        return f"not a capture that can be read: {error}\n"
    if not packets:
        return "no packet was captured\n"
    total = sum(packet.length for packet in packets)
    lines = [f"{len(packets)} packets, {total} bytes in {packets[-1].at:.3f} s", ""]
    lines.append(f"{'packets':>8} {'bytes':>9} {'first':>9} {'last':>9}  what")
    kinds = Counter(packet.what for packet in packets)
    for what, count in kinds.most_common(_LIMIT):
        mine = [packet for packet in packets if packet.what == what]
        size = sum(packet.length for packet in mine)
        lines.append(f"{count:>8} {size:>9} {mine[0].at:>7.3f} s {mine[-1].at:>7.3f} s  {what}")
    if len(kinds) > _LIMIT:
        lines.append(f"... and {len(kinds) - _LIMIT} more kinds")
    return "\n".join(lines) + "\n"


def _packets(capture: bytes) -> Iterator[Packet]:
    reader = dpkt.pcap.Reader(io.BytesIO(capture))
    first: float | None = None
    for at, frame in reader:
        first = at if first is None else first
        yield Packet(at=at - first, length=len(frame), what=_what(_network_layer(reader.datalink(), frame)))


def _network_layer(link: int, frame: bytes) -> object:
    try:
        if link in _ETHERNET:
            return dpkt.ethernet.Ethernet(frame).data
        return dpkt.ip.IP(frame) if link in _RAW else frame
    except dpkt.Error:
        return frame


def _what(packet: object) -> str:
    """The kind of a packet: who to whom, by which protocol, and what it does there."""
    if not isinstance(packet, dpkt.ip.IP):
        return type(packet).__name__ if isinstance(packet, dpkt.Packet) else "something that is not IPv4"
    source, destination = IPv4Address(packet.src), IPv4Address(packet.dst)
    match packet.data:
        case dpkt.udp.UDP() as datagram:
            return f"UDP {source}:{datagram.sport} > {destination}:{datagram.dport}{_wireguard(datagram.data)}"
        case dpkt.tcp.TCP() as segment:
            flags = ",".join(name for flag, name in _FLAGS if segment.flags & flag) or "data or ACK"
            return f"TCP {source}:{segment.sport} > {destination}:{segment.dport} {flags}"
        case dpkt.icmp.ICMP() as message:
            return f"ICMP {source} > {destination} type {message.type} code {message.code}"
    return f"IP protocol {packet.p} {source} > {destination}"


def _wireguard(payload: bytes) -> str:
    known = _WIREGUARD.get(payload[0]) if len(payload) >= 4 and payload[1:4] == b"\0\0\0" else None  # noqa: PLR2004 (its header)
    return f" WireGuard {known}" if known else ""
