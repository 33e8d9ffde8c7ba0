"""An application is told a backend's name that does not resolve where it lives."""

from __future__ import annotations

from collections.abc import Iterator

from harness.addresses import is_address
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

_KINDS = ("database", "broker")


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.host and path.kind in _KINDS and not is_address(path.host)]


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    if facts.snapshot.static:
        # A service's name resolves on the networks that the service is on, nowhere else.
        named = facts.node(path.host)
        if named is None or _networks(facts, path) & {each.network for each in named.container.attachments}:
            return
        evidence = f"{path.app.service} and {path.host} share no network"
    elif path.reach.failed == "resolve":
        evidence = f"{path.id}: {path.reach}"
    else:
        return
    instead = facts.back.wanted_address.ip if path.tunnelled and facts.back and facts.back.wanted_address else None
    values = {
        "host": path.host,
        "setting": "DATABASE_HOST" if path.kind == "database" else path.app.broker_setting,
        "instead": f"the address {instead}" if instead else "the backend's address",
    }
    yield Case(node=path.app.service, evidence=(evidence,), paths=frozenset({path.id}), values=values)


def _networks(facts: Facts, path: Path) -> set[str]:
    """The networks of an application, or of the gateway whose namespace it shares."""
    owner = facts.node(path.app.container.joined) or path.app
    return {each.network for each in owner.container.attachments}


RULES = (
    Rule(
        id="name-unresolvable",
        title="A backend's name does not resolve",
        hop=Hop.SETTING,
        over=_over,
        when=_when,
        cause="{node} is told to find a backend as {host}, a name that does not resolve there",
        remedy="have {setting} of {node} give {instead} instead of {host}, then: docker compose up -d {node}",
        consequence_of=frozenset({"setting-malformed", "app-outside-gateway", "namespace-orphaned", "backend-down"}),
    ),
)
