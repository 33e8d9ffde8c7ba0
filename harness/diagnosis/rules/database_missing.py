"""MariaDB has no database of the name that an application is told."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.outside import name_of
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

_UNKNOWN_DATABASE = 1049  # MariaDB's ER_BAD_DB_ERROR


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.kind == "database" and not facts.snapshot.static]


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    if path.reach.code != _UNKNOWN_DATABASE:
        return
    name = path.app.environment.get("DATABASE_NAME", "")
    server = path.backend.environment.get("MARIADB_DATABASE") if path.backend else None
    made = (f"{path.backend.service}: MARIADB_DATABASE={server}",) if path.backend and server else ()
    yield Case(
        node=path.app.service,
        evidence=(f"{path.id}: {path.reach}", f"{path.app.service}: DATABASE_NAME={name}", *made),
        paths=frozenset({path.id}),
        values={
            "name": name,
            "backend": name_of(facts, path),
            "remedy": _remedy(path.app.service, name, server),
        },
    )


def _remedy(app: str, name: str, server: str | None) -> str:
    if server and server != name:
        return f"set DATABASE_NAME of {app} to {server}, then: docker compose up -d {app}"
    return "restore it from a backup, or make it (CREATE DATABASE) and migrate"


RULES = (
    Rule(
        id="database-missing",
        title="The database does not exist",
        hop=Hop.CREDENTIALS,
        over=_over,
        when=_when,
        cause="{backend} has no database {name}, which {node} is told to use",
        remedy="{remedy}",
        consequence_of=frozenset({"setting-misnamed"}),
    ),
)
