"""The database has the application's account and does not let it work."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

# MariaDB's ER_ACCOUNT_HAS_BEEN_LOCKED, ER_MUST_CHANGE_PASSWORD and ER_MUST_CHANGE_PASSWORD_LOGIN.
_PROBLEMS = {4151: ("is locked", "ACCOUNT UNLOCK")}
_PROBLEMS |= dict.fromkeys((1820, 1862), ("has a password that has expired", "PASSWORD EXPIRE NEVER"))
_NOTE = "where it has expired, its password has to be set anew as well: ALTER USER ... IDENTIFIED BY"


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.kind == "database" and not facts.snapshot.static]


def _when(_facts: Facts, path: Path) -> Iterator[Case]:
    problem = _PROBLEMS.get(path.reach.code or 0)
    if problem is None:
        return
    said, change = problem
    user = path.app.environment.get("DATABASE_USER", "")
    yield Case(
        node=path.backend.service if path.backend else path.app.service,
        evidence=(f"{path.id}: {path.reach}",),
        paths=frozenset({path.id}),
        values={"app": path.app.service, "user": user, "problem": said, "change": change, "note": _NOTE},
    )


RULES = (
    Rule(
        id="account-unusable",
        title="The database account may not work",
        hop=Hop.CREDENTIALS,
        over=_over,
        when=_when,
        cause="the account {user} that {app} uses at {node} {problem}",
        remedy="docker exec {container} mariadb -e \"ALTER USER '{user}'@'%' {change}\" (as root); {note}",
    ),
)
