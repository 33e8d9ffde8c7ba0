"""Some of what one gateway sends is lost on the way to the other."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import End, Facts, Path
from harness.diagnosis.rules import KILLS_A_TUNNEL, Case, Rule
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
    yield Case(
        node=end.gateway.service,
        evidence=(evidence,),
        paths=facts.tunnelled if lost >= _HARMFUL else frozenset(path.id for path in facts.paths if _is_late(path)),
        values={"lost": f"{lost:.0%}", "other": end.other.service},
    )


def _is_late(path: Path) -> bool:
    """Whether an application waited in vain, as it does now and then where packets are lost."""
    try:
        return path.tunnelled and path.reach.timed_out
    except UnseenError:
        return False


RULES = (
    Rule(
        id="packet-loss",
        title="The underlay loses packets",
        hop=Hop.HANDSHAKE,
        over=_over,
        when=_when,
        cause="{lost} of what {node} sends to {other} is lost on the underlay",
        remedy=(
            "look for a congested or faulty line between {node} and {other}: ping -f the other's underlay address, "
            "ip -s link on both"
        ),
        severity=Severity.WARNING,
        # Where large packets vanish, those that somebody sends beside a burst of small ones are lost with its count.
        consequence_of=KILLS_A_TUNNEL | {"peer-unreachable", "path-mtu"},
    ),
)
