"""What netfilter in a network namespace would do with a packet, read from the rules that `iptables-save -c` printed.

A rule of which cannot be told whether it matches (see `netfilter_rules`) never decides: the packet is followed as if
it had not matched, and the rule is handed back as uncertain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Self

from harness.diagnosis.netfilter_rules import (
    OPENING,
    STOPPING,
    DnatRule,
    Endpoint,
    Packet,
    Reading,
    dnat_rules,
    loss_probability,
    mapped,
    pick,
    reading,
)
from harness.errors import ParseError
from harness.model import NetfilterRule
from harness.netfilter import parse_policies, parse_save

__all__ = [
    "DnatRule",
    "Endpoint",
    "Firewall",
    "Journey",
    "Packet",
    "Routing",
    "Verdict",
    "dnat_rules",
    "loss_probability",
]

Routing = Callable[[IPv4Address], str | None]

_TRANSLATING = frozenset({"DNAT", "REDIRECT", "NETMAP", "SNAT", "MASQUERADE"})
# The traversal ends there, and what becomes of the packet is up to a program, a socket or a handshake.
_ELSEWHERE = frozenset({"QUEUE", "NFQUEUE", "TPROXY", "SYNPROXY"})
_TERMINATING = STOPPING | _TRANSLATING | _ELSEWHERE | {"ACCEPT"}
# They leave a packet's fate alone. TTL is not among them: it can make a packet too old to be forwarded.
_HARMLESS = frozenset(
    "AUDIT CHECKSUM CLASSIFY CONNMARK CONNSECMARK CT DSCP ECN HMARK IDLETIMER LED LOG MARK NFLOG NOTRACK RATEEST "  # noqa: SIM905 (as a list it fills a page)
    "SECMARK SET TCPMSS TCPOPTSTRIP TEE TOS TRACE ULOG".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one chain decides. `rule` is None where the chain's policy did.

    `action` is the name of a target; `to` is where DNAT and its like send the packet, or what SNAT has it come from.
    `packet` is the packet as it leaves the chain; `untracked_by` exempted it from connection tracking, and so from nat.
    `uncertain` are rules on the way that may have decided otherwise, each as often as it was met.
    """

    table: str
    chain: str
    action: str
    rule: NetfilterRule | None
    to: Endpoint | None
    packet: Packet
    untracked_by: NetfilterRule | None
    uncertain: tuple[NetfilterRule, ...]

    @property
    def stops(self) -> bool:
        """Whether the packet ends here."""
        return self.action in STOPPING

    def __str__(self) -> str:
        return str(self.rule) if self.rule else f"{self.table} {self.chain} policy {self.action}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """A packet's way through all chains. `packet` is as it was at the end, its source not yet rewritten.

    `delivered_to` is None for a packet that was dropped or has no route; `local` says that it was for this machine.
    """

    packet: Packet
    dropped_by: Verdict | None
    delivered_to: Endpoint | None
    outgoing: str | None
    local: bool
    translated_destination: NetfilterRule | None
    translated_source: NetfilterRule | None
    untracked_by: NetfilterRule | None
    uncertain: tuple[NetfilterRule, ...]

    def later(self, packet: Packet) -> Packet:
        """A packet that follows `packet`, which made this journey, in the same direction and connection."""
        return replace(
            packet,
            state="ESTABLISHED",
            dnat=self.packet.dnat,
            snat=self.translated_source is not None,
            flags=frozenset({"ACK"}),
            original=self.packet.original,
            translation=(self.packet.destination, self.packet.port),
        )

    def answer(self, sender: IPv4Address) -> Packet:
        """The first packet that comes back; `sender` is whom the far end saw, such as a masquerade's address."""
        sent = self.packet
        return Packet(
            interface_in=self.outgoing,
            protocol=sent.protocol,
            source=sent.destination,
            source_port=sent.port,
            destination=sender,
            port=sent.source_port,
            state="ESTABLISHED",
            dnat=sent.dnat,
            snat=self.translated_source is not None,
            flags=frozenset({"SYN", "ACK"}),
            original=sent.original,
            translation=(sent.source, sent.source_port),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Firewall:
    """The rules and policies of a network namespace, and the addresses that are its own."""

    rules: tuple[NetfilterRule, ...]
    policies: Mapping[tuple[str, str], str]
    local: frozenset[IPv4Address] = frozenset()

    @classmethod
    def parse(cls, save: str, local: frozenset[IPv4Address] = frozenset()) -> Self:
        """From what `iptables-save -c` printed; raises `ParseError` as `parse_save` does."""
        return cls(rules=parse_save(save), policies=parse_policies(save), local=local)

    def decide(self, table: str, chain: str, packet: Packet) -> Verdict:
        """What one built-in chain, which accepts if it is absent, does with the packet.

        Raises `ParseError` if the chain comes to one that calls itself.
        """
        walk = _Walk(self, table, packet)
        rule = walk.through(chain)
        verdict = Verdict(
            table=table,
            chain=chain,
            action=reading(rule.specification).target if rule else self.policies.get((table, chain), "ACCEPT"),
            rule=rule,
            to=None,
            packet=replace(packet, state="UNTRACKED", dnat=False, snat=False) if walk.untracked_by else packet,
            untracked_by=walk.untracked_by,
            uncertain=tuple(walk.uncertain),
        )
        return _translated(verdict, rule, self.local) if rule and verdict.action in _TRANSLATING else verdict

    def forward(self, packet: Packet, route: Routing) -> Journey:
        """The way of a packet that arrives on `packet.interface_in`, to the machine itself or through it.

        `route` names the interface that leads to an address, None where nothing does. Raises as `decide` does.
        """
        trip = _Trip(self, replace(packet, interface_out=None))
        if trip.passes("PREROUTING", "raw", "mangle", "nat"):
            if trip.arrived():
                trip.passes("INPUT", "mangle", "filter", "security", "nat")
            elif trip.leaves(route) and trip.passes("FORWARD", "mangle", "filter", "security"):
                trip.passes("POSTROUTING", "mangle", "nat")
        return trip.journey()

    def send(self, packet: Packet, route: Routing) -> Journey:
        """The way of a packet that a process in the namespace sends; otherwise as `forward`."""
        trip = _Trip(self, replace(packet, interface_in=None))
        # A destination that nat rewrites is routed anew, yet filter still sees the interface of the old one.
        if trip.leaves(route) and trip.passes("OUTPUT", "raw", "mangle", "nat", "filter", "security"):
            _ = trip.leaves(route) and trip.passes("POSTROUTING", "mangle", "nat")
        return trip.journey()


class _Trip:
    """A packet on its way from hook to hook."""

    def __init__(self, firewall: Firewall, packet: Packet) -> None:
        self._packet = replace(packet, original=packet.opened_to)
        self._firewall = firewall
        self._verdicts: list[Verdict] = []
        self._local = False

    def passes(self, hook: str, *tables: str) -> bool:
        """Take the packet through a hook's chains, in the kernel's order, as far as it gets."""
        for table in tables:
            if table == "nat" and self._packet.state not in OPENING:
                self._translate(hook)
                continue
            verdict = self._firewall.decide(table, hook, self._packet)
            self._verdicts.append(verdict)
            self._packet = verdict.packet
            if verdict.stops:
                return False
        return True

    def _translate(self, hook: str) -> None:
        """What connection tracking does by itself once a connection has met the nat table."""
        if self._packet.translation and self._packet.state == "ESTABLISHED" and hook in ("PREROUTING", "OUTPUT"):
            destination, port = self._packet.translation
            self._packet = replace(self._packet, destination=destination, port=port)

    def arrived(self) -> bool:
        """Whether the packet is for this machine."""
        redirected = any(verdict.action == "REDIRECT" for verdict in self._verdicts)
        self._local = redirected or self._packet.destination in self._firewall.local
        return self._local

    def leaves(self, route: Routing) -> bool:
        """Find the interface by which the packet leaves."""
        self._packet = replace(self._packet, interface_out=route(self._packet.destination))
        return self._packet.interface_out is not None

    def journey(self) -> Journey:
        """All that was decided."""
        packet = self._packet
        dropped_by = next((verdict for verdict in self._verdicts if verdict.stops), None)
        has_way = self._local or packet.interface_out is not None
        return Journey(
            packet=packet,
            dropped_by=dropped_by,
            delivered_to=(packet.destination, packet.port) if has_way and not dropped_by else None,
            outgoing=packet.interface_out,
            local=self._local,
            translated_destination=self._translated_at("PREROUTING", "OUTPUT"),
            translated_source=self._translated_at("POSTROUTING", "INPUT"),
            untracked_by=next((verdict.untracked_by for verdict in self._verdicts if verdict.untracked_by), None),
            uncertain=tuple(rule for verdict in self._verdicts for rule in verdict.uncertain),
        )

    def _translated_at(self, *hooks: str) -> NetfilterRule | None:
        return next((v.rule for v in self._verdicts if v.action in _TRANSLATING and v.chain in hooks), None)


class _Walk:
    """One packet in one table: a built-in chain and all that it calls."""

    def __init__(self, firewall: Firewall, table: str, packet: Packet) -> None:
        self._packet = replace(packet, flags=packet.sent_flags)
        if table == "raw":  # it comes before connection tracking, to which every packet is unknown there
            self._packet = replace(self._packet, state="INVALID", dnat=False, snat=False, original=None)
        self._local = firewall.local
        self._chains: dict[str, list[NetfilterRule]] = {chain: [] for kept, chain in firewall.policies if kept == table}
        for rule in firewall.rules:
            if rule.table == table:
                self._chains.setdefault(rule.chain, []).append(rule)
        self.untracked_by: NetfilterRule | None = None
        self.uncertain: list[NetfilterRule] = []

    def through(self, chain: str, callers: tuple[str, ...] = ()) -> NetfilterRule | None:
        """The rule that ends the packet's way; None if it comes to the chain's end or is sent back."""
        path = (*callers, chain)
        if chain in callers:
            raise ParseError(f"the chains {' -> '.join(path)} call one another in a loop, which the kernel never holds")
        for rule in self._chains.get(chain, ()):
            read = reading(rule.specification)
            holds = read.holds(self._packet, self._local) if read.target else False
            if holds is None:
                self._pass_by(rule, read, path)
            elif holds:
                ended = self._take(rule, read, path)
                if ended or read.leaves:
                    return ended
        return None

    def _take(self, rule: NetfilterRule, read: Reading, path: tuple[str, ...]) -> NetfilterRule | None:
        """Do what the rule says; the rule that ends the packet's way is given back."""
        if read.target in self._chains:
            return self.through(read.target, path)
        if read.target in _ELSEWHERE or read.target not in _TERMINATING | _HARMLESS | {"RETURN"}:
            self.uncertain.append(rule)
        if read.untracks and self.untracked_by is None:
            self.untracked_by = rule
            self._packet = replace(self._packet, state="UNTRACKED")
        return rule if read.target in _TERMINATING else None

    def _pass_by(self, rule: NetfilterRule, read: Reading, path: tuple[str, ...]) -> None:
        """Note a rule that may match, if that could make a difference, and leave the packet as it is."""
        if read.target not in self._chains:
            if read.target not in _HARMLESS or read.untracks:
                self.uncertain.append(rule)
            return
        before, noted = (self._packet, self.untracked_by), len(self.uncertain)
        ended = self.through(read.target, path)
        if ended or read.leaves or self._packet != before[0] or len(self.uncertain) > noted:
            self.uncertain.insert(noted, rule)
            self.uncertain += [ended] if ended else []
        self._packet, self.untracked_by = before


def _translated(verdict: Verdict, rule: NetfilterRule, local: frozenset[IPv4Address]) -> Verdict:
    """The verdict, with the packet as NAT rewrites it; the rule is uncertain where the kernel has a choice."""
    options, packet = reading(rule.specification).options, verdict.packet
    of_source = verdict.chain in ("POSTROUTING", "INPUT")
    address, port = (packet.source, packet.source_port) if of_source else (packet.destination, packet.port)
    if verdict.action == "MASQUERADE":
        return verdict
    if verdict.action == "REDIRECT":
        address = address if address in local else min(local, default=address)
        wanted = f":{options['--to-ports']}" if "--to-ports" in options else ""
    elif verdict.action == "NETMAP":
        wanted = mapped(address, options.get("--to", ""))
    else:
        wanted = options.get("--to-destination") or options.get("--to-source", "?")
    to_address, to_port, sure = pick(wanted, address, port)
    to = (to_address, to_port)
    uncertain = verdict.uncertain if sure else (*verdict.uncertain, rule)
    if not of_source:
        # A translation that changes nothing is none to connection tracking.
        dnat = packet.dnat or to != (packet.destination, packet.port)
        packet = replace(packet, destination=to_address, port=to_port, dnat=dnat)
    return replace(verdict, to=to, packet=packet, uncertain=uncertain)
