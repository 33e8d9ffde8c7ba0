"""WireGuard's handshake by hand: forcing one, finding its messages in a capture, and sending them again.

The messages and their sizes: WireGuard paper, section 5.4.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from harness.addresses import TUNNEL_SERVICES, WIREGUARD_PORT
from harness.deployment import Deployment
from harness.errors import CommandError, DeploymentError, ParseError
from harness.model import Budget
from harness.nodes import Gateway, Node
from harness.waiting import wait_until

INITIATION, RESPONSE, COOKIE, DATA = 1, 2, 3, 4
INITIATION_SIZE = 148  # bytes; as an IPv4 packet 176, a size that no data packet has: those are multiples of 16 and 32
INITIATION_PACKET = INITIATION_SIZE + 28

_SECOND = Budget(seconds=5, reason="a second passes in a second, and two machines' clocks may differ a little")

_EXPIRE_SESSION = """
set -euo pipefail
current=$(wg show wg0 private-key)
wg set wg0 private-key <(wg genkey)
wg set wg0 private-key <(echo "$current")
"""
_SEND = 'echo "$1" | base64 -d | socat -t "$4" - "UDP4:$2,sourceport=$3" | base64 -w 0'
_ANSWER_TIME = "0.5"  # seconds; an answer takes milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One WireGuard message on the underlay."""

    source: IPv4Address
    source_port: int
    destination: IPv4Address
    destination_port: int
    payload: bytes

    @property
    def kind(self) -> int:
        """`INITIATION`, `RESPONSE`, `COOKIE` or `DATA`."""
        return self.payload[0]

    @property
    def receiver(self) -> bytes:
        """The number by which the receiver knows the session of a `DATA` message."""
        return self.payload[4:8]


def expire_session(gateway: Gateway) -> None:
    """Make a gateway's next packet begin a new handshake, and lose nothing.

    A private key that is set anew ends the sessions for sending, though not for receiving: what is to be sent waits
    for the handshake. Setting the same key again is no change, so there is another one in between for a moment.
    """
    gateway.output("bash", "-c", _EXPIRE_SESSION)


def shake_hands(deployment: Deployment) -> None:
    """Make web begin a handshake now, by which both ends say a later time than before; nothing is lost by it.

    WireGuard gives the time of the latest handshake in whole seconds, so one a second after the last is waited for.
    Raises `DeploymentError` when a packet is not answered afterwards.
    """
    web, services = deployment.gateways
    wait_until("a second to have passed since the last handshake", lambda: _since_handshake(web), bool, within=_SECOND)
    before = services.peer().latest_handshake
    expire_session(web)
    pinged = deployment.probe_web.run("ping", "-n", "-c", "1", "-W", "5", str(TUNNEL_SERVICES.ip), user="0")
    if not pinged.ok or services.peer().latest_handshake == before:
        message = f"web and services have not shaken hands: {pinged}"
        raise DeploymentError(message)


def age(gateway: Gateway) -> float:
    """Seconds since a gateway's latest handshake, by its own clock; infinite when there was none."""
    latest = gateway.peer().latest_handshake
    return int(gateway.look("date", "+%s")) - latest.timestamp() if latest else math.inf


def messages(capture: bytes) -> tuple[Message, ...]:
    """The messages to or from WireGuard's port in a capture file (pcap-savefile(5), Ethernet, this machine's order)."""
    return tuple(message for packet in _packets(capture) if (message := _message(packet)) is not None)


def send(node: Node, payload: bytes, to: IPv4Address, *, source_port: int) -> bytes:
    """Send a message from a node's network namespace to WireGuard's port there; returns the answer, if any.

    Raises `CommandError` when it cannot be sent.
    """
    text = base64.b64encode(payload).decode()
    sent = node.run(
        "bash", "-o", "pipefail", "-c", _SEND, "bash", text, f"{to}:{WIREGUARD_PORT}", str(source_port), _ANSWER_TIME
    )
    if not sent.ok:
        message = f"a message cannot be sent to {to}: {sent}"
        raise CommandError(message)
    return base64.b64decode(sent.stdout)


def _since_handshake(gateway: Gateway) -> bool:
    return age(gateway) >= 1


def _packets(capture: bytes) -> Iterator[bytes]:
    header, record = struct.Struct("=LHHlLLL"), struct.Struct("=LLLL")
    magic, *_, link = header.unpack_from(capture)
    if (magic, link) != (0xA1B2C3D4, 1):
        message = f"the capture is of kind {magic:#x} and link type {link}, not of microseconds and Ethernet"
        raise ParseError(message)
    at = header.size
    while at + record.size <= len(capture):
        _seconds, _microseconds, size, _original = record.unpack_from(capture, at)
        at += record.size
        yield capture[at : at + size]
        at += size


def _message(packet: bytes) -> Message | None:
    ethernet, udp = 14, 17
    if packet[12:14] != b"\x08\x00" or packet[ethernet + 9] != udp:
        return None
    at = ethernet + 4 * (packet[ethernet] & 0xF)
    source_port, destination_port, *_ = struct.unpack_from(">HHHH", packet, at)
    payload = packet[at + 8 :]
    if WIREGUARD_PORT not in (source_port, destination_port) or payload[1:4] != bytes(3):
        return None
    return Message(
        source=IPv4Address(packet[ethernet + 12 : ethernet + 16]),
        source_port=source_port,
        destination=IPv4Address(packet[ethernet + 16 : ethernet + 20]),
        destination_port=destination_port,
        payload=payload,
    )
