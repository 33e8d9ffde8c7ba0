"""A backend rejects an application's login."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis import Case, Rule
from harness.facts import Facts, Path
from harness.model import Hop

_DENIED = {1045, 1698}  # MariaDB: ER_ACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR
_REDIS_KINDS = ("AuthenticationError", "AuthenticationWrongNumberOfArgsError", "NoPermissionError")
_SETTINGS = {"database": "DATABASE_PASSWORD_FILE", "broker": "CELERY_BROKER_URL"}


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.kind != "forward" and not facts.snapshot.static]


def _when(_facts: Facts, path: Path) -> Iterator[Case]:
    reach = path.reach
    if reach.code not in _DENIED and reach.kind not in _REDIS_KINDS:
        return
    backend = path.backend.service if path.backend else f"{path.host}:{path.port}"
    yield Case(
        node=path.app.service,
        evidence=(f"{path.id}: {reach}", *_compared(path)),
        paths=frozenset({path.id}),
        values={"backend": backend, "setting": _SETTINGS[path.kind]},
    )


def _compared(path: Path) -> Iterator[str]:
    """What may be said of the two passwords without showing either."""
    if path.kind != "database" or path.backend is None:
        return
    own = path.app.secret_file("DATABASE_PASSWORD_FILE")
    servers = path.backend.secret_file("MARIADB_PASSWORD_FILE")
    if own and servers:
        same = "hold the same password" if own.seal == servers.seal else "hold different passwords"
        yield f"{own.path} of {path.app.service} and {servers.path} of {path.backend.service} {same}"


RULES = (
    Rule(
        id="credentials-rejected",
        title="A backend rejects a login",
        hop=Hop.CREDENTIALS,
        over=_over,
        when=_when,
        cause="{backend} rejects the login of {node}",
        remedy="give {node} the password that {backend} has ({setting}), then: docker compose up -d --force-recreate {node}",
    ),
)
