"""A gateway, an application, or what stands beside them such as nginx, does not run."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.commands import log_of, starting
from harness.diagnosis.containers import ABSENT, CONFIGURED
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import GatewayFacts, NodeFacts
from harness.diagnosis.restarts import MEND, STATE, is_restarting, last_words
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> Iterator[NodeFacts]:
    if all(node.container.status == ABSENT for node in facts.nodes):
        return  # nothing is up: that is no fault of one of them
    yield from (*facts.gateways, *facts.apps, *facts.beside)


def _when(facts: Facts, node: NodeFacts) -> Iterator[Case]:
    container = node.container
    if container.running or container.status == CONFIGURED:
        return
    owner = facts.node(container.joined)
    if isinstance(owner, GatewayFacts) and not owner.container.running:
        return  # it cannot run without the namespace that it is to live in
    # Whoever cleans up after a failure says so last.
    said = dict.fromkeys((*node.complaints[-1:], *node.log_lines("")[-2:]))
    yield Case(
        node=node.service,
        evidence=(f"{node.service}: {container.describe()}", *said),
        values={"state": container.describe(), "start": starting(node), "log": log_of(node)},
    )


def _when_again(facts: Facts, node: NodeFacts) -> Iterator[Case]:
    """Of one that is caught while it runs, only to end once more."""
    if is_restarting(facts, node):
        values = {"state": STATE, "start": MEND, "log": log_of(node)}
        yield Case(node=node.service, evidence=last_words(node), values=values)


def _judge(facts: Facts, node: NodeFacts) -> Iterator[Case]:
    yield from _when(facts, node)
    yield from _when_again(facts, node)


RULES = (
    Rule(
        id="container-down",
        title="A gateway, an application, or what stands beside them, does not run",
        hop=Hop.NAMESPACE,
        over=_over,
        when=_judge,
        cause="{node} is {state}",
        remedy="{start}; if it ends again its log says why: {log}",
        consequence_of=STOPS_A_CONTAINER | {"namespace-orphaned"},
    ),
)
