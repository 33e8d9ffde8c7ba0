"""A port is forwarded for udp where the application speaks tcp."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.journeys import is_udp_only, passage
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.tunnelled and facts.back is not None and not path.works]


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    assert facts.back is not None  # noqa: S101 (there would be no subject)
    if facts.snapshot.static:
        declared = [forward for forward in facts.back.declared if forward.port == path.port]
        wrong = bool(declared) and all(forward.protocol == "udp" for forward in declared)
        lines = [f"{facts.back.service}: WG_FORWARD_PORTS={facts.back.environment.get('WG_FORWARD_PORTS', '')}"]
        if wrong:
            facts.back.insist_on_declared()
    else:
        passed = passage(facts, path)
        wrong = passed.destination is None and is_udp_only(passed.candidates)
        lines = [f"{facts.back.service}: {each.rule}" for each in passed.candidates]
        if wrong:
            facts.back.insist_on("nat")
    if wrong:
        yield Case(
            node=facts.back.service, evidence=tuple(lines), paths=frozenset({path.id}), values={"port": path.port}
        )


RULES = (
    Rule(
        id="forward-rule-wrong-protocol",
        title="A port is forwarded for the wrong protocol",
        hop=Hop.DNAT,
        over=_over,
        when=_when,
        cause="{node} forwards port {port} for udp, and what uses it is tcp",
        remedy=(
            "write {port}:tcp:ADDRESS in WG_FORWARD_PORTS of {node}, then: docker compose up -d --force-recreate {node}"
        ),
        consequence_of=STOPS_A_CONTAINER,
    ),
)
