"""No rule forwards a port that an application uses."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.journeys import Passage, decided_in_nat, is_misdirected, is_udp_only, passage, shared_addresses
from harness.diagnosis.outside import places
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.tunnelled and facts.back is not None and not path.works]


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    assert facts.back is not None  # noqa: S101 (there would be no subject)
    if is_misdirected(facts, path):
        return  # it is the application that dials a wrong port
    setting = facts.back.environment.get("WG_FORWARD_PORTS", "")
    declared = [forward for forward in facts.back.declared if forward.port == path.port]
    told = f"{facts.back.service}: WG_FORWARD_PORTS={setting}"
    if facts.snapshot.static:
        if not declared and _is_readable(facts):
            facts.back.insist_on_declared()
            yield _case(facts, path, (told,), "it is not declared")
        return
    passed = passage(facts, path)
    if passed.destination is not None or (passed.journey.dropped_by is not None and not passed.journey.local):
        return
    if is_udp_only(passed.candidates) or passed.journey.untracked_by or _is_shadowed(facts, path, passed):
        return  # which another rule of diagnosis looks at
    facts.back.insist_on("nat")
    chain = [
        f"{facts.back.service}: {rule}"
        for rule in facts.back.rules
        if (rule.table, rule.chain) == ("nat", "PREROUTING")
    ]
    why = "it is not declared"
    if declared:
        why = "it is declared, and the rule is not there"
        if passed.candidates:
            why = f"the only one asks for something else: {passed.candidates[0].rule.specification}"
    yield _case(facts, path, (told, *(chain or ["nat PREROUTING holds no rule"])), why)


def _is_readable(facts: Facts) -> bool:
    try:
        return facts.back is not None and facts.back.forwards is not None
    except ValueError:
        return False  # another rule says so


def _is_shadowed(facts: Facts, path: Path, passed: Passage) -> bool:
    """Whether the right rule is there, and the packets do not come to it."""
    destinations = {each.address for each in passed.candidates if each.address}
    return decided_in_nat(facts, path) is not None and any(passed.right(address) for address in destinations)


def _case(facts: Facts, path: Path, evidence: tuple[str, ...], why: str) -> Case:
    assert facts.back is not None  # noqa: S101 (as above)
    addresses = shared_addresses(facts.back, path.backend) if path.backend else places(facts, path)
    return Case(
        node=facts.back.service,
        evidence=evidence,
        paths=frozenset({path.id}),
        values={"port": path.port, "why": why, "entry": f"{path.port}:tcp:{addresses[0] if addresses else 'ADDRESS'}"},
    )


RULES = (
    Rule(
        id="forward-rule-missing",
        title="No rule forwards a port",
        hop=Hop.DNAT,
        over=_over,
        when=_when,
        cause="{node} has no DNAT rule that takes port {port} from the tunnel to its backend: {why}",
        remedy=(
            "see that WG_FORWARD_PORTS of {node} contains {entry}, then: docker compose up -d --force-recreate {node}"
        ),
        consequence_of=STOPS_A_CONTAINER,
    ),
)
