"""What the commands of a `wg0.conf`, which wg-quick(8) hands to bash, send on from the tunnel.

Rules of iptables are read as they stand. Of a script, of another tool, or of what a shell would have to work out first
nobody can say here what they send on: such a command is said to be obscure, never to send on nothing.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import PurePosixPath

from harness.model import Forward
from harness.wireguard import INTERFACE

_PROTOCOLS = {"tcp": "tcp", "6": "tcp", "udp": "udp", "17": "udp"}  # iptables takes a protocol's number as well
_OTHER_PROTOCOLS = {"icmp", "1", "sctp", "132", "esp", "50", "ah", "51", "gre", "47", "igmp", "2"}
_IPTABLES = re.compile(r"iptables(-nft|-legacy)?")
_APART = re.compile(r"[;&|()]+")
_SENDS_NOTHING_ON = {
    *("ip", "ip6tables", "sysctl", "wg", "tc", "ethtool", "modprobe", "conntrack", "resolvconf", "resolvectl"),
    *("ping", "echo", "printf", "logger", "sleep", "true", "false", ":", "test", "[", "touch", "mkdir", "cat"),
}
_STAYS = {"ACCEPT", "RETURN", "DROP", "LOG", "NFLOG", "MARK", "CONNMARK", "CT", "NOTRACK", "TCPMSS", "TTL", "DSCP", ""}
_IN_ONE = re.compile(r"(?:(?P<long>--[a-z-]+)=|(?P<short>-[AIRjgpi]))(?P<value>[^-=].*)")
_WORKED_OUT = re.compile(r"[$`]")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """What some commands send on, and which of them, by their place from 0 on, are obscure."""

    forwards: tuple[Forward, ...]
    obscure: tuple[int, ...]


def read(commands: Sequence[str]) -> Commands:
    """Read commands: each DNAT to an address of what the tunnel brings for a port, or for several, is a forward.

    Of several for one port the one is meant that a packet meets first.
    """
    found: dict[tuple[int, str], Forward] = {}
    obscure: list[int] = []
    for number, command in enumerate(commands):
        try:
            for words in _parts(command):
                met_first = not _is_in(words, "-A", "--append")
                for forward in _forwards(words):
                    if met_first or (forward.port, forward.protocol) not in found:
                        found[forward.port, forward.protocol] = forward
                if not _is_plain(words):
                    obscure.append(number)
        except ValueError:  # such as a quote that is never closed
            obscure.append(number)
    return Commands(forwards=tuple(found.values()), obscure=tuple(dict.fromkeys(obscure)))


def _parts(command: str) -> Iterator[list[str]]:
    """The words of each command on a line, as a shell parts them; raises `ValueError` where it would not."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    for is_between, words in itertools.groupby(lexer, lambda word: _APART.fullmatch(word) is not None):
        if not is_between:
            yield [part for word in words for part in _option_and_value(word)]


def _option_and_value(word: str) -> tuple[str, ...]:
    """As iptables takes an option and its value in one word, too: `--dport=3306`, `-jDNAT`."""
    found = _IN_ONE.fullmatch(word)
    return (found["long"] or found["short"], found["value"]) if found else (word,)


def _is_plain(words: Sequence[str]) -> bool:
    """Whether a command is one of which all that it sends on is read."""
    name = PurePosixPath(words[0]).name
    if not _IPTABLES.fullmatch(name):
        return name in _SENDS_NOTHING_ON
    if not _is_in(words, "-A", "-I", "-R", "--append", "--insert", "--replace"):
        return True  # it asks, takes away, or makes a chain to which only another rule can lead
    options = _options(words)
    if _chain(options) == "PREROUTING" and _target(options) == "DNAT":
        return not _may_be_met(options, words) or any(_forwards(words))
    if _chain(options) == "PREROUTING":
        return _target(options) in _STAYS
    return _target(options) != "DNAT" or _chain(options) == "OUTPUT"


def _forwards(words: Sequence[str]) -> Iterator[Forward]:
    """What a rule sends on; nothing where not all of it can be read."""
    options = _options(words)
    protocol = _PROTOCOLS.get(_protocol(options))
    is_dnat = (_chain(options), _target(options)) == ("PREROUTING", "DNAT")
    if not is_dnat or protocol is None or not _may_be_met(options, words) or _is_in(words, "-R", "--replace"):
        return
    ports = [_single(word) for word in _ports(options).split(",")]
    address, colon, changed = (options.get("--to-destination") or options.get("--to") or "").partition(":")
    target = _single(changed)
    is_worked_out = any(_WORKED_OUT.search(word) for word in words)
    if is_worked_out or None in ports or (colon and target is None) or _is_negated(words, *_PORT_OPTIONS):
        return
    try:
        destination = IPv4Address(address)
    except AddressValueError:
        return
    for port in ports:
        if port is not None:
            yield Forward(
                port=port,
                protocol=protocol,
                destination=destination,
                changed=None if target == port else target,
            )


_PORT_OPTIONS = ("--dport", "--destination-port", "--dports", "--destination-ports")


def _options(words: Sequence[str]) -> dict[str, str]:
    return dict(itertools.pairwise(words))


def _chain(options: dict[str, str]) -> str:
    names = ("-A", "-I", "-R", "--append", "--insert", "--replace")
    return next((options[name] for name in names if name in options), "")


def _target(options: dict[str, str]) -> str:
    names = ("-j", "--jump", "-g", "--goto")
    return next((options[name] for name in names if name in options), "")


def _protocol(options: dict[str, str]) -> str:
    return (options.get("-p") or options.get("--protocol") or "tcp").lower()


def _ports(options: dict[str, str]) -> str:
    return next((options[name] for name in _PORT_OPTIONS if name in options), "")


def _single(word: str) -> int | None:
    """A port, which may be written as a range of one; None for anything else."""
    low, _, high = word.partition(":")
    if not (_PORT.fullmatch(low) and high in ("", low)):
        return None
    return int(low) if 0 < int(low) <= 65535 else None  # noqa: PLR2004 (16-bit port)


def _is_in(words: Sequence[str], *options: str) -> bool:
    return any(option in words for option in options)


def _is_negated(words: Sequence[str], *options: str) -> bool:
    return any(pair == ("!", option) for pair in itertools.pairwise(words) for option in options)


def _may_be_met(options: dict[str, str], words: Sequence[str]) -> bool:
    """Whether what comes by the interface, of tcp or udp, may meet a rule; `+` ends a name's beginning."""
    if _protocol(options) in _OTHER_PROTOCOLS:
        return False
    name = options.get("-i") or options.get("--in-interface")
    if name is None or "$" in name:
        return True
    own = name.replace("%i", INTERFACE)
    fits = INTERFACE.startswith(own[:-1]) if own.endswith("+") else own == INTERFACE
    return fits is not _is_negated(words, "-i", "--in-interface")
