"""Nobody keeps the way back open: the end that knows where the other is sends no keepalives."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import End, Facts
from harness.diagnosis.rules import KILLS_A_TUNNEL, Case, Rule
from harness.model import Hop, Severity


def _over(facts: Facts) -> tuple[End, ...]:
    return tuple(end for end in facts.ends if end.gateway.initiates and not end.other.initiates)


def _when(facts: Facts, end: End) -> Iterator[Case]:
    told = end.gateway.environment.get("WG_PERSISTENT_KEEPALIVE", "0") or "0"
    seconds = int(told) if told.isdecimal() else 0
    line = f"{end.gateway.service}: WG_PERSISTENT_KEEPALIVE={told}"
    if not facts.snapshot.static:
        if end.peer is None:
            return
        seconds = end.peer.persistent_keepalive
        line = f"{end.gateway.service}: {end.gateway.dump_line(end.peer.public_key)}"
    if seconds == 0:
        yield Case(node=end.gateway.service, evidence=(line,), paths=frozenset(), values={"other": end.other.service})


RULES = (
    Rule(
        id="keepalive-missing",
        title="Nobody keeps the way back open",
        hop=Hop.HANDSHAKE,
        over=_over,
        when=_when,
        cause=(
            "{node} sends no keepalives: behind a NAT or a stateful firewall {other} cannot reach it once the "
            "tunnel was idle"
        ),
        remedy=(
            "set WG_PERSISTENT_KEEPALIVE of {node} to 25, then: docker compose up -d {node} (whatever shares its "
            "namespace moves along)"
        ),
        severity=Severity.WARNING,
        consequence_of=KILLS_A_TUNNEL,
    ),
)
