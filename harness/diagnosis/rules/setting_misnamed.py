"""A setting has a name that nobody reads."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> tuple[NodeFacts, ...]:
    return (*facts.gateways, *facts.apps)


def _when(_facts: Facts, node: NodeFacts) -> Iterator[Case]:
    for name, meant in node.misnamed.items():
        evidence = (f"{node.service}: {name} is set, {meant} is not", *node.log_lines(name)[-1:])
        yield Case(node=node.service, evidence=evidence, values={"name": name, "meant": meant})


RULES = (
    Rule(
        id="setting-misnamed",
        title="A setting has a name that nobody reads",
        hop=Hop.SETTING,
        over=_over,
        when=_when,
        cause="{node} is given {name}, which nothing reads; {meant} is meant",
        remedy="rename {name} to {meant} in the environment of {node}, then: docker compose up -d {node}",
    ),
)
