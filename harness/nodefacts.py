"""What the evidence says of one node, typed. Whatever was not seen raises `UnseenError` when it is asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, NoReturn, TypeVar
from urllib.parse import SplitResult, urlsplit

from harness import netfilter, wireguard
from harness.containers import CONFIGURED, Container
from harness.errors import ParseError
from harness.evidence import NodeEvidence, UnseenError
from harness.model import Address, Forward, NetfilterRule, Peer, Route, WireGuardInterface
from harness.packetpath import Firewall
from harness.redaction import REMOVED
from harness.roles import Role, role_of
from harness.sealing import PRESHARED_KEY_FILE, PRIVATE_KEY_FILE

T = TypeVar("T")

_NETNS = re.compile(r"net:\[\d+\]")
_EPOCH, _DOOMSDAY = 1e9, 1e11  # between 2001 and 5138, seconds since 1970 are a clock's
_LISTEN = "0A"  # proc(5), /proc/net/tcp: the state LISTEN
_PEER_FIELDS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFile:
    """A secret file by what may be known of it. `mode` is octal; `fault` is what is wrong with it as a key.

    `seal` is equal for equal contents; `public` is the public key that derives from a private key's file.
    """

    path: str
    mode: int
    owner: int
    empty: bool
    fault: str | None
    seal: str
    public: str | None
    content: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A TCP socket that listens; `address` is None where it is IPv6's (any address means all of IPv4 too)."""

    address: IPv4Address | None
    port: int

    def serves(self, address: IPv4Address) -> bool:
        """Whether a connection to that address reaches it."""
        return self.address is None or self.address in (IPv4Address(0), address)


