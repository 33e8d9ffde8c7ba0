"""What the gateway reports: asked for, and read.

The gateway answers whoever connects to an abstract socket in its network namespace (`gateway-report` in its image).
Nothing in the report is a secret, and asking takes no privilege.
"""

from __future__ import annotations

import shlex
import socket
import struct
import time
from dataclasses import dataclass
from itertools import pairwise

SOCKET = "\0wireguard-gateway"
LARGEST = 1 << 20  # bytes; a report is some 4 KiB
ROOT = 0

_INTERFACE_FIELDS = 3
_PEER_FIELDS = 7


class ReadingError(Exception):
    """Something cannot be read now; the message says what and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One peer of wg0. `latest_handshake` is in seconds since 1970, None before the first one."""

    public_key: str
    allowed_ips: str
    latest_handshake: int | None
    received: int
    sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """What WireGuard says of wg0."""

    public_key: str
    peers: tuple[Peer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """One entry of the gateway's WG_FORWARD_PORTS."""

    port: str
    protocol: str
    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What a rule has counted."""

    packets: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The sections of one report, by name: the exit status of what made each, and its lines."""

    sections: dict[str, tuple[int, list[str]]]

    def gateway(self) -> dict[str, str]:
        """What the gateway says of itself: `time`, `implementation`, `iptables`, `forwards`."""
        values = dict(line.partition("=")[::2] for line in self._lines("gateway"))
        if missing := {"time", "implementation", "iptables", "forwards"} - values.keys():
            message = f"the gateway's report does not say {', '.join(sorted(missing))}: use images of one version"
            raise ReadingError(message)
        return values

    def time(self) -> float:
        """When the report was written, by the gateway's clock, in seconds since 1970."""
        text = self.gateway()["time"].replace(",", ".")  # as bash writes it in some locales
        try:
            return float(text)
        except ValueError:
            message = f"the gateway's report gives {text!r} as the time"
            raise ReadingError(message) from None

    def forwards(self) -> tuple[Forward, ...]:
        """What the gateway was told to forward."""
        entries = [entry.split(":") for entry in self.gateway()["forwards"].split()]
        return tuple(
            Forward(port=port, protocol=protocol, destination=destination) for port, protocol, destination in entries
        )

    def tunnel(self) -> Tunnel:
        """What WireGuard says of wg0."""
        first, *others = [line.split("\t") for line in self._lines("wireguard")] or [[]]
        try:
            public_key, _port, _mark = first
            return Tunnel(public_key=public_key, peers=tuple(_peer(fields) for fields in others))
        except ValueError:
            message = "the gateway's report of wg0 is not in the format of `wg show wg0 dump`"
            raise ReadingError(message) from None

    def counts(self, forward: Forward) -> dict[str, Count | None]:
        """What the `dnat` and the `accept` rule of a forward have counted; None for a rule that is not there.

        Where a rule is there more than once, as it is for a moment while it follows its interface, the sum.
        """
        found: dict[str, Count | None] = {"dnat": None, "accept": None}
        table = ""
        for line in self._lines("rules"):
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith("[") and (kind := _kind(table, line, forward)):
                counted, before = _count(line), found[kind]
                found[kind] = (
                    Count(packets=before.packets + counted.packets, bytes=before.bytes + counted.bytes)
                    if before
                    else counted
                )
        return found

    def _lines(self, name: str) -> list[str]:
        if name not in self.sections:
            message = f"the gateway's report has no section {name!r}: use images of one version"
            raise ReadingError(message)
        status, lines = self.sections[name]
        if status:
            message = f"the gateway could not read {name} (exit status {status}): {' '.join(lines)[:200]}"
            raise ReadingError(message)
        return lines


def ask(within: float, *, trusted: int = ROOT, name: str = SOCKET) -> Report:
    """Ask the gateway, for `within` seconds at most; raises ReadingError.

    Only a report of the user `trusted` is believed: anybody in the namespace could have bound the name.
    """
    deadline = time.monotonic() + within
    chunks: list[bytes] = []
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(within)
            connection.connect(name)
            _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            if uid != trusted:
                message = f"not the gateway but user {uid} answers in its place: see what else runs in its namespace"
                raise ReadingError(message)
            while chunk := connection.recv(65536):
                chunks.append(chunk)
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                if sum(map(len, chunks)) > LARGEST:
                    message = f"the gateway's report does not end within {LARGEST} bytes"
                    raise ReadingError(message)
    except TimeoutError:
        message = f"the gateway did not report within {within:g} s"
        raise ReadingError(message) from None
    except OSError as error:
        message = f"the gateway does not answer ({error.strerror}): is it running, and of an image with gateway-report?"
        raise ReadingError(message) from None
    return parse(b"".join(chunks).decode(errors="replace"))


def parse(text: str) -> Report:
    """Part a report into its sections; raises ReadingError for one that is cut off or was never one."""
    sections: dict[str, tuple[int, list[str]]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(":") and (head := line[1:].split(" ")) and len(head) == len(("name", "status")):
            # The lines of `iptables-save` that begin with a colon have more words, or another second one.
            name, status = head
            if status.isascii() and status.isdecimal():
                lines = []
                sections[name] = int(status), lines
                continue
        lines.append(line)
    if "end" not in sections:
        raise ReadingError("the gateway's report is cut off")
    return Report(sections=sections)


def _peer(fields: list[str]) -> Peer:
    public_key, _endpoint, allowed_ips, handshake, received, sent, _keepalive = fields
    return Peer(
        public_key=public_key,
        allowed_ips="" if allowed_ips == "(none)" else allowed_ips,
        latest_handshake=int(handshake) or None,
        received=int(received),
        sent=int(sent),
    )


def _kind(table: str, line: str, forward: Forward) -> str | None:
    """Which of the two rules of a forward a line of `iptables-save -c` is, if any."""
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    options = dict(pairwise(words))
    if options.get("-i") != "wg0" or options.get("-p") != forward.protocol or options.get("--dport") != forward.port:
        return None
    where = table, options.get("-A"), options.get("-j")
    if where == ("nat", "PREROUTING", "DNAT"):
        aim = options.get("--to-destination")
        return "dnat" if aim == f"{forward.destination}:{forward.port}" else None
    if where == ("filter", "FORWARD", "ACCEPT"):
        return "accept" if options.get("-d") == f"{forward.destination}/32" else None
    return None


def _count(line: str) -> Count:
    packets, _, size = line[1 : line.index("]")].partition(":")
    try:
        return Count(packets=int(packets), bytes=int(size))
    except ValueError:
        raise ReadingError("the gateway's report of its rules is not in the format of `iptables-save -c`") from None
