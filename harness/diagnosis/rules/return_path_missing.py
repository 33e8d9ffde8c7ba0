"""A backend's answers do not come back to the gateway: nothing rewrites whom the packet is from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.journeys import Passage, doubtful, foreign_source, passage
from harness.diagnosis.nodefacts import GatewayFacts, NodeFacts
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop, NetfilterRule


def _over(facts: Facts) -> tuple[Path, ...]:
    return doubtful(facts)


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    assert facts.back is not None  # noqa: S101 (there would be no subject)
    passed = passage(facts, path)
    journey = passed.journey
    if journey.delivered_to is None or journey.local or passed.destination is None:
        return
    rewritten = journey.translated_source
    if rewritten is not None:
        foreign = foreign_source(facts.back, rewritten)
        if foreign is not None:
            problem = f"with the source {foreign}, which is no address of the gateway's"
            remedy = (
                f"docker exec {facts.back.evidence.name} iptables -t nat -D {rewritten.chain} {rewritten.specification}"
            )
            yield _case(facts.back, path, passed, (problem, f"{foreign}, and not to the gateway", remedy), (rewritten,))
        return
    if path.backend is not None and _knows_the_way(facts, facts.back, path.backend):
        return
    facts.back.insist_on("nat")
    chain = [rule for rule in facts.back.rules if (rule.table, rule.chain) == ("nat", "POSTROUTING")]
    remedy = (
        f"docker exec {facts.back.evidence.name} iptables -t nat -A POSTROUTING -o {journey.outgoing} -p tcp "
        f"-d {passed.destination} --dport {path.port} -j MASQUERADE"
    )
    problem = f"without MASQUERADE on {journey.outgoing}"
    yield _case(facts.back, path, passed, (problem, "a tunnel address that it has no way to", remedy), chain)


def _case(
    gateway: GatewayFacts, path: Path, passed: Passage, words: tuple[str, str, str], rules: Sequence[NetfilterRule]
) -> Case:
    problem, whom, remedy = words
    leaves = f"{gateway.service}: packets for {passed.destination} leave by {passed.journey.outgoing}"
    shown = [f"{gateway.service}: {rule}" for rule in rules] or [f"{gateway.service}: nat POSTROUTING holds no rule"]
    values = {"port": path.port, "problem": problem, "whom": whom, "remedy": remedy}
    return Case(node=gateway.service, evidence=(leaves, *shown), paths=frozenset({path.id}), values=values)


def _knows_the_way(facts: Facts, gateway: GatewayFacts, backend: NodeFacts) -> bool:
    """Whether the backend itself has a route to the tunnel through the gateway."""
    try:
        routes = backend.kernel_routes
    except UnseenError:
        return False
    routers = {via for network, via in routes if any(tunnel.subnet_of(network) for tunnel in facts.tunnel)}
    return any(via in gateway.container.addresses for via in routers)


RULES = (
    Rule(
        id="return-path-missing",
        title="Answers do not find back",
        hop=Hop.RETURN_PATH,
        over=_over,
        when=_when,
        cause="{node} forwards port {port} {problem}: the backend answers to {whom}",
        remedy="{remedy}",
        consequence_of=STOPS_A_CONTAINER
        | {"forward-rule-wrong-destination", "forward-rule-shadowed", "forward-rule-missing", "connection-untracked"},
    ),
)
