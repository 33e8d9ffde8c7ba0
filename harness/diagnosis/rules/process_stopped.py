"""A container's processes are stopped: they are there and do nothing."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[NodeFacts]:
    seen = [node for node in facts.nodes if "processes" in node.evidence.pieces]
    return [] if facts.snapshot.static else seen


def _when(facts: Facts, node: NodeFacts) -> Iterator[Case]:
    stopped = [each for each in node.processes if each.state in ("T", "t")]
    if not stopped:
        return
    names = ", ".join(sorted({each.name for each in stopped}))
    numbers = " ".join(str(each.id) for each in stopped)
    evidence = tuple(f"{node.service}: /proc/{each.id}/stat: {each.name} is in state {each.state}" for each in stopped)
    # Whoever lives in its namespace would be left behind in that by a restart.
    alone = facts.household(node) == (node,)
    restart = f" (or docker restart {node.evidence.name})" if alone else ""
    yield Case(node=node.service, evidence=evidence, values={"names": names, "numbers": numbers, "restart": restart})


RULES = (
    Rule(
        id="process-stopped",
        title="A process is stopped",
        hop=Hop.NAMESPACE,
        over=_over,
        when=_when,
        cause=(
            "{names} of {node} was stopped by a signal (SIGSTOP, or a debugger) and does nothing until it is continued"
        ),
        remedy=(  # by the shell's own kill: slim images have no program of that name
            "docker exec {container} sh -c 'kill -CONT {numbers}'{restart}, and find who stopped it"
        ),
    ),
)
