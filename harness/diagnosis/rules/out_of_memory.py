"""A container is killed for want of memory."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> tuple[NodeFacts, ...]:
    return facts.nodes


def _when(_facts: Facts, node: NodeFacts) -> Iterator[Case]:
    events = node.evidence.text("events").splitlines() if node.evidence.has("events") else []
    killed = [f"{node.service}: event at {line}" for line in events if line.endswith(" oom")]
    if node.container.oom_killed or killed:
        evidence = (f"{node.service}: {node.container.describe()}", *killed[-2:])
        yield Case(node=node.service, evidence=evidence, values={"state": node.container.describe()})


RULES = (
    Rule(
        id="out-of-memory",
        title="A container is killed for want of memory",
        hop=Hop.NAMESPACE,
        over=_over,
        when=_when,
        cause="the kernel ends {node}'s processes because the container's memory limit is too low ({state})",
        remedy="raise mem_limit of {node} in the compose file, then: docker compose up -d {node}",
    ),
)
