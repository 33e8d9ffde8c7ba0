"""A setting is missing without which a container does not start."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis import settings
from harness.diagnosis.containers import ABSENT
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.roles import Role
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[NodeFacts]:
    return [node for node in (*facts.gateways, *facts.apps) if node.container.status != ABSENT]


def _when(_facts: Facts, node: NodeFacts) -> Iterator[Case]:
    there = settings.amount_to(node.misnamed.values())  # under another name, of which another rule speaks
    mapped = node.documented != node.service and node.role is Role.APP
    either = ", or say by --map what it is called there" if mapped else ""
    for name in settings.missing(node.role, node.environment):
        if name not in there:
            evidence = (f"{node.service}: {name} is not set, or empty", *node.log_lines(name)[-1:])
            yield Case(node=node.service, evidence=evidence, values={"name": name, "either": either})


RULES = (
    Rule(
        id="setting-missing",
        title="A setting is missing",
        hop=Hop.SETTING,
        over=_over,
        when=_when,
        cause="{node} is not told {name}, without which it does not work",
        remedy="set {name} in the environment of {node}{either}, then: docker compose up -d {node}",
    ),
)
