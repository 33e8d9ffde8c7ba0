"""What netfilter in a network namespace would do with a packet, read from the rules that `iptables-save -c` printed.

A match of a rule holds, does not, or cannot be told from text (`-m limit`, `-m u32`, an extension nobody foresaw).
A rule of the last kind never decides: the packet is followed as if it had not matched, and the rule is handed back
as uncertain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from ipaddress import IPv4Address
from typing import Self, TypeVar

from harness.errors import ParseError
from harness.model import NetfilterRule
from harness.netfilter import parse_policies, parse_save

Endpoint = tuple[IPv4Address, int | None]
Routing = Callable[[IPv4Address], str | None]

_STOPPING = frozenset({"DROP", "REJECT"})
_TRANSLATING = frozenset({"DNAT", "REDIRECT", "NETMAP", "SNAT", "MASQUERADE"})
# The traversal ends there, and what becomes of the packet is up to a program, a socket or a handshake.
_ELSEWHERE = frozenset({"QUEUE", "NFQUEUE", "TPROXY", "SYNPROXY"})
_TERMINATING = _STOPPING | _TRANSLATING | _ELSEWHERE | {"ACCEPT"}
# They leave a packet's fate alone. TTL is not among them: it can make a packet too old to be forwarded.
_HARMLESS = frozenset(
    "AUDIT CHECKSUM CLASSIFY CONNMARK CONNSECMARK CT DSCP ECN HMARK IDLETIMER LED LOG MARK NFLOG NOTRACK RATEEST "  # noqa: SIM905 (as a list it fills a page)
    "SECMARK SET TCPMSS TCPOPTSTRIP TEE TOS TRACE ULOG".split()
)
_OPENING = frozenset({"NEW", "RELATED"})  # the states in which a packet meets the nat table


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet, and what connection tracking knows of it.

    `state` is that of `--ctstate`; `dnat` and `snat` say what its connection was given, and `original` to which
    endpoint it was opened. `translation` is the endpoint to which connection tracking itself sends a packet of a
    connection that exists. An interface is None where there is none; anything else that is None is not known, and
    makes matches on it uncertain, but for what follows from `state`: TCP that is NEW is a SYN.
    """

    interface_in: str | None = None
    interface_out: str | None = None
    protocol: str
    source: IPv4Address
    destination: IPv4Address
    port: int | None = None
    source_port: int | None = None
    state: str = "NEW"
    dnat: bool = False
    snat: bool = False
    length: int | None = None
    flags: frozenset[str] | None = None
    icmp_type: int | None = None
    original: Endpoint | None = None
    translation: Endpoint | None = None

    @property
    def opened_to(self) -> Endpoint | None:
        """The endpoint to which the packet's connection was opened, if that is known."""
        return self.original or ((self.destination, self.port) if self.state in _OPENING else None)

    @property
    def sent_flags(self) -> frozenset[str] | None:
        """The TCP flags, if they are known."""
        return frozenset({"SYN"}) if self.flags is None and self.state == "NEW" else self.flags


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
        return self.action in _STOPPING

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
            action=_read(rule.specification).target if rule else self.policies.get((table, chain), "ACCEPT"),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DnatRule:
    """A DNAT rule in brief: what it asks for, such as `! udp`, and where it sends the port. None: it does not say."""

    rule: NetfilterRule
    protocol: str | None
    interface: str | None
    address: IPv4Address | None
    port: int | None


def dnat_rules(rules: Iterable[NetfilterRule], port: int) -> tuple[DnatRule, ...]:
    """Every DNAT rule, in any chain and for any protocol, that does not leave the port out."""
    found = []
    nobody = IPv4Address(0)
    packet = Packet(protocol="tcp", source=nobody, destination=nobody, source_port=port, port=port)
    for rule in rules:
        read = _read(rule.specification)
        ports = [match for match in read.matches if match.name in ("--dport", "--dports", "--ports")]
        if read.target == "DNAT" and all(match.holds(packet, frozenset()) is not False for match in ports):
            said = {match.name: f"! {match.value}" if match.negated else match.value for match in read.matches}
            address, to_port, _ = _pick(read.options.get("--to-destination", ""), None, port)
            found.append(
                DnatRule(rule=rule, protocol=said.get("-p"), interface=said.get("-i"), address=address, port=to_port)
            )
    return tuple(found)


