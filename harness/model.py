"""The types that the layers hand to each other: frozen, keyword-only, in the field's own words."""

from __future__ import annotations

import contextlib
import enum
import re
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network

_PORT = re.compile(r"[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long a state may take, how often it is read, and why that long.

    `seconds` and `poll` are seconds; `reason` is shown when the budget is spent.
    """

    seconds: float
    poll: float = 0.05
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What a command did. `duration` is in seconds."""

    argv: tuple[str, ...]
    exit_status: int
    stdout: str
    stderr: str
    duration: float

    @property
    def ok(self) -> bool:
        """Whether the command exited with 0."""
        return self.exit_status == 0

    def __str__(self) -> str:
        output = "\n".join(text for text in (self.stdout.strip(), self.stderr.strip()) if text)
        return f"$ {' '.join(self.argv)}\n[exit {self.exit_status}, {self.duration:.2f} s]\n{output}"


class Outcome(enum.Enum):
    """What a client met at the other end. INCONCLUSIVE says that the probe itself could not run: never a pass."""

    CONNECTED = "connected"
    REFUSED = "refused"
    TIMED_OUT = "timed out"
    UNREACHABLE = "unreachable"
    DENIED = "denied"
    UNRESOLVED = "unresolved"
    WRONG_SERVICE = "wrong service"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One probe's result, with the evidence for it."""

    probe: str
    source: str
    destination: str
    outcome: Outcome
    detail: str = ""
    commands: tuple[CommandResult, ...] = ()
    observed_at: datetime

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.probe} from {self.source} to {self.destination}: {self.outcome.value}{detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One peer of a WireGuard interface, as `wg show INTERFACE dump` reports it.

    `latest_handshake` is None until the first handshake; `persistent_keepalive` is in seconds, 0 when off;
    `transfer_rx` and `transfer_tx` are bytes.
    """

    public_key: str
    preshared_key_set: bool
    endpoint: str | None
    allowed_ips: tuple[IPv4Network, ...]
    latest_handshake: datetime | None
    transfer_rx: int
    transfer_tx: int
    persistent_keepalive: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WireGuardInterface:
    """A WireGuard interface. Its private key is read and dropped by the parser, never held."""

    name: str
    public_key: str
    listen_port: int
    peers: tuple[Peer, ...]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Forward:
    """One entry of `WG_FORWARD_PORTS`: what arrives from the tunnel for `port` goes to the same port there.

    What iptables was told otherwise may go to another port, `changed`.
    """

    port: int
    protocol: str
    destination: IPv4Address
    changed: int | None = None

    @classmethod
    def parse_all(cls, setting: str, *, keeping: bool = False) -> tuple[Forward, ...]:
        """Read the setting's `PORT:PROTOCOL:ADDRESS` entries, behind which `:PORT` stands where it is changed.

        `keeping` refuses that, as this project's own gateways do. Raises `ValueError` with the entry at fault.
        """
        return tuple(cls._read(entry, keeping=keeping) for entry in setting.split())

    @classmethod
    def _read(cls, entry: str, *, keeping: bool) -> Forward:
        kept, _, changed = entry.rpartition(":")
        if not keeping and kept.count(":") > 1 and _PORT.fullmatch(changed) and int(changed) <= 65535:  # noqa: PLR2004 (16-bit port)
            return replace(cls._parse(kept), changed=int(changed))
        return cls._parse(entry)

    @property
    def target(self) -> int:
        """The port to which it goes."""
        return self.changed or self.port

    @classmethod
    def _parse(cls, entry: str) -> Forward:
        match entry.split(":"):
            case [port, ("tcp" | "udp") as protocol, address] if _PORT.fullmatch(port) and int(port) <= 65535:  # noqa: PLR2004 (16-bit port)
                with contextlib.suppress(AddressValueError):
                    return cls(port=int(port), protocol=protocol, destination=IPv4Address(address))
        message = f"{entry!r} is not PORT:tcp|udp:ADDRESS"
        raise ValueError(message)

    def __str__(self) -> str:
        changed = f":{self.changed}" if self.changed else ""
        return f"{self.port}:{self.protocol}:{self.destination}{changed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An IPv4 address on a network interface, as `ip -j address` reports it."""

    interface: str
    address: IPv4Interface
    mtu: int
    up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An IPv4 route, as `ip -j route` reports it. `kind` is `unicast`, `blackhole`, ..."""

    destination: str
    kind: str
    device: str | None
    gateway: str | None
    metric: int

    @property
    def network(self) -> IPv4Network:
        """Its destination; raises `ValueError` where that is none."""
        return IPv4Network("0.0.0.0/0" if self.destination == "default" else self.destination)

    @property
    def preference(self) -> tuple[int, int]:
        """What a table compares of its routes to one address; the greatest is taken. Raises as `network` does."""
        return self.network.prefixlen, -self.metric


@dataclass(frozen=True, slots=True, kw_only=True)
class NetfilterRule:
    """One rule of `iptables-save -c`: `specification` is all that follows the chain's name."""

    table: str
    chain: str
    specification: str
    packets: int
    bytes: int

    def __str__(self) -> str:
        return f"[{self.packets}:{self.bytes}] {self.table} {self.chain} {self.specification}"


class Severity(enum.Enum):
    """How bad a finding is: an ERROR breaks a promise of the deployment now, a WARNING does not yet."""

    ERROR = "error"
    WARNING = "warning"


class Hop(enum.Enum):
    """The steps of the way from an application to a backend, in the order in which a packet takes them."""

    NAMESPACE = "application and its network namespace"
    SETTING = "settings"
    INTERFACE = "tunnel interface and route"
    KEY = "keys"
    HANDSHAKE = "underlay and handshake"
    ALLOWED_IPS = "allowed IPs"
    FORWARDING = "forwarding"
    DNAT = "DNAT"
    RETURN_PATH = "return path"
    BACKEND = "backend"
    GREETING = "protocol greeting"
    CREDENTIALS = "credentials"
    EXPOSURE = "exposure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule found. `root` is False for what another finding explains; `paths` are those that it breaks.

    `words` say what the deployment itself calls the settings that the remedy names, where it has names of its own.
    """

    rule: str
    node: str
    severity: Severity
    root: bool
    cause: str
    remedy: str
    evidence: tuple[str, ...]
    hop: Hop
    paths: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """A fault, or several, that were put in; `started_at` is in seconds on the monotonic clock."""

    fault: str
    started_at: float
