"""Two machines are to be joined by a gateway's UDP port, which that gateway does not publish."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import End, Facts
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop

_LOOPBACK = ("127.", "::1")


def _over(facts: Facts) -> list[End]:
    return [end for end in facts.ends if end.gateway.initiates and end.gateway.host != end.other.host]


def _when(facts: Facts, end: End) -> Iterator[Case]:
    other = end.other.container
    if not other.running or other.network_mode == "host" or facts.carries(end):
        return
    port = end.other.told_port
    published = [each for each in other.published if (each.port, each.protocol) == (port, "udp")]
    if any(not each.host.startswith(_LOOPBACK) for each in published):
        return
    listed = ", ".join(map(str, other.published)) or "no port"
    yield Case(
        node=end.other.service,
        evidence=(
            f"{end.other.service}: publishes {listed}",
            f"{end.gateway.service}: WG_PEER_ENDPOINT={end.gateway.environment.get('WG_PEER_ENDPOINT')}",
        ),
        paths=None,
        values={"port": port, "other": end.gateway.service},
    )


RULES = (
    Rule(
        id="port-unpublished",
        title="WireGuard's port is not published on the machine on which the peer looks for it",
        hop=Hop.HANDSHAKE,
        over=_over,
        when=_when,
        cause="{node} does not publish UDP port {port} on its machine, so what {other} sends there reaches nobody",
        remedy=(
            'have the ports of {node} contain "{port}:{port}/udp" in the compose file, then: docker compose up -d '
            "{node}"
        ),
        consequence_of=STOPS_A_CONTAINER | {"container-down"},
    ),
)
