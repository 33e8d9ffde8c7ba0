"""Neither gateway was told where the other is, so that each waits for the other to begin."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.commands import together
from harness.diagnosis.facts import End, Facts
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[End]:
    return [end for end in facts.ends if end.gateway is facts.front]


def _when(facts: Facts, end: End) -> Iterator[Case]:
    if end.gateway.initiates or end.other.initiates:
        return
    apart = facts.are_apart(end.gateway, end.other)
    if facts.snapshot.static and apart:
        return  # each server has settings of its own, and only those of one were read
    if not facts.snapshot.static and (facts.has_session(end) or any(peer.endpoint for peer in end.candidates)):
        return  # somebody has told it by hand, or the other end
    host = "the address of the other server" if apart else next(iter(end.reachable), "the address of the other server")
    yield Case(
        node=end.gateway.service,
        evidence=tuple(f"{each.service}: WG_PEER_ENDPOINT is not set" for each in (end.gateway, end.other)),
        values={
            "other": end.other.service,
            "right": f"{host}:{end.other.told_port}",
            "household": together(facts, end.gateway),
        },
    )


RULES = (
    Rule(
        id="endpoint-missing",
        title="Neither gateway was told where the other is",
        hop=Hop.HANDSHAKE,
        over=_over,
        when=_when,
        cause="neither {node} nor {other} was told where the other is, so that each waits for the other to begin",
        remedy="set WG_PEER_ENDPOINT of {node} to {right}, then: docker compose up -d {household}",
        consequence_of=STOPS_A_CONTAINER | {"container-down", "interface-missing"},
    ),
)
