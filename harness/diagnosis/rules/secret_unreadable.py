"""An application cannot read the file with its password."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

_SETTINGS = {"database": "DATABASE_PASSWORD_FILE", "broker": "REDIS_PASSWORD_FILE"}


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.kind in _SETTINGS and not facts.snapshot.static]


def _when(_facts: Facts, path: Path) -> Iterator[Case]:
    if path.reach.failed != "password":
        return
    file = path.app.environment.get(_SETTINGS[path.kind], "")
    known = next((each for each in path.app.secret_files if each.path == file), None)
    mode = (f"{path.app.service}: {file} has mode {known.mode:04o}, owner {known.owner}",) if known else ()
    yield Case(
        node=path.app.service,
        evidence=(f"{path.id}: {path.reach.said}", *mode),
        paths=frozenset({path.id}),
        values={"file": file, "kind": path.kind, "said": path.reach.said},
    )


RULES = (
    Rule(
        id="secret-unreadable",
        title="An application cannot read its password's file",
        hop=Hop.SETTING,
        over=_over,
        when=_when,
        cause="{node} cannot read its password for the {kind}: {said}",
        remedy=(
            "mount the secret as {file} in {node}, owned by the user that {node} runs as (chown on the host, mode 0600)"
        ),
    ),
)
