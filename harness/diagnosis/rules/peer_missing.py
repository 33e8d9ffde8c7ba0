"""wg0 has no peer."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import End, Facts
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> tuple[End, ...]:
    return () if facts.snapshot.static else facts.ends


def _when(_facts: Facts, end: End) -> Iterator[Case]:
    interface = end.gateway.interface
    if interface is None or interface.peers:
        return
    evidence = (
        f"{end.gateway.service}: {end.gateway.dump_line(interface.public_key)}",
        f"{end.gateway.service}: `wg show all dump` has no line of a peer",
        *end.gateway.log_lines("cannot be added")[-1:],
    )
    yield Case(node=end.gateway.service, evidence=evidence, values={"other": end.other.service})


RULES = (
    Rule(
        id="peer-missing",
        title="wg0 has no peer",
        hop=Hop.KEY,
        over=_over,
        when=_when,
        cause="wg0 of {node} has no peer at all: it neither sends to {other} nor lets anything of it in",
        remedy=(
            "docker compose up -d --force-recreate {node}, together with whatever shares its namespace; where the log "
            "says that the peer cannot be added, correct what it names"
        ),
        consequence_of=STOPS_A_CONTAINER | {"interface-missing"},
    ),
)
