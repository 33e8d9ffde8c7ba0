"""Parsers of `iptables-save -c` and of `ip -j address` and `ip -j route`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Interface
from typing import Any

from harness.errors import ParseError
from harness.model import Address, Forward, NetfilterRule, Route
from harness.wireguard import INTERFACE

SAVE = ("iptables-save", "-c")
ADDRESSES = ("ip", "-j", "-4", "address", "show")
ROUTES = ("ip", "-j", "-4", "route", "show", "table", "main")

_CONTAINERS_OWN = ("lo", "docker", "br-", "veth")  # how the interfaces begin that a machine has for its containers
_RULE = re.compile(r"\[(?P<packets>\d+):(?P<bytes>\d+)\] -A (?P<chain>\S+)(?: (?P<specification>.+))?")
_POLICY = re.compile(r":(?P<chain>\S+) (?P<policy>\S+)(?: \[(?P<packets>\d+):\d+\])?")

# Made by `nft` itself, or by the other iptables of the two.
_UNSHOWN = re.compile(r"# (?:Table `(?P<table>\w+)' is incompatible, use 'nft' tool\.|Warning: \S+ tables present, .+)")


def parse_save(text: str) -> tuple[NetfilterRule, ...]:
    """Every rule of every table that `iptables-save -c` printed, in order.

    Raises `ParseError` for a line that it never prints.
    """
    return tuple(
        NetfilterRule(
            table=table,
            chain=found["chain"],
            specification=found["specification"] or "",
            packets=int(found["packets"]),
            bytes=int(found["bytes"]),
        )
        for table, line in _lines(text)
        if not line.startswith(":")
        for found in [_match(_RULE, line)]
    )


def parse_policies(text: str) -> dict[tuple[str, str], str]:
    """The policy of each built-in chain, by table and chain; raises `ParseError` as `parse_save` does."""
    return {
        (table, found["chain"]): found["policy"]
        for table, line in _lines(text)
        if line.startswith(":")
        for found in [_match(_POLICY, line)]
    }


def parse_policy_packets(text: str) -> dict[tuple[str, str], int]:
    """How many packets met each built-in chain's policy, by table and chain; raises as `parse_save` does."""
    return {
        (table, found["chain"]): int(found["packets"] or 0)
        for table, line in _lines(text)
        if line.startswith(":")
        for found in [_match(_POLICY, line)]
    }


def parse_unshown(text: str, table: str) -> str | None:
    """The line by which `iptables-save` says that it may not show all rules of a table; None where it shows all."""
    found = (match for line in text.splitlines() if (match := _UNSHOWN.fullmatch(line.strip())))
    return next((match[0] for match in found if match["table"] in (table, None)), None)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Each line that says something, with the table that it stands in."""
    table = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("*"):
            table = line[1:]
        elif line and not line.startswith("#") and line != "COMMIT":
            yield table, line


def _match(pattern: re.Pattern[str], line: str) -> re.Match[str]:
    found = pattern.fullmatch(line)
    if found is None:
        message = f"`iptables-save -c` does not print lines such as {line!r}"
        raise ParseError(message)
    return found


def dnat_specification(forward: Forward) -> str:
    """The PREROUTING rule of a forward, in the words of `iptables-save`."""
    return (
        f"-i {INTERFACE} -p {forward.protocol} -m {forward.protocol} --dport {forward.port} "
        f"-j DNAT --to-destination {forward.destination}:{forward.port}"
    )


def is_dnat_of(forward: Forward, rule: NetfilterRule) -> bool:
    """Whether a rule of PREROUTING is that of a forward, which may leave it unsaid that the port stays the same."""
    wanted = dnat_specification(forward)
    return rule.specification in (wanted, wanted.removesuffix(f":{forward.port}"))


def masquerade_specification(forward: Forward, interface: str) -> str:
    """The POSTROUTING rule of a forward that leaves by `interface`, in the words of `iptables-save`."""
    return (
        f"-d {forward.destination}/32 -o {interface} -p {forward.protocol} -m {forward.protocol} "
        f"--dport {forward.port} -j MASQUERADE"
    )


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Every IPv4 address that `ip -j -4 address show` printed; raises `ParseError` for anything else."""
    try:
        return tuple(
            Address(
                interface=link["ifname"],
                address=IPv4Interface(f"{entry['local']}/{entry['prefixlen']}"),
                mtu=link["mtu"],
                up="UP" in link["flags"],
            )
            for link in _load(text, "ip address")
            for entry in link.get("addr_info", [])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unlike("ip address", error) from error


def machine_addresses(found: Iterable[Address]) -> tuple[str, ...]:
    """A machine's own addresses, each with its prefix length: not those of loopback or of its containers' networks."""
    return tuple(str(each.address) for each in found if not each.interface.startswith(_CONTAINERS_OWN))


def parse_routes(text: str) -> tuple[Route, ...]:
    """Every IPv4 route that `ip -j -4 route show` printed; raises `ParseError` for anything else."""
    try:
        return tuple(
            Route(
                destination=entry["dst"],
                kind=entry.get("type", "unicast"),
                device=entry.get("dev"),
                gateway=entry.get("gateway"),
                metric=entry.get("metric", 0),
            )
            for entry in _load(text, "ip route")
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unlike("ip route", error) from error


def _load(text: str, what: str) -> list[dict[str, Any]]:
    try:
        loaded = json.loads(text or "[]")
    except json.JSONDecodeError as error:
        message = f"`{what}` did not print JSON: {error}"
        raise ParseError(message) from error
    if not isinstance(loaded, list) or not all(isinstance(entry, dict) for entry in loaded):
        message = f"`{what}` did not print a list of objects"
        raise ParseError(message)
    # `ip -j` prints empty objects for what a filter such as -4 leaves out.
    return [entry for entry in loaded if entry]


def _unlike(what: str, error: Exception) -> ParseError:
    return ParseError(f"`{what}` printed an object unlike those of `ip -j`: {type(error).__name__} {error}")
