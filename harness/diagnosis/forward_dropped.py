"""What is forwarded, or its answer, is dropped by a rule or a policy of the gateway."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis import STOPS_A_CONTAINER, Case, Rule
from harness.evidence import UnseenError
from harness.facts import Facts, Path
from harness.journeys import passage, passages
from harness.model import Hop


def _over(facts: Facts) -> tuple[Path, ...]:
    return passages(facts)


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    assert facts.back is not None  # noqa: S101 (there would be no subject)
    passed = passage(facts, path)
    for meaning, journey in (("what comes from the tunnel for", passed.journey), ("the answers from", passed.answer)):
        verdict = journey.dropped_by if journey else None
        if verdict is None or (journey is not None and journey.local and not journey.translated_destination):
            continue  # undeclared ports end in INPUT, as they should
        yield _case(facts, path, meaning, str(verdict), f"{facts.back.service}: {verdict}")
        return
    if passed.journey.uncertain and _fails(path):
        for rule in passed.journey.uncertain:
            if rule.specification.endswith("-j DROP") or "-j REJECT" in rule.specification:
                line = f"{facts.back.service}: {rule}"
                yield _case(facts, path, "some of what comes from the tunnel for", str(rule), line)
                return


def _case(facts: Facts, path: Path, meaning: str, verdict: str, line: str) -> Case:
    assert facts.back is not None  # noqa: S101 (as above)
    values = {"port": path.port, "meaning": meaning, "verdict": verdict}
    return Case(node=facts.back.service, evidence=(line,), paths=frozenset({path.id}), values=values)


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
        remedy="remove that rule, or where it is the policy, put the gateway's own rules back: docker compose up -d --force-recreate {node}",
        consequence_of=STOPS_A_CONTAINER
        | {"forward-rule-missing", "forward-rule-shadowed", "forward-rule-wrong-destination"},
    ),
)
