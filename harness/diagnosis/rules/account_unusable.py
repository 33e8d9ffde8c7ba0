"""The database has the application's account and does not let it work."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.commands import inside
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.outside import name_of
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

# MariaDB's ER_ACCOUNT_HAS_BEEN_LOCKED, ER_MUST_CHANGE_PASSWORD and ER_MUST_CHANGE_PASSWORD_LOGIN.
_PROBLEMS = {4151: ("is locked", "ACCOUNT UNLOCK")}
_PROBLEMS |= dict.fromkeys((1820, 1862), ("has a password that has expired", "PASSWORD EXPIRE NEVER"))
_NOTE = "where it has expired, its password has to be set anew as well: ALTER USER ... IDENTIFIED BY"


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.kind == "database" and not facts.snapshot.static]


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    problem = _PROBLEMS.get(path.reach.code or 0)
    if problem is None:
        return
    said, change = problem
    user = path.app.environment.get("DATABASE_USER", "")
    yield Case(
        node=name_of(facts, path),
        evidence=(f"{path.id}: {path.reach}",),
        paths=frozenset({path.id}),
        values={"user": user, "problem": said, "shell": inside(path), "change": change, "note": _NOTE},
    )


RULES = (
    Rule(
        id="account-unusable",
        title="The database account may not work",
        hop=Hop.CREDENTIALS,
        over=_over,
        when=_when,
        cause="the account {user} of {node} {problem}",
        remedy="{shell} mariadb -e \"ALTER USER '{user}'@'%' {change}\" (as root); {note}",
    ),
)
