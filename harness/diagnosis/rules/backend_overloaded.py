"""A backend takes no more clients."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.outside import name_of
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

_TOO_MANY_CONNECTIONS = {1040, 1203, 1226}  # MariaDB's ER_CON_COUNT_ERROR and those of a user's own limits
_REDIS_SAYS = ("max number of clients reached", "OOM command not allowed", "LOADING")


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.kind != "forward" and not facts.snapshot.static]


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    reach = path.reach
    if reach.code in _TOO_MANY_CONNECTIONS or any(words in reach.said for words in _REDIS_SAYS):
        yield Case(
            node=name_of(facts, path),
            evidence=(f"{path.id}: {reach}",),
            paths=frozenset({path.id}),
            values={"said": reach.said},
        )


RULES = (
    Rule(
        id="backend-overloaded",
        title="A backend takes no more clients",
        hop=Hop.GREETING,
        over=_over,
        when=_when,
        cause="{node} answers and takes no more work: {said}",
        remedy=(
            "find who holds the connections or the memory of {node}, and raise its limit (max_connections, "
            "maxclients, maxmemory)"
        ),
    ),
)
