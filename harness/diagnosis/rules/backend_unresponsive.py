"""A backend takes connections and never answers on them."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.outside import Outside, outsiders
from harness.diagnosis.rules import BREAKS_A_PATH, Case, Rule
from harness.model import Hop

_ANSWERS = ("login", "answer")
_IN_DOCKER = (
    "look at docker logs {container} and docker top {container}, the disk and the memory; then: docker restart "
    "{container}"
)
_ON_ITS_MACHINE = "it is outside of what was looked at: look at its log, its disk and its memory on its own machine"


def _over(facts: Facts) -> list[NodeFacts | Outside]:
    if facts.snapshot.static:
        return []
    return [*(node for node in facts.backends if node.container.running), *outsiders(facts)]


def _when(facts: Facts, backend: NodeFacts | Outside) -> Iterator[Case]:
    if isinstance(backend, Outside):
        name, remedy, own = backend.node, _ON_ITS_MACHINE, backend.paths
    else:
        name, remedy = backend.service, _IN_DOCKER.format(container=backend.evidence.name)
        own = frozenset(each.id for each in facts.paths if each.backend is backend)
    paths = [path for path in facts.paths if path.id in own and path.reach.connected]
    hung = [path for path in paths if _is_silent(path)]
    # Where those beside it are answered, it is the way that swallows the rest.
    if not hung or len(hung) < len(paths) or all(path.tunnelled for path in hung):
        return
    yield Case(
        node=name,
        evidence=tuple(f"{path.id}: {path.reach}" for path in hung),
        paths=own,
        values={"remedy": remedy},
    )


def _is_silent(path: Path) -> bool:
    reach = path.reach
    return reach.failed in _ANSWERS and (
        reach.timed_out or "timed out" in reach.said.lower() or "Timeout" in reach.said
    )


RULES = (
    Rule(
        id="backend-unresponsive",
        title="A backend takes connections and does not answer",
        hop=Hop.GREETING,
        over=_over,
        when=_when,
        cause=(
            "{node} takes connections and says nothing on any of them: its process hangs, is stopped, or waits for "
            "a disk"
        ),
        remedy="{remedy}",
        consequence_of=BREAKS_A_PATH | {"process-stopped"},
    ),
)
