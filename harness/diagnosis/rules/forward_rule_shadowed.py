"""The right forward is there, and another rule takes its packets first."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.journeys import decided_in_nat, passage, passages, shared_addresses
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> tuple[Path, ...]:
    # Of what else is forwarded only a connection is tried, and that may be with anybody.
    return tuple(path for path in passages(facts) if path.kind == "forward" or not path.works)


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    assert facts.back is not None  # noqa: S101 (there would be no subject)
    passed = passage(facts, path)
    addresses = shared_addresses(facts.back, path.backend) if path.backend else ()
    declared = tuple(forward.destination for forward in facts.back.declared if forward.port == path.port)
    right = next((rule for address in (*addresses, *declared) if (rule := passed.right(address))), None)
    taken = decided_in_nat(facts, path)
    if right is None or taken is None or taken == right:
        return
    if passed.destination in addresses:
        return  # another rule, and it leads to the backend all the same
    yield Case(
        node=facts.back.service,
        evidence=(f"{facts.back.service}: {taken}", f"{facts.back.service}: comes after it: {right}"),
        paths=frozenset({path.id}),
        values={"port": path.port, "chain": taken.chain, "taken": taken.specification},
    )


RULES = (
    Rule(
        id="forward-rule-shadowed",
        title="Another rule takes a forward's packets first",
        hop=Hop.DNAT,
        over=_over,
        when=_when,
        cause="in {node} the DNAT rule of port {port} is never reached: the packets are taken before it by: {taken}",
        remedy="docker exec {container} iptables -t nat -D {chain} {taken}",
        consequence_of=STOPS_A_CONTAINER,
    ),
)
