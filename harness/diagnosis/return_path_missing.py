"""A backend's answers do not come back to the gateway: nothing rewrites whom the packet is from."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis import STOPS_A_CONTAINER, Case, Rule
from harness.evidence import UnseenError
from harness.facts import Facts, Path
from harness.journeys import passage, passages
from harness.model import Hop
from harness.nodefacts import GatewayFacts, NodeFacts


def _over(facts: Facts) -> tuple[Path, ...]:
    return passages(facts)


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    assert facts.back is not None  # noqa: S101 (there would be no subject)
    passed = passage(facts, path)
    journey = passed.journey
    if journey.delivered_to is None or journey.local or journey.translated_source or passed.destination is None:
        return
    if path.backend is not None and _knows_the_way(facts, facts.back, path.backend):
        return
    chain = [
        f"{facts.back.service}: {rule}"
        for rule in facts.back.rules
        if (rule.table, rule.chain) == ("nat", "POSTROUTING")
    ]
    leaves = f"{facts.back.service}: packets for {passed.destination} leave by {journey.outgoing}"
    yield Case(
        node=facts.back.service,
        evidence=(leaves, *(chain or [f"{facts.back.service}: nat POSTROUTING holds no rule"])),
        paths=frozenset({path.id}),
        values={"port": path.port, "destination": passed.destination, "interface": journey.outgoing},
    )


def _knows_the_way(facts: Facts, gateway: GatewayFacts, backend: NodeFacts) -> bool:
    """Whether the backend itself has a route to the tunnel through the gateway."""
    if facts.tunnel is None:
        return False
    try:
        routers = [via for network, via in backend.kernel_routes if facts.tunnel.subnet_of(network)]
    except UnseenError:
        return False
    return any(via in gateway.container.addresses for via in routers)


RULES = (
    Rule(
        id="return-path-missing",
        title="Answers do not find back",
        hop=Hop.RETURN_PATH,
        over=_over,
        when=_when,
        cause="{node} forwards port {port} without MASQUERADE on {interface}: the backend answers to a tunnel address that it has no way to",
        remedy="docker exec {container} iptables -t nat -A POSTROUTING -o {interface} -p tcp -d {destination} --dport {port} -j MASQUERADE",
        consequence_of=STOPS_A_CONTAINER
        | {"forward-rule-wrong-destination", "forward-rule-shadowed", "forward-rule-missing"},
    ),
)
