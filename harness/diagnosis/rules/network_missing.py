"""A container is not on a Docker network on which it has to be."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from harness.diagnosis.containers import ABSENT, CONFIGURED
from harness.diagnosis.evidence import NetworkEvidence
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop

Need = tuple[NodeFacts, str, str]


def _over(facts: Facts) -> list[Need]:
    """Who has to be on the network of which address, and why: one need for each network."""
    found: dict[tuple[str, str], Need] = {}
    for node, host, why in _needs(facts):
        network = _network_of(facts, node, host)
        found.setdefault((node.service, network.name if network else host), (node, host, why))
    return list(found.values())


def _needs(facts: Facts) -> Iterator[Need]:
    for end in facts.ends:
        if facts.carries(end):
            continue  # by whichever way: a port of the machine's own is one
        if host := end.gateway.environment.get("WG_PEER_ENDPOINT", "").rpartition(":")[0]:
            yield end.gateway, host, f"{end.gateway.service}: WG_PEER_ENDPOINT leads to {host}"
            if end.other.host == end.gateway.host:
                yield end.other, host, f"{end.gateway.service}: WG_PEER_ENDPOINT leads to {host}"
    working = {path.port for path in facts.paths if path.tunnelled and path.works}
    for forward in facts.back.declared if facts.back else ():
        assert facts.back is not None  # noqa: S101 (there would be no forward)
        if forward.port in working:
            continue
        yield facts.back, str(forward.destination), f"{facts.back.service}: WG_FORWARD_PORTS has {forward}"
    for path in facts.paths:
        if path.tunnelled or not path.host or path.works:
            continue
        yield path.app, path.host, f"{path.app.service}: its {path.kind} is at {path.host}"
        if path.backend is not None:
            yield path.backend, path.host, f"{path.app.service}: its {path.kind} is at {path.host}"


def _when(facts: Facts, need: Need) -> Iterator[Case]:
    node, host, why = need
    container = node.container
    if container.status in (ABSENT, CONFIGURED) or not container.running or container.joined is not None:
        return
    network = _network_of(facts, node, host)
    attached = {each.network for each in container.attachments}
    if network is None or network.name in attached or container.network_mode == "host":
        return
    if any(
        _holds(subnet, host) for each in facts.snapshot.networks if each.name in attached for subnet in each.subnets
    ):
        return  # another network has the same addresses, which is a fault of its own
    evidence = (why, f"{node.service}: on {', '.join(sorted(attached)) or 'no network'}, not on {network.name}")
    yield Case(node=node.service, evidence=evidence, values={"network": network.name, "host": host})


def _when_planned(facts: Facts, need: Need) -> Iterator[Case]:
    """Of a configuration: who is on which network is what it says, and what has no network of its own is not asked."""
    node, host, why = need
    network = _network_of(facts, node, host)
    planned = {each.network for each in node.container.attachments}
    if (
        network is None
        or node.container.network_mode
        or any(IPv4Address(host) in each for each in facts.subnets_of(node))
    ):
        return
    evidence = (why, f"{node.service}: on {', '.join(sorted(planned)) or 'no network'}, not on {network.name}")
    yield Case(node=node.service, evidence=evidence, values={"network": network.name, "host": host})


def _judge(facts: Facts, need: Need) -> Iterator[Case]:
    return _when_planned(facts, need) if facts.snapshot.static else _when(facts, need)


def _network_of(facts: Facts, node: NodeFacts, host: str) -> NetworkEvidence | None:
    """The network of a node's own engine that holds an address: another engine's cannot be meant."""
    ours = [each for each in facts.snapshot.networks if each.ours and each.host == node.host]
    return next((each for each in ours for subnet in each.subnets if _holds(subnet, host)), None)


def _holds(subnet: str, host: str) -> bool:
    try:
        return IPv4Address(host) in IPv4Network(subnet, strict=False)
    except (AddressValueError, ValueError):
        return False  # a name, or a network of IPv6


RULES = (
    Rule(
        id="network-missing",
        title="A container is not on a network on which it has to be",
        hop=Hop.INTERFACE,
        over=_over,
        when=_judge,
        cause="{node} is not on the network {network}, on which {host} is looked for",
        remedy="docker compose up -d --force-recreate {node}, with {network} among its networks in the compose file",
        consequence_of=STOPS_A_CONTAINER | {"setting-contradicted", "app-outside-gateway", "endpoint-wrong"},
    ),
)
