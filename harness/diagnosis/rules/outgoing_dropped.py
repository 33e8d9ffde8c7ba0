"""A rule in the application's own namespace drops what it sends into the tunnel, or the answers."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.journeys import outgoing, passages
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> tuple[Path, ...]:
    return passages(facts)


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    if not _fails(path):
        return
    sent = outgoing(facts, path)
    if sent is None or sent.dropped is None:
        return
    meaning, rule = sent.dropped
    yield Case(
        node=sent.gateway.service,
        evidence=(f"{sent.gateway.service}: {rule}",),
        paths=frozenset({path.id}),
        values={"app": path.app.service, "port": path.port, "meaning": meaning, "rule": rule},
    )


def _fails(path: Path) -> bool:
    try:
        return path.reach.failed is not None
    except UnseenError:
        return True  # the rule itself is evidence enough


RULES = (
    Rule(
        id="outgoing-dropped",
        title="A rule in the application's own namespace drops its packets",
        hop=Hop.INTERFACE,
        over=_over,
        when=_when,
        cause="in the namespace that {app} shares with {node}, {meaning} of port {port} are dropped: {rule}",
        remedy=(
            "docker exec {container} iptables-save, and remove that rule there; the gateway's own rules come back "
            "with: docker compose up -d --force-recreate {node} {app}"
        ),
        consequence_of=STOPS_A_CONTAINER,
    ),
)
