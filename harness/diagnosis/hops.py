"""The way of each path, hop by hop: passed, failed or unknown, with why. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Path
from harness.diagnosis.rules import Rule
from harness.model import Finding, Hop

_TUNNEL_HOPS = frozenset(
    {Hop.INTERFACE, Hop.KEY, Hop.HANDSHAKE, Hop.ALLOWED_IPS, Hop.FORWARDING, Hop.DNAT, Hop.RETURN_PATH}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HopStatus:
    """One hop of one path: `pass`, `fail` or `unknown`, with why."""

    path: str
    hop: Hop
    status: str
    evidence: str


Unseen = tuple[Rule[Any], UnseenError]
"""A rule, and what it could not be asked for."""


def hops_of(path: Path, findings: Iterable[Finding], unseen: Iterable[Unseen]) -> list[HopStatus]:
    """The way of one path: whatever comes before the hop that fails is passed or unknown, nothing after it is."""
    mine = sorted((each for each in findings if each.root and path.id in each.paths), key=lambda each: order(each.hop))
    blocking = next((each for each in mine if each.hop is not Hop.EXPOSURE), None)
    nodes = {path.app.service, path.backend.service if path.backend else ""}
    blind = {rule.hop: str(error) for rule, error in unseen if error.node in nodes or path.tunnelled}
    try:
        works = path.reach.failed is None
        said = str(path.reach)
    except UnseenError as error:
        works, said = False, str(error)
    statuses = []
    for hop in Hop:
        if hop is Hop.EXPOSURE or (not path.tunnelled and hop in _TUNNEL_HOPS):
            continue
        if blocking is not None and hop is blocking.hop:
            statuses.append(HopStatus(path=path.id, hop=hop, status="fail", evidence=blocking.cause))
        elif works:
            statuses.append(HopStatus(path=path.id, hop=hop, status="pass", evidence=said))
        elif blocking is not None and order(hop) > order(blocking.hop):
            statuses.append(HopStatus(path=path.id, hop=hop, status="unknown", evidence="not reached"))
        elif hop in blind:
            statuses.append(HopStatus(path=path.id, hop=hop, status="unknown", evidence=blind[hop]))
        else:
            status = "pass" if blocking is not None else "unknown"
            statuses.append(
                HopStatus(path=path.id, hop=hop, status=status, evidence="no rule finds fault" if blocking else said)
            )
    return statuses


def order(hop: Hop) -> int:
    """Where on the way a hop is."""
    return list(Hop).index(hop)
