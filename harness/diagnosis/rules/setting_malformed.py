"""A setting holds what cannot be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import AppFacts, NodeFacts
from harness.diagnosis.roles import Role
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

_LAST_PORT = 65535
_HOST_ROUTE = 32
_SMALLEST_MTU, _LARGEST_MTU = 576, 9000  # what a gateway accepts: below, IPv4 need not pass (RFC 791)
_NUMERIC_ADDRESS = re.compile(r"[0-9.]+")


def _number(low: int, high: int) -> Callable[[str], None]:
    def check(value: str) -> None:
        if not (value.isascii() and value.isdecimal() and low <= int(value) <= high):
            raise ValueError(f"not a number from {low} to {high}")

    return check


def _host(value: str) -> None:
    if _NUMERIC_ADDRESS.fullmatch(value):
        IPv4Address(value)


def _endpoint(value: str) -> None:
    host, _, port = value.rpartition(":")
    _number(1, _LAST_PORT)(port)
    if not host:
        raise ValueError("not host:port")
    _host(host)


def _tunnel_address(value: str) -> None:
    if IPv4Interface(value).network.prefixlen == _HOST_ROUTE:
        raise ValueError("not an address with the prefix length of the tunnel's subnet, such as 10.100.0.11/24")


def _networks(value: str) -> None:
    for entry in value.replace(",", " ").split():
        IPv4Network(entry, strict=False)


_CHECKS: dict[Role, dict[str, Callable[[str], None]]] = {
    Role.GATEWAY: {
        "WG_ADDRESS": _tunnel_address,
        "WG_LISTEN_PORT": _number(1, _LAST_PORT),
        "WG_PEER_ENDPOINT": _endpoint,
        "WG_PEER_ALLOWED_IPS": _networks,
        "WG_PERSISTENT_KEEPALIVE": _number(0, _LAST_PORT),
        "WG_MTU": _number(_SMALLEST_MTU, _LARGEST_MTU),
    },
    Role.APP: {"DATABASE_PORT": _number(1, _LAST_PORT), "DATABASE_HOST": _host},
}


def _over(facts: Facts) -> tuple[NodeFacts, ...]:
    return (*facts.gateways, *facts.apps)


def _when(_facts: Facts, node: NodeFacts) -> Iterator[Case]:
    for name, check in _CHECKS[node.role].items():
        value = node.environment.get(name)
        if not value:
            continue
        try:
            check(value)
        except ValueError as error:
            yield _case(node, name, value, str(error))
    if isinstance(node, AppFacts) and node.broker_url is None:
        for name in ("CELERY_BROKER_URL", "REDIS_URL"):
            if value := node.environment.get(name):
                yield _case(node, name, value, "not redis://[:PASSWORD@]HOST[:PORT][/DB]")


def _case(node: NodeFacts, name: str, value: str, problem: str) -> Case:
    evidence = (f"{node.service}: {name}={value}", *node.log_lines(name)[-1:])
    return Case(node=node.service, evidence=evidence, values={"name": name, "value": value, "problem": problem})


RULES = (
    Rule(
        id="setting-malformed",
        title="A setting cannot be read",
        hop=Hop.SETTING,
        over=_over,
        when=_when,
        cause="{name} of {node} is {value}, which cannot be used: {problem}",
        remedy="correct {name} in the environment of {node}, then: docker compose up -d {node}",
    ),
)
