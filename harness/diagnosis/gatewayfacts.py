"""What the evidence says of a WireGuard gateway, typed; see `harness.diagnosis.containerfacts`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, TypeVar

from harness import netfilter, wireguard
from harness.addresses import WIREGUARD_PORT
from harness.diagnosis import routing
from harness.diagnosis.containerfacts import NodeFacts, SecretFile
from harness.diagnosis.evidence import UnreadError, UnseenError
from harness.diagnosis.packetpath import Firewall
from harness.diagnosis.routing import Policy, Routing, Way
from harness.diagnosis.settings import PRESHARED_KEY_FILE, PRIVATE_KEY_FILE, is_of_wg_quick
from harness.errors import ParseError
from harness.model import Address, Forward, NetfilterRule, Peer, Route, WireGuardInterface

T = TypeVar("T")

_EPOCH, _DOOMSDAY = 1e9, 1e11  # between 2001 and 5138, seconds since 1970 are a clock's
_PEER_FIELDS, _INTERFACE_FIELDS = 9, 5


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
    def told_port(self) -> int:
        """The UDP port that it was told to have; what of that cannot be read is another rule's business."""
        text = self.environment.get("WG_LISTEN_PORT", "")
        return int(text) if text.isdecimal() else WIREGUARD_PORT

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
        return self._tables.get(routing.MAIN, ())

    @cached_property
    def _tables(self) -> dict[str, tuple[Route, ...]]:
        entries: dict[str, list[dict[str, Any]]] = {}
        for entry in self._loaded("routes"):
            entries.setdefault(str(entry.get("table", routing.MAIN)), []).append(entry)
        tables = {name: self._routes(table) for name, table in entries.items()}
        try:
            for route in tables.get(routing.MAIN, ()):
                _ = route.preference
        except (ValueError, TypeError):
            self._damaged("routes")
        return tables

    def _routes(self, entries: list[dict[str, Any]]) -> tuple[Route, ...]:
        return self._parsed("routes", lambda _text: netfilter.parse_routes(json.dumps(entries)))

    @cached_property
    def routing(self) -> Routing:
        """All its routing: the policies, of which the kernel always has some, and the tables that they lead to."""
        try:
            policies = tuple(Policy.read(entry) for entry in self._loaded("routing-policy"))
        except (KeyError, TypeError, ValueError):
            self._damaged("routing-policy")
        if not policies:
            self._damaged("routing-policy")
        return Routing(policies=policies, tables=self._tables)

    def way_to(self, address: IPv4Address, *, mark: int = 0) -> Way | None:
        """The way that the gateway's own packets take to an address, or those that it forwards."""
        return self.routing.way(address, mark=mark)

    def route_to(self, address: IPv4Address, *, without: str | None = None) -> Route | None:
        """The route to an address; `without` leaves those by a device out."""
        way = self.routing.way(address, without=without)
        return way.route if way else None

    def leads_to(self, address: IPv4Address) -> str | None:
        """The device by which an address is reached; None where nothing leads there."""
        way = self.way_to(address)
        return way.device if way else None

    @property
    def mark(self) -> int:
        """The mark that wg0 gives its own packets, by which the routing policy knows them."""
        for line in self.evidence.text("dump").splitlines():
            fields = line.split("\t")
            if len(fields) == _INTERFACE_FIELDS and fields[0] == wireguard.INTERFACE and fields[4].startswith("0x"):
                return int(fields[4], 16)
        return 0

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

    def insist_on(self, table: str) -> None:
        """Raise `UnseenError` where a table may have rules that are not shown, so that none can be called missing."""
        if line := netfilter.parse_unshown(self.evidence.text("rules"), table):
            raise UnseenError(self.service, "rules", f"iptables-save says {line}")

    def grew(self, rule: NetfilterRule) -> bool:
        """Whether a rule met packets while the applications tried to reach their backends."""
        before = self._parsed("rules-before", netfilter.parse_save) if "rules-before" in self.evidence.pieces else ()
        place = rule.table, rule.chain, rule.specification
        met = [each.packets for each in before if (each.table, each.chain, each.specification) == place]
        return rule.packets > (min(met) if met else 0)

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
        setting = self.environment.get("WG_FORWARD_PORTS", "")
        return Forward.parse_all(setting, keeping=not is_of_wg_quick(self.environment))

    @property
    def declared(self) -> tuple[Forward, ...]:
        """What it was told to forward, nothing where the setting cannot be read: another rule says so."""
        try:
            return self.forwards
        except ValueError:
            return ()

    def insist_on_declared(self) -> None:
        """Raise `UnreadError` where it may forward more than is `declared`, so that none can be called missing."""
        if self.evidence.has("obscure"):
            lines = " and ".join(self.evidence.json("obscure"))
            reason = f"{lines} of its wg0.conf may send on more than can be read: look at what runs"
            raise UnreadError(self.service, "WG_FORWARD_PORTS", reason)

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
