"""An application is told to find a backend where its gateways do not take it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address

from harness.addresses import is_address
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.journeys import is_floating, is_misdirected, shared_addresses
from harness.diagnosis.outside import found_at
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop
from harness.wireguard import INTERFACE

_KINDS = ("database", "broker")


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.kind in _KINDS]


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    if path.works and not _is_in_the_clear(facts, path):
        return  # it is one that nobody here knows of
    expected = _expected(facts, path)
    broker = path.app.broker_setting
    name, port_name = ("DATABASE_HOST", "DATABASE_PORT") if path.kind == "database" else (broker, broker)
    if expected and path.host not in expected:
        told = f"{path.app.service}: {name} leads to {path.host}"
        yield _case(path, (told, f"the way there is {' or '.join(expected)}"), name, path.host, " or ".join(expected))
    elif is_misdirected(facts, path) and facts.back is not None:
        declared = f"{facts.back.service}: WG_FORWARD_PORTS={facts.back.environment.get('WG_FORWARD_PORTS', '')}"
        told = f"{path.app.service}: {port_name} leads to port {path.port}"
        yield _case(path, (told, declared), port_name, path.port, "a port that is forwarded")


def _is_in_the_clear(facts: Facts, path: Path) -> bool:
    """Whether what should go through the tunnel leaves its gateway otherwise, for a network that is none of its own.

    What is within reach there, such as a proxy on loopback, is another rule's matter where it is anybody's.
    """
    gateway, host = facts.gateway_of(path.app), path.host
    if not path.tunnelled or gateway is None or not is_address(host):
        return False
    address = IPv4Address(host)
    if address.is_loopback or any(address in each.address.network for each in gateway.addresses):
        return False
    return gateway.leads_to(address) not in (INTERFACE, None)


def _case(path: Path, evidence: tuple[str, ...], name: str, value: object, expected: str) -> Case:
    why = "past the tunnel, in the clear" if path.works else "where its backend cannot be reached from there"
    values = {"name": name, "value": value, "why": why, "expected": expected}
    return Case(node=path.app.service, evidence=evidence, paths=frozenset({path.id}), values=values)


def _expected(facts: Facts, path: Path) -> tuple[str, ...]:
    """The addresses by which the application can reach the backend; none where nobody can tell."""
    try:
        host = IPv4Address(path.host or "")
    except AddressValueError:
        return ()  # a name: whether it resolves is another question
    if facts.back is None or facts.back.wanted_address is None:
        return ()
    if path.tunnelled:
        return (str(facts.back.wanted_address.ip),)
    if path.backend is None:
        return _reached_elsewhere(facts, path)
    if is_floating(facts, path.backend) or _is_forwarded(facts, path, host):
        return ()
    return tuple(map(str, shared_addresses(facts.back, path.backend)))


def _reached_elsewhere(facts: Facts, path: Path) -> tuple[str, ...]:
    """Where the gateway forwards to a backend that nobody looked into, when it is reached so and not by this path."""
    if facts.snapshot.static or path.reach.connected:
        return ()
    return found_at(facts, path.kind)


def _is_forwarded(facts: Facts, path: Path, host: IPv4Address) -> bool:
    """Whether the gateway agrees with the application: then it is the backend that is elsewhere."""
    return facts.back is not None and any(
        forward.port == path.port and forward.destination == host for forward in facts.back.declared
    )


RULES = (
    Rule(
        id="setting-contradicted",
        title="An application is told of a way to a backend that is none",
        hop=Hop.SETTING,
        over=_over,
        when=_when,
        cause="{name} of {node} leads to {value}, {why}",
        remedy="have {name} of {node} lead to {expected}, then: docker compose up -d {node}",
        consequence_of=frozenset({"address-duplicated", "subnet-overlap"}),
    ),
)
