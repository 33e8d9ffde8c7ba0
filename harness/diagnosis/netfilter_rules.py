"""What one netfilter rule asks of a packet, and where it sends it, read from its specification in `iptables-save`.

A match holds, does not, or cannot be told from text: `-m limit`, `-m u32`, an extension nobody foresaw.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address
from typing import TypeVar

from harness.model import NetfilterRule

Endpoint = tuple[IPv4Address, int | None]

STOPPING = frozenset({"DROP", "REJECT"})
OPENING = frozenset({"NEW", "RELATED"})
"""The states in which a packet meets the nat table."""


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
        return self.original or ((self.destination, self.port) if self.state in OPENING else None)

    @property
    def sent_flags(self) -> frozenset[str] | None:
        """The TCP flags, if they are known."""
        return frozenset({"SYN"}) if self.flags is None and self.state == "NEW" else self.flags


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
        read = reading(rule.specification)
        ports = [match for match in read.matches if match.name in ("--dport", "--dports", "--ports")]
        if read.target == "DNAT" and all(match.holds(packet, frozenset()) is not False for match in ports):
            said = {match.name: f"! {match.value}" if match.negated else match.value for match in read.matches}
            address, to_port, _ = pick(read.options.get("--to-destination", ""), None, port)
            found.append(
                DnatRule(rule=rule, protocol=said.get("-p"), interface=said.get("-i"), address=address, port=to_port)
            )
    return tuple(found)


def loss_probability(rule: NetfilterRule) -> float | None:
    """The share of the packets that meet it that a rule drops, where it says so (`-m statistic`); else None."""
    read = reading(rule.specification)
    shares = [_share(match) for match in read.matches if match.name in ("--probability", "--every")]
    return shares[0] if shares and read.target in STOPPING else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
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
class Reading:
    """A rule's specification, taken apart: its matches, its target (empty if it only counts) and that one's options."""

    matches: tuple[Match, ...]
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
def reading(specification: str) -> Reading:
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
    return Reading(
        matches=tuple(_matches(options[:jump])),
        target=" ".join(target),
        goto=name == "-g",
        options={name: " ".join(values) for name, values, _ in options[jump + 1 :]},
    )


def _matches(options: Iterable[tuple[str, list[str], bool]]) -> Iterator[Match]:
    module = ""
    for name, values, negated in options:
        if name == "-m":
            module = " ".join(values)
        # An option's name says nothing by itself: another extension may mean something else by it.
        judged = module in _MODULES or not name.startswith("--")
        known = judged and name in _TESTS.keys() | _TYPES and len(values) == _VALUES.get(name, 1)
        yield Match(name=name, value=" ".join(values), negated=negated, known=known)


def _inside(address: IPv4Address, network: str) -> bool:
    base, mask = _network(network)
    return int(address) & mask == base & mask


def pick(wanted: str, address: _Address, port: int | None) -> tuple[IPv4Address | _Address, int | None, bool]:
    """Where `[ADDRESS[-ADDRESS]][:PORT[-PORT[/BASE]]]` sends an endpoint, and whether nothing else is possible."""
    found = _RANGE.fullmatch(wanted)
    if found is None or int(found["last_port"] or found["port"] or 0) < int(found["port"] or 0):
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


def mapped(address: IPv4Address, network: str) -> str:
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


def _share(match: Match) -> float | None:
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