class NodeFacts:
    """One container."""

    def __init__(self, evidence: NodeEvidence) -> None:
        self.evidence = evidence
        self.service = evidence.service

    def __repr__(self) -> str:
        return f"<facts of {self.service}>"

    @cached_property
    def container(self) -> Container:
        """The container itself."""
        try:
            return Container.from_json(self.evidence.json("container"))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnseenError(self.service, "container", f"it is damaged ({type(error).__name__} {error})") from error

    @property
    def environment(self) -> Mapping[str, str]:
        """What it was told."""
        return self.container.environment

    @property
    def role(self) -> Role:
        """What it is in the deployment."""
        return role_of(self.service, self.environment)

    @property
    def configured_only(self) -> bool:
        """Whether only a compose file knows of it."""
        return self.container.status == CONFIGURED

    @cached_property
    def netns(self) -> str:
        """The network namespace that its processes are in."""
        name = self.evidence.text("netns").strip()
        return name if _NETNS.fullmatch(name) else self._damaged("netns")

    @cached_property
    def listeners(self) -> tuple[Listener, ...]:
        """The TCP sockets that listen in its namespace."""
        text = self.evidence.text("sockets")
        found = []
        for line in text.splitlines():
            fields = line.split()
            if len(fields) > 3 and fields[3] == _LISTEN:  # noqa: PLR2004 (the state)
                address, _, port = fields[1].partition(":")
                try:
                    found.append(Listener(address=_kernel_address(address), port=int(port, 16)))
                except ValueError:
                    self._damaged("sockets")
        return tuple(found) if "local_address" in text else self._damaged("sockets")

    @cached_property
    def kernel_routes(self) -> tuple[tuple[IPv4Network, IPv4Address], ...]:
        """Its routes as /proc/net/route has them (proc(5)): network and router, 0.0.0.0 where there is none."""
        found = []
        for line in self.evidence.text("kernel-routes").splitlines()[1:]:
            fields = line.split()
            if len(fields) > 7:  # noqa: PLR2004 (the mask)
                try:
                    network, via, mask = (IPv4Address(bytes.fromhex(fields[number])[::-1]) for number in (1, 2, 7))
                    found.append((IPv4Network(f"{network}/{mask}"), via))
                except ValueError:
                    self._damaged("kernel-routes")
        return tuple(found)

    @cached_property
    def secret_files(self) -> tuple[SecretFile, ...]:
        """Every secret file that it was given."""
        try:
            return tuple(
                SecretFile(
                    path=each["path"],
                    mode=int(each["mode"], 8),
                    owner=each["owner"],
                    empty=each.get("empty", False),
                    fault=each.get("fault"),
                    seal=each.get("seal", ""),
                    public=each.get("public"),
                    content=each.get("content"),
                )
                for each in self.evidence.json("secret-files")
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UnseenError(self.service, "secret-files", f"it is damaged ({error})") from error

    def secret_file(self, setting: str) -> SecretFile | None:
        """The secret file that a setting names; None when there is no such setting or file."""
        path = self.environment.get(setting)
        return next((file for file in self.secret_files if file.path == path), None) if path else None

    def log_lines(self, *words: str) -> tuple[str, ...]:
        """The last lines of its log that contain one of the words, the newest last."""
        lines = self.evidence.text("log").splitlines() if self.evidence.has("log") else []
        return tuple(line.strip() for line in lines if any(word in line for word in words))

    def _damaged(self, piece: str) -> NoReturn:
        raise UnseenError(self.service, piece, "it is damaged")


class GatewayFacts(NodeFacts):
    """A WireGuard gateway."""

    @property
    def wanted_address(self) -> IPv4Interface | None:
        """The tunnel address that it was told to have."""
        try:
            return IPv4Interface(self.environment.get("WG_ADDRESS", ""))
        except ValueError:
            return None

    @property
    def initiates(self) -> bool:
        """Whether it was told where the other end is."""
        return bool(self.environment.get("WG_PEER_ENDPOINT"))

    @cached_property
    def interface(self) -> WireGuardInterface | None:
        """wg0 as WireGuard reports it; None when it is not there."""
        return self._interface("dump")

    def _interface(self, piece: str) -> WireGuardInterface | None:
        try:
            found = wireguard.parse_dump(self.evidence.text(piece))
        except ParseError as error:
            raise UnseenError(self.service, piece, str(error)) from error
        return next((each for each in found if each.name == wireguard.INTERFACE), None)

    @property
    def clock(self) -> float:
        """The time there, in seconds since 1970: the engine's machine may not be this one."""
        text = self.evidence.text("clock").strip()
        seconds = float(text) if text.isdecimal() else 0.0
        return seconds if _EPOCH <= seconds < _DOOMSDAY else self._damaged("clock")

    @property
    def peers(self) -> tuple[Peer, ...]:
        """The peers of wg0."""
        return self.interface.peers if self.interface else ()

    def preshared_seal(self, public_key: str) -> str:
        """The seal of the preshared key with a peer; `(none)` without one."""
        for line in self.evidence.text("dump").splitlines():
            fields = line.split("\t")
            if len(fields) == _PEER_FIELDS and fields[1] == public_key:
                return fields[2]
        return "(none)"

    def dump_line(self, public_key: str) -> str:
        """The line of `wg show all dump` of a peer, or of the interface with that key: the evidence itself."""
        lines = self.evidence.text("dump").splitlines()
        return next((line for line in lines if public_key in line.split("\t")[:3]), "(no such line)")

    @property
    def private_key_file(self) -> SecretFile | None:
        """The file with its private key."""
        return self.secret_file(PRIVATE_KEY_FILE)

    @property
    def preshared_key_file(self) -> SecretFile | None:
        """The file with the preshared key."""
        return self.secret_file(PRESHARED_KEY_FILE)

    @cached_property
    def addresses(self) -> tuple[Address, ...]:
        """Every IPv4 address in its namespace."""
        return self._parsed("addresses", netfilter.parse_addresses)

    @property
    def tunnel_addresses(self) -> tuple[IPv4Interface, ...]:
        """The addresses of wg0."""
        return tuple(each.address for each in self.addresses if each.interface == wireguard.INTERFACE)

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """The main routing table."""
        tables = [entry for entry in self._loaded("routes") if entry.get("table", "main") == "main"]
        found = self._parsed("routes", lambda _text: netfilter.parse_routes(json.dumps(tables)))
        try:
            for route in found:
                _ = _network_of(route), -route.metric
        except (ValueError, TypeError):
            self._damaged("routes")
        return found

    def route_to(self, address: IPv4Address, *, without: str | None = None) -> Route | None:
        """The route that the main table chooses for an address; `without` leaves those by a device out."""
        best: tuple[int, int] | None = None
        chosen = None
        for route in self.routes:
            network = _network_of(route)
            rank = (network.prefixlen, -route.metric)
            if address in network and route.device != (without or "") and (best is None or rank > best):
                best, chosen = rank, route
        return chosen

    def leads_to(self, address: IPv4Address) -> str | None:
        """The device by which an address is reached; None where nothing leads there."""
        route = self.route_to(address)
        return route.device if route and route.kind == "unicast" else None

    @cached_property
    def links(self) -> Mapping[str, Mapping[str, Any]]:
        """Every link by its name, as `ip -j -s link` reports it."""
        try:
            return {str(entry["ifname"]): entry for entry in self._loaded("links") if entry}
        except KeyError:
            self._damaged("links")

    @property
    def is_up(self) -> bool:
        """Whether wg0 is there and up."""
        return "UP" in self.links.get(wireguard.INTERFACE, {}).get("flags", [])

    @cached_property
    def firewall(self) -> Firewall:
        """Its netfilter rules."""
        local = frozenset(each.address.ip for each in self.addresses)
        return self._parsed("rules", lambda text: Firewall.parse(text, local))

    @property
    def rules(self) -> tuple[NetfilterRule, ...]:
        """Its netfilter rules with their counters."""
        return self.firewall.rules

    def sysctl(self, name: str) -> str:
        """A kernel setting of its namespace, such as `ip_forward` or `conf/wg0/rp_filter`."""
        for line in self.evidence.text("sysctls").splitlines():
            path, _, value = line.partition(":")
            if path.strip() == f"/proc/sys/net/ipv4/{name}":
                return value.strip()
        raise UnseenError(self.service, "sysctls", f"it does not say {name}")

    @property
    def forwards(self) -> tuple[Forward, ...]:
        """What it was told to forward; raises `ValueError` for a setting that cannot be read."""
        return Forward.parse_all(self.environment.get("WG_FORWARD_PORTS", ""))

    @property
    def declared(self) -> tuple[Forward, ...]:
        """What it was told to forward, nothing where the setting cannot be read: another rule says so."""
        try:
            return self.forwards
        except ValueError:
            return ()

    def _loaded(self, piece: str) -> list[dict[str, Any]]:
        loaded = self.evidence.json(piece)
        if not isinstance(loaded, list) or not all(isinstance(entry, dict) for entry in loaded):
            raise UnseenError(self.service, piece, "it is not a list of objects")
        return loaded

    def _parsed(self, piece: str, parse: Callable[[str], T]) -> T:
        try:
            return parse(self.evidence.text(piece))
        except (ParseError, ValueError) as error:
            raise UnseenError(self.service, piece, str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far an application came with one backend: the steps `reached`, and the one that `failed`, if any.

    `code` is MariaDB's error number, `kind` the client library's name for the error.
    """

    reached: tuple[str, ...]
    failed: str | None
    errno: int | None
    code: int | None
    timed_out: bool
    kind: str
    said: str
    host: str | None
    port: int | None
    setting: str | None
    grants: tuple[str, ...]

    @property
    def connected(self) -> bool:
        """Whether the TCP connection was made."""
        return "connect" in self.reached

    def __str__(self) -> str:
        target = f"{self.host}:{self.port} " if self.host else ""
        if self.failed is None:
            return f"{target}answers"
        came = f"after {', '.join(self.reached)}: " if self.reached else ""
        return f"{target}fails at `{self.failed}`, {came}{self.said}"


class AppFacts(NodeFacts):
    """An application."""

    @cached_property
    def reaches(self) -> Mapping[str, Reach]:
        """How far it came with each backend: `database`, `broker`, and each other forward as ADDRESS:PORT."""
        loaded = self.evidence.json("backends")
        try:
            return {name: _reach(entry) for name, entry in loaded.items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnseenError(self.service, "backends", f"it is damaged ({error})") from error

    @property
    def broker_url(self) -> SplitResult | None:
        """Where it was told that Redis is; None when it was not told, or not so that it can be read."""
        url = self.environment.get("CELERY_BROKER_URL") or self.environment.get("REDIS_URL") or ""
        url = url.replace(REMOVED, "removed")  # brackets mean an IPv6 address in a URL
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            return None
        return parts if parts.hostname else None


def _reach(entry: Mapping[str, Any]) -> Reach:
    reached, failed = tuple(map(str, entry["reached"])), entry.get("failed")
    if not isinstance(failed, str) and (failed is not None or "connect" not in reached):
        raise ValueError("an entry has neither failed nor connected")
    return Reach(
        reached=reached,
        failed=failed,
        errno=entry.get("errno"),
        code=entry.get("code"),
        timed_out=bool(entry.get("timed_out")),
        kind=str(entry.get("kind", "")),
        said=str(entry.get("said", "")),
        host=entry.get("host"),
        port=entry.get("port"),
        setting=entry.get("setting"),
        grants=tuple(map(str, entry.get("grants", ()))),
    )


def _network_of(route: Route) -> IPv4Network:
    return IPv4Network("0.0.0.0/0" if route.destination == "default" else route.destination)


def _kernel_address(text: str) -> IPv4Address | None:
    """An address of /proc/net/tcp, in the machine's byte order; None for one of IPv6 that is any or no IPv4."""
    raw = bytes.fromhex(text)
    if len(raw) == 4:  # noqa: PLR2004 (bytes of an IPv4 address)
        return IPv4Address(raw[::-1])
    words = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    return None if not any(words) else IPv4Address(words[-4:])