def loss_probability(rule: NetfilterRule) -> float | None:
    """The share of the packets that meet it that a rule drops, where it says so (`-m statistic`); else None."""
    read = _read(rule.specification)
    shares = [_share(match) for match in read.matches if match.name in ("--probability", "--every")]
    return shares[0] if shares and read.target in _STOPPING else None


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
            if table == "nat" and self._packet.state not in _OPENING:
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
            read = _read(rule.specification)
            holds = read.holds(self._packet, self._local) if read.target else False
            if holds is None:
                self._pass_by(rule, read, path)
            elif holds:
                ended = self._take(rule, read, path)
                if ended or read.leaves:
                    return ended
        return None

    def _take(self, rule: NetfilterRule, read: _Reading, path: tuple[str, ...]) -> NetfilterRule | None:
        """Do what the rule says; the rule that ends the packet's way is given back."""
        if read.target in self._chains:
            return self.through(read.target, path)
        if read.target in _ELSEWHERE or read.target not in _TERMINATING | _HARMLESS | {"RETURN"}:
            self.uncertain.append(rule)
        if read.untracks and self.untracked_by is None:
            self.untracked_by = rule
            self._packet = replace(self._packet, state="UNTRACKED")
        return rule if read.target in _TERMINATING else None

    def _pass_by(self, rule: NetfilterRule, read: _Reading, path: tuple[str, ...]) -> None:
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
    options, packet = _read(rule.specification).options, verdict.packet
    of_source = verdict.chain in ("POSTROUTING", "INPUT")
    address, port = (packet.source, packet.source_port) if of_source else (packet.destination, packet.port)
    if verdict.action == "MASQUERADE":
        return verdict
    if verdict.action == "REDIRECT":
        address = address if address in local else min(local, default=address)
        wanted = f":{options['--to-ports']}" if "--to-ports" in options else ""
    elif verdict.action == "NETMAP":
        wanted = _mapped(address, options.get("--to", ""))
    else:
        wanted = options.get("--to-destination") or options.get("--to-source", "?")
    to_address, to_port, sure = _pick(wanted, address, port)
    to = (to_address, to_port)
    uncertain = verdict.uncertain if sure else (*verdict.uncertain, rule)
    if not of_source:
        # A translation that changes nothing is none to connection tracking.
        dnat = packet.dnat or to != (packet.destination, packet.port)
        packet = replace(packet, destination=to_address, port=to_port, dnat=dnat)
    return replace(verdict, to=to, packet=packet, uncertain=uncertain)


