"""The application's database user may not do what the application does."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.diagnosis.commands import inside
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.nodefacts import Reach
from harness.diagnosis.outside import name_of
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

_DENIED = {1044, 1142, 1143, 1227, 1370}  # MariaDB's ER_..ACCESS_DENIED.. of databases, tables, columns, routines
_NEEDED = ("SELECT", "INSERT", "UPDATE", "DELETE")
_GRANT = re.compile(r"GRANT (?P<what>.+) ON `?(?P<database>[^`. ]+)`?\.\*? ?")
_WORD, _WILD = re.compile(r"\\.|."), {"%": ".*", "_": "."}


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.kind == "database" and not facts.snapshot.static]


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    reach, database = path.reach, path.app.environment.get("DATABASE_NAME", "")
    lacking = ["access to it"] if reach.code in _DENIED else _lacking(reach, database)
    if not lacking:
        return
    values = {
        "database": database,
        "lacking": ", ".join(lacking),
        "user": path.app.environment.get("DATABASE_USER", ""),
        "shell": inside(path),
    }
    said = (f"{path.id}: {reach}",) if reach.failed else ()
    yield Case(
        node=name_of(facts, path),
        evidence=(*said, *reach.grants),
        paths=frozenset({path.id}),
        values=values,
    )


def _lacking(reach: Reach, database: str) -> list[str]:
    """What is not granted on the database; nothing where the grants were not seen."""
    if not reach.grants:
        return []
    granted: set[str] = set()
    for line in reach.grants:
        found = _GRANT.match(line)
        if found and _covers(found["database"], database):
            granted |= {word.strip() for word in found["what"].split(",")}
    if "ALL PRIVILEGES" in granted:
        return []
    return [privilege for privilege in _NEEDED if privilege not in granted]


def _covers(granted: str, database: str) -> bool:
    """Whether a grant's database is that one, or all (*): in it % and _ stand for others, as they do for LIKE."""
    words = (_WILD.get(word) or re.escape(word[-1]) for word in _WORD.findall(granted))
    return granted == "*" or re.fullmatch("".join(words), database) is not None


RULES = (
    Rule(
        id="grant-missing",
        title="The database user lacks a grant",
        hop=Hop.CREDENTIALS,
        over=_over,
        when=_when,
        cause="the user {user} lacks {lacking} on the database {database} of {node}",
        remedy="{shell} mariadb -e \"GRANT ALL PRIVILEGES ON {database}.* TO '{user}'@'%'\" (as root)",
    ),
)
