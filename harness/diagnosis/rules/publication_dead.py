"""A port of a container is published on its machine, and in the container nobody listens on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.diagnosis.commands import together
from harness.diagnosis.containers import PublishedPort
from harness.diagnosis.facts import Facts
from harness.diagnosis.netfilter_rules import dnat_rules
from harness.diagnosis.nodefacts import AppFacts, GatewayFacts, Listener, NodeFacts
from harness.diagnosis.restarts import is_new
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop, Severity


def _over(facts: Facts) -> list[NodeFacts]:
    return [node for node in facts.nodes if node.container.running and node.container.addresses and _published(node)]


def _published(node: NodeFacts) -> list[PublishedPort]:
    """What a TCP connection can be made to; of UDP nothing tells whether anybody takes it."""
    return [each for each in node.container.published if each.protocol == "tcp"]


def _when(facts: Facts, node: NodeFacts) -> Iterator[Case]:
    household = facts.household(node)
    seen = next((each for each in household if each.evidence.has("sockets")), None)
    if seen is None or not _is_settled(facts, node, household):
        return
    reached = _reached(node, seen)
    ports = {each.port for each in reached}
    dead = [each for each in _published(node) if each.port not in ports and not _is_forwarded(household, each.port)]
    serving = any(isinstance(each, AppFacts) or each.upstreams for each in household)
    at_stake = serving and len(dead) == len(_published(node))
    for port in dead:
        elsewhere = any(each.port == port.port for each in seen.listeners)
        yield Case(
            node=node.service,
            evidence=(f"{node.service}: {port}; who listens there can be reached at {_listed(reached)}",),
            paths=frozenset(),
            values={
                "port": port.port,
                "place": f"{port.host}:{port.host_port}",
                "found": _found(node) if elsewhere else "nobody listens on it",
                "remedy": _remedy(node, together(facts, node), port, reached, elsewhere=elsewhere),
            },
            severity=None if at_stake else Severity.WARNING,
        )


def _is_settled(facts: Facts, node: NodeFacts, household: Sequence[NodeFacts]) -> bool:
    """Whether all who may listen there run, and have for long enough; what is wrong with one of them says so itself."""
    apps = [app for app in facts.apps if app in household or facts.gateway_of(app) is node]
    return all(map(facts.is_in_place, apps)) and not any(is_new(facts, each) for each in household)


def _reached(node: NodeFacts, seen: NodeFacts) -> list[Listener]:
    """The sockets to which what comes from the machine can connect: it comes to the container's own address."""
    return [each for each in seen.listeners if any(each.serves(address) for address in node.container.addresses)]


def _is_forwarded(household: Sequence[NodeFacts], port: int) -> bool:
    """Whether a gateway may send what comes for a port elsewhere, before anybody would have to listen."""
    return any(isinstance(each, GatewayFacts) and bool(dnat_rules(each.rules, port)) for each in household)


def _listed(listeners: Sequence[Listener]) -> str:
    return ", ".join(f"port {port}" for port in sorted({each.port for each in listeners})) or "no port"


def _found(node: NodeFacts) -> str:
    own = " or ".join(map(str, node.container.addresses))
    return f"who listens on it does not do so at {own}, to which Docker leads (but on 127.0.0.1, perhaps)"


def _remedy(
    node: NodeFacts,
    names: str,
    port: PublishedPort,
    reached: Sequence[Listener],
    *,
    elsewhere: bool,
) -> str:
    if elsewhere:
        return f"have what listens on port {port.port} there listen on 0.0.0.0, then: docker compose up -d {names}"
    if open_ports := sorted({each.port for each in reached}):
        wanted = " or ".join(f'"{port.host}:{port.host_port}:{each}"' for each in open_ports)
        return (
            f"have the ports of {node.service} in the compose file contain {wanted}, where somebody listens, then: "
            f"docker compose up -d {names}"
        )
    return (
        f"have somebody in {node.service}'s namespace listen on port {port.port}, or remove it from the ports of "
        f"{node.service} in the compose file, then: docker compose up -d {names}"
    )


RULES = (
    Rule(
        id="publication-dead",
        title="A port is published behind which nobody listens",
        hop=Hop.EXPOSURE,
        over=_over,
        when=_when,
        cause="{node} publishes its port {port} as {place}, and {found}: whoever connects there is turned away",
        remedy="{remedy}",
        consequence_of=frozenset({"backend-not-listening", "app-inside-gateway", "process-stopped"}),
    ),
)
