"""A capture file is summed up in words: who sent what to whom, how often, and which of WireGuard's messages it was."""

from __future__ import annotations

import io
from ipaddress import IPv4Address

import dpkt
import pytest

from harness.packets import summary

WEB, SERVICES = IPv4Address("172.20.0.2").packed, IPv4Address("172.20.0.3").packed
ETHERNET, RAW = 1, 101


def udp(payload: bytes) -> dpkt.ip.IP:
    datagram = dpkt.udp.UDP(sport=51820, dport=51820, data=payload)
    datagram.ulen = len(datagram)
    return packet(dpkt.ip.IP_PROTO_UDP, datagram)


def tcp(flags: int) -> dpkt.ip.IP:
    return packet(dpkt.ip.IP_PROTO_TCP, dpkt.tcp.TCP(sport=40000, dport=6379, flags=flags))


def packet(protocol: int, data: object) -> dpkt.ip.IP:
    made = dpkt.ip.IP(src=WEB, dst=SERVICES, p=protocol, data=data)
    made.len = len(made)
    return made


def capture(*packets: bytes, link: int) -> bytes:
    file = io.BytesIO()
    writer = dpkt.pcap.Writer(file, linktype=link)
    for number, each in enumerate(packets):
        writer.writepkt(each, 100 + number * 0.5)
    return file.getvalue()


def framed(packet: dpkt.ip.IP) -> bytes:
    return bytes(dpkt.ethernet.Ethernet(data=packet))


def test_wireguards_messages_go_by_their_names() -> None:
    begun, answered, data = (udp(bytes([kind, 0, 0, 0]) + bytes(140)) for kind in (1, 2, 4))
    said = summary(capture(*map(framed, (begun, answered, data, data)), link=ETHERNET))
    assert said.startswith("4 packets, 744 bytes in 1.500 s")
    assert "UDP 172.20.0.2:51820 > 172.20.0.3:51820 WireGuard handshake initiation" in said
    assert "WireGuard handshake response" in said
    (line,) = [each for each in said.splitlines() if each.endswith("WireGuard data")]
    assert line.split()[:2] == ["2", "372"]


def test_what_passes_in_the_tunnel_has_no_frame() -> None:
    said = summary(capture(bytes(tcp(dpkt.tcp.TH_SYN)), bytes(tcp(dpkt.tcp.TH_RST)), link=RAW))
    assert "TCP 172.20.0.2:40000 > 172.20.0.3:6379 SYN" in said
    assert "RST" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "not a capture"), (b"nonsense" * 10, "not a capture"), (capture(link=RAW), "no packet was captured")],
    ids=["empty", "nonsense", "of nothing"],
)
def test_what_holds_no_packet_says_so(content: bytes, said: str) -> None:
    assert said in summary(content)


def test_a_broken_packet_is_counted() -> None:
    assert "something that is not IPv4" in summary(capture(b"\x45", link=RAW))
