"""A backend answers and takes no writes."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

_REMEDIES = {
    "database": "SET GLOBAL read_only = 0 as root; find who set it (a replica, a backup, a full disk)",
    "broker": "redis-cli REPLICAOF NO ONE makes it a master again; find who made it a replica",
}


def _over(facts: Facts) -> list[NodeFacts]:
    return [] if facts.snapshot.static else facts.backends


def _when(facts: Facts, backend: NodeFacts) -> Iterator[Case]:
    told = [path for path in facts.paths if path.backend is backend and path.kind in _REMEDIES and _is_told(path)]
    if not told:
        return
    setting = "@@global.read_only is 1" if told[0].kind == "database" else "INFO replication says role:slave"
    yield Case(
        node=backend.service,
        evidence=tuple(f"{path.id}: {setting}" for path in told),
        paths=frozenset(path.id for path in told),
        values={"setting": setting, "remedy": _REMEDIES[told[0].kind]},
    )


def _is_told(path: Path) -> bool:
    try:
        return path.reach.read_only
    except UnseenError:
        return False  # another application may have seen it


RULES = (
    Rule(
        id="backend-read-only",
        title="A backend takes no writes",
        hop=Hop.GREETING,
        over=_over,
        when=_when,
        cause="{node} answers and takes no writes: {setting}",
        remedy="{remedy}",
    ),
)
