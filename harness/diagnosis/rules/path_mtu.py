"""Small packets pass between the gateways and large ones do not: a path MTU black hole."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.diagnosis.commands import both_anew
from harness.diagnosis.facts import End, Facts
from harness.diagnosis.rules import KILLS_A_TUNNEL, Case, Rule
from harness.model import Hop
from harness.wireguard import INTERFACE

PACKETS = 10
"""How many large packets a look sends each way (`harness.throughput.SIZES`)."""

_PASS, _LOST = 0.5, 0.8  # shares lost: that small ones pass though some are lost, that large ones as good as never do
_CHANCE = 0.001  # where small ones are lost too, so many large ones must not be lost by accident as often as that


def _over(facts: Facts) -> tuple[End, ...]:
    return () if facts.snapshot.static else facts.ends


def _when(facts: Facts, end: End) -> Iterator[Case]:
    small_sent, small_arrived = facts.traffic(end, "small")
    large_sent, large_arrived = facts.traffic(end, "large")
    if not small_sent or not small_arrived or not large_sent:
        return
    small_lost, large_lost = 1 - small_arrived / small_sent, 1 - large_arrived / large_sent
    if small_lost > _PASS or large_lost < _LOST or _by_accident(large_lost, small_lost) > _CHANCE:
        return
    mtu = end.gateway.links.get(INTERFACE, {}).get("mtu", "unknown")
    yield Case(
        node=end.gateway.service,
        evidence=(
            f"{end.gateway.service}: of {small_sent} bytes in small packets {small_arrived} arrived",
            f"{end.gateway.service}: of {large_sent} bytes in packets of wg0's MTU ({mtu}) {large_arrived} arrived",
        ),
        values={"mtu": mtu, "other": end.other.service, "commands": both_anew(facts, end)},
    )


def _by_accident(lost: float, share: float) -> float:
    """How likely it is that so many large packets are lost where any packet is lost as often as small ones are."""
    share = max(share, 0.0)
    count = math.floor(lost * PACKETS)
    return sum(
        math.comb(PACKETS, number) * share**number * (1 - share) ** (PACKETS - number)
        for number in range(count, PACKETS + 1)
    )


RULES = (
    Rule(
        id="path-mtu",
        title="Large packets vanish on the underlay",
        hop=Hop.HANDSHAKE,
        over=_over,
        when=_when,
        cause=(
            "large packets from {node} to {other} vanish on the underlay, small ones pass: wg0's MTU of {mtu} is "
            "more than the way carries"
        ),
        remedy=(
            "set WG_MTU of {node} and of {other} to what the underlay carries less 60 bytes (1280 always passes), "
            "then: {commands}"
        ),
        consequence_of=KILLS_A_TUNNEL | {"peer-unreachable"},
    ),
)
