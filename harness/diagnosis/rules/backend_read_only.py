"""A backend answers and takes no writes."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.outside import name_of
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

_REMEDIES = {
    "read_only": "SET GLOBAL read_only = 0 as root; find who set it (a replica, a backup, a full disk)",
    "role:slave": "redis-cli REPLICAOF NO ONE makes it a master again; find who made it a replica",
    "maxmemory": "find what fills it (redis-cli --bigkeys), give it more with redis-cli CONFIG SET maxmemory SIZE, or "
    "let it forget with maxmemory-policy",
    "status:err": "find why it cannot write to its disk ({log}: no space, no permission), mend that, "
    "and then: redis-cli BGSAVE",
}
_KINDS = ("database", "broker")


def _over(facts: Facts) -> list[tuple[Path, ...]]:
    """The paths to each backend, also to those that nobody looked into."""
    paths = [path for path in facts.paths if path.kind in _KINDS and not facts.snapshot.static]
    names = dict.fromkeys(name_of(facts, path) for path in paths)
    return [tuple(path for path in paths if name_of(facts, path) == name) for name in names]


def _when(facts: Facts, paths: tuple[Path, ...]) -> Iterator[Case]:
    told = {path.id: said for path in paths if (said := _said(path))}
    if not told:
        return
    said = next(iter(told.values()))
    remedy = next((text for word, text in _REMEDIES.items() if word in said), "see what it says of itself")
    backend = paths[0].backend
    log = f"docker logs {backend.evidence.name}" if backend else "its log on its own machine"
    yield Case(
        node=name_of(facts, paths[0]),
        evidence=tuple(f"{path}: {each}" for path, each in told.items()),
        paths=frozenset(told),
        values={"said": said, "remedy": remedy.format(log=log)},
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
