"""A setting holds what cannot be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

from harness.addresses import is_address, is_ipv6
from harness.diagnosis import settings
from harness.diagnosis.evidence import UnreadError
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import AppFacts, GatewayFacts, NodeFacts
from harness.diagnosis.roles import Role
from harness.diagnosis.rules import Case, Rule
from harness.diagnosis.settings import PEER_PUBLIC_KEY_FILE
from harness.model import Hop

Check = Callable[[str], None]
"""Raises `ValueError` with what is wrong with a value."""

_LAST_PORT = 65535
_SMALLEST_MTU, _LARGEST_MTU = 576, 9000  # what a gateway accepts: below, IPv4 need not pass (RFC 791)
_LONGEST = 999_999_999  # seconds
_NUMERIC_ADDRESS = re.compile(r"[0-9.]+")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_NAME_OR_ZONE = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+(%[^\]\s]+)?\]")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
_KEY = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")  # 32 bytes in base64: the last character carries four bits


def _number(low: int, high: int) -> Check:
    def check(value: str) -> None:
        if not (_NUMBER.fullmatch(value) and low <= int(value) <= high):
            raise ValueError(f"not a number from {low} to {high}")

    return check


def _one_of(*choices: str) -> Check:
    def check(value: str) -> None:
        if value not in choices:
            raise ValueError(f"not one of {', '.join(choices)}")

    return check


def _subnet(shortest: int, longest: int, example: str) -> Check:
    """An address with a prefix length; other forms of a mask, which Python takes, a gateway does not."""

    def check(value: str) -> None:
        address, _, length = value.partition("/")
        try:
            IPv4Address(address)
            _number(shortest, longest)(length)
        except ValueError as error:
            raise ValueError(f"{value!r} is no address with a prefix length, such as {example}") from error

    return check


def _subnets(value: str) -> None:
    entries = value.replace(",", " ").split()
    if not entries:
        raise ValueError("no subnet in it, such as 10.100.0.10/32")
    for entry in entries:
        _subnet(0, 32, "10.100.0.10/32")(entry)


def _host(value: str) -> None:
    if _NUMERIC_ADDRESS.fullmatch(value):
        IPv4Address(value)


def _host_alone(value: str) -> None:
    if "://" in value:
        raise ValueError("it is a URL; write only the host of it")
    host, colon, port = value.partition(":")
    if colon and not is_ipv6(value):
        raise ValueError(f"write {host}, and {port} in DATABASE_PORT" if port.isdecimal() else "not a host")
    _host(value)


def _endpoint(name: re.Pattern[str]) -> Check:
    def check(value: str) -> None:
        host, _, port = value.rpartition(":")
        if not name.fullmatch(host):
            raise ValueError("not host:port")
        _number(1, _LAST_PORT)(port)
        _host(host)

    return check


def _key(value: str) -> None:
    if not _KEY.fullmatch(value):
        raise ValueError("not a key, which is 32 bytes in base64, as wg pubkey prints it")


def _port(value: str) -> None:
    if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= _LAST_PORT):
        raise ValueError(f"not a number from 1 to {_LAST_PORT}")


def _address_of_wg_quick(value: str) -> None:
    if not is_ipv6(value.partition("/")[0]):  # which is a sound address, though nobody judges it
        _subnet(1, 32, "10.100.0.11/24")(value)


# Those of a gateway are its own, as compose/wireguard/lib/settings.sh makes them before it starts.
_CHECKS: dict[Role, dict[str, Check]] = {
    Role.GATEWAY: {
        "WG_ADDRESS": _subnet(1, 31, "10.100.0.11/24"),
        "WG_LISTEN_PORT": _number(1, _LAST_PORT),
        "WG_PEER_PUBLIC_KEY": _key,
        "WG_PEER_ENDPOINT": _endpoint(_NAME),
        "WG_PEER_ALLOWED_IPS": _subnets,
        "WG_PERSISTENT_KEEPALIVE": _number(0, _LAST_PORT),
        "WG_MTU": _number(_SMALLEST_MTU, _LARGEST_MTU),
        "WG_IMPLEMENTATION": _one_of("auto", "kernel", "userspace"),
        "WG_IPTABLES": _one_of("auto", "nft", "legacy"),
        "WG_HANDSHAKE_MAX_AGE": _number(0, _LONGEST),
    },
    Role.APP: {"DATABASE_PORT": _port, "DATABASE_HOST": _host_alone},
}

# wg-quick(8) routes what the peer may use by itself, so an end's address may stand for itself alone; and wg asks
# whoever resolves names, which takes those of compose with an underscore, and addresses that are of one link.
_OF_WG_QUICK = {"WG_ADDRESS": _address_of_wg_quick, "WG_PEER_ENDPOINT": _endpoint(_NAME_OR_ZONE)}


# What the images made here refuse, where others may well have such a setting of their own, or know of other URLs.
_MADE_HERE = "wireguard-harness"
_WRITE_LOGS = ("wireguard", "app", "exporter")


def _over(facts: Facts) -> tuple[NodeFacts, ...]:
    return (*facts.gateways, *facts.apps, *(node for node in facts.beside if _image(node) in _WRITE_LOGS))


def _image(node: NodeFacts) -> str:
    """Which of the images made here it is of; empty for any other."""
    made, _, name = node.container.image.partition("/")
    return name.partition(":")[0] if made == _MADE_HERE else ""


def _checks(node: NodeFacts) -> dict[str, Check]:
    checks = _CHECKS.get(node.role, {})
    if settings.is_of_wg_quick(node.environment):
        checks = checks | _OF_WG_QUICK
    return checks | ({"LOG_FORMAT": _one_of("text", "json")} if _image(node) in _WRITE_LOGS else {})


def _when(facts: Facts, node: NodeFacts) -> Iterator[Case]:
    found = tuple(_malformed(facts, node))
    yield from found
    if not found and is_ipv6(node.environment.get("WG_ADDRESS", "").partition("/")[0]):
        raise UnreadError(node.service, "WG_ADDRESS", "it is an address of IPv6, of which nothing is judged")


def _malformed(facts: Facts, node: NodeFacts) -> Iterator[Case]:
    for name, check in _checks(node).items():
        value = node.environment.get(name)
        if not value:
            continue
        try:
            check(value)
        except ValueError as error:
            yield _case(node, name, value, str(error))
    if isinstance(node, GatewayFacts):
        yield from _contradictions(facts, node)
    if isinstance(node, AppFacts):
        yield from _brokers(node)


def _brokers(app: AppFacts) -> Iterator[Case]:
    url = app.broker_url
    names: tuple[str, ...] = ("CELERY_BROKER_URL", "REDIS_URL") if url is None else ()
    if url is not None and _image(app) == "app" and not settings.is_of_redis(url):
        names = (app.broker_setting,)
    for name in names:
        if value := app.environment.get(name):
            yield _case(app, name, value, "not redis://[:PASSWORD@]HOST[:PORT][/DB]")


def _contradictions(facts: Facts, gateway: GatewayFacts) -> Iterator[Case]:
    """What a gateway refuses of settings that could be read each for itself."""
    told = gateway.environment
    endpoint, file = told.get("WG_PEER_ENDPOINT", ""), told.get(PEER_PUBLIC_KEY_FILE)
    host = endpoint.rpartition(":")[0]
    if is_address(host) and facts.is_within_tunnel(gateway, IPv4Address(host)):
        problem = "it lies inside the tunnel, and has to be the address that the peer has outside of it"
        yield _case(gateway, "WG_PEER_ENDPOINT", endpoint, problem)
    if file and told.get("WG_PEER_PUBLIC_KEY"):
        yield _case(gateway, PEER_PUBLIC_KEY_FILE, file, "WG_PEER_PUBLIC_KEY is set as well; keep one of the two")


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
