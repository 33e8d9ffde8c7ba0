"""A secret file can be read by others than its owner."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.containers import ABSENT
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.rules import Case, Rule
from harness.diagnosis.settings import PEER_PUBLIC_KEY_FILE
from harness.model import Hop

_OTHERS = 0o077


def _over(facts: Facts) -> list[NodeFacts]:
    return [node for node in facts.nodes if node.container.status != ABSENT and not facts.snapshot.static]


def _when(_facts: Facts, node: NodeFacts) -> Iterator[Case]:
    public = node.environment.get(PEER_PUBLIC_KEY_FILE)
    for file in node.secret_files:
        if file.path != public and file.mode & _OTHERS:
            evidence = (f"{node.service}: {file.path} has mode {file.mode:04o}, owner {file.owner}",)
            values = {"path": file.path, "mode": f"{file.mode:04o}"}
            yield Case(node=node.service, evidence=evidence, paths=frozenset(), values=values)


RULES = (
    Rule(
        id="secret-permissions",
        title="A secret file can be read by others",
        hop=Hop.EXPOSURE,
        over=_over,
        when=_when,
        cause="{path} of {node} has mode {mode}: others than its owner can read it",
        remedy="chmod 600 the file on the host that is mounted as {path} in {node}",
    ),
)
