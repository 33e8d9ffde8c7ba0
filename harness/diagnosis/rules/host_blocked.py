"""MariaDB has blocked a host after too many connections that ended in the middle of the handshake."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.commands import inside
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.outside import name_of
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

_CODES = {1129: "is blocked after too many broken handshakes (max_connect_errors)", 1130: "is not allowed to connect"}


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.kind == "database" and not facts.snapshot.static]


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    problem = _CODES.get(path.reach.code or 0)
    if problem is not None:
        yield Case(
            node=name_of(facts, path),
            evidence=(f"{path.id}: {path.reach}",),
            paths=frozenset({path.id}),
            values={"problem": problem, "shell": inside(path)},
        )


RULES = (
    Rule(
        id="host-blocked",
        title="MariaDB does not let a host connect",
        hop=Hop.GREETING,
        over=_over,
        when=_when,
        cause="for {node} a host that its clients come from {problem}",
        remedy=(
            "{shell} mariadb-admin flush-hosts, and start it with --skip-name-resolve; or grant "
            "the user access from that host"
        ),
    ),
)
