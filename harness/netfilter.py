"""Parsers of `iptables-save -c` and of `ip -j address` and `ip -j route`."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Interface
from typing import Any

from harness.errors import ParseError
from harness.model import Address, Forward, NetfilterRule, Route
from harness.wireguard import INTERFACE

SAVE = ("iptables-save", "-c")
ADDRESSES = ("ip", "-j", "-4", "address", "show")
ROUTES = ("ip", "-j", "-4", "route", "show", "table", "main")

_RULE = re.compile(r"\[(?P<packets>\d+):(?P<bytes>\d+)\] -A (?P<chain>\S+) (?P<specification>.+)")
_POLICY = re.compile(r":(?P<chain>\S+) (?:ACCEPT|DROP) \[(?P<packets>\d+):\d+\]")


def parse_save(text: str) -> tuple[NetfilterRule, ...]:
    """Every rule of every table that `iptables-save -c` printed, in order."""
    rules = []
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif found := _RULE.fullmatch(line.strip()):
            rules.append(
                NetfilterRule(
                    table=table,
                    chain=found["chain"],
                    specification=found["specification"],
                    packets=int(found["packets"]),
                    bytes=int(found["bytes"]),
                )
            )
    return tuple(rules)


def parse_policies(text: str) -> dict[tuple[str, str], str]:
    """The policy of each built-in chain, by table and chain."""
    policies = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":"):
            chain, policy, *_counters = line[1:].split()
            policies[table, chain] = policy
    return policies


def parse_policy_packets(text: str) -> dict[tuple[str, str], int]:
    """How many packets came to the policy of each built-in chain, by table and chain."""
    packets = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif found := _POLICY.fullmatch(line.strip()):
            packets[table, found["chain"]] = int(found["packets"])
    return packets


def dnat_specification(forward: Forward) -> str:
    """The PREROUTING rule of a forward, in the words of `iptables-save`."""
    return (
        f"-i {INTERFACE} -p {forward.protocol} -m {forward.protocol} --dport {forward.port} "
        f"-j DNAT --to-destination {forward.destination}:{forward.port}"
    )


def masquerade_specification(forward: Forward, interface: str) -> str:
    """The POSTROUTING rule of a forward that leaves by `interface`, in the words of `iptables-save`."""
    return (
        f"-d {forward.destination}/32 -o {interface} -p {forward.protocol} -m {forward.protocol} "
        f"--dport {forward.port} -j MASQUERADE"
    )


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Every IPv4 address that `ip -j -4 address show` printed."""
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


def parse_routes(text: str) -> tuple[Route, ...]:
    """Every IPv4 route that `ip -j -4 route show` printed."""
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


def _load(text: str, what: str) -> list[dict[str, Any]]:
    try:
        loaded = json.loads(text or "[]")
    except json.JSONDecodeError as error:
        message = f"`{what}` did not print JSON: {error}"
        raise ParseError(message) from error
    # `ip -j` prints empty objects for what a filter such as -4 leaves out.
    return [entry for entry in loaded if entry]
