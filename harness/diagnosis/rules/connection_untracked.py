"""What is to be forwarded is exempt from connection tracking, without which nothing is translated."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.journeys import doubtful, passage
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> tuple[Path, ...]:
    return doubtful(facts)


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    assert facts.back is not None  # noqa: S101 (there would be no subject)
    passed = passage(facts, path)
    for journey in (passed.journey, passed.answer):
        rule = journey.untracked_by if journey else None
        if rule is not None:
            yield Case(
                node=facts.back.service,
                evidence=(f"{facts.back.service}: {rule}",),
                paths=frozenset({path.id}),
                values={"port": path.port, "chain": rule.chain, "rule": rule.specification},
            )
            return


RULES = (
    Rule(
        id="connection-untracked",
        title="What is to be forwarded is exempt from connection tracking",
        hop=Hop.DNAT,
        over=_over,
        when=_when,
        cause=(
            "{node} does not track the connections to port {port}, and so neither DNAT nor MASQUERADE applies: {rule}"
        ),
        remedy="docker exec {container} iptables -t raw -D {chain} {rule}",
        consequence_of=STOPS_A_CONTAINER,
    ),
)
