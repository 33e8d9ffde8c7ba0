"""What is forwarded, or its answer, is dropped by a rule or a policy of the gateway."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.journeys import doubtful, insist, passage
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop, NetfilterRule


def _over(facts: Facts) -> tuple[Path, ...]:
    return doubtful(facts)


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    assert facts.back is not None  # noqa: S101 (there would be no subject)
    passed = passage(facts, path)
    for meaning, journey in (("what comes from the tunnel for", passed.journey), ("the answers from", passed.answer)):
        verdict = journey.dropped_by if journey else None
        if verdict is None or (journey is not None and journey.local and not journey.translated_destination):
            continue  # undeclared ports end in INPUT, as they should
        insist(facts.back, verdict)
        yield _case(facts, path, meaning, verdict.rule, str(verdict))
        return
    if passed.suspects and _fails(path):
        rule = passed.suspects[0]
        yield _case(facts, path, "some of what passes for", rule, str(rule))


def _case(facts: Facts, path: Path, meaning: str, rule: NetfilterRule | None, verdict: str) -> Case:
    assert facts.back is not None  # noqa: S101 (as above)
    service = facts.back.service
    values = {"port": path.port, "meaning": meaning, "verdict": verdict, "remedy": _remedy(facts.back, rule)}
    evidence = [f"{service}: {verdict}"]
    if rule is None:
        accepted = [each for each in facts.back.rules if each.chain == "FORWARD" and "-j ACCEPT" in each.specification]
        evidence.append(f"{service}: no rule of FORWARD accepts it before: {'; '.join(map(str, accepted)) or 'none'}")
    return Case(node=service, evidence=tuple(evidence), paths=frozenset({path.id}), values=values)


def _remedy(gateway: GatewayFacts, rule: NetfilterRule | None) -> str:
    if rule is None:
        return f"put the gateway's own rules back: docker compose up -d --force-recreate {gateway.service}"
    return f"docker exec {gateway.evidence.name} iptables -t {rule.table} -D {rule.chain} {rule.specification}"


def _fails(path: Path) -> bool:
    try:
        return path.reach.failed is not None
    except UnseenError:
        return False


RULES = (
    Rule(
        id="forward-dropped",
        title="The gateway drops what it is to forward",
        hop=Hop.FORWARDING,
        over=_over,
        when=_when,
        cause="{node} drops {meaning} port {port}: {verdict}",
        remedy="{remedy}",
        consequence_of=STOPS_A_CONTAINER
        | {"forward-rule-missing", "forward-rule-shadowed", "forward-rule-wrong-destination", "backend-route-missing"}
        | {"network-missing", "link-down", "connection-untracked", "route-missing"},
    ),
)
