"""A backend does not run."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.commands import log_of, starting
from harness.diagnosis.containers import ABSENT, CONFIGURED
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.outside import Outside, outsiders
from harness.diagnosis.restarts import MEND, STATE, is_restarting, last_words
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop


def _subjects(facts: Facts) -> Iterator[NodeFacts | Outside]:
    yield from _over(facts)
    yield from outsiders(facts)


def _judge(facts: Facts, subject: NodeFacts | Outside) -> Iterator[Case]:
    if isinstance(subject, Outside):
        yield from _when_outside(subject)
    else:
        yield from _when(facts, subject)
        yield from _when_again(facts, subject)


def _over(facts: Facts) -> Iterator[NodeFacts]:
    if any(node.container.status != ABSENT for node in facts.nodes):
        yield from facts.backends


def _when(_facts: Facts, node: NodeFacts) -> Iterator[Case]:
    container = node.container
    if container.running or container.status == CONFIGURED:
        return
    evidence = (f"{node.service}: {container.describe()}", *node.log_lines("")[-2:])
    remedy = f"{starting(node)}; if it ends again its log says why: {log_of(node)}"
    yield Case(node=node.service, evidence=evidence, values={"state": container.describe(), "remedy": remedy})


def _when_again(facts: Facts, node: NodeFacts) -> Iterator[Case]:
    """Of one that is caught while it runs, only to end once more."""
    if is_restarting(facts, node):
        remedy = f"{MEND}; if it ends again its log says why: {log_of(node)}"
        yield Case(node=node.service, evidence=last_words(node), values={"state": STATE, "remedy": remedy})


def _when_outside(outside: Outside) -> Iterator[Case]:
    """Of what nobody could look into it can only be said that nobody answers there."""
    if not outside.is_silent:
        return
    setting = "DATABASE_HOST" if outside.kind == "database" else "REDIS_URL"
    apps = ", ".join(path.app.service for path in outside.direct)
    yield Case(
        node=outside.node,
        evidence=outside.evidence,
        paths=outside.paths,
        values={
            "state": f"outside of what was looked at, and nobody answers there: its machine is down or cut off, or "
            f"{setting} of {apps} names another",
            "remedy": f"on its own machine see that it runs and can be reached from where {apps} run; if it is "
            f"elsewhere, correct {setting}",
        },
    )


RULES = (
    Rule(
        id="backend-down",
        title="A backend does not run",
        hop=Hop.BACKEND,
        over=_subjects,
        when=_judge,
        cause="{node} is {state}",
        remedy="{remedy}",
        consequence_of=STOPS_A_CONTAINER,
    ),
)
