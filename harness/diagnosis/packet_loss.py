"""Some of what one gateway sends is lost on the way to the other."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis import KILLS_A_TUNNEL, Case, Rule
from harness.facts import End, Facts
from harness.model import Hop, Severity

_SIGNIFICANT = 0.02  # of about a hundred packets: two are no accident on one host, where none is ever lost
_HARMFUL = 0.15  # from here on connections notice: of ten packets of a login at least one is lost, and waited for


def _over(facts: Facts) -> tuple[End, ...]:
    return () if facts.snapshot.static else facts.ends


def _when(facts: Facts, end: End) -> Iterator[Case]:
    sent, arrived = facts.traffic(end)
    lost = 1 - arrived / sent if sent else 0.0
    if not arrived or lost < _SIGNIFICANT:
        return
    evidence = (
        f"of {sent} bytes that {end.gateway.service} sent into the tunnel {arrived} arrived at {end.other.service}"
    )
    paths = facts.tunnelled if lost >= _HARMFUL else frozenset[str]()
    yield Case(
        node=end.gateway.service,
        evidence=(evidence,),
        paths=paths,
        values={"lost": f"{lost:.0%}", "other": end.other.service},
    )


RULES = (
    Rule(
        id="packet-loss",
        title="The underlay loses packets",
        hop=Hop.HANDSHAKE,
        over=_over,
        when=_when,
        cause="{lost} of what {node} sends to {other} is lost on the underlay",
        remedy="look for a congested or faulty line between {node} and {other}: ping -f the other's underlay address, ip -s link on both",
        severity=Severity.WARNING,
        consequence_of=KILLS_A_TUNNEL | {"peer-unreachable"},
    ),
)
