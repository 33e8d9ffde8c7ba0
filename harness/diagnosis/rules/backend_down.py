"""A backend does not run."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.containers import ABSENT, CONFIGURED
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> Iterator[NodeFacts]:
    if any(node.container.status != ABSENT for node in facts.nodes):
        yield from facts.backends


def _when(_facts: Facts, node: NodeFacts) -> Iterator[Case]:
    container = node.container
    if container.running or container.status == CONFIGURED:
        return
    evidence = (f"{node.service}: {container.describe()}", *node.log_lines("")[-2:])
    yield Case(node=node.service, evidence=evidence, values={"state": container.describe()})


RULES = (
    Rule(
        id="backend-down",
        title="A backend does not run",
        hop=Hop.BACKEND,
        over=_over,
        when=_when,
        cause="{node} is {state}",
        remedy=(
            "docker start {container} (docker unpause where it is paused); if it ends again its log says why: "
            "docker logs {container}"
        ),
        consequence_of=STOPS_A_CONTAINER,
    ),
)
