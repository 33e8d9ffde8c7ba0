"""A gateway has not shaken hands for longer than a session lasts, though it was asked to send."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import End, Facts
from harness.diagnosis.rules import KILLS_A_TUNNEL, Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> tuple[End, ...]:
    return () if facts.snapshot.static else facts.ends


def _when(facts: Facts, end: End) -> Iterator[Case]:
    gateway = end.gateway
    if gateway.interface is None or facts.has_session(end):
        return
    evidence = tuple(f"{gateway.service}: {gateway.dump_line(peer.public_key)}" for peer in gateway.peers)
    yield Case(
        node=gateway.service,
        evidence=evidence or (f"{gateway.service}: wg0 has no peer",),
        values={"age": _age(end)},
    )


def _age(end: End) -> str:
    handshakes = [peer.latest_handshake.timestamp() for peer in end.candidates if peer.latest_handshake]
    if not handshakes:
        return "there has never been one"
    return f"the last one is {end.gateway.clock - max(handshakes):.0f} s old"


RULES = (
    Rule(
        id="handshake-stale",
        title="There is no recent handshake",
        hop=Hop.HANDSHAKE,
        over=_over,
        when=_when,
        cause="{node} has no handshake with its peer: {age}, and a session lasts 180 s",
        remedy=(
            "docker logs {container}; where nothing is wrong, sending something from the end that initiates begins "
            "a new session"
        ),
        consequence_of=KILLS_A_TUNNEL | {"peer-unreachable"},
    ),
)