def _pick(wanted: str, address: _Address, port: int | None) -> tuple[IPv4Address | _Address, int | None, bool]:
    """Where `[ADDRESS[-ADDRESS]][:PORT[-PORT[/BASE]]]` sends an endpoint, and whether nothing else is possible."""
    found = _RANGE.fullmatch(wanted)
    if found is None:
        return address, port, False
    try:
        chosen = IPv4Address(found["address"]) if found["address"] else address
    except ValueError:
        return address, port, False
    sure = found["last"] in (None, found["address"])
    if found["port"] is None:
        return chosen, port, sure
    first, last = int(found["port"]), int(found["last_port"] or found["port"])
    if found["base"] and port is not None:
        return chosen, first + (port - int(found["base"])) % (last - first + 1), sure
    if port is not None and first <= port <= last:
        return chosen, port, sure  # the kernel keeps a port that is in the range
    return chosen, first, sure and first == last


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    """One option of a rule; `known` says whether this module can judge it."""

    name: str
    value: str
    negated: bool
    known: bool

    def holds(self, packet: Packet, local: frozenset[IPv4Address]) -> bool | None:
        """None where that cannot be told."""
        try:
            held = self._test(packet, local) if self.known else None
        except ValueError:  # not an address, a number
            return None
        return held if held is None else held != self.negated

    def _test(self, packet: Packet, local: frozenset[IPv4Address]) -> bool | None:
        if self.name in _TYPES:
            address = packet.source if self.name == "--src-type" else packet.destination
            return address in local or address.is_loopback if self.value == "LOCAL" else None
        return _TESTS[self.name](packet, self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """A rule's specification, taken apart: its matches, its target (empty if it only counts) and that one's options."""

    matches: tuple[_Match, ...]
    target: str
    goto: bool
    options: Mapping[str, str]

    @property
    def leaves(self) -> bool:
        """Whether a packet that matches does not go on in the rule's chain."""
        return self.goto or self.target == "RETURN"

    @property
    def untracks(self) -> bool:
        """Whether a packet that matches is exempt from connection tracking."""
        return self.target == "NOTRACK" or (self.target == "CT" and "--notrack" in self.options)

    def holds(self, packet: Packet, local: frozenset[IPv4Address]) -> bool | None:
        """Whether the packet matches; None where that cannot be told."""
        held = {match.holds(packet, local) for match in self.matches}
        return False if False in held else None if None in held else True


@cache
def _read(specification: str) -> _Reading:
    """Take a specification apart; what is not understood becomes a match that is not known."""
    options: list[tuple[str, list[str], bool]] = []
    negated = False
    # Not shlex, which would forget that `"-j DROP"` was quoted and thus is a text.
    for word in _WORD.findall(specification):
        in_text = bool(options) and options[-1][0] in _TEXTS and not options[-1][1]
        if word == "!":
            negated = True
        elif not options or (word.startswith("-") and not in_text):
            options.append((word, [], negated))
            negated = False
        else:
            options[-1][1].append(word.strip('"'))
    jump = next((index for index, option in enumerate(options) if option[0] in ("-j", "-g")), len(options))
    name, target, _ = options[jump] if jump < len(options) else ("", [], False)
    return _Reading(
        matches=tuple(_matches(options[:jump])),
        target=" ".join(target),
        goto=name == "-g",
        options={name: " ".join(values) for name, values, _ in options[jump + 1 :]},
    )


def _matches(options: Iterable[tuple[str, list[str], bool]]) -> Iterator[_Match]:
    module = ""
    for name, values, negated in options:
        if name == "-m":
            module = " ".join(values)
        # An option's name says nothing by itself: another extension may mean something else by it.
        judged = module in _MODULES or not name.startswith("--")
        known = judged and name in _TESTS.keys() | _TYPES and len(values) == _VALUES.get(name, 1)
        yield _Match(name=name, value=" ".join(values), negated=negated, known=known)


def _inside(address: IPv4Address, network: str) -> bool:
    base, mask = _network(network)
    return int(address) & mask == base & mask


def _mapped(address: IPv4Address, network: str) -> str:
    """The address with its network part replaced, as NETMAP does."""
    try:
        base, mask = _network(network)
    except ValueError:
        return "?"
    return str(IPv4Address((base & mask) | (int(address) & ~mask)))


def _network(text: str) -> tuple[int, int]:
    """Base and mask; netfilter also takes masks with holes, which `ipaddress` does not."""
    base, _, mask = text.partition("/")
    bits = int(IPv4Address(mask)) if "." in mask else -1 << (32 - int(mask or 32)) & 0xFFFFFFFF
    return int(IPv4Address(base)), bits


def _between(address: IPv4Address, addresses: str) -> bool:
    first, _, last = addresses.partition("-")
    return IPv4Address(first) <= address <= IPv4Address(last or first)


def _in_ranges(number: int | None, ranges: str) -> bool | None:
    """Whether a port or a length is in `FIRST[:LAST][,...]`."""
    if number is None:
        return None
    ends = [(first, last if colon else first) for first, colon, last in (r.partition(":") for r in ranges.split(","))]
    return any(int(first or 0) <= number <= int(last or _LARGEST) for first, last in ends)


def _any(held: Iterable[bool | None]) -> bool | None:
    results = set(held)
    return True if True in results else None if None in results else False


def _has_name(interface: str | None, pattern: str) -> bool:
    name = interface or ""
    return name.startswith(pattern[:-1]) if pattern.endswith("+") else name == pattern


def _has_state(packet: Packet, states: str) -> bool:
    seen = {packet.state} | {state for state, has in (("DNAT", packet.dnat), ("SNAT", packet.snat)) if has}
    return not seen.isdisjoint(states.split(","))


def _has_flags(packet: Packet, mask_and_set: str) -> bool | None:
    mask, wanted = (set(names.split(",")) - {"NONE"} for names in mask_and_set.split())
    return None if packet.flags is None else packet.flags & mask == wanted


def _has_icmp_type(packet: Packet, wanted: str) -> bool | None:
    kind, _, code = wanted.partition("/")
    if kind == "any":
        return True
    if packet.icmp_type is None or (code and packet.icmp_type == int(kind)):
        return None
    return packet.icmp_type == int(kind)


def _opened(packet: Packet, test: Callable[[Endpoint], bool | None]) -> bool | None:
    return None if packet.opened_to is None else test(packet.opened_to)


def _share(match: _Match) -> float | None:
    """The share of packets that meets a match of `-m statistic`."""
    try:
        share = float(match.value) if match.name == "--probability" else 1 / int(match.value)
    except (ValueError, ZeroDivisionError):
        return None
    return 1 - share if match.negated else share


def _is_certain(probability: str) -> bool | None:
    share = float(probability)
    return share >= 1 or (None if share > 0 else False)


_Address = TypeVar("_Address", bound=IPv4Address | None)

_RANGE = re.compile(
    r"(?P<address>[\d.]+)?(?:-(?P<last>[\d.]+))?(?::(?P<port>\d+)(?:-(?P<last_port>\d+)(?:/(?P<base>\d+))?)?)?"
)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_LARGEST = 65535  # of ports and of lengths
_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp"}  # where the system has no /etc/protocols
_MODULES = frozenset(
    "addrtype comment conntrack dccp icmp iprange length multiport sctp state statistic tcp udp udplite".split()  # noqa: SIM905 (as above)
)
_TEXTS = frozenset({"--comment", "--log-prefix", "--nflog-prefix", "--string", "--name"})
_TYPES = frozenset({"--src-type", "--dst-type"})
_VALUES = {"-f": 0, "--tcp-flags": 2}  # how many follow an option; one follows all others

_TESTS: dict[str, Callable[[Packet, str], bool | None]] = {
    "-i": lambda packet, pattern: _has_name(packet.interface_in, pattern),
    "-o": lambda packet, pattern: _has_name(packet.interface_out, pattern),
    "-p": lambda packet, protocol: _PROTOCOLS.get(protocol, protocol) in ("all", packet.protocol),
    "-s": lambda packet, network: _inside(packet.source, network),
    "-d": lambda packet, network: _inside(packet.destination, network),
    "-f": lambda _packet, _: False,  # a packet here is whole, or is the first fragment
    "-m": lambda _packet, module: module in _MODULES or None,
    "--comment": lambda _packet, _: True,
    "--sport": lambda packet, ports: _in_ranges(packet.source_port, ports),
    "--sports": lambda packet, ports: _in_ranges(packet.source_port, ports),
    "--dport": lambda packet, ports: _in_ranges(packet.port, ports),
    "--dports": lambda packet, ports: _in_ranges(packet.port, ports),
    "--ports": lambda packet, ports: _any(_in_ranges(port, ports) for port in (packet.source_port, packet.port)),
    "--state": _has_state,
    "--ctstate": _has_state,
    "--ctproto": lambda packet, protocol: _PROTOCOLS.get(protocol, protocol) == packet.protocol,
    "--ctorigdst": lambda packet, network: _opened(packet, lambda end: _inside(end[0], network)),
    "--ctorigdstport": lambda packet, ports: _opened(packet, lambda end: _in_ranges(end[1], ports)),
    "--length": lambda packet, lengths: _in_ranges(packet.length, lengths),
    "--tcp-flags": _has_flags,
    "--icmp-type": _has_icmp_type,
    "--src-range": lambda packet, addresses: _between(packet.source, addresses),
    "--dst-range": lambda packet, addresses: _between(packet.destination, addresses),
    # of -m statistic
    "--mode": lambda _packet, _: True,
    "--packet": lambda _packet, _: True,
    "--probability": lambda _packet, share: _is_certain(share),
    "--every": lambda _packet, count: count == "1" or None,
}
