"""Redis refuses every client from elsewhere, because it has no password (its protected mode)."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.outside import name_of
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.kind == "broker" and not facts.snapshot.static]


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    if "protected mode" not in path.reach.said:
        return
    yield Case(
        node=name_of(facts, path),
        evidence=(f"{path.id}: {path.reach}"[:300],),
        paths=frozenset({path.id}),
    )


RULES = (
    Rule(
        id="redis-protected-mode",
        title="Redis is in protected mode",
        hop=Hop.GREETING,
        over=_over,
        when=_when,
        cause="{node} is in protected mode and without a password: it refuses every client that is not on its loopback",
        remedy=(
            "start redis-server with --protected-mode no on a network of its own, or give it a password (requirepass)"
        ),
    ),
)
