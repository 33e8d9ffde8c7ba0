"""A backend answers and takes no writes."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

_REMEDIES = {
    "read_only": "SET GLOBAL read_only = 0 as root; find who set it (a replica, a backup, a full disk)",
    "role:slave": "redis-cli REPLICAOF NO ONE makes it a master again; find who made it a replica",
    "maxmemory": "find what fills it (redis-cli --bigkeys), give it more with redis-cli CONFIG SET maxmemory SIZE, or "
    "let it forget with maxmemory-policy",
    "status:err": "find why it cannot write to its disk (docker logs {container}: no space, no permission), mend that, "
    "and then: redis-cli BGSAVE",
}
_KINDS = ("database", "broker")


def _over(facts: Facts) -> list[NodeFacts]:
    return [] if facts.snapshot.static else facts.backends


def _when(facts: Facts, backend: NodeFacts) -> Iterator[Case]:
    paths = [path for path in facts.paths if path.backend is backend and path.kind in _KINDS]
    told = {path.id: said for path in paths if (said := _said(path))}
    if not told:
        return
    said = next(iter(told.values()))
    remedy = next((text for word, text in _REMEDIES.items() if word in said), "see what it says of itself")
    yield Case(
        node=backend.service,
        evidence=tuple(f"{path}: {each}" for path, each in told.items()),
        paths=frozenset(told),
        values={"said": said, "remedy": remedy.format(container=backend.evidence.name)},
    )


def _said(path: Path) -> str:
    try:
        return path.reach.read_only
    except UnseenError:
        return ""  # another application may have seen it


RULES = (
    Rule(
        id="backend-read-only",
        title="A backend takes no writes",
        hop=Hop.GREETING,
        over=_over,
        when=_when,
        cause="{node} answers and takes no writes: {said}",
        remedy="{remedy}",
    ),
)
