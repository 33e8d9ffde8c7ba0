"""An application is told to find a backend where its gateways do not take it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from harness.addresses import is_address, is_ipv6
from harness.diagnosis.evidence import UnreadError
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.journeys import is_floating, is_misdirected, shared_addresses
from harness.diagnosis.names import is_own, may_have_company
from harness.diagnosis.nodefacts import NodeFacts
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
    broker = path.app.broker_setting
    name, port_name = ("DATABASE_HOST", "DATABASE_PORT") if path.kind == "database" else (broker, broker)
    expected = _expected(facts, path)
    if facts.snapshot.static and not expected and is_ipv6(path.host):
        raise UnreadError(
            path.app.service, name, f"{path.host} is an address of IPv6, to which no way is judged: look at what runs"
        )
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
    """Where the application can reach the backend; nothing where nobody can tell."""
    if path.host is None or facts.back is None or facts.back.wanted_address is None:
        return ()
    is_itself = is_own(facts, path.app, path.host)
    if (is_itself and may_have_company(facts, path.app)) or not (is_itself or is_address(path.host)):
        return ()  # a proxy may lead on; and whether a name resolves is another question
    if path.tunnelled:
        return (str(facts.back.wanted_address.ip),)
    return _instead_of_itself(facts, path) if is_itself else _beside(facts, path, IPv4Address(path.host))


def _instead_of_itself(facts: Facts, path: Path) -> tuple[str, ...]:
    """Where an application that is on the backends' side finds one, being none itself."""
    if path.backend is not None:
        return _given(facts, path.backend) or (path.backend.service,)
    return (str(facts.forwarded_to(path.port) or "the backend's own address"),)


def _beside(facts: Facts, path: Path, host: IPv4Address) -> tuple[str, ...]:
    """Where an application that is on the backends' side finds one that is not where it was told to be."""
    if path.backend is None:
        return _reached_elsewhere(facts, path)
    return () if _is_forwarded(facts, path, host) else _given(facts, path.backend)


def _given(facts: Facts, backend: NodeFacts) -> tuple[str, ...]:
    """The addresses that a backend was given for good."""
    if facts.back is None or is_floating(facts, backend):
        return ()
    return tuple(map(str, shared_addresses(facts.back, backend)))


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
