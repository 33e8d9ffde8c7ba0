"""A container cannot read a secret's file, such as an application its password, or is not given it."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

_SETTINGS = {"database": "DATABASE_PASSWORD_FILE", "broker": "REDIS_PASSWORD_FILE"}


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.kind in _SETTINGS]


def _subjects(facts: Facts) -> Iterator[Path | NodeFacts]:
    yield from facts.nodes if facts.snapshot.static else _over(facts)


def _judge(facts: Facts, subject: Path | NodeFacts) -> Iterator[Case]:
    return _when(facts, subject) if isinstance(subject, Path) else _when_unmounted(subject)


def _when_unmounted(node: NodeFacts) -> Iterator[Case]:
    """Of a configuration: a file that it names, and that nothing puts there."""
    for setting, file in node.unmounted.items():
        said = "no secret, config or volume is mounted there"
        yield Case(
            node=node.service,
            evidence=(f"{node.service}: {setting}={file}, and {said}",),
            values={"file": file, "what": f"what {setting} names, {file}", "said": said},
        )


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
        values={"file": file, "what": f"its password for the {path.kind}", "said": path.reach.said},
    )


RULES = (
    Rule(
        id="secret-unreadable",
        title="A container cannot read a secret's file",
        hop=Hop.SETTING,
        over=_subjects,
        when=_judge,
        cause="{node} cannot read {what}: {said}",
        remedy=(
            "mount the secret as {file} in {node}, owned by the user that {node} runs as (chown on the host, mode 0600)"
        ),
    ),
)
