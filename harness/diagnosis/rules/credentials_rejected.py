"""A backend rejects an application's login."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.outside import name_of
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

_DENIED = {1045, 1698}  # MariaDB: ER_ACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR
_NO_RIGHT = "NOPERM"
_REDIS_SAYS = ("NOAUTH", "WRONGPASS", _NO_RIGHT, "ERR AUTH", "ERR invalid password", "ERR Client sent AUTH")
"""How Redis begins: without a login, with a wrong one, without the right, and where it knows no password at all."""


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.kind != "forward" and not facts.snapshot.static]


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    reach = path.reach
    if reach.code not in _DENIED and not reach.said.startswith(_REDIS_SAYS):
        return
    backend = name_of(facts, path)
    compared = _same_password(path)
    evidence = [f"{path.id}: {reach}"]
    remedy = f"give {path.app.service} the password that {backend} has ({_setting(path)}), then: "
    remedy += f"docker compose up -d --force-recreate {path.app.service}"
    if compared is not None:
        word = "the same password" if compared else "different passwords"
        evidence.append(f"the password files of {path.app.service} and {backend} hold {word}")
    if reach.said.startswith(_NO_RIGHT):
        remedy = f"its account in {backend} lacks a right, not the password: ACL LIST shows it, ACL SETUSER grants it"
    own = path.app.secret_file("DATABASE_PASSWORD_FILE") if path.kind == "database" else None
    if own is not None and own.empty:
        evidence.append(f"{own.path} of {path.app.service} is empty")
        remedy = f"write the password into the file that is mounted as {own.path} in {path.app.service}"
    elif compared:
        user = path.app.environment.get("DATABASE_USER", "")
        remedy = (
            f"both have the same password file, so it is the account in {backend} that differs from it: look at "
            f"mysql.user for '{user}' and the address that the error names; then ALTER USER, or CREATE USER, with the "
            f"password of the file"
        )
    values = {"backend": backend, "remedy": remedy}
    yield Case(node=path.app.service, evidence=tuple(evidence), paths=frozenset({path.id}), values=values)


def _setting(path: Path) -> str:
    """Where an application has its password from."""
    if path.kind == "database":
        return "DATABASE_PASSWORD_FILE"
    return "REDIS_PASSWORD_FILE" if path.app.environment.get("REDIS_PASSWORD_FILE") else path.app.broker_setting


def _same_password(path: Path) -> bool | None:
    """Whether the application was given the password that the server was made with; None where nobody can tell."""
    if path.kind != "database" or path.backend is None:
        return None
    own = path.app.secret_file("DATABASE_PASSWORD_FILE")
    servers = path.backend.secret_file("MARIADB_PASSWORD_FILE")
    return own.seal == servers.seal if own and servers else None


RULES = (
    Rule(
        id="credentials-rejected",
        title="A backend rejects a login",
        hop=Hop.CREDENTIALS,
        over=_over,
        when=_when,
        cause="{backend} rejects the login of {node}",
        remedy="{remedy}",
    ),
)
